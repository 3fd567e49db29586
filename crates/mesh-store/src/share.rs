//! Reading what a person shares: cut, hashed, and kept as a manifest; the bytes stay where they are.
//!
//! Two threads: one reads, cuts and names chunks, the other hashes the whole. Memory is a few read buffers whatever the
//! size. A file that changes while it is read is refused.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use mesh_chunk::{
    ChunkEntry, ChunkParameters, Cutter, EntryKind, FileHasher, Listing, ManifestBuilder, RootKind, TreeEntry, TreeMap,
    chunk_id,
};
use mesh_proto::ContentId;
use mesh_proto::port::Failure;
use mesh_proto::port::store::StoredContent;
use mesh_proto::record::ContentKind;

use crate::content::listing_path;
use crate::manifests::Manifests;
use crate::system::{self, Identity};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Buffers on their way to the second thread.
const BUFFERS_MAX: usize = 8;

/// A share that is done.
pub struct Shared {
    /// What it is.
    pub stored: StoredContent,
    /// Of a single file.
    pub identity: Option<Identity>,
}

/// How the reader tells how far it is; returns `false` to stop.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// Shares the file or folder at `path`.
pub fn share(path: &Path, manifests: &Manifests, number: u64, on_progress: OnProgress<'_>) -> Result<Shared, Failure> {
    let metadata = std::fs::metadata(path).map_err(|error| cannot(path, &error))?;
    if metadata.is_file() {
        share_file(path, &metadata, manifests, number, on_progress)
    } else if metadata.is_dir() {
        share_tree(path, manifests, number, on_progress)
    } else {
        Err(Failure::lasting(format!("{} is neither a file nor a folder", path.display())))
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::lasting(format!("can't read {}: {error}", path.display()))
}

fn changed(path: &Path) -> Failure {
    Failure::lasting(format!("{} changed while it was read; share it again when it is at rest", path.display()))
}

fn share_file(
    path: &Path,
    metadata: &Metadata,
    manifests: &Manifests,
    number: u64,
    on_progress: OnProgress<'_>,
) -> Result<Shared, Failure> {
    let before = Identity::of(metadata);
    let file = File::open(path).map_err(|error| cannot(path, &error))?;
    let cutter = Cutter::new(ChunkParameters::for_size(before.size_bytes));
    let hashed = hash_all(vec![Part::File(file)], before.size_bytes, cutter, manifests, number, on_progress);
    let hashed = hashed.map_err(|error| cannot(path, &error))?;
    let after = std::fs::metadata(path).map(|metadata| Identity::of(&metadata));
    if hashed.total_bytes != before.size_bytes || after.ok() != Some(before) {
        let _ = std::fs::remove_file(&hashed.temporary);
        return Err(changed(path));
    }
    let content = hashed.keep(RootKind::File, manifests).map_err(|error| cannot(path, &error))?;
    let stored = content.stored(ContentKind::File, path);
    Ok(Shared { stored, identity: Some(before) })
}

fn share_tree(path: &Path, manifests: &Manifests, number: u64, on_progress: OnProgress<'_>) -> Result<Shared, Failure> {
    let mut entries = Vec::new();
    walk(path, "", &mut entries)?;
    let listing = Listing::new(entries).map_err(|error| Failure::lasting(format!("{}: {error}", path.display())))?;
    let bytes = listing.encode().map_err(|error| Failure::lasting(format!("{}: {error}", path.display())))?;
    let map = TreeMap::new(&listing, bytes.len() as u64);
    let total_bytes = map.total_bytes();
    let cutter = Cutter::with_borders(ChunkParameters::for_size(total_bytes), map.forced_borders());
    let files = listing.entries().iter().filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
    let mut parts = vec![Part::Bytes(bytes.clone())];
    parts.extend(files.map(|entry| Part::Path(path.join(&entry.path))));
    let hashed = hash_all(parts, total_bytes, cutter, manifests, number, on_progress);
    let hashed = hashed.map_err(|error| cannot(path, &error))?;
    let mut again = Vec::new();
    walk(path, "", &mut again)?;
    if hashed.total_bytes != total_bytes || Listing::new(again).ok().as_ref() != Some(&listing) {
        let _ = std::fs::remove_file(&hashed.temporary);
        return Err(changed(path));
    }
    let kind = RootKind::Tree { listing_bytes: bytes.len() as u64 };
    let content = hashed.keep(kind, manifests).map_err(|error| cannot(path, &error))?;
    let kept = listing_path(manifests, content.id);
    std::fs::write(&kept, &bytes)
        .and_then(|()| File::open(&kept)?.sync_all())
        .map_err(|error| cannot(&kept, &error))?;
    Ok(Shared { stored: content.stored(ContentKind::Tree, path), identity: None })
}

/// Everything below `folder`, in any order.
fn walk(folder: &Path, prefix: &str, entries: &mut Vec<TreeEntry>) -> Result<(), Failure> {
    let read = std::fs::read_dir(folder).map_err(|error| cannot(folder, &error))?;
    for entry in read {
        let entry = entry.map_err(|error| cannot(folder, &error))?;
        let place = entry.path();
        let name = entry.file_name().into_string().map_err(|_| {
            Failure::lasting(format!("the name of {} is not UTF-8; rename it to share it", place.display()))
        })?;
        let metadata = std::fs::symlink_metadata(&place).map_err(|error| cannot(&place, &error))?;
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = if metadata.is_symlink() {
            let target = std::fs::read_link(&place).map_err(|error| cannot(&place, &error))?;
            EntryKind::Symlink { target: target.to_string_lossy().into_owned() }
        } else if metadata.is_dir() {
            walk(&place, &path, entries)?;
            EntryKind::Directory { mode: system::mode(&metadata) }
        } else if metadata.is_file() {
            EntryKind::File { size_bytes: metadata.len(), mode: system::mode(&metadata) }
        } else {
            let why = format!("{} is neither a file, a folder nor a link; move it away to share", place.display());
            return Err(Failure::lasting(why));
        };
        entries.push(TreeEntry { path, kind, modified_unix_ms: system::modified_ms(&metadata) });
    }
    Ok(())
}

/// Something to read in sequence.
enum Part {
    Bytes(Vec<u8>),
    File(File),
    Path(PathBuf),
}

/// Reads parts one after the other.
struct Parts {
    rest: std::vec::IntoIter<Part>,
    current: Option<Box<dyn Read>>,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(current) = &mut self.current {
                match current.read(buffer)? {
                    0 => self.current = None,
                    count => return Ok(count),
                }
            }
            self.current = match self.rest.next() {
                None => return Ok(0),
                Some(Part::Bytes(bytes)) => Some(Box::new(io::Cursor::new(bytes))),
                Some(Part::File(file)) => Some(Box::new(file)),
                Some(Part::Path(path)) => Some(Box::new(File::open(path)?)),
            };
        }
    }
}

/// A content that was read but has no name yet.
struct Hashed {
    builder: ManifestBuilder,
    whole_hash: [u8; 32],
    total_bytes: u64,
    temporary: PathBuf,
    pages: File,
}

/// A content whose manifest is kept.
struct Named {
    id: ContentId,
    chunk_count: u32,
    total_bytes: u64,
    whole_hash: [u8; 32],
}

impl Named {
    fn stored(&self, kind: ContentKind, path: &Path) -> StoredContent {
        StoredContent {
            content: self.id,
            kind,
            total_bytes: self.total_bytes,
            chunk_count: self.chunk_count,
            whole_hash: self.whole_hash,
            path: path.to_string_lossy().into_owned(),
            complete: true,
            in_place: true,
        }
    }
}

impl Hashed {
    fn keep(mut self, kind: RootKind, manifests: &Manifests) -> io::Result<Named> {
        let built = self.builder.finish(kind, self.whole_hash);
        let last = built.pages.iter().map(|page| page.bytes.as_slice());
        for page in last.chain([built.root_bytes.as_slice()]) {
            write_page(&mut self.pages, page)?;
        }
        self.pages.sync_all()?;
        manifests.put(built.id, &self.temporary)?;
        Ok(Named {
            id: built.id,
            chunk_count: built.root.chunk_count,
            total_bytes: self.total_bytes,
            whole_hash: self.whole_hash,
        })
    }
}

fn write_page(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(bytes)
}

fn hash_all(
    parts: Vec<Part>,
    expected_bytes: u64,
    cutter: Cutter,
    manifests: &Manifests,
    number: u64,
    on_progress: OnProgress<'_>,
) -> io::Result<Hashed> {
    let (sender, receiver) = sync_channel::<Arc<Vec<u8>>>(BUFFERS_MAX);
    let hasher = std::thread::spawn(move || {
        let mut hasher = FileHasher::new();
        receiver.iter().for_each(|buffer| hasher.update(&buffer));
        hasher.finish()
    });
    let temporary = manifests.temporary(number);
    let mut hashed = Hashed {
        builder: ManifestBuilder::new(cutter.parameters()),
        whole_hash: [0; 32],
        total_bytes: 0,
        pages: File::create(&temporary)?,
        temporary,
    };
    let mut source = Parts { rest: parts.into_iter(), current: None };
    let cut = cut_all(&mut source, cutter, &mut hashed, &sender, expected_bytes, on_progress);
    drop(sender);
    let whole_hash = hasher.join().map_err(|_| io::Error::other("the hashing thread stopped"))?;
    if let Err(error) = cut {
        let _ = std::fs::remove_file(&hashed.temporary);
        return Err(error);
    }
    hashed.whole_hash = whole_hash;
    Ok(hashed)
}

fn cut_all(
    source: &mut Parts,
    mut cutter: Cutter,
    hashed: &mut Hashed,
    sender: &SyncSender<Arc<Vec<u8>>>,
    expected_bytes: u64,
    on_progress: OnProgress<'_>,
) -> io::Result<()> {
    let mut pending: Vec<u8> = Vec::new();
    let mut ended = false;
    while !ended {
        let mut fresh = vec![0; READ_BYTES];
        let mut filled = 0;
        while filled < fresh.len() && !ended {
            let count = source.read(&mut fresh[filled..])?;
            filled += count;
            ended = count == 0;
        }
        fresh.truncate(filled);
        hashed.total_bytes += filled as u64;
        if !on_progress(hashed.total_bytes, expected_bytes) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
        }
        pending.extend_from_slice(&fresh);
        sender.send(Arc::new(fresh)).map_err(io::Error::other)?;
        let mut at = 0;
        while let Some(length) = cutter.next_cut(&pending[at..], ended) {
            let entry = ChunkEntry {
                id: chunk_id(&pending[at..at + length]),
                length: u32::try_from(length).map_err(io::Error::other)?,
            };
            for page in hashed.builder.push(entry).map_err(io::Error::other)? {
                write_page(&mut hashed.pages, &page.bytes)?;
            }
            at += length;
        }
        pending.drain(..at);
    }
    Ok(())
}
