//! A small file system in memory, mounted below a test's folder: to be filled, made read-only, or taken out,
//! without harm.
//!
//! Needs root.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::place::{is_root, system, try_system};

const FILLER: &str = ".filler";
const BUFFER_BYTES: usize = 1 << 16;

/// A small disk. Dropped, it is gone, whoever still has files open on it.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many MiB on a new folder, writable for everybody; `None`, with the reason printed, if this
    /// process may not mount.
    ///
    /// # Panics
    /// If the folder can't be made.
    #[must_use]
    pub fn mount(path: &Path, mebibytes: u64) -> Option<Self> {
        fs::create_dir_all(path).expect("the folder can be made");
        let line = format!("mount -t tmpfs -o size={mebibytes}m,mode=777 mesh-test {}", path.display());
        if !is_root() || !try_system(&line) {
            eprintln!("SKIPPED: mounting a small disk needs root");
            return None;
        }
        Some(Self { path: path.to_owned() })
    }

    /// Where something of this name lies on it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Fills it to the last byte.
    ///
    /// # Panics
    /// If something else than lack of space stops that.
    pub fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.path(FILLER)).expect("a file can be made");
        let buffer = vec![0; BUFFER_BYTES];
        loop {
            match filler.write(&buffer) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return,
                Err(error) => panic!("filling {} failed: {error}", self.path.display()),
            }
        }
    }

    /// Takes back what filled it.
    ///
    /// # Panics
    /// If it was not filled.
    pub fn empty(&self) {
        fs::remove_file(self.path(FILLER)).expect("it was filled");
    }

    /// Takes it out, like a stick: its files are away, also for who is in the middle of them.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn take_out(&self) {
        let (path, kept) = (self.path.display(), self.kept());
        fs::create_dir_all(&kept).expect("the folder can be made");
        system(&format!("mount --bind {path} {}", kept.display()));
        system(&format!("umount -l {path}"));
    }

    /// Puts it back.
    ///
    /// # Panics
    /// If it was not taken out.
    pub fn put_back(&self) {
        let kept = self.kept();
        system(&format!("mount --bind {} {}", kept.display(), self.path.display()));
        system(&format!("umount -l {}", kept.display()));
    }

    /// Puts another one in its place, with the same files under other inode numbers, as some file systems give them
    /// anew each time they are mounted.
    ///
    /// # Panics
    /// If it was not taken out.
    pub fn put_back_renumbered(&self) {
        let (path, kept) = (self.path.display(), self.kept());
        system(&format!("mount -t tmpfs -o mode=777 mesh-test {path}"));
        fs::write(self.path(".first"), b"").expect("a file can be made");
        system(&format!("cp -a {}/. {path}", kept.display()));
        system(&format!("umount -l {}", kept.display()));
    }

    /// Where it is mounted while it is taken out.
    fn kept(&self) -> PathBuf {
        self.path.with_extension("taken-out")
    }

    /// Lets nobody write to it any more, or again everybody. Not possible while a file is open for writing.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn set_read_only(&self, read_only: bool) {
        let mode = if read_only { "ro" } else { "rw" };
        let line = format!("mount -o remount,{mode} {}", self.path.display());
        assert!(try_system(&line), "`{line}` failed");
    }

    /// Lets only root make and rename files on it, or again everybody.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn set_writable(&self, writable: bool) {
        let mode = if writable { 0o777 } else { 0o755 };
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = try_system(&format!("umount -l {}", self.path.display()));
        let _ = try_system(&format!("umount -l {}", self.kept().display()));
    }
}
