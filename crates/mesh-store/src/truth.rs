//! The small truths that must not be lost, one by one and all together.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use mesh_proto::port::store::{Row, StoredContent, Table};
use mesh_proto::{ChunkRange, ChunkSet, ContentId};

use crate::disk::Identity;

/// What the log knows of a content.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct ContentRecord {
    /// How it stands.
    pub stored: StoredContent,
    /// Of a single complete file, what it was when hashed.
    pub identity: Option<Identity>,
}

/// One truth.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Entry {
    /// A row of the brain's.
    Put(Row),
    /// A row is gone.
    Delete(Table, Vec<u8>),
    /// A content, new or changed.
    Content(ContentRecord),
    /// A content is gone.
    Forget(ContentId),
    /// Chunks of a content being received that are synced to disk.
    Kept(ContentId, Vec<ChunkRange>),
}

/// Everything current in the log.
#[derive(Debug, Default)]
pub struct State {
    /// The brain's rows.
    pub rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    /// The contents.
    pub contents: BTreeMap<ContentId, ContentRecord>,
    /// Chunks kept of contents being received.
    pub kept: BTreeMap<ContentId, ChunkSet>,
}

impl State {
    /// Takes an entry into account.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Put(row) => {
                self.rows.insert((row.table, row.key), row.value);
            }
            Entry::Delete(table, key) => {
                self.rows.remove(&(table, key));
            }
            Entry::Content(record) => {
                if record.stored.complete {
                    self.kept.remove(&record.stored.content);
                }
                self.contents.insert(record.stored.content, record);
            }
            Entry::Forget(content) => {
                self.contents.remove(&content);
                self.kept.remove(&content);
            }
            Entry::Kept(content, ranges) => {
                let kept = self.kept.entry(content).or_default();
                ranges.into_iter().for_each(|range| kept.insert(range));
            }
        }
    }

    /// Entries that say all of it.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let rows = self
            .rows
            .iter()
            .map(|((table, key), value)| Entry::Put(Row { table: *table, key: key.clone(), value: value.clone() }));
        let contents = self.contents.values().cloned().map(Entry::Content);
        let kept = self.kept.iter().map(|(content, chunks)| Entry::Kept(*content, chunks.runs().to_vec()));
        rows.chain(contents).chain(kept)
    }
}
