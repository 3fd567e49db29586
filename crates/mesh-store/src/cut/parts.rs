//! Bytes and files read one after the other, as if they were one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};

/// Something to read in sequence.
pub enum Part {
    /// Bytes at hand.
    Bytes(Vec<u8>),
    /// A file, opened when its turn comes.
    Path(PathBuf),
}

/// Reads parts one after the other.
pub(super) struct Parts<'a> {
    disk: &'a dyn Disk,
    rest: std::vec::IntoIter<Part>,
    current: Option<Current>,
    at: u64,
}

enum Current {
    Bytes(Vec<u8>),
    File(Arc<dyn DiskFile>),
}

impl<'a> Parts<'a> {
    pub(super) fn new(disk: &'a dyn Disk, parts: Vec<Part>) -> Self {
        Self { disk, rest: parts.into_iter(), current: None, at: 0 }
    }

    /// Fills `buffer`; less only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let count = match &self.current {
                None => 0,
                Some(Current::File(file)) => file.read_some_at(rest, self.at)?,
                Some(Current::Bytes(bytes)) => {
                    let left = &bytes[usize::try_from(self.at).map_err(io::Error::other)?..];
                    let count = left.len().min(rest.len());
                    rest[..count].copy_from_slice(&left[..count]);
                    count
                }
            };
            (filled, self.at) = (filled + count, self.at + count as u64);
            if count == 0 {
                self.at = 0;
                self.current = match self.rest.next() {
                    None => return Ok(filled),
                    Some(Part::Bytes(bytes)) => Some(Current::Bytes(bytes)),
                    Some(Part::Path(path)) => Some(Current::File(self.disk.open(&path, Access::Read)?)),
                };
            }
        }
        Ok(filled)
    }
}
