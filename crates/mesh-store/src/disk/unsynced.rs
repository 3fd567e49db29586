//! What a power cut may take from a disk in memory: changes to files and to names that were not synced yet.
//!
//! The model is harsher than common file systems. Of a file's unsynced writes any may be lost, in any combination, and one
//! that survives may be torn at a sector. Changes to names survive as a prefix *per folder*, and nothing but syncing a
//! folder makes them safe (POSIX promises no more). A rename is one change: both names, or neither.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::Node;

/// Disks write whole sectors.
const SECTOR_BYTES: usize = 512;

/// A change to a file's bytes.
#[derive(Debug)]
pub enum Change {
    /// Bytes were written.
    Write {
        /// Where.
        offset: usize,
        /// What was there; shorter if the file ended.
        before: Vec<u8>,
        /// What is there now.
        after: Vec<u8>,
        /// How long the file was.
        length_before: usize,
    },
    /// The length was set.
    Length {
        /// What was cut off.
        cut: Vec<u8>,
        /// How long it was.
        before: usize,
        /// How long it is.
        after: usize,
    },
}

/// A name in a folder that changed.
#[derive(Debug, Clone)]
pub struct NameEdit {
    /// In which folder.
    pub folder: Arc<Node>,
    /// Which name.
    pub name: String,
    /// What it stood for.
    pub before: Option<Arc<Node>>,
    /// What it stands for.
    pub after: Option<Arc<Node>>,
}

/// One change to names; a rename is two edits.
pub type NameChange = Vec<NameEdit>;

/// A small generator: the same seed, the same power cut.
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % (limit.max(1) as u64)).unwrap_or(0)
    }
}

/// Takes back what was not synced, then lets some of it survive.
pub fn settle_file(bytes: &mut Vec<u8>, changes: Vec<Change>, chance: &mut Chance) {
    for change in changes.iter().rev() {
        match change {
            Change::Write { offset, before, length_before, .. } => {
                bytes[*offset..*offset + before.len()].copy_from_slice(before);
                bytes.truncate(*length_before);
            }
            Change::Length { cut, before, .. } => {
                bytes.truncate(*before);
                bytes.extend_from_slice(cut);
                bytes.resize(*before, 0);
            }
        }
    }
    for change in changes {
        match (change, chance.below(4)) {
            (_, 0 | 1) => {}
            (Change::Write { offset, after, .. }, 2) => {
                let whole = after.len() / SECTOR_BYTES;
                put(bytes, offset, &after[..chance.below(whole + 1) * SECTOR_BYTES]);
            }
            (Change::Write { offset, after, .. }, _) => put(bytes, offset, &after),
            (Change::Length { after, .. }, _) => bytes.resize(after, 0),
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, fresh: &[u8]) {
    if fresh.is_empty() {
        return;
    }
    if bytes.len() < offset + fresh.len() {
        bytes.resize(offset + fresh.len(), 0);
    }
    bytes[offset..offset + fresh.len()].copy_from_slice(fresh);
}

/// Takes back changed names that were not synced, then lets a prefix of each folder's survive.
pub fn settle_names(changes: Vec<NameChange>, chance: &mut Chance) {
    for edit in changes.iter().rev().flat_map(|change| change.iter().rev()) {
        edit.folder.set_entry(&edit.name, edit.before.clone());
    }
    let mut by_folder: BTreeMap<u64, usize> = BTreeMap::new();
    let home = |change: &NameChange| change.last().map_or(0, |edit| edit.folder.number);
    for change in &changes {
        *by_folder.entry(home(change)).or_default() += 1;
    }
    let mut survivors: BTreeMap<u64, usize> = BTreeMap::new();
    for (folder, count) in by_folder {
        survivors.insert(folder, chance.below(count + 1));
    }
    for change in changes {
        let left = survivors.entry(home(&change)).or_default();
        if *left > 0 {
            *left -= 1;
            change.into_iter().for_each(|edit| edit.folder.set_entry(&edit.name, edit.after));
        }
    }
}
