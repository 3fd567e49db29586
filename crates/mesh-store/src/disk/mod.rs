//! The port to a disk: whatever the store does with files goes through [`Disk`].
//!
//! Three disks stand behind it: the operating system's ([`SystemDisk`]), one in memory ([`MemoryDisk`]), and one that
//! fails on demand ([`FaultyDisk`]), so that the very code that recovers from a power cut is what the tests run.

mod faulty;
mod memory;
mod node;
mod system;
mod unsynced;

use std::any::Any;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bincode::{Decode, Encode};

pub use faulty::FaultyDisk;
pub use memory::MemoryDisk;
pub use system::SystemDisk;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read; it must be there.
    Read,
    /// To read and write; made empty if it is not there.
    ReadWrite,
    /// To read and write; whatever it held is gone.
    Fresh,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// What a disk knows of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Its size.
    pub size_bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Modification time in nanoseconds since 1970. Programs can set it.
    pub modified_ns: i64,
    /// When its bytes or attributes last changed, in nanoseconds since 1970. Programs can't set it.
    pub changed_ns: i64,
    /// Its inode.
    pub inode: u64,
    /// The file system it lies on.
    pub device: u64,
}

impl Metadata {
    /// Modification time in milliseconds since 1970.
    #[must_use]
    pub fn modified_ms(&self) -> i64 {
        self.modified_ns.div_euclid(1_000_000)
    }
}

/// What tells that a file is still the one that was hashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Identity {
    /// Its size.
    pub size_bytes: u64,
    /// Its modification time in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its inode.
    pub inode: u64,
}

impl Identity {
    /// A file's identity now.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { size_bytes: metadata.size_bytes, modified_ns: metadata.modified_ns, inode: metadata.inode }
    }

    /// Whether a file looks as this one did. Its inode does not count: FAT, for one, numbers a file anew whenever it was
    /// out of the kernel's memory for a while. Every chunk is verified when it is given, so nothing wrong ever is.
    #[must_use]
    pub fn looks_like(&self, metadata: &Metadata) -> bool {
        Self { inode: self.inode, ..Self::of(metadata) } == *self
    }
}

/// An open file. All positions are in bytes; there is no cursor, so that several threads may use it at once.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads what is there from `offset` on, at most `buffer`; 0 only at the end.
    ///
    /// # Errors
    /// If the disk says no.
    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    ///
    /// # Errors
    /// If the disk says no.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the bytes written so far, and the length, survive a power cut. An error leaves open which of them do.
    ///
    /// # Errors
    /// If the disk says no.
    fn sync(&self) -> io::Result<()>;

    /// As [`sync`](Self::sync), times and permission bits included.
    ///
    /// # Errors
    /// If the disk says no.
    fn sync_all(&self) -> io::Result<()>;

    /// Cuts or lengthens with zeros.
    ///
    /// # Errors
    /// If the disk says no.
    fn set_length(&self, bytes: u64) -> io::Result<()>;

    /// What the disk knows of it now.
    ///
    /// # Errors
    /// If the disk says no.
    fn metadata(&self) -> io::Result<Metadata>;

    /// Fills `buffer` from `offset` on; an early end is an error.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] at an early end, or what the disk says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some_at(&mut buffer[filled..], offset + filled as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }
}

/// A disk. Every method may fail with what the disk says; nothing of it panics.
#[expect(clippy::missing_errors_doc, reason = "said once above: what the disk says")]
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens a file.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;
    /// What is known of a file or folder; links are followed.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// What is known of a file, a folder, or a link itself.
    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// The names in a folder, in any order. A name that is not UTF-8 is an error that says which.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Where a link points.
    fn read_link(&self, path: &Path) -> io::Result<String>;
    /// The path without links and dots.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
    /// Makes a folder and those above it.
    fn create_folders(&self, folder: &Path) -> io::Result<()>;
    /// Makes a symbolic link.
    fn symlink(&self, target: &str, link: &Path) -> io::Result<()>;
    /// Deletes a file or a link.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Deletes a folder and everything in it.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;
    /// Renames; what stood under the new name is replaced at once.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames unless something stands under the new name ([`io::ErrorKind::AlreadyExists`]).
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Sets permission bits.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Sets a modification time, in milliseconds since 1970.
    fn set_modified(&self, path: &Path, unix_ms: i64) -> io::Result<()>;
    /// Makes names in a folder survive a power cut.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes everything below a folder survive a power cut: bytes, names, times. May sync more than that.
    fn sync_below(&self, folder: &Path) -> io::Result<()>;
    /// Bytes a person without privileges may still write there.
    fn free_bytes(&self, path: &Path) -> u64;
    /// Takes a lock that ends with the returned value or with the process; `None` if somebody has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
    /// The clock modification times are made with, in nanoseconds since 1970. It may jump.
    fn now_ns(&self) -> i64;
}

/// All bytes of a file, if they are not over `limit`.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] if they are, or what the disk says.
pub fn read_whole(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let length = file.metadata()?.size_bytes;
    if length > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Puts `bytes` under a name so that after a power cut either all of them or what was there before is there.
///
/// # Errors
/// If the disk says no; what was there before then stays.
pub fn write_durably(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let file = disk.open(&fresh, Access::Fresh)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |folder| disk.sync_folder(folder))
}

/// Makes a folder, and its name and those above it that were missing, durable.
///
/// # Errors
/// If the disk says no.
pub fn create_folders_durably(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|folder| disk.metadata(folder).is_err()).count();
    disk.create_folders(folder)?;
    folder
        .ancestors()
        .skip(1)
        .take(missing)
        .filter(|above| !above.as_os_str().is_empty())
        .try_for_each(|above| disk.sync_folder(above))
}

/// Makes durable what is in a folder by name, its own name, and those above it as far as that is ours to do.
///
/// # Errors
/// If the disk fails.
pub fn sync_names(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let not_ours = |error: &io::Error| {
        use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
        matches!(error.kind(), InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported)
    };
    disk.sync_folder(folder)?;
    let above = folder.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    above
        .map(|above| disk.sync_folder(above))
        .find(|synced| synced.as_ref().is_err_and(|error| !not_ours(error)))
        .unwrap_or(Ok(()))
}

/// Whether an error says that the disk is full.
#[must_use]
pub fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Whether trying again later may help without anybody changing what was asked: space, rights and devices come back.
#[must_use]
pub fn may_pass(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::Unsupported
    )
}
