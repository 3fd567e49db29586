//! A node's folder: what lies where, which format it has, and that only one node uses it at a time.
//!
//! | name | what |
//! |---|---|
//! | `mesh.toml` | the configuration; written at the first run, then the person's |
//! | `format` | the version of all this; a newer one is refused |
//! | `lock` | held by the running node, with its process id in it |
//! | `identity/` | private keys, see [`crate::keys`] |
//! | `api.token` | what the control API asks for; for the owner only |
//! | `api.address` | where the control API listens, while a node runs |
//! | `store/` | contents and the brain's rows |
//! | `journal/` | records of runs, if asked for, see [`crate::journal`] |
//!
//! Invariant: nothing but `mesh.toml` is written before the lock is held.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::system;

/// The format this version of the program writes.
const FORMAT: u32 = 1;
const FORMAT_PREFIX: &str = "mesh-data ";
/// How often the lock is tried, as a reader of it may hold it for a moment.
const LOCK_TRIES_MAX: u32 = 4;
const LOCK_TRY_DELAY: Duration = Duration::from_millis(30);
const TOKEN_BYTES: usize = 32;
/// The longest of the small text files that is read.
const SMALL_FILE_BYTES_MAX: u64 = 4096;

/// Why there is no place for a data folder.
#[derive(Debug, thiserror::Error)]
#[error("this system names no home folder; say where the node's data should lie")]
pub struct NoHomeError;

/// Where a node's data lies if nothing else is said: `mesh` in the person's data folder (XDG on Linux).
///
/// # Errors
/// [`NoHomeError`] if the system does not know a home folder.
pub fn default_data_folder() -> Result<PathBuf, NoHomeError> {
    let folders = directories::ProjectDirs::from("", "", "mesh").ok_or(NoHomeError)?;
    Ok(folders.data_dir().to_owned())
}

/// Why a data folder can't be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another node uses it.
    #[error("{}", in_use(.folder, *.pid))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
    },
    /// It was written by a newer version of the program.
    #[error(
        "the data folder {folder} has format {found}, this program knows up to {FORMAT}; use the newer program, or \
         another data folder"
    )]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Its `format` file does not say a format.
    #[error("{path} does not say a format; the folder is damaged, or is not a Mesh data folder")]
    Damaged {
        /// The `format` file.
        path: PathBuf,
    },
    /// The system said no.
    #[error("{what} {path} failed")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// Says who uses a folder, and what to do.
pub(crate) fn in_use(folder: &Path, pid: Option<u32>) -> String {
    let process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    format!(
        "the data folder {} is in use by a running node{process}; other commands on this folder join that node by \
         themselves, and a second node needs another data folder",
        folder.display()
    )
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { what, path, source }
}

/// A data folder that is ours alone until this value is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    api_token: String,
    /// Its lock ends when it is closed, also if the process dies.
    _lock: File,
}

impl DataFolder {
    /// Opens the folder, making it and what is missing of it, and holds it.
    ///
    /// # Errors
    /// [`FolderError`]; a newer format and a folder in use are left as they are.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        system::create_private_folder(path).map_err(io_error("making the folder", path))?;
        check_format(path)?;
        let lock = lock(path)?;
        let format = path.join("format");
        if !format.exists() {
            let text = format!("{FORMAT_PREFIX}{FORMAT}\n");
            system::write_private(&format, text.as_bytes()).map_err(io_error("writing", &format))?;
        }
        for name in ["identity", "store", "journal"] {
            let folder = path.join(name);
            system::create_private_folder(&folder).map_err(io_error("making the folder", &folder))?;
        }
        // Left over if a node died: it leads nowhere.
        clear_api_address(path);
        Ok(Self { path: path.to_owned(), api_token: token(path)?, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the private keys lie.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.path.join("identity")
    }

    /// Where contents and rows lie.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.path.join("store")
    }

    /// Whether a node ran on it before.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.store().join("log").exists()
    }

    /// Where records of runs lie.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    /// What the control API asks for.
    #[must_use]
    pub fn api_token(&self) -> &str {
        &self.api_token
    }
}

fn check_format(folder: &Path) -> Result<(), FolderError> {
    let path = folder.join("format");
    let Some(text) = read_small(&path)? else {
        return Ok(());
    };
    let number = text.strip_prefix(FORMAT_PREFIX).and_then(|number| number.trim_end().parse::<u32>().ok());
    match number {
        None => Err(FolderError::Damaged { path }),
        Some(found) if found > FORMAT => Err(FolderError::Newer { folder: folder.to_owned(), found }),
        Some(_) => Ok(()),
    }
}

fn lock(folder: &Path) -> Result<File, FolderError> {
    let path = folder.join("lock");
    let mut file = system::open_private(&path).map_err(io_error("opening", &path))?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(FolderError::Io { what: "locking", path, source }),
            Err(TryLockError::WouldBlock) if attempt < LOCK_TRIES_MAX => std::thread::sleep(LOCK_TRY_DELAY),
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse { folder: folder.to_owned(), pid: lock_holder(&path) });
            }
        }
    }
    let written = file.set_len(0).and_then(|()| file.rewind());
    written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io_error("writing", &path))?;
    Ok(file)
}

fn lock_holder(path: &Path) -> Option<u32> {
    read_small(path).ok()??.trim().parse().ok()
}

fn token(folder: &Path) -> Result<String, FolderError> {
    let path = folder.join("api.token");
    if let Some(text) = read_small(&path)? {
        let text = text.trim();
        if text.len() == TOKEN_BYTES * 2 {
            return Ok(text.to_owned());
        }
    }
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| io_error("making", &path)(io::Error::other(error)))?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    system::write_private(&path, format!("{text}\n").as_bytes()).map_err(io_error("writing", &path))?;
    Ok(text)
}

fn read_small(path: &Path) -> Result<Option<String>, FolderError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io_error("opening", path))?,
    };
    let mut bytes = Vec::new();
    file.take(SMALL_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(io_error("reading", path))?;
    // What is no text is none of ours; whoever reads it says so.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether a node holds the folder at this moment, and its process id if it said so.
///
/// # Errors
/// [`FolderError::Io`] if the lock can't be looked at.
pub fn running_pid(folder: &Path) -> Result<Option<Option<u32>>, FolderError> {
    let path = folder.join("lock");
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(io_error("opening", &path))?,
    };
    // Shared, so that two that look do not see each other; a node that starts meanwhile tries again.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(lock_holder(&path))),
        Err(TryLockError::Error(source)) => Err(FolderError::Io { what: "locking", path, source }),
    }
}

/// How to reach the control API of the node that uses a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAccess {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it asks for.
    pub token: String,
}

/// How to reach the node that uses the folder; `None` if none said so. One that died may have left its address: then
/// nobody answers there.
///
/// # Errors
/// [`FolderError::Io`] if the files are there and can't be read.
pub fn api_access(folder: &Path) -> Result<Option<ApiAccess>, FolderError> {
    let (Some(address), Some(token)) =
        (read_small(&folder.join("api.address"))?, read_small(&folder.join("api.token"))?)
    else {
        return Ok(None);
    };
    let access = address.trim().parse().map(|address| ApiAccess { address, token: token.trim().to_owned() });
    Ok(access.ok())
}

/// Says where the control API of the node that uses the folder listens.
///
/// # Errors
/// [`FolderError::Io`] if it can't be written.
pub fn write_api_address(folder: &Path, address: SocketAddr) -> Result<(), FolderError> {
    let path = folder.join("api.address");
    system::write_private(&path, format!("{address}\n").as_bytes()).map_err(io_error("writing", &path))
}

/// Takes back what [`write_api_address`] said.
pub fn clear_api_address(folder: &Path) {
    if let Err(error) = fs::remove_file(folder.join("api.address"))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the file api.address can't be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_node_is_refused_and_told_who_holds_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        assert_eq!(running_pid(&path).unwrap(), None);
        let first = DataFolder::open(&path).unwrap();
        let error = DataFolder::open(&path).unwrap_err();
        assert!(matches!(error, FolderError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(error.to_string().contains("join that node"));
        assert_eq!(running_pid(&path).unwrap(), Some(Some(std::process::id())));
        let token = first.api_token().to_owned();
        drop(first);
        assert_eq!(DataFolder::open(&path).unwrap().api_token(), token);
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("format"), "mesh-data 2\n").unwrap();
        assert!(matches!(DataFolder::open(root.path()), Err(FolderError::Newer { found: 2, .. })));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        fs::write(root.path().join("format"), "else\n").unwrap();
        assert!(matches!(DataFolder::open(root.path()), Err(FolderError::Damaged { .. })));
        fs::write(root.path().join("format"), [0xff, 0xfe]).unwrap();
        assert!(matches!(DataFolder::open(root.path()), Err(FolderError::Damaged { .. })));
    }

    #[test]
    fn the_address_is_there_until_it_is_taken_back() {
        let root = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(root.path()).unwrap();
        assert_eq!(api_access(root.path()).unwrap(), None);
        let address: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        write_api_address(root.path(), address).unwrap();
        let access = api_access(root.path()).unwrap().unwrap();
        assert_eq!((access.address, access.token.as_str()), (address, folder.api_token()));
        clear_api_address(root.path());
        assert_eq!(api_access(root.path()).unwrap(), None);
    }
}
