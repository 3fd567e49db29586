//! Small truths: rows, contents, bits kept. Append-only, checksummed, synced; read whole at start.
//!
//! A record is `u32 LE length | 8 bytes of BLAKE3 over the body | body`. The file begins with [`MAGIC`]. A torn tail
//! (what a power cut leaves of the last, never answered, write) is cut off at open and said so. When most of the file
//! is outdated it is written anew beside itself, synced and renamed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};
use mesh_proto::codec;
use mesh_proto::port::store::{Row, StoredContent, Table};
use mesh_proto::{ChunkRange, ChunkSet, ContentId};

use crate::system::{self, Identity};

/// The first bytes of the log: name and format version.
pub const MAGIC: &[u8; 8] = b"meshlog1";
const HEADER_BYTES: usize = 12;
/// One record, decoded.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// The log is written anew when it is larger than this and than four times what is current in it.
const REWRITE_BYTES_MIN: u64 = 4 << 20;

/// What the log knows of a content.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct ContentRecord {
    /// How it stands.
    pub stored: StoredContent,
    /// Of a single complete file, what it was when hashed.
    pub identity: Option<Identity>,
}

/// One record.
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

/// The open log.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    length: u64,
    current_bytes: u64,
}

impl State {
    fn apply(&mut self, entry: Entry) {
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

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let rows = self
            .rows
            .iter()
            .map(|((table, key), value)| Entry::Put(Row { table: *table, key: key.clone(), value: value.clone() }));
        let contents = self.contents.values().cloned().map(Entry::Content);
        let kept = self.kept.iter().map(|(content, chunks)| Entry::Kept(*content, chunks.runs().to_vec()));
        rows.chain(contents).chain(kept)
    }
}

fn frame(entry: &Entry) -> Vec<u8> {
    let body = codec::encode(entry);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&blake3::hash(&body).as_bytes()[..8]);
    bytes.extend_from_slice(&body);
    bytes
}

/// The next whole and undamaged record of `bytes`, and its length with its header.
fn next_record(bytes: &[u8]) -> Option<(Entry, usize)> {
    let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let (length, checksum) = head.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let body = rest.get(..length)?;
    if blake3::hash(body).as_bytes()[..8] != *checksum {
        return None;
    }
    let entry = codec::decode::<Entry, RECORD_BYTES_MAX>(body).ok()?;
    Some((entry, HEADER_BYTES + length))
}

impl Log {
    /// Opens or makes the log in `folder`. What had to be repaired is added to `repairs`.
    ///
    /// # Errors
    /// If the disk says no, or the log is of a newer version.
    pub fn open(folder: &Path, repairs: &mut Vec<String>) -> io::Result<(Self, State)> {
        let path = folder.join("log");
        let _ = std::fs::remove_file(folder.join("log.new"));
        let mut file = system::open_read_write(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            file.write_all(MAGIC)?;
            file.sync_all()?;
            system::sync_folder(folder)?;
            bytes.extend_from_slice(MAGIC);
        }
        if !bytes.starts_with(MAGIC) {
            let why = "the store's log is of another version, or is no log; it is left as it is";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let (mut state, mut at) = (State::default(), MAGIC.len());
        while let Some((entry, length)) = next_record(&bytes[at..]) {
            state.apply(entry);
            at += length;
        }
        if at < bytes.len() {
            repairs.push(format!("{} torn bytes at the end of the log were cut off", bytes.len() - at));
            std::fs::write(folder.join("log.torn"), &bytes[at..])?;
            file.set_len(at as u64)?;
            file.sync_all()?;
        }
        let current_bytes = state.entries().map(|entry| frame(&entry).len() as u64).sum();
        let mut log = Self { path, file, length: at as u64, current_bytes };
        if log.is_bloated() {
            log.rewrite(&state)?;
        }
        Ok((log, state))
    }

    fn is_bloated(&self) -> bool {
        self.length > REWRITE_BYTES_MIN && self.length > 4 * self.current_bytes
    }

    fn rewrite(&mut self, state: &State) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut bytes = MAGIC.to_vec();
        state.entries().for_each(|entry| bytes.extend_from_slice(&frame(&entry)));
        let mut file = File::create(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        if let Some(folder) = self.path.parent() {
            system::sync_folder(folder)?;
        }
        self.file = system::open_read_write(&self.path)?;
        self.length = bytes.len() as u64;
        Ok(())
    }

    /// Appends all of `entries` and syncs: when this returns, they survive a power cut.
    ///
    /// # Errors
    /// If the disk says no. Nothing of `entries` counts then.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let bytes: Vec<u8> = entries.iter().flat_map(frame).collect();
        let written = system::write_at(&self.file, &bytes, self.length).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A half-written record must not stand before the next one.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// How long the log is.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(key: u8, value: &[u8]) -> Entry {
        Entry::Put(Row { table: Table::Setting, key: vec![key], value: value.to_vec() })
    }

    fn open(folder: &Path) -> (Log, State, Vec<String>) {
        let mut repairs = Vec::new();
        let (log, state) = Log::open(folder, &mut repairs).expect("opens");
        (log, state, repairs)
    }

    #[test]
    fn what_was_appended_is_there_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut log, _, _) = open(folder.path());
        log.append(&[put(1, b"a"), put(2, b"b")]).expect("appends");
        log.append(&[put(1, b"c"), Entry::Delete(Table::Setting, vec![2])]).expect("appends");
        let (_, state, repairs) = open(folder.path());
        assert_eq!(state.rows, [((Table::Setting, vec![1]), b"c".to_vec())].into());
        assert!(repairs.is_empty());
    }

    #[test]
    fn a_log_of_another_kind_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("log"), b"meshlog9 something newer").expect("writes");
        assert!(Log::open(folder.path(), &mut Vec::new()).is_err());
        assert!(std::fs::read(folder.path().join("log")).expect("reads").starts_with(b"meshlog9"));
    }

    #[test]
    fn an_outdated_log_is_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut log, _, _) = open(folder.path());
        for _ in 0..200 {
            log.append(&[put(1, &vec![7; 60_000])]).expect("appends");
        }
        let (log, state, _) = open(folder.path());
        assert!(log.length_bytes() < 100_000);
        assert_eq!(state.rows.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_cut_or_flipped_tail_loses_only_itself(count in 1usize..8, cut in any::<prop::sample::Index>(), flip in any::<bool>()) {
            let folder = tempfile::tempdir().expect("a folder");
            let (mut log, _, _) = open(folder.path());
            let mut ends = vec![log.length_bytes()];
            for key in 0..count {
                log.append(&[put(key as u8, b"some value")]).expect("appends");
                ends.push(log.length_bytes());
            }
            drop(log);
            let path = folder.path().join("log");
            let mut bytes = std::fs::read(&path).expect("reads");
            let at = MAGIC.len() + cut.index(bytes.len() - MAGIC.len());
            if flip { bytes[at] ^= 0x10 } else { bytes.truncate(at) }
            std::fs::write(&path, &bytes).expect("writes");
            let whole = ends.iter().filter(|end| **end <= at as u64).count() - 1;
            let (mut log, state, _) = open(folder.path());
            prop_assert_eq!(state.rows.len(), whole);
            log.append(&[put(200, b"after")]).expect("appends");
            let (_, state, repairs) = open(folder.path());
            prop_assert_eq!(state.rows.len(), whole + 1);
            prop_assert!(repairs.is_empty());
        }
    }
}
