//! The small truths that must not be lost, one by one and all together.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The content being received was complete before.
    Repairing(ContentId),
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
    /// Contents being received that were complete before.
    pub repairing: BTreeSet<ContentId>,
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
                let id = record.stored.content;
                if record.stored.complete {
                    self.repairing.remove(&id);
                }
                // What was kept is kept of one reception, from when it began until it is complete.
                let before = self.contents.insert(id, record);
                if !self.is_received(id) || before.is_none_or(|before| before.stored.complete) {
                    self.kept.remove(&id);
                }
            }
            Entry::Forget(content) => {
                self.contents.remove(&content);
                self.kept.remove(&content);
                self.repairing.remove(&content);
            }
            Entry::Repairing(content) => {
                if self.is_received(content) {
                    self.repairing.insert(content);
                }
            }
            Entry::Kept(content, _) if !self.is_received(content) => {}
            Entry::Kept(content, ranges) => {
                // Put in order all at once: one by one a long list that is not would take an age.
                self.kept.entry(content).or_default().union_with(&ranges.into_iter().collect());
            }
        }
    }

    fn is_received(&self, content: ContentId) -> bool {
        self.contents.get(&content).is_some_and(|record| !record.stored.complete)
    }

    /// Entries that say all of it.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let rows = self
            .rows
            .iter()
            .map(|((table, key), value)| Entry::Put(Row { table: *table, key: key.clone(), value: value.clone() }));
        let contents = self.contents.values().cloned().map(Entry::Content);
        let kept = self.kept.iter().map(|(content, chunks)| Entry::Kept(*content, chunks.runs().to_vec()));
        let repairing = self.repairing.iter().copied().map(Entry::Repairing);
        rows.chain(contents).chain(kept).chain(repairing)
    }
}
