//! Small truths: rows, contents, bits kept. Append-only, checksummed, synced; read whole at start.
//!
//! A record is `u32 LE length | 8 bytes of BLAKE3 over the body | body`; the body is a list of entries that count
//! together or not at all. The file begins with [`MAGIC`]. A torn tail (what a power cut leaves of the last, never
//! answered, record) is cut off at open and said so. When most of the file is outdated it is written anew beside itself,
//! synced and renamed. A log of an older format is migrated and kept as a backup; one of a newer format is refused.

mod read;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_proto::codec;

use self::read::{FORMAT_1, FORMAT_2, Format, Read, read_all};
use crate::disk::{Access, Disk, DiskFile, read_whole, write_durably};
use crate::truth::{Entry, State};

/// The first bytes of the log: name and format version.
pub const MAGIC: &[u8; 8] = b"meshlog2";
/// The format before: a record's body was one entry.
const MAGIC_1: &[u8; 8] = b"meshlog1";
const HEADER_BYTES: usize = 12;
/// One record, decoded.
const RECORD_BYTES_MAX: usize = 64 << 20;
const _: () = assert!(size_of::<Entry>() <= codec::ELEMENT_BYTES_MAX);
/// Entries to a record when the log is written anew.
const REWRITE_ENTRIES: usize = 256;
/// The whole log: a node of ten million contents stays far below.
const LOG_BYTES_MAX: u64 = 16 << 30;
/// The log is written anew when it is larger than this and than four times what is current in it.
const REWRITE_BYTES_MIN: u64 = 4 << 20;

/// The open log.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    length: u64,
    /// How long it was when last written anew, or would be.
    current_bytes: u64,
    /// A write failed and could not be taken back: nothing may be appended behind it.
    torn: bool,
    /// The file has its name only until a power cut: nothing counts before the folder was synced.
    unnamed: bool,
}

fn frame(entries: &[Entry]) -> Vec<u8> {
    let body = codec::encode(&entries);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&blake3::hash(&body).as_bytes()[..8]);
    bytes.extend_from_slice(&body);
    bytes
}

/// What stands behind the name of the log's format.
fn read_records(bytes: &[u8], format: &Format) -> Read {
    read_all(bytes, MAGIC.len().min(bytes.len()), format)
}

impl Log {
    /// Opens or makes the log in `folder`. What had to be repaired is added to `repairs`.
    ///
    /// # Errors
    /// If the disk says no, or the log is of a newer format.
    pub fn open(disk: &Arc<dyn Disk>, folder: &Path, repairs: &mut Vec<String>) -> io::Result<(Self, State)> {
        let path = folder.join("log");
        let bytes = match read_whole(&**disk, &path, LOG_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        let read = match bytes.split_first_chunk() {
            Some((MAGIC, _)) => read_records(&bytes, &FORMAT_2),
            Some((MAGIC_1, _)) => {
                write_durably(&**disk, &folder.join("log.format1"), &bytes)?;
                repairs.push("the log was of format 1; it was migrated, and is kept as log.format1".to_owned());
                Read { end: 0, ..read_records(&bytes, &FORMAT_1) }
            }
            // A new store, or one whose very first write was cut off: nothing was ever answered. Unless it knew something.
            None => {
                if disk.list(&folder.join("manifests")).is_ok_and(|names| !names.is_empty()) {
                    repairs.push(format!(
                        "the log {} was gone: what was shared, fetched and set here is no longer known; the files \
                         themselves are where they were, share or get them again",
                        path.display()
                    ));
                }
                Read::default()
            }
            Some(_) => {
                let why = format!(
                    "{} is of a newer format, or is no log, and is left as it is; use the newer program, or put a \
                     copy of it back, or move it away to begin with an empty store",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        };
        let Read { state, mut end, damaged, .. } = read;
        if end > 0 && (end < bytes.len() || damaged > 0) {
            write_durably(&**disk, &folder.join("log.torn"), &bytes)?;
            let torn = bytes.len() - end;
            repairs.push(format!(
                "of the log {torn} torn bytes at its end and {damaged} damaged bytes before it were left out; as it was it \
                 is kept as log.torn"
            ));
        }
        if end == 0 || damaged > 0 {
            let fresh = written_anew(&state);
            write_durably(&**disk, &path, &fresh)?;
            end = fresh.len();
        }
        let file = disk.open(&path, Access::ReadWrite)?;
        let length = end as u64;
        file.set_length(length)?;
        file.sync()?;
        let current_bytes = written_anew(&state).len() as u64;
        let mut log = Self { disk: disk.clone(), path, file, length, current_bytes, torn: false, unnamed: false };
        log.rewrite_if_bloated();
        Ok((log, state))
    }

    fn is_bloated(&self) -> bool {
        self.length > REWRITE_BYTES_MIN && self.length > 4 * self.current_bytes
    }

    /// Makes a bloated log short. That it can't be done harms nothing that was appended: it is tried again when the log
    /// has grown by another third.
    fn rewrite_if_bloated(&mut self) {
        if !self.is_bloated() {
            return;
        }
        if let Err(error) = self.rewrite() {
            tracing::warn!(%error, "the store's log could not be written anew");
            self.current_bytes = self.length / 3;
        }
    }

    /// Writes what is current beside the log and puts it in its place.
    fn rewrite(&mut self) -> io::Result<()> {
        let bytes = read_whole(&*self.disk, &self.path, LOG_BYTES_MAX)?;
        let fresh = written_anew(&read_records(&bytes, &FORMAT_2).state);
        let beside = self.path.with_extension("new");
        let file = self.disk.open(&beside, Access::Fresh)?;
        file.write_at(&fresh, 0)?;
        file.sync()?;
        self.disk.rename(&beside, &self.path)?;
        // From here on this file is the log, whatever fails next: nothing may go to the one without a name.
        (self.file, self.length, self.unnamed) = (file, fresh.len() as u64, true);
        self.current_bytes = self.length;
        self.name()
    }

    /// Makes sure that the log is found under its name after a power cut.
    fn name(&mut self) -> io::Result<()> {
        if self.unnamed {
            self.path.parent().map_or(Ok(()), |folder| self.disk.sync_folder(folder))?;
            self.unnamed = false;
        }
        Ok(())
    }

    /// Appends `entries` and syncs: when this returns, all of them survive a power cut.
    ///
    /// # Errors
    /// If the disk says no. Then none of them counts.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.name()?;
        if self.torn {
            self.mend()?;
        }
        let bytes = frame(entries);
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much for one record"));
        }
        if let Err(error) = self.file.write_at(&bytes, self.length).and_then(|()| self.file.sync()) {
            // It was refused, so it must not count: neither now nor after a restart.
            self.torn = true;
            let _ = self.mend();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.rewrite_if_bloated();
        Ok(())
    }

    /// Cuts off what a failed append left. The file is opened anew: after a failed sync, or when its device was gone for
    /// a while, the old handle promises nothing.
    fn mend(&mut self) -> io::Result<()> {
        self.file = self.disk.open(&self.path, Access::ReadWrite)?;
        self.file.set_length(self.length)?;
        self.file.sync()?;
        self.torn = false;
        Ok(())
    }

    /// How long the log is.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.length
    }
}

/// A log that says just what is current.
fn written_anew(state: &State) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let entries: Vec<Entry> = state.entries().collect();
    entries.chunks(REWRITE_ENTRIES).for_each(|entries| bytes.extend_from_slice(&frame(entries)));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SystemDisk;
    use mesh_proto::port::store::{Row, Table};
    use proptest::prelude::*;

    fn put(key: u8, value: &[u8]) -> Entry {
        Entry::Put(Row { table: Table::Setting, key: vec![key], value: value.to_vec() })
    }

    fn open(folder: &Path) -> (Log, State, Vec<String>) {
        let mut repairs = Vec::new();
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let (log, state) = Log::open(&disk, folder, &mut repairs).expect("opens");
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
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        assert!(Log::open(&disk, folder.path(), &mut Vec::new()).is_err());
        assert!(std::fs::read(folder.path().join("log")).expect("reads").starts_with(b"meshlog9"));
    }

    #[test]
    fn an_outdated_log_is_written_anew_while_it_is_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut log, _, _) = open(folder.path());
        for round in 0..200 {
            log.append(&[put(1, &vec![round; 60_000])]).expect("appends");
            assert!(log.length_bytes() < REWRITE_BYTES_MIN + 100_000);
        }
        let (_, state, repairs) = open(folder.path());
        assert_eq!(state.rows.values().collect::<Vec<_>>(), [&vec![199; 60_000]]);
        assert!(repairs.is_empty());
    }

    #[test]
    fn a_log_of_the_format_before_is_migrated_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut bytes = MAGIC_1.to_vec();
        for entry in [put(1, b"a"), put(2, b"b")] {
            let body = codec::encode(&entry);
            bytes.extend_from_slice(&u32::try_from(body.len()).expect("short").to_le_bytes());
            bytes.extend_from_slice(&blake3::hash(&body).as_bytes()[..8]);
            bytes.extend_from_slice(&body);
        }
        std::fs::write(folder.path().join("log"), &bytes).expect("writes");
        let (_, state, repairs) = open(folder.path());
        assert_eq!((state.rows.len(), repairs.len()), (2, 1));
        assert_eq!(std::fs::read(folder.path().join("log.format1")).expect("reads"), bytes);
        let (_, state, repairs) = open(folder.path());
        assert_eq!((state.rows.len(), repairs.len()), (2, 0));
    }

    #[test]
    fn entries_appended_together_count_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut log, _, _) = open(folder.path());
        let before = log.length_bytes();
        log.append(&[put(1, b"a"), put(2, b"b"), put(3, b"c")]).expect("appends");
        let (path, end) = (folder.path().join("log"), log.length_bytes());
        for length in before..end {
            let bytes = std::fs::read(&path).expect("reads");
            std::fs::write(&path, &bytes[..usize::try_from(length).expect("short")]).expect("writes");
            assert!(open(folder.path()).1.rows.is_empty());
            std::fs::write(&path, &bytes).expect("writes");
        }
        assert_eq!(open(folder.path()).1.rows.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_cut_loses_what_is_behind_it_and_a_flip_one_record(count in 1usize..8, cut in any::<prop::sample::Index>(), flip in any::<bool>()) {
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
            let before = ends.iter().filter(|end| **end <= at as u64).count() - 1;
            let whole = if flip { count - 1 } else { before };
            let (mut log, state, _) = open(folder.path());
            prop_assert_eq!(state.rows.len(), whole);
            log.append(&[put(200, b"after")]).expect("appends");
            let (_, state, repairs) = open(folder.path());
            prop_assert_eq!(state.rows.len(), whole + 1);
            prop_assert!(repairs.is_empty());
        }
    }
}
