//! Builds a manifest entry by entry, giving out pages as they fill up.
//!
//! A page ends behind an entry whose hash says so: its first four bytes, as a number, fall below a threshold. That
//! makes 256 entries on average, with 64 at least and 1024 at most, and the same rule holds for the pages of pages. So
//! an insert moves the borders near it and no others. A level whose entries fit one page has them in the root.
//!
//! Invariant: at most one page of entries per level is held, whatever the size of the content.

use mesh_proto::ContentId;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{CHUNK_BYTES_MAX, CHUNKS_PER_CONTENT_MAX};

use super::root::{CIPHER_NONE, FORMAT};
use super::{ChunkEntry, PAGE_ENTRIES_MAX, PAGE_ENTRIES_MIN, Page, PageBody, PageRef, Root, RootKind};
use crate::hash::{content_id, page_id};
use crate::parameters::ChunkParameters;

/// One in so many entries behind the smallest page ends it: 64 + 192 = 256 on average.
const BORDER_EVERY: u32 = 192;

/// Why an entry can't be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The chunk is empty or longer than any chunk may be.
    #[error("a chunk can't have {length} bytes")]
    Length {
        /// Its length.
        length: u32,
    },
    /// The content has as many chunks as it may have.
    #[error("the content has more chunks than allowed")]
    TooManyChunks,
}

/// A finished page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPage {
    /// Its name, and what is below it.
    pub reference: PageRef,
    /// The page as bytes.
    pub bytes: Vec<u8>,
}

/// A finished manifest, without the pages given out before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltManifest {
    /// The content's name.
    pub id: ContentId,
    /// The root.
    pub root: Root,
    /// The root as bytes.
    pub root_bytes: Vec<u8>,
    /// The last pages.
    pub pages: Vec<EncodedPage>,
}

/// Builds a manifest.
#[derive(Debug, Clone)]
pub struct ManifestBuilder {
    parameters: ChunkParameters,
    chunk_count: u32,
    total_bytes: u64,
    leaves: Level<ChunkEntry>,
    /// Pages of height 0, of height 1, …
    branches: Vec<Level<PageRef>>,
}

impl ManifestBuilder {
    /// A builder for a content cut with `parameters`.
    #[must_use]
    pub fn new(parameters: ChunkParameters) -> Self {
        Self { parameters, chunk_count: 0, total_bytes: 0, leaves: Level::default(), branches: Vec::new() }
    }

    /// Chunks so far.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        self.chunk_count
    }

    /// Bytes so far.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Adds the next chunk; gives the pages that this completed, lower ones first. Mostly there are none.
    ///
    /// # Errors
    /// [`BuildError`] if the entry breaks a limit; the builder is then as it was before.
    pub fn push(&mut self, entry: ChunkEntry) -> Result<Vec<EncodedPage>, BuildError> {
        if entry.length == 0 || entry.length > CHUNK_BYTES_MAX {
            return Err(BuildError::Length { length: entry.length });
        }
        if self.chunk_count == CHUNKS_PER_CONTENT_MAX {
            return Err(BuildError::TooManyChunks);
        }
        self.chunk_count += 1;
        self.total_bytes += u64::from(entry.length);
        let mut pages = Vec::new();
        if let Some(entries) = self.leaves.push(entry) {
            let page = encode_page(PageBody::Leaf(entries), 0);
            self.push_page(page, &mut pages);
        }
        Ok(pages)
    }

    /// All chunks are added. `whole_hash` is the BLAKE3 hash of all bytes, a tree's listing included.
    #[must_use]
    pub fn finish(mut self, kind: RootKind, whole_hash: [u8; 32]) -> BuiltManifest {
        let mut pages = Vec::new();
        let body = self.finish_levels(&mut pages);
        let root = Root {
            format: FORMAT,
            kind,
            cipher: CIPHER_NONE,
            parameters: self.parameters,
            chunk_count: self.chunk_count,
            total_bytes: self.total_bytes,
            whole_hash,
            body,
            extensions: Extensions::default(),
        };
        let root_bytes = root.encode();
        BuiltManifest { id: content_id(&root_bytes), root, root_bytes, pages }
    }

    /// Closes level after level, until one fits the root.
    fn finish_levels(&mut self, pages: &mut Vec<EncodedPage>) -> PageBody {
        let entries = std::mem::take(&mut self.leaves.items);
        if !self.leaves.gave_page {
            return PageBody::Leaf(entries);
        }
        let mut page = encode_page(PageBody::Leaf(entries), 0);
        loop {
            let height = usize::from(page.reference.height);
            self.push_page(page, pages);
            let level = &mut self.branches[height];
            let references = std::mem::take(&mut level.items);
            if !level.gave_page {
                return PageBody::Branch(references);
            }
            page = encode_page(PageBody::Branch(references), page_height(height + 1));
        }
    }

    /// Enters a finished page into the level above, which may finish another there.
    fn push_page(&mut self, mut page: EncodedPage, pages: &mut Vec<EncodedPage>) {
        loop {
            let height = usize::from(page.reference.height);
            if self.branches.len() == height {
                self.branches.push(Level::default());
            }
            let full = self.branches[height].push(page.reference);
            pages.push(page);
            match full {
                Some(references) => page = encode_page(PageBody::Branch(references), page_height(height + 1)),
                None => return,
            }
        }
    }
}

/// The entries of one level that are in no page yet.
#[derive(Debug, Clone)]
struct Level<T> {
    items: Vec<T>,
    /// The items are a full page. It is given out when another item follows, as it may yet be the level's only one.
    is_full: bool,
    gave_page: bool,
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Self { items: Vec::new(), is_full: false, gave_page: false }
    }
}

impl<T: Hashed> Level<T> {
    /// Adds an item; gives the full page before it, if there is one.
    fn push(&mut self, item: T) -> Option<Vec<T>> {
        let full = self.is_full.then(|| std::mem::take(&mut self.items));
        self.gave_page |= self.is_full;
        self.is_full = self.items.len() + 1 == PAGE_ENTRIES_MAX
            || (self.items.len() + 1 >= PAGE_ENTRIES_MIN && ends_page(item.hash()));
        self.items.push(item);
        full
    }
}

trait Hashed {
    fn hash(&self) -> &[u8; 32];
}

impl Hashed for ChunkEntry {
    fn hash(&self) -> &[u8; 32] {
        &self.id.0
    }
}

impl Hashed for PageRef {
    fn hash(&self) -> &[u8; 32] {
        &self.page.0
    }
}

fn ends_page(hash: &[u8; 32]) -> bool {
    u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]) < u32::MAX / BORDER_EVERY
}

fn page_height(height: usize) -> u8 {
    u8::try_from(height).expect("each level has a 64th of the one below it, and the lowest at most 2^24")
}

fn encode_page(body: PageBody, height: u8) -> EncodedPage {
    let sums = body.sums().expect("the builder counts chunks, and their lengths are limited");
    let bytes = Page { body }.encode();
    let page = page_id(&bytes);
    EncodedPage { reference: PageRef { page, height, chunks: sums.chunks, bytes: sums.bytes }, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::entries;
    use mesh_proto::{ChunkId, PageId};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn build(entries: &[ChunkEntry]) -> BuiltManifest {
        let mut builder = ManifestBuilder::new(ChunkParameters::for_size(0));
        let mut pages = Vec::new();
        for entry in entries {
            pages.extend(builder.push(*entry).expect("legal entries"));
        }
        let mut built = builder.finish(RootKind::File, [3; 32]);
        pages.append(&mut built.pages);
        BuiltManifest { pages, ..built }
    }

    fn names(built: &BuiltManifest) -> BTreeSet<PageId> {
        built.pages.iter().map(|page| page.reference.page).collect()
    }

    #[test]
    fn the_name_of_a_small_content_is_what_it_always_was() {
        let entry = ChunkEntry { id: crate::hash::chunk_id(b"mesh"), length: 4 };
        let mut builder = ManifestBuilder::new(ChunkParameters::for_size(4));
        assert_eq!(builder.push(entry), Ok(Vec::new()));
        let built = builder.finish(RootKind::File, entry.id.0);
        assert_eq!(built.id.to_string(), "da261e2f2f9867a3bd2c5b6a40e30afc3217e0b9fdeaedfe2bea450b1ae44c7f");
        assert_eq!(
            build(&entries(1, 5000)).id.to_string(),
            "28cc3683dafcc0e18c6fd26abb806eaa754c93bc3b04e08224f098dd24e5dcd9"
        );
    }

    #[test]
    fn pages_are_of_the_promised_sizes() {
        let built = build(&entries(2, 200_000));
        let leaves: Vec<u32> =
            built.pages.iter().filter(|page| page.reference.height == 0).map(|page| page.reference.chunks).collect();
        assert_eq!(leaves.iter().sum::<u32>(), 200_000);
        assert!(leaves[..leaves.len() - 1].iter().all(|count| (64..=1024).contains(count)));
        let average = 200_000 / leaves.len();
        assert!((230..290).contains(&average), "{average}");
    }

    #[test]
    fn a_level_that_fits_one_page_is_in_the_root() {
        let mut builder = ManifestBuilder::new(ChunkParameters::for_size(0));
        let entry = ChunkEntry { id: ChunkId([255; 32]), length: 1 };
        for _ in 0..1024 {
            assert_eq!(builder.push(entry), Ok(Vec::new()));
        }
        let whole = builder.clone().finish(RootKind::File, [0; 32]);
        assert!(matches!(&whole.root.body, PageBody::Leaf(entries) if entries.len() == 1024));
        assert!(Root::decode(&whole.root_bytes, &whole.id).is_ok());
        assert_eq!(builder.push(entry).map(|pages| pages.len()), Ok(1));
        let split = builder.finish(RootKind::File, [0; 32]);
        assert!(matches!(&split.root.body, PageBody::Branch(pages) if pages.len() == 2));
    }

    /// The worst case: each chunk ends a page as soon as one may end.
    #[test]
    fn the_largest_content_in_the_smallest_pages_is_not_too_deep() {
        let entry = ChunkEntry { id: ChunkId([0; 32]), length: CHUNK_BYTES_MAX };
        let mut builder = ManifestBuilder::new(ChunkParameters::for_size(0));
        for _ in 0..CHUNKS_PER_CONTENT_MAX {
            builder.push(entry).expect("legal entries");
        }
        assert_eq!(builder.push(entry), Err(BuildError::TooManyChunks));
        let built = builder.finish(RootKind::File, [0; 32]);
        assert!(Root::decode(&built.root_bytes, &built.id).is_ok());
    }

    #[test]
    fn chunks_of_impossible_lengths_are_refused() {
        let mut builder = ManifestBuilder::new(ChunkParameters::for_size(0));
        for length in [0, CHUNK_BYTES_MAX + 1] {
            let entry = ChunkEntry { id: ChunkId([0; 32]), length };
            assert_eq!(builder.push(entry), Err(BuildError::Length { length }));
        }
        assert_eq!(builder.chunk_count(), 0);
    }

    #[test]
    fn an_append_renews_a_handful_of_pages() {
        let before = entries(4, 100_000);
        let after: Vec<ChunkEntry> = before.iter().copied().chain(entries(5, 100)).collect();
        let renewed = names(&build(&after)).difference(&names(&build(&before))).count();
        assert!(renewed <= 4, "{renewed} pages");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn an_insert_renews_a_handful_of_pages(at in 0usize..50_000, count in 1usize..50) {
            let before = entries(6, 50_000);
            let mut after = before.clone();
            after.splice(at..at, entries(7, count));
            let renewed = names(&build(&after)).difference(&names(&build(&before))).count();
            prop_assert!(renewed <= 24, "{} pages", renewed);
        }

        #[test]
        fn every_page_passes_its_own_check(seed in any::<u64>(), count in 0usize..20_000) {
            let built = build(&entries(seed, count));
            prop_assert_eq!(Root::decode(&built.root_bytes, &built.id).ok(), Some(built.root));
            for page in built.pages {
                prop_assert!(Page::decode(&page.bytes, &page.reference).is_ok());
            }
        }
    }
}
