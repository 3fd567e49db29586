//! Reads a log, whole or damaged: what its records say, and where they end.
//!
//! Behind damage the next whole record is searched for byte by byte. Bytes that look like a record there cost a hash of
//! what they say is its body, and a file can be made of nothing else; so the search may hash only so much in all, in
//! proportion to the log. What lies behind where it gave up counts as torn, and is kept aside with the rest.

use mesh_proto::codec;

use super::{HEADER_BYTES, RECORD_BYTES_MAX};
use crate::truth::{Entry, State};

/// What a search may hash in vain, as so many times the log.
const SEARCH_TIMES: usize = 64;
/// What any search may hash in vain.
const SEARCH_BYTES_MIN: usize = 256 << 20;
/// How many kinds of entries there are: a body that begins with another is none.
const ENTRY_KINDS: u8 = 6;

/// How records of one version of the log are read.
pub(super) struct Format {
    decode: fn(&[u8]) -> Option<Vec<Entry>>,
    may_begin: fn(&[u8]) -> bool,
}

/// A body is a list of entries.
pub(super) const FORMAT_2: Format = Format {
    decode: |body| codec::decode_in_proportion::<_, RECORD_BYTES_MAX>(body).ok(),
    may_begin: |body| match body {
        // In the codec a number is one byte, or that byte says how many bytes it takes.
        [1..=250, kind, ..] | [251, _, _, kind, ..] | [252, _, _, _, _, kind, ..] => *kind < ENTRY_KINDS,
        _ => false,
    },
};

/// A body is one entry.
pub(super) const FORMAT_1: Format = Format {
    decode: |body| codec::decode_in_proportion::<_, RECORD_BYTES_MAX>(body).ok().map(|entry| vec![entry]),
    may_begin: |body| body.first().is_some_and(|kind| *kind < ENTRY_KINDS),
};

/// What reading a log gave.
#[derive(Default)]
pub(super) struct Read {
    /// What its records say.
    pub(super) state: State,
    /// Where its last whole record ends.
    pub(super) end: usize,
    /// Bytes in between that are no record: damaged on the disk after they were written.
    pub(super) damaged: usize,
    /// Bytes that were hashed and were no body of a record.
    pub(super) searched: usize,
}

/// Reads all records from `start` on.
pub(super) fn read_all(bytes: &[u8], start: usize, format: &Format) -> Read {
    let mut read = Read { end: start, ..Read::default() };
    let searched_max = bytes.len().saturating_mul(SEARCH_TIMES).max(SEARCH_BYTES_MIN);
    let mut at = start;
    while at < bytes.len() && read.searched <= searched_max {
        match read.record_at(bytes, at, format) {
            Some((entries, length)) => {
                entries.into_iter().for_each(|entry| read.state.apply(entry));
                read.damaged += at - read.end;
                at += length;
                read.end = at;
            }
            // A record damaged in the middle takes nothing with it but itself.
            None => at = read.behind_damage(bytes, at, format),
        }
    }
    read
}

impl Read {
    /// The entries of the whole and undamaged record that begins at `at`, and its length.
    fn record_at(&mut self, bytes: &[u8], at: usize, format: &Format) -> Option<(Vec<Entry>, usize)> {
        let (body, checksum) = split(bytes.get(at..)?)?;
        // Where the last record ended the next one is expected; anywhere else hardly anything is worth a hash.
        if at > self.end && !(format.may_begin)(body) {
            return None;
        }
        let whole = blake3::hash(body).as_bytes()[..checksum.len()] == *checksum;
        let entries = whole.then(|| (format.decode)(body)).flatten();
        if entries.is_none() {
            self.searched += body.len();
        }
        entries.map(|entries| (entries, HEADER_BYTES + body.len()))
    }

    /// Where to look for a record next when there is none at `at`: if the length that stands there leads to a whole one,
    /// the damage lies in the body, which is passed over. It may hold what looks like records: a peer's bytes.
    fn behind_damage(&mut self, bytes: &[u8], at: usize, format: &Format) -> usize {
        let behind = || Some(at + HEADER_BYTES + split(&bytes[at..])?.0.len());
        let behind = (at == self.end).then(behind).flatten();
        behind.filter(|behind| self.record_at(bytes, *behind, format).is_some()).unwrap_or(at + 1)
    }
}

/// The body of a record, if `bytes` begin with one, and what its hash must begin with.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let (length, checksum) = head.split_first_chunk::<4>()?;
    Some((rest.get(..u32::from_le_bytes(*length) as usize)?, checksum))
}

#[cfg(test)]
mod tests {
    use super::super::{MAGIC, frame};
    use super::*;
    use mesh_proto::port::store::{Row, Table};

    fn put(key: u8, value: &[u8]) -> Entry {
        Entry::Put(Row { table: Table::Setting, key: vec![key], value: value.to_vec() })
    }

    fn keys(read: &Read) -> Vec<u8> {
        read.state.rows.keys().map(|(_, key)| key[0]).collect()
    }

    /// Every fourth place says that a long record begins there, with a body that begins like one.
    fn hostile(length: usize) -> Vec<u8> {
        [1, 0, 4, 0].into_iter().cycle().take(length).collect()
    }

    #[test]
    fn what_a_hostile_log_makes_a_search_hash_is_in_proportion_to_it() {
        for length in [1 << 20, 8 << 20] {
            let read = read_all(&hostile(length), 0, &FORMAT_2);
            let searched_max = (length * SEARCH_TIMES).max(SEARCH_BYTES_MIN) + length;
            assert!(read.searched <= searched_max, "{} bytes for a log of {length}", read.searched);
            // Without the bound it would have been a quarter of a million for each fourth byte.
            assert!(read.searched >= SEARCH_BYTES_MIN, "{} bytes are no search", read.searched);
        }
    }

    #[test]
    fn a_search_through_noise_hashes_little_and_finds_what_lies_behind() {
        let mut noise = vec![0; 4 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let bytes = [frame(&[put(1, b"a")]), noise, frame(&[put(2, b"b")])].concat();
        let read = read_all(&bytes, 0, &FORMAT_2);
        assert_eq!((keys(&read), read.end), (vec![1, 2], bytes.len()));
        assert!(read.searched < bytes.len() * SEARCH_TIMES / 2, "{} bytes", read.searched);
    }

    #[test]
    fn what_stands_in_a_damaged_record_is_not_taken_for_records() {
        let inner = frame(&[put(9, b"a peer's")]);
        let records = [frame(&[put(1, b"a")]), frame(&[put(2, &inner)]), frame(&[put(3, b"c")])];
        let (begin, end) = (records[0].len(), records[0].len() + records[1].len());
        let whole = records.concat();
        assert_eq!(keys(&read_all(&whole, 0, &FORMAT_2)), [1, 2, 3]);
        // Anywhere but in the length itself.
        for at in begin + 4..end {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let read = read_all(&bytes, 0, &FORMAT_2);
            assert_eq!((keys(&read), read.damaged), (vec![1, 3], end - begin), "byte {at} flipped");
        }
    }

    #[test]
    fn a_record_of_any_kind_and_number_of_entries_is_found_behind_damage() {
        let content = mesh_proto::ContentId([7; 32]);
        let kinds = [put(1, b""), Entry::Forget(content), Entry::Kept(content, Vec::new()), Entry::Repairing(content)];
        for count in [1, 2, 250, 251, 300, 70_000] {
            for kind in &kinds {
                let record = frame(&vec![kind.clone(); count]);
                let bytes = [MAGIC.to_vec(), vec![0xff; 30], record].concat();
                let read = read_all(&bytes, MAGIC.len(), &FORMAT_2);
                assert_eq!((read.end, read.damaged), (bytes.len(), 30), "{count} times {kind:?}");
            }
        }
    }
}
