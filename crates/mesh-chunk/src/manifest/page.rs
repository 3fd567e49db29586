//! Entries, references and pages: what a manifest's tree is made of, and the rules that every part must keep.
//!
//! Invariant: a [`Page`] that [`Page::decode`] gives out adds up to exactly what its [`PageRef`] says, and is of the
//! height it says. As the heights fall by one from page to page, no tree can be deeper than its root allows; as pages
//! in the middle have a smallest size, no tree can have many more pages than its chunks need.

use bincode::{Decode, Encode};
use mesh_proto::limits::{CHUNK_BYTES_MAX, CHUNKS_PER_CONTENT_MAX, PAGE_BYTES_MAX, PAGE_DEPTH_MAX};
use mesh_proto::{ChunkId, PageId, codec};

use super::{ManifestError, PAGE_DECODED_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_ENTRIES_MIN};
use crate::hash::page_id;

/// One chunk in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ChunkEntry {
    /// Its name.
    pub id: ChunkId,
    /// Its length in bytes, never 0.
    pub length: u32,
}

/// One page in its place, and what lies below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct PageRef {
    /// Its name.
    pub page: PageId,
    /// Pages between it and the chunks: 0 for a page of chunk entries.
    pub height: u8,
    /// Chunks below it, never 0.
    pub chunks: u32,
    /// Bytes of those chunks.
    pub bytes: u64,
}

/// What a root or a page lists, in the order of the content.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum PageBody {
    /// Chunks.
    Leaf(Vec<ChunkEntry>),
    /// Pages, all of the same height.
    Branch(Vec<PageRef>),
}

/// One page of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Page {
    /// What it lists.
    pub body: PageBody,
}

/// Chunks and bytes, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) chunks: u32,
    pub(crate) bytes: u64,
}

impl Page {
    /// Decodes the page that `reference` names and checks all that can be checked without other pages.
    ///
    /// # Errors
    /// [`ManifestError`] if the bytes are not that page or break a rule.
    pub fn decode(bytes: &[u8], reference: &PageRef) -> Result<Self, ManifestError> {
        check_len(bytes)?;
        if page_id(bytes) != reference.page {
            return Err(ManifestError::WrongHash);
        }
        let page: Self = codec::decode::<_, PAGE_DECODED_BYTES_MAX>(bytes)?;
        if codec::encode(&page) != bytes {
            return Err(ManifestError::NotCanonical);
        }
        page.check(reference)?;
        Ok(page)
    }

    /// The page as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Whether the page keeps all rules and is what `reference` says, its hash aside.
    pub(crate) fn check(&self, reference: &PageRef) -> Result<(), ManifestError> {
        let height = self.body.check()?;
        if height != reference.height {
            return Err(ManifestError::WrongHeight);
        }
        if self.body.is_empty() {
            return Err(ManifestError::EmptyEntry);
        }
        if self.body.sums()? != (Sums { chunks: reference.chunks, bytes: reference.bytes }) {
            return Err(ManifestError::WrongSum);
        }
        Ok(())
    }
}

impl PageBody {
    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(pages) => pages.len(),
        }
    }

    /// Whether it has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks every entry by itself; gives the height of a page with this body.
    pub(crate) fn check(&self) -> Result<u8, ManifestError> {
        if self.len() > PAGE_ENTRIES_MAX {
            return Err(ManifestError::TooManyEntries { count: self.len() });
        }
        match self {
            Self::Leaf(entries) => {
                entries.iter().try_for_each(|entry| entry.check())?;
                Ok(0)
            }
            Self::Branch(pages) => check_branch(pages),
        }
    }

    /// What the entries add up to.
    pub(crate) fn sums(&self) -> Result<Sums, ManifestError> {
        match self {
            Self::Leaf(entries) => add_up(entries.iter().map(|entry| (1, u64::from(entry.length)))),
            Self::Branch(pages) => add_up(pages.iter().map(|page| (page.chunks, page.bytes))),
        }
    }
}

impl ChunkEntry {
    fn check(&self) -> Result<(), ManifestError> {
        match self.length {
            0 => Err(ManifestError::EmptyEntry),
            length if length > CHUNK_BYTES_MAX => Err(ManifestError::ChunkTooLong),
            _ => Ok(()),
        }
    }
}

/// The smallest number of chunks below a page of `height` that is not the last one at its height.
fn chunks_min(height: u8) -> u64 {
    (PAGE_ENTRIES_MIN as u64).saturating_pow(u32::from(height) + 1)
}

fn check_branch(pages: &[PageRef]) -> Result<u8, ManifestError> {
    let Some((last, before)) = pages.split_last() else {
        return Err(ManifestError::EmptyEntry);
    };
    // The root above is one step more, so this leaves at most PAGE_DEPTH_MAX pages on any way down.
    if last.height >= PAGE_DEPTH_MAX || before.iter().any(|page| page.height != last.height) {
        return Err(ManifestError::WrongHeight);
    }
    for page in pages {
        if page.chunks == 0 || page.bytes < u64::from(page.chunks) {
            return Err(ManifestError::EmptyEntry);
        }
        if page.bytes > u64::from(page.chunks) * u64::from(CHUNK_BYTES_MAX) {
            return Err(ManifestError::ChunkTooLong);
        }
    }
    if before.iter().any(|page| u64::from(page.chunks) < chunks_min(page.height)) {
        return Err(ManifestError::PageTooSmall);
    }
    Ok(last.height + 1)
}

fn add_up(parts: impl Iterator<Item = (u32, u64)>) -> Result<Sums, ManifestError> {
    let mut sums = Sums::default();
    for (chunks, bytes) in parts {
        sums.chunks = sums.chunks.checked_add(chunks).ok_or(ManifestError::TooManyChunks)?;
        sums.bytes = sums.bytes.checked_add(bytes).ok_or(ManifestError::WrongSum)?;
    }
    if sums.chunks > CHUNKS_PER_CONTENT_MAX {
        return Err(ManifestError::TooManyChunks);
    }
    Ok(sums)
}

pub(crate) fn check_len(bytes: &[u8]) -> Result<(), ManifestError> {
    if bytes.len() > PAGE_BYTES_MAX {
        return Err(ManifestError::TooLong { len: bytes.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::entries;
    use proptest::prelude::*;

    fn reference_of(page: &Page, height: u8) -> PageRef {
        let sums = page.body.sums().expect("small sums");
        PageRef { page: page_id(&page.encode()), height, chunks: sums.chunks, bytes: sums.bytes }
    }

    fn leaf(count: usize) -> Page {
        Page { body: PageBody::Leaf(entries(1, count)) }
    }

    fn decode(page: &Page, height: u8) -> Result<Page, ManifestError> {
        Page::decode(&page.encode(), &reference_of(page, height))
    }

    fn branch(pages: &[(u8, u32, u64)]) -> Page {
        let body = pages
            .iter()
            .map(|(height, chunks, bytes)| PageRef {
                page: PageId([7; 32]),
                height: *height,
                chunks: *chunks,
                bytes: *bytes,
            })
            .collect();
        Page { body: PageBody::Branch(body) }
    }

    #[test]
    fn the_largest_pages_fit_their_limits() {
        let entry = ChunkEntry { id: ChunkId([255; 32]), length: u32::MAX };
        let leaf = Page { body: PageBody::Leaf(vec![entry; PAGE_ENTRIES_MAX]) };
        assert!(leaf.encode().len() <= PAGE_BYTES_MAX);
        assert!(codec::decode::<Page, PAGE_DECODED_BYTES_MAX>(&leaf.encode()).is_ok());
        let page = PageRef { page: PageId([255; 32]), height: 255, chunks: u32::MAX, bytes: u64::MAX };
        let branch = Page { body: PageBody::Branch(vec![page; PAGE_ENTRIES_MAX]) };
        assert!(branch.encode().len() <= PAGE_BYTES_MAX);
        assert!(codec::decode::<Page, PAGE_DECODED_BYTES_MAX>(&branch.encode()).is_ok());
    }

    #[test]
    fn a_page_that_is_not_the_one_asked_for_is_refused() {
        let page = leaf(100);
        let (bytes, good) = (page.encode(), reference_of(&page, 0));
        assert_eq!(Page::decode(&bytes, &good).ok(), Some(page));
        let is = |reference: PageRef| Page::decode(&bytes, &reference);
        assert!(matches!(is(PageRef { page: PageId([0; 32]), ..good }), Err(ManifestError::WrongHash)));
        assert!(matches!(is(PageRef { height: 1, ..good }), Err(ManifestError::WrongHeight)));
        assert!(matches!(is(PageRef { chunks: 99, ..good }), Err(ManifestError::WrongSum)));
        assert!(matches!(is(PageRef { bytes: good.bytes + 1, ..good }), Err(ManifestError::WrongSum)));
        assert!(matches!(Page::decode(&vec![0; PAGE_BYTES_MAX + 1], &good), Err(ManifestError::TooLong { .. })));
    }

    #[test]
    fn leaves_that_break_a_rule_are_refused() {
        assert!(matches!(decode(&leaf(0), 0), Err(ManifestError::EmptyEntry)));
        assert!(matches!(decode(&leaf(1025), 0), Err(ManifestError::TooManyEntries { count: 1025 })));
        let of_length = |length| Page { body: PageBody::Leaf(vec![ChunkEntry { id: ChunkId([1; 32]), length }]) };
        assert!(matches!(decode(&of_length(0), 0), Err(ManifestError::EmptyEntry)));
        assert!(matches!(decode(&of_length(CHUNK_BYTES_MAX + 1), 0), Err(ManifestError::ChunkTooLong)));
        assert!(decode(&of_length(CHUNK_BYTES_MAX), 0).is_ok());
    }

    #[test]
    fn branches_that_break_a_rule_are_refused() {
        assert!(decode(&branch(&[(0, 64, 64), (0, 1, 1)]), 1).is_ok());
        assert!(matches!(decode(&branch(&[(0, 63, 63), (0, 1, 1)]), 1), Err(ManifestError::PageTooSmall)));
        assert!(matches!(decode(&branch(&[(1, 4095, 4095), (1, 1, 1)]), 2), Err(ManifestError::PageTooSmall)));
        assert!(matches!(decode(&branch(&[(0, 64, 64), (1, 1, 1)]), 2), Err(ManifestError::WrongHeight)));
        assert!(matches!(decode(&branch(&[(4, 1, 1)]), 5), Err(ManifestError::WrongHeight)));
        assert!(matches!(decode(&branch(&[(255, 1, 1)]), 0), Err(ManifestError::WrongHeight)));
        assert!(matches!(decode(&branch(&[(0, 0, 0)]), 1), Err(ManifestError::EmptyEntry)));
        assert!(matches!(decode(&branch(&[(0, 2, 1)]), 1), Err(ManifestError::EmptyEntry)));
        assert!(matches!(decode(&branch(&[(0, 1, 1 << 25)]), 1), Err(ManifestError::ChunkTooLong)));
        let empty = Page { body: PageBody::Branch(Vec::new()) };
        assert!(matches!(decode(&empty, 1), Err(ManifestError::EmptyEntry)));
    }

    #[test]
    fn sums_that_overflow_are_refused() {
        let most = CHUNKS_PER_CONTENT_MAX;
        assert!(matches!(branch(&[(0, most, 1), (0, 1, 1)]).body.sums(), Err(ManifestError::TooManyChunks)));
        assert!(matches!(branch(&[(0, u32::MAX, 1), (0, 1, 1)]).body.sums(), Err(ManifestError::TooManyChunks)));
        assert!(matches!(branch(&[(0, 1, u64::MAX), (0, 1, 1)]).body.sums(), Err(ManifestError::WrongSum)));
    }

    #[test]
    fn a_second_way_to_write_the_same_page_is_refused() {
        let mut bytes = leaf(1).encode();
        // The count of entries, 1, written as a two-byte number.
        assert_eq!(bytes[..2], [0, 1]);
        bytes.splice(1..2, [251, 1, 0]);
        let reference = PageRef { page: page_id(&bytes), ..reference_of(&leaf(1), 0) };
        assert!(matches!(Page::decode(&bytes, &reference), Err(ManifestError::NotCanonical)));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), height in any::<u8>(), chunks in any::<u32>(),
        ) {
            let _ = Page::decode(&bytes, &PageRef { page: page_id(&bytes), height, chunks, bytes: 1 });
        }

        #[test]
        fn any_references_pass_or_fail_without_panic(
            pages in proptest::collection::vec((0u8..6, any::<u32>(), any::<u64>()), 0..5), height in any::<u8>(),
        ) {
            let page = branch(&pages);
            let reference = PageRef { page: page_id(&page.encode()), height, chunks: 1, bytes: 1 };
            let _ = Page::decode(&page.encode(), &reference);
        }
    }
}
