//! A disk on which some files are made up: whatever is read there comes from the position alone, and whatever is
//! written must be the same. So a file may be larger than any disk, and every byte of it is still checked.
//!
//! Everything but the bytes of those files is the system's: names, lengths, times and locks are those of sparse files.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_store::disk::{Access, Disk, DiskFile, Metadata, SystemDisk};

/// What the sequence starts from.
const SEED: u64 = 0x6d65_7368;
const WORD_BYTES: usize = size_of::<u64>();
/// The bytes compared at once when something is written.
const COMPARE_BYTES: usize = 64 << 10;

/// The disk. Files below one folder are made up.
#[derive(Debug)]
pub struct GeneratedDisk {
    made_up: PathBuf,
}

impl GeneratedDisk {
    pub fn new(made_up: PathBuf) -> Self {
        Self { made_up }
    }
}

/// One word of the sequence, by its number: SplitMix64, whose state is a counter.
fn word(number: u64) -> u64 {
    let mut word = number.wrapping_add(SEED).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// The bytes from `offset` on.
fn fill(buffer: &mut [u8], offset: u64) {
    let (mut number, within) = (offset / WORD_BYTES as u64, offset as usize % WORD_BYTES);
    let (head, rest) = buffer.split_at_mut(((WORD_BYTES - within) % WORD_BYTES).min(buffer.len()));
    if !head.is_empty() {
        head.copy_from_slice(&word(number).to_le_bytes()[within..within + head.len()]);
        number += 1;
    }
    for chunk in rest.chunks_mut(WORD_BYTES) {
        chunk.copy_from_slice(&word(number).to_le_bytes()[..chunk.len()]);
        number += 1;
    }
}

#[derive(Debug)]
struct GeneratedFile {
    sparse: Arc<dyn DiskFile>,
}

impl DiskFile for GeneratedFile {
    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.sparse.metadata()?.size_bytes.saturating_sub(offset);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        fill(&mut buffer[..count], offset);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut expected = [0; COMPARE_BYTES];
        for (number, part) in bytes.chunks(COMPARE_BYTES).enumerate() {
            let expected = &mut expected[..part.len()];
            fill(expected, offset + (number * COMPARE_BYTES) as u64);
            if part != expected {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "other bytes than those that were shared"));
            }
        }
        let end = offset + bytes.len() as u64;
        if self.sparse.metadata()?.size_bytes < end {
            self.sparse.set_length(end)?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.sparse.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sparse.sync_all()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.sparse.set_length(bytes)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.sparse.metadata()
    }
}

impl Disk for GeneratedDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = SystemDisk.open(path, access)?;
        Ok(match path.starts_with(&self.made_up) {
            true => Arc::new(GeneratedFile { sparse: file }),
            false => file,
        })
    }

    /// What is made up takes no space.
    fn free_bytes(&self, _path: &Path) -> u64 {
        u64::MAX
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        SystemDisk.metadata(path)
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        SystemDisk.symlink_metadata(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        SystemDisk.list(folder)
    }

    fn read_link(&self, path: &Path) -> io::Result<String> {
        SystemDisk.read_link(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        SystemDisk.canonical(path)
    }

    fn create_folders(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.create_folders(folder)
    }

    fn symlink(&self, target: &str, link: &Path) -> io::Result<()> {
        SystemDisk.symlink(target, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.remove_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename_new(from, to)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        SystemDisk.set_mode(path, mode)
    }

    fn set_modified(&self, path: &Path, unix_ms: i64) -> io::Result<()> {
        SystemDisk.set_modified(path, unix_ms)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.sync_folder(folder)
    }

    fn sync_below(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.sync_below(folder)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        SystemDisk.lock(path)
    }

    fn now_ns(&self) -> i64 {
        SystemDisk.now_ns()
    }
}
