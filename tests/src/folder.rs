//! A folder for one test, gone when the test ends, also when it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::files;

/// A folder for one test.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// Makes one.
    ///
    /// # Panics
    /// If the disk refuses.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary folders can be made"))
    }

    /// Where something of this name lies in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The same as text, for command lines.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Makes a file of random bytes, the same for the same number of them.
    #[must_use]
    pub fn random_file(&self, name: &str, bytes: u64) -> PathBuf {
        files::write_random(&self.path(name), bytes, bytes);
        self.path(name)
    }

    /// Lets every user of this machine pass through it, not look into it.
    ///
    /// # Panics
    /// If the disk refuses.
    pub fn open_to_all(&self) {
        fs::set_permissions(self.0.path(), fs::Permissions::from_mode(0o711)).expect("the mode can be set");
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}
