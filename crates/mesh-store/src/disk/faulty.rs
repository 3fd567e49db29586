//! A disk in memory that fails on demand: power cuts, full, read-only, removed, failing syncs, flipped bits.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Access, Disk, DiskFile, MemoryDisk, Metadata};

/// A disk that fails on demand. Clones share it.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    memory: MemoryDisk,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    full: bool,
    read_only: bool,
    removed: bool,
    sync_fails: bool,
    /// Changes and syncs so far.
    steps: u64,
    /// At this step the power goes: nothing works any more.
    stop_at: Option<u64>,
    /// This step fails, and the next works again.
    hiccup_at: Option<u64>,
    /// Power cuts so far; a file opened before the last one is of no use.
    cuts: u64,
}

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Look,
    /// Takes space.
    Write,
    /// Takes none.
    Change,
    Sync,
}

/// What the system says of a device that is gone, and of one that can't write.
const EIO: i32 = 5;

impl Default for FaultyDisk {
    fn default() -> Self {
        Self { memory: MemoryDisk::new(true), faults: Arc::default() }
    }
}

impl FaultyDisk {
    /// From now on there is no space left, or there is again.
    pub fn set_full(&self, full: bool) {
        self.faults.lock().full = full;
    }

    /// From now on nothing can be changed, or it can again.
    pub fn set_read_only(&self, read_only: bool) {
        self.faults.lock().read_only = read_only;
    }

    /// From now on the device is gone, or it is back. What was open is of no use after that.
    pub fn set_removed(&self, removed: bool) {
        let mut faults = self.faults.lock();
        faults.cuts += u64::from(removed);
        faults.removed = removed;
    }

    /// From now on syncs fail, or they work again.
    pub fn set_sync_fails(&self, fails: bool) {
        self.faults.lock().sync_fails = fails;
    }

    /// How many changes and syncs there were.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.faults.lock().steps
    }

    /// The power goes at this step; [`power_cut`](Self::power_cut) brings it back.
    pub fn stop_at(&self, step: u64) {
        self.faults.lock().stop_at = Some(step);
    }

    /// This one step fails, as a loose cable does.
    pub fn hiccup_at(&self, step: u64) {
        self.faults.lock().hiccup_at = Some(step);
    }

    /// Whether the power has not gone yet.
    #[must_use]
    pub fn power_is_on(&self) -> bool {
        let faults = self.faults.lock();
        faults.stop_at.is_none_or(|at| faults.steps < at)
    }

    /// The power goes and comes back: what was not synced is lost, or part of it. The same seed loses the same.
    pub fn power_cut(&self, seed: u64) {
        let mut faults = self.faults.lock();
        *faults = Faults { steps: faults.steps, cuts: faults.cuts + 1, ..Faults::default() };
        self.memory.power_cut(seed);
    }

    /// Flips one bit of a stored file.
    ///
    /// # Errors
    /// If there is no such file, or it is empty.
    pub fn flip(&self, path: &Path, bit: usize) -> io::Result<()> {
        self.memory.flip(path, bit)
    }

    /// The disk below, which does not fail: for looking at what is there.
    #[must_use]
    pub fn inside(&self) -> &MemoryDisk {
        &self.memory
    }

    fn allow(&self, step: Step) -> io::Result<()> {
        let mut faults = self.faults.lock();
        faults.steps += u64::from(step != Step::Look);
        if faults.removed || faults.stop_at.is_some_and(|at| faults.steps >= at) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        if step != Step::Look && faults.hiccup_at == Some(faults.steps) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        match step {
            Step::Write | Step::Change if faults.read_only => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Step::Write if faults.full => Err(io::ErrorKind::StorageFull.into()),
            Step::Sync if faults.sync_fails => Err(io::Error::from_raw_os_error(EIO)),
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let makes = access != Access::Read && self.memory.metadata(path).is_err();
        let changes = access == Access::Fresh || (access == Access::ReadWrite && self.faults.lock().read_only);
        self.allow(if makes {
            Step::Write
        } else if changes {
            Step::Change
        } else {
            Step::Look
        })?;
        let file = self.memory.open(path, access)?;
        let cuts = self.faults.lock().cuts;
        Ok(Arc::new(FaultyFile { disk: self.clone(), file, cuts }))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.allow(Step::Look)?;
        self.memory.metadata(path)
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.allow(Step::Look)?;
        self.memory.symlink_metadata(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.allow(Step::Look)?;
        self.memory.list(folder)
    }

    fn read_link(&self, path: &Path) -> io::Result<String> {
        self.allow(Step::Look)?;
        self.memory.read_link(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.allow(Step::Look)?;
        self.memory.canonical(path)
    }

    fn create_folders(&self, folder: &Path) -> io::Result<()> {
        let makes = self.memory.metadata(folder).is_err();
        self.allow(if makes { Step::Write } else { Step::Look })?;
        self.memory.create_folders(folder)
    }

    fn symlink(&self, target: &str, link: &Path) -> io::Result<()> {
        self.allow(Step::Write)?;
        self.memory.symlink(target, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.allow(Step::Change)?;
        self.memory.remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.allow(Step::Change)?;
        self.memory.remove_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.allow(Step::Change)?;
        self.memory.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.allow(Step::Change)?;
        self.memory.rename_new(from, to)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.allow(Step::Change)?;
        self.memory.set_mode(path, mode)
    }

    fn set_modified(&self, path: &Path, unix_ms: i64) -> io::Result<()> {
        self.allow(Step::Change)?;
        self.memory.set_modified(path, unix_ms)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.allow(Step::Sync)?;
        self.memory.sync_folder(folder)
    }

    fn sync_below(&self, folder: &Path) -> io::Result<()> {
        self.allow(Step::Sync)?;
        self.memory.sync_below(folder)
    }

    fn free_bytes(&self, path: &Path) -> u64 {
        if self.faults.lock().full { 0 } else { self.memory.free_bytes(path) }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.allow(Step::Look)?;
        self.memory.lock(path)
    }

    fn now_ns(&self) -> i64 {
        self.memory.now_ns()
    }
}

/// A file of such a disk.
#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    file: Arc<dyn DiskFile>,
    cuts: u64,
}

impl FaultyFile {
    fn allow(&self, step: Step) -> io::Result<()> {
        if self.disk.faults.lock().cuts != self.cuts {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.disk.allow(step)
    }
}

impl DiskFile for FaultyFile {
    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.allow(Step::Look)?;
        self.file.read_some_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.allow(Step::Write) {
            // A disk that gets full, or loses power, has often written a part.
            let part = &bytes[..bytes.len() / 2];
            if self.disk.faults.lock().cuts == self.cuts && error.kind() == io::ErrorKind::StorageFull {
                self.file.write_at(part, offset)?;
            }
            return Err(error);
        }
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.allow(Step::Sync)?;
        self.file.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.allow(Step::Change)?;
        self.file.set_length(bytes)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.allow(Step::Look)?;
        self.file.metadata()
    }
}
