//! The operating system's disk: the one file of this crate with calls only Unix has.

use std::any::Any;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags};

use super::{Access, Disk, DiskFile, Kind, Metadata};

/// The operating system's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

fn known(metadata: &std::fs::Metadata) -> Metadata {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_symlink() => Kind::Link,
        _ => Kind::Other,
    };
    Metadata {
        kind,
        size_bytes: metadata.size(),
        mode: metadata.permissions().mode() & 0o777,
        modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        inode: metadata.ino(),
        device: metadata.dev(),
    }
}

fn not_text(what: &std::ffi::OsStr) -> io::Error {
    let why = format!("the name {} is not UTF-8; rename it", what.to_string_lossy());
    io::Error::new(io::ErrorKind::InvalidFilename, why)
}

impl DiskFile for File {
    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        File::sync_all(self)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn metadata(&self) -> io::Result<Metadata> {
        File::metadata(self).map(|metadata| known(&metadata))
    }
}

impl Disk for SystemDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = match access {
            Access::Read => File::open(path)?,
            Access::ReadWrite => OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?,
            Access::Fresh => OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?,
        };
        Ok(Arc::new(file))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        std::fs::metadata(path).map(|metadata| known(&metadata))
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        std::fs::symlink_metadata(path).map(|metadata| known(&metadata))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let name =
            |entry: io::Result<std::fs::DirEntry>| entry?.file_name().into_string().map_err(|name| not_text(&name));
        std::fs::read_dir(folder)?.map(name).collect()
    }

    fn read_link(&self, path: &Path) -> io::Result<String> {
        let target = std::fs::read_link(path)?;
        target.into_os_string().into_string().map_err(|target| not_text(&target))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn create_folders(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)
    }

    fn symlink(&self, target: &str, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            // Some file systems do not know the flag: look, then rename.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match to.symlink_metadata() {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => std::fs::rename(from, to),
            },
            Err(error) => Err(error.into()),
        }
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }

    fn set_modified(&self, path: &Path, unix_ms: i64) -> io::Result<()> {
        let offset = Duration::from_millis(unix_ms.unsigned_abs());
        let time = match unix_ms < 0 {
            true => SystemTime::UNIX_EPOCH.checked_sub(offset),
            false => SystemTime::UNIX_EPOCH.checked_add(offset),
        };
        let file = File::open(path)?;
        time.map_or(Ok(()), |time| file.set_modified(time))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()
    }

    fn sync_below(&self, folder: &Path) -> io::Result<()> {
        // One call for ten thousand files; a sync of each costs a disk's turn each.
        Ok(rustix::fs::syncfs(File::open(folder)?)?)
    }

    fn free_bytes(&self, path: &Path) -> u64 {
        rustix::fs::statvfs(path).map_or(0, |figures| figures.f_bavail.saturating_mul(figures.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let file = File::create(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }
}
