//! What a receiver knows of a manifest so far: which chunk lies where, and which pages are missing.
//!
//! Invariant: the parts cover the content from its first chunk to its last without gap or overlap; a part is either a
//! page that is missing or a leaf that is known. A page that stands in several places is fetched and kept once.
//!
//! Pages come in any order. As every reference carries the chunks and bytes below it, a place in a known leaf is exact
//! even while all before it is missing. [`Layout::forget`] lets a transfer work through a window of a long manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_proto::{ChunkId, ChunkRange, ChunkSet, PageId};

use crate::manifest::{ChunkEntry, ManifestError, Page, PageBody, PageRef, Root};
use crate::parameters::ChunkParameters;

/// How much of each chunk is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Name and length, 36 bytes: for those who verify.
    Full,
    /// The length only, 4 bytes: for those who plan.
    LengthsOnly,
}

/// Why a page was not taken in. The layout is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// No such page is missing: it is known, or not (yet known to be) of this content.
    #[error("this page is not missing")]
    NotMissing,
    /// The page is not what its reference says.
    #[error("the page does not fit its place")]
    Page(#[from] ManifestError),
    /// A chunk is longer than the content's parameters allow.
    #[error("a chunk of {length} bytes is longer than the parameters allow")]
    ChunkTooLong {
        /// Its length.
        length: u32,
    },
}

/// A place in a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkPosition {
    /// The chunk.
    pub chunk: u32,
    /// The offset of its first byte in the content.
    pub chunk_offset: u64,
    /// How far behind that the place is.
    pub skip_bytes: u32,
}

/// What is known of a content's manifest.
#[derive(Debug, Clone)]
pub struct Layout {
    parameters: ChunkParameters,
    detail: Detail,
    total_bytes: u64,
    chunk_count: u32,
    parts: Vec<Part>,
    /// First chunks of the parts where each missing page belongs.
    missing: BTreeMap<PageId, Vec<u32>>,
    known: ChunkSet,
}

/// A run of chunks: one missing page, or one known leaf.
#[derive(Debug, Clone)]
struct Part {
    start_chunk: u32,
    start_byte: u64,
    /// What to ask for if it is missing. A root's own entries have none, and are always known.
    reference: Option<PageRef>,
    leaf: Option<Arc<Leaf>>,
}

/// The chunks of one leaf. `ids` is empty if only lengths are kept.
#[derive(Debug)]
struct Leaf {
    ids: Vec<ChunkId>,
    lengths: Vec<u32>,
}

impl Layout {
    /// What a root says by itself.
    ///
    /// # Errors
    /// [`LayoutError`] if a chunk in the root is longer than its parameters allow.
    pub fn new(root: &Root, detail: Detail) -> Result<Self, LayoutError> {
        let mut layout = Self {
            parameters: root.parameters,
            detail,
            total_bytes: root.total_bytes,
            chunk_count: root.chunk_count,
            parts: Vec::new(),
            missing: BTreeMap::new(),
            known: ChunkSet::new(),
        };
        match &root.body {
            PageBody::Leaf(entries) if entries.is_empty() => {}
            PageBody::Leaf(entries) => {
                let leaf = Some(layout.leaf(entries)?);
                layout.parts.push(Part { start_chunk: 0, start_byte: 0, reference: None, leaf });
                layout.known = ChunkSet::full(root.chunk_count);
            }
            PageBody::Branch(pages) => {
                layout.parts = parts_of(pages, 0, 0);
                layout.note_missing(pages, 0);
            }
        }
        Ok(layout)
    }

    /// Chunks of the content.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        self.chunk_count
    }

    /// Bytes of the content.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// The chunks whose leaves are known.
    #[must_use]
    pub fn known(&self) -> &ChunkSet {
        &self.known
    }

    /// Whether no page is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// All pages known to be missing, in the order of the content.
    #[must_use]
    pub fn missing_pages(&self) -> Vec<PageRef> {
        self.next_missing_pages(0, usize::MAX)
    }

    /// The first `count_max` missing pages with a chunk at or behind `from_chunk`, in the order of the content. A page
    /// that stands in several places is named once.
    #[must_use]
    pub fn next_missing_pages(&self, from_chunk: u32, count_max: usize) -> Vec<PageRef> {
        let first = self.parts.partition_point(|part| part.start_chunk <= from_chunk).saturating_sub(1);
        let mut named = std::collections::BTreeSet::new();
        self.parts[first..]
            .iter()
            .filter(|part| part.leaf.is_none())
            .filter_map(|part| part.reference)
            .filter(|reference| named.insert(reference.page))
            .take(count_max)
            .collect()
    }

    /// The reference of a page that is missing.
    #[must_use]
    pub fn missing_page(&self, page: &PageId) -> Option<PageRef> {
        let start_chunk = *self.missing.get(page)?.first()?;
        self.parts[self.part_at(start_chunk)?].reference
    }

    /// The chunks below a page that is missing; those of its first place, if it has several.
    #[must_use]
    pub fn chunks_of_missing(&self, page: &PageId) -> Option<ChunkRange> {
        let start = *self.missing.get(page)?.first()?;
        let reference = self.parts[self.part_at(start)?].reference?;
        Some(ChunkRange { start, count: reference.chunks })
    }

    /// Takes in a page, which must have come out of [`Page::decode`] for this `reference`. Gives how many chunks became
    /// known by it.
    ///
    /// # Errors
    /// [`LayoutError`] if the page is not missing or does not fit its place.
    pub fn add_page(&mut self, reference: &PageRef, page: &Page) -> Result<u32, LayoutError> {
        let starts = self.missing.get(&reference.page).ok_or(LayoutError::NotMissing)?.clone();
        page.check(reference)?;
        // Two references to one page that contradict each other: one of them is a lie, and this finds out.
        for start in &starts {
            let part = &self.parts[self.part_at(*start).ok_or(LayoutError::NotMissing)?];
            page.check(&part.reference.ok_or(LayoutError::NotMissing)?)?;
        }
        let leaf = match &page.body {
            PageBody::Leaf(entries) => Some(self.leaf(entries)?),
            PageBody::Branch(_) => None,
        };
        self.missing.remove(&reference.page);
        let mut chunks_new = 0;
        for start in starts {
            match (&page.body, &leaf) {
                (PageBody::Branch(pages), _) => self.put_branch(start, pages),
                (PageBody::Leaf(_), Some(leaf)) => chunks_new += self.put_leaf(start, leaf),
                (PageBody::Leaf(_), None) => {}
            }
        }
        Ok(chunks_new)
    }

    /// Forgets the leaves that lie in `range` entirely; they are missing again. A root's own entries stay.
    pub fn forget(&mut self, range: ChunkRange) {
        let first = self.parts.partition_point(|part| part.start_chunk < range.start);
        for part in &mut self.parts[first..] {
            let Some(reference) = part.reference else { return };
            let chunks = ChunkRange { start: part.start_chunk, count: reference.chunks };
            if chunks.end() > range.end() {
                return;
            }
            if part.leaf.take().is_some() {
                self.known.remove(chunks);
                self.missing.entry(reference.page).or_default().push(part.start_chunk);
            }
        }
    }

    /// A chunk's name and length, if its leaf is known and names are kept.
    #[must_use]
    pub fn chunk(&self, index: u32) -> Option<ChunkEntry> {
        let (leaf, within) = self.find(index)?;
        Some(ChunkEntry { id: *leaf.ids.get(within)?, length: *leaf.lengths.get(within)? })
    }

    /// A chunk's length, if its leaf is known.
    #[must_use]
    pub fn length(&self, index: u32) -> Option<u32> {
        let (leaf, within) = self.find(index)?;
        leaf.lengths.get(within).copied()
    }

    /// Where a chunk begins in the content. Known for every chunk of a known leaf and for the first of a missing page;
    /// for the chunk behind the last it is the end of the content.
    #[must_use]
    pub fn offset_of(&self, index: u32) -> Option<u64> {
        if index >= self.chunk_count {
            return (index == self.chunk_count).then_some(self.total_bytes);
        }
        let part = &self.parts[self.part_at(index)?];
        let within = (index - part.start_chunk) as usize;
        if within == 0 {
            return Some(part.start_byte);
        }
        let before = part.leaf.as_ref()?.lengths.get(..within)?;
        Some(part.start_byte + before.iter().copied().map(u64::from).sum::<u64>())
    }

    /// The bytes of a range of chunks, if both its ends are known.
    #[must_use]
    pub fn bytes_of(&self, range: ChunkRange) -> Option<u64> {
        let end = range.start.checked_add(range.count)?;
        self.offset_of(end)?.checked_sub(self.offset_of(range.start)?)
    }

    /// The bytes of a range of chunks, but for chunks of missing pages that are only in part in the range.
    #[must_use]
    pub fn bytes_told_of(&self, range: ChunkRange) -> u64 {
        let end = range.start.saturating_add(range.count).min(self.chunk_count);
        let part_of = |chunk| self.part_at(chunk).unwrap_or(self.parts.len());
        let begin_of = |part: usize| self.parts.get(part).map_or(self.total_bytes, |part| part.start_byte);
        let from = self.offset_of(range.start).unwrap_or_else(|| begin_of(part_of(range.start) + 1));
        let to = self.offset_of(end).unwrap_or_else(|| begin_of(part_of(end)));
        to.saturating_sub(from)
    }

    /// The chunk that has the content's byte at `offset`, if its leaf is known.
    #[must_use]
    pub fn chunk_at(&self, offset: u64) -> Option<ChunkPosition> {
        let part = &self.parts[self.part_at_byte(offset)?];
        let mut chunk_offset = part.start_byte;
        for (chunk, length) in (part.start_chunk..).zip(&part.leaf.as_ref()?.lengths) {
            let skip = offset - chunk_offset;
            if skip < u64::from(*length) {
                return Some(ChunkPosition { chunk, chunk_offset, skip_bytes: u32::try_from(skip).ok()? });
            }
            chunk_offset += u64::from(*length);
        }
        None
    }

    /// The chunks of the leaf or missing page that has the content's byte at `offset`: where to look for more pages.
    #[must_use]
    pub fn chunks_around(&self, offset: u64) -> Option<ChunkRange> {
        let index = self.part_at_byte(offset)?;
        let start = self.parts[index].start_chunk;
        let end = self.parts.get(index + 1).map_or(self.chunk_count, |next| next.start_chunk);
        Some(ChunkRange { start, count: end - start })
    }

    fn part_at(&self, chunk: u32) -> Option<usize> {
        if chunk >= self.chunk_count {
            return None;
        }
        self.parts.partition_point(|part| part.start_chunk <= chunk).checked_sub(1)
    }

    fn part_at_byte(&self, offset: u64) -> Option<usize> {
        if offset >= self.total_bytes {
            return None;
        }
        self.parts.partition_point(|part| part.start_byte <= offset).checked_sub(1)
    }

    fn find(&self, chunk: u32) -> Option<(&Leaf, usize)> {
        let part = &self.parts[self.part_at(chunk)?];
        Some((part.leaf.as_ref()?, (chunk - part.start_chunk) as usize))
    }

    fn leaf(&self, entries: &[ChunkEntry]) -> Result<Arc<Leaf>, LayoutError> {
        let length_max = self.parameters.max_bytes();
        if let Some(entry) = entries.iter().find(|entry| entry.length > length_max) {
            return Err(LayoutError::ChunkTooLong { length: entry.length });
        }
        let ids = match self.detail {
            Detail::Full => entries.iter().map(|entry| entry.id).collect(),
            Detail::LengthsOnly => Vec::new(),
        };
        Ok(Arc::new(Leaf { ids, lengths: entries.iter().map(|entry| entry.length).collect() }))
    }

    fn put_leaf(&mut self, start: u32, leaf: &Arc<Leaf>) -> u32 {
        let Some(index) = self.part_at(start) else { return 0 };
        let part = &mut self.parts[index];
        let count = part.reference.map_or(0, |reference| reference.chunks);
        part.leaf = Some(Arc::clone(leaf));
        self.known.insert(ChunkRange { start, count });
        count
    }

    fn put_branch(&mut self, start: u32, pages: &[PageRef]) {
        let Some(index) = self.part_at(start) else { return };
        let parts = parts_of(pages, start, self.parts[index].start_byte);
        self.parts.splice(index..=index, parts);
        self.note_missing(pages, start);
    }

    fn note_missing(&mut self, pages: &[PageRef], mut start_chunk: u32) {
        for page in pages {
            self.missing.entry(page.page).or_default().push(start_chunk);
            start_chunk += page.chunks;
        }
    }
}

/// The missing parts that `pages` stand for. Their sums are checked, so nothing overflows.
fn parts_of(pages: &[PageRef], mut start_chunk: u32, mut start_byte: u64) -> Vec<Part> {
    let mut parts = Vec::with_capacity(pages.len());
    for page in pages {
        parts.push(Part { start_chunk, start_byte, reference: Some(*page), leaf: None });
        start_chunk += page.chunks;
        start_byte += page.bytes;
    }
    parts
}

#[cfg(test)]
mod tests;
