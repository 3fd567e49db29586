//! An index in memory: for a store that keeps nothing, and for simulated machines.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{Index, IndexTable, VALUE_BYTES_MAX};

/// Rows in memory at once; when it is full, it is emptied.
const ROWS_MAX: usize = 100_000;

type Rows = BTreeMap<(IndexTable, Vec<u8>), Vec<u8>>;

/// An index in memory.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    rows: Mutex<Rows>,
}

impl Index for MemoryIndex {
    fn get(&self, table: IndexTable, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.lock().get(&(table, key.to_vec())).cloned()
    }

    fn put(&self, table: IndexTable, key: &[u8], value: &[u8]) {
        let mut rows = self.rows.lock();
        if rows.len() >= ROWS_MAX {
            rows.clear();
        }
        if value.len() <= VALUE_BYTES_MAX {
            rows.insert((table, key.to_vec()), value.to_vec());
        }
    }

    fn remove(&self, table: IndexTable, prefix: &[u8]) {
        self.rows.lock().retain(|(of, key), _| *of != table || !key.starts_with(prefix));
    }

    fn flush(&self) {}

    fn size_bytes(&self) -> u64 {
        0
    }
}
