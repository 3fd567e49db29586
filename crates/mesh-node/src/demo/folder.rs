//! The demo's temporary folder, removed when the demo is over however it ends, and the file made for it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use mesh_proto::limits::SLICE_BYTES_MAX;

/// How large the made file is.
const MADE_BYTES: usize = 64 * 1024 * 1024;

/// A folder that lives as long as this value.
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes a new one that only its owner can read.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> io::Result<Self> {
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("mesh-demo-{:016x}", u64::from_le_bytes(random));
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "the demo's folder can't be removed");
        }
    }
}

/// Makes a file of bytes that look random and are the same every time.
///
/// # Errors
/// The system's.
pub fn make_file(path: &Path) -> io::Result<()> {
    let mut bytes = blake3::Hasher::new().update(b"mesh demo").finalize_xof();
    let mut file = BufWriter::new(File::create_new(path)?);
    let mut part = vec![0; SLICE_BYTES_MAX];
    for _ in 0..MADE_BYTES / part.len() {
        bytes.fill(&mut part);
        file.write_all(&part)?;
    }
    file.flush()
}
