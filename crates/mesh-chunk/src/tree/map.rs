//! Which byte of a tree's stream belongs to which file, and where its chunks must end.
//!
//! Invariant: the stream is the listing's bytes, then the bytes of each file in listing order. A chunk ends behind the
//! listing, and before and behind each file of 64 KiB or more, so that such a file has the same chunks in every tree;
//! smaller files share chunks.

use super::listing::{EntryKind, Listing};

/// Files of at least so many bytes are cut by themselves.
pub const FILE_BYTES_CUT_ALONE: u64 = 64 * 1024;

/// What a run of the stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreePart {
    /// The listing.
    Listing,
    /// The file that is this entry of the listing.
    File(usize),
}

/// A run of the stream within one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeSlice {
    /// Which part.
    pub part: TreePart,
    /// Where the run begins in that part.
    pub offset: u64,
    /// Its length, never 0.
    pub length: u64,
}

/// Where the files of a tree lie in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeMap {
    /// The listing, then each file with any bytes, by where they begin.
    runs: Vec<Run>,
    total_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    start: u64,
    part: TreePart,
}

impl TreeMap {
    /// The map of a tree whose listing has `listing_bytes` bytes.
    #[must_use]
    pub fn new(listing: &Listing, listing_bytes: u64) -> Self {
        let mut runs = vec![Run { start: 0, part: TreePart::Listing }];
        let mut total_bytes = listing_bytes;
        for (index, entry) in listing.entries().iter().enumerate() {
            if let EntryKind::File { size_bytes: size_bytes @ 1.., .. } = entry.kind {
                runs.push(Run { start: total_bytes, part: TreePart::File(index) });
                total_bytes = total_bytes.saturating_add(size_bytes);
            }
        }
        Self { runs, total_bytes }
    }

    /// Bytes of the stream.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Where the file that is entry `index` begins in the stream; `None` if it is no file or has no bytes.
    #[must_use]
    pub fn offset_of_file(&self, index: usize) -> Option<u64> {
        let found = self.runs[1..].binary_search_by_key(&Some(index), |run| match run.part {
            TreePart::File(index) => Some(index),
            TreePart::Listing => None,
        });
        found.ok().map(|position| self.runs[position + 1].start)
    }

    /// The parts of the stream's bytes `offset .. offset + length`, in order. What lies behind the end is left out.
    pub fn locate(&self, offset: u64, length: u64) -> impl Iterator<Item = TreeSlice> + '_ {
        let end = offset.saturating_add(length).min(self.total_bytes);
        let first = self.runs.partition_point(|run| run.start <= offset).saturating_sub(1);
        (first..self.runs.len())
            .map(|index| (self.runs[index], self.end_of(index)))
            .take_while(move |(run, _)| run.start < end)
            .filter_map(move |(run, run_end)| {
                let from = offset.max(run.start);
                let length = end.min(run_end).checked_sub(from).filter(|length| *length > 0)?;
                Some(TreeSlice { part: run.part, offset: from - run.start, length })
            })
    }

    /// Where chunks must end within the stream, increasing: for [`Cutter::with_borders`](crate::Cutter::with_borders).
    #[must_use]
    pub fn forced_borders(&self) -> Vec<u64> {
        let mut borders = Vec::new();
        for (index, run) in self.runs.iter().enumerate() {
            let end = self.end_of(index);
            if run.part == TreePart::Listing {
                borders.push(end);
            } else if end - run.start >= FILE_BYTES_CUT_ALONE {
                borders.extend([run.start, end]);
            }
        }
        borders.dedup();
        borders.retain(|border| (1..self.total_bytes).contains(border));
        borders
    }

    fn end_of(&self, index: usize) -> u64 {
        self.runs.get(index + 1).map_or(self.total_bytes, |next| next.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutter::{ChunkStream, Cutter};
    use crate::hash::chunk_id;
    use crate::parameters::ChunkParameters;
    use crate::test_data::pseudo_random;
    use crate::tree::TreeEntry;
    use mesh_proto::ChunkId;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn tree(sizes: &[u64]) -> Listing {
        let entry = |(index, size): (usize, &u64)| TreeEntry {
            path: format!("{index:04}"),
            kind: EntryKind::File { size_bytes: *size, mode: 0o644 },
            modified_unix_ms: 0,
        };
        Listing::new(sizes.iter().enumerate().map(entry).collect()).expect("a legal tree")
    }

    fn slice(part: TreePart, offset: u64, length: u64) -> TreeSlice {
        TreeSlice { part, offset, length }
    }

    #[test]
    fn bytes_are_found_in_their_files() {
        let map = TreeMap::new(&tree(&[10, 0, 20, 5]), 100);
        let all: Vec<TreeSlice> = map.locate(0, u64::MAX).collect();
        let files = [(0, 10), (2, 20), (3, 5)].map(|(index, length)| slice(TreePart::File(index), 0, length));
        assert_eq!(all, [&[slice(TreePart::Listing, 0, 100)], &files[..]].concat());
        let some: Vec<TreeSlice> = map.locate(105, 7).collect();
        assert_eq!(some, [slice(TreePart::File(0), 5, 5), slice(TreePart::File(2), 0, 2)]);
        assert_eq!(map.locate(135, 1).count() + map.locate(5, 0).count() + map.locate(u64::MAX, 9).count(), 0);
        assert_eq!([0, 1, 2, 9].map(|index| map.offset_of_file(index)), [Some(100), None, Some(110), None]);
    }

    #[test]
    fn only_large_files_force_borders() {
        let borders = |sizes: &[u64]| TreeMap::new(&tree(sizes), 100).forced_borders();
        assert_eq!(borders(&[]), Vec::<u64>::new());
        assert_eq!(borders(&[10, 20]), [100]);
        assert_eq!(borders(&[65_535]), [100]);
        assert_eq!(borders(&[65_536]), [100]);
        assert_eq!(borders(&[1, 65_536, 1]), [100, 101, 65_637]);
        assert_eq!(borders(&[65_536, 65_536, 0, 7]), [100, 65_636, 131_172]);
    }

    #[test]
    fn a_large_file_has_its_own_chunks_in_any_tree() {
        let large = pseudo_random(1, 500_000);
        let parameters = ChunkParameters::for_size(0);
        let names = |cutter: Cutter, bytes: &[u8]| {
            let mut names: BTreeSet<ChunkId> = BTreeSet::new();
            let mut stream = ChunkStream::new(cutter);
            stream.push(bytes, |chunk| {
                names.insert(chunk_id(chunk));
            });
            stream.finish(|chunk| {
                names.insert(chunk_id(chunk));
            });
            names
        };
        let map = TreeMap::new(&tree(&[333, 500_000, 70]), 50);
        let stream = [&pseudo_random(2, 383)[..], &large, &pseudo_random(3, 70)].concat();
        let in_tree = names(Cutter::with_borders(parameters, map.forced_borders()), &stream);
        assert!(names(Cutter::new(parameters), &large).is_subset(&in_tree));
    }

    proptest! {
        #[test]
        fn slices_cover_what_was_asked_for(
            sizes in proptest::collection::vec(0u64..30, 0..20), offset in 0u64..400, length in 0u64..400,
        ) {
            let map = TreeMap::new(&tree(&sizes), 17);
            let found: Vec<TreeSlice> = map.locate(offset, length).collect();
            let end = (offset + length).min(map.total_bytes());
            prop_assert_eq!(found.iter().map(|slice| slice.length).sum::<u64>(), end.saturating_sub(offset));
            let mut at = offset;
            for slice in found {
                let start = match slice.part {
                    TreePart::Listing => Some(0),
                    TreePart::File(index) => map.offset_of_file(index),
                };
                prop_assert_eq!(start.map(|start| start + slice.offset), Some(at));
                at += slice.length;
            }
        }
    }
}
