//! The port to an index: what could be found out again by reading files, kept so that it need not be.
//!
//! An index is a hint, never the truth. Whoever reads a row checks it against what it points to; a row that is lost, old
//! or wrong costs work and nothing else. So no method fails: an index that can't be read is empty.

mod memory;
mod sled;

pub use memory::MemoryIndex;
pub use sled::SledIndex;

/// A row's value is at most this long.
pub const VALUE_BYTES_MAX: usize = 1024;

/// What a row is about. Numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IndexTable {
    /// Which content a path was when it was last read, and what the files looked like then.
    Shares,
    /// Where a page lies in its manifest's file.
    Pages,
}

impl IndexTable {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Shares, Self::Pages];

    /// Its name on disk.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shares => "shares",
            Self::Pages => "pages",
        }
    }
}

/// An index.
pub trait Index: Send + Sync {
    /// The value of a row.
    fn get(&self, table: IndexTable, key: &[u8]) -> Option<Vec<u8>>;
    /// Sets a row. A value over [`VALUE_BYTES_MAX`] is not kept.
    fn put(&self, table: IndexTable, key: &[u8], value: &[u8]);
    /// Deletes all rows whose key begins so.
    fn remove(&self, table: IndexTable, prefix: &[u8]);
    /// Makes what was put survive the process. Rows put since may be lost.
    fn flush(&self);
    /// What it takes on disk.
    fn size_bytes(&self) -> u64;
}
