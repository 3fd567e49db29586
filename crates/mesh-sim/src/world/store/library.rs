//! What all modelled stores of a world share: the manifests of its contents, and rows by their bytes.
//!
//! A manifest follows from a file's seed and length, and stands here once, however many nodes hold it. Invariant: what is
//! here is true; which of it a node knows is for its store to say.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use mesh_chunk::{ChunkEntry, ChunkParameters, Detail, Layout, ManifestBuilder, Page, PageBody, Root, RootKind};
use mesh_proto::port::store::StoredContent;
use mesh_proto::record::ContentKind;
use mesh_proto::{ChunkId, ChunkRange, ContentId, PageId};

use crate::random::Stream;

/// A library that all stores of a world hold.
pub type SharedLibrary = Rc<RefCell<Library>>;

/// One content's manifest.
#[derive(Debug)]
pub struct Manifest {
    /// What a store says of it; path and state are the node's own.
    pub stored: StoredContent,
    /// Where each chunk lies.
    pub layout: Layout,
    /// Its root and pages.
    pub pages: BTreeMap<PageId, Arc<[u8]>>,
    /// Which chunks each page of chunks lists.
    pub leaves: BTreeMap<PageId, ChunkRange>,
    /// Whether the root lists the chunks itself.
    pub root_lists_chunks: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Library {
    manifests: BTreeMap<ContentId, Rc<Manifest>>,
    /// By seed and length.
    files: BTreeMap<(u64, u64), ContentId>,
    rows: BTreeSet<Arc<[u8]>>,
}

impl Library {
    /// An empty one.
    #[must_use]
    pub fn shared() -> SharedLibrary {
        Rc::default()
    }

    /// A content's manifest, if it was ever shared in this world.
    #[must_use]
    pub fn manifest(&self, content: ContentId) -> Option<Rc<Manifest>> {
        self.manifests.get(&content).cloned()
    }

    /// The manifest of a file.
    pub fn manifest_of_file(&mut self, bytes: u64, seed: u64) -> Rc<Manifest> {
        if let Some(manifest) = self.files.get(&(seed, bytes)).and_then(|content| self.manifests.get(content)) {
            return manifest.clone();
        }
        let manifest = Rc::new(made(bytes, seed));
        self.files.insert((seed, bytes), manifest.stored.content);
        self.manifests.insert(manifest.stored.content, manifest.clone());
        manifest
    }

    /// The same bytes, kept once for all who keep them.
    pub fn intern(&mut self, bytes: &[u8]) -> Arc<[u8]> {
        match self.rows.get(bytes) {
            Some(known) => known.clone(),
            None => {
                let fresh: Arc<[u8]> = bytes.into();
                self.rows.insert(fresh.clone());
                fresh
            }
        }
    }
}

/// A chunk length as content-defined cutting gives it: never under a quarter of the average, rarely over four times it.
fn length(luck: &mut Stream, parameters: ChunkParameters) -> u64 {
    let (least, average, most) =
        (u64::from(parameters.min_bytes()), u64::from(parameters.average_bytes()), u64::from(parameters.max_bytes()));
    let tail = -libm::log(1.0 - luck.unit()) * (average - least) as f64;
    (least + tail as u64).min(most)
}

fn made(bytes: u64, seed: u64) -> Manifest {
    let parameters = ChunkParameters::for_size(bytes);
    let mut luck = Stream::new(seed, "chunk lengths", bytes);
    let mut builder = ManifestBuilder::new(parameters);
    let mut pages = BTreeMap::new();
    let mut keep = |encoded: mesh_chunk::EncodedPage| pages.insert(encoded.reference.page, encoded.bytes.into());
    let (mut left, mut index) = (bytes, 0u32);
    while left > 0 {
        let length = length(&mut luck, parameters).min(left);
        let id = ChunkId(named("chunk", seed, u64::from(index)));
        let entry = ChunkEntry { id, length: u32::try_from(length).expect("a chunk has at most 16 MiB") };
        for page in builder.push(entry).expect("lengths are within the limits") {
            keep(page);
        }
        left -= length;
        index += 1;
    }
    let built = builder.finish(RootKind::File, named("whole", seed, bytes));
    built.pages.into_iter().for_each(|page| {
        keep(page);
    });
    pages.insert(PageId(built.id.0), built.root_bytes.into());
    laid_out(built.id, &built.root, pages)
}

fn laid_out(content: ContentId, root: &Root, pages: BTreeMap<PageId, Arc<[u8]>>) -> Manifest {
    let mut layout = Layout::new(root, Detail::LengthsOnly).expect("lengths are within the limits");
    let mut leaves = BTreeMap::new();
    let mut start = 0;
    // Missing pages come in the order of the content, so leaves come one behind the other.
    while let Some(reference) = layout.missing_pages().first().copied() {
        let bytes = pages.get(&reference.page).expect("the builder gave all pages");
        let page = Page::decode(bytes, &reference).expect("the builder gave good pages");
        let is_leaf = matches!(page.body, PageBody::Leaf(_));
        layout.add_page(&reference, &page).expect("the page was missing");
        if is_leaf {
            leaves.insert(reference.page, ChunkRange { start, count: reference.chunks });
            start += reference.chunks;
        }
    }
    let stored = StoredContent {
        content,
        kind: ContentKind::File,
        total_bytes: root.total_bytes,
        chunk_count: root.chunk_count,
        whole_hash: root.whole_hash,
        path: String::new(),
        complete: false,
        in_place: false,
    };
    let root_lists_chunks = matches!(root.body, PageBody::Leaf(_));
    Manifest { stored, layout, pages, leaves, root_lists_chunks }
}

fn named(what: &str, seed: u64, number: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(what.as_bytes()).update(&seed.to_le_bytes()).update(&number.to_le_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_the_files_and_made_once() {
        let mut library = Library::default();
        let one = library.manifest_of_file(3_000_000, 7);
        assert_eq!(one.layout.total_bytes(), 3_000_000);
        assert!(one.layout.is_complete());
        assert!(Rc::ptr_eq(&one, &library.manifest_of_file(3_000_000, 7)));
        assert_ne!(one.stored.content, library.manifest_of_file(3_000_000, 8).stored.content);
        assert_ne!(one.stored.content, library.manifest_of_file(3_000_001, 7).stored.content);
        assert_eq!(library.manifest_of_file(0, 1).stored.chunk_count, 0);
    }

    #[test]
    fn a_large_manifest_has_pages_that_cover_it() {
        let manifest = Library::default().manifest_of_file(1 << 31, 3);
        assert!(!manifest.root_lists_chunks);
        let listed: u32 = manifest.leaves.values().map(|range| range.count).sum();
        assert_eq!(listed, manifest.stored.chunk_count);
        let average = (1u64 << 31) / u64::from(listed);
        let wanted = u64::from(ChunkParameters::for_size(1 << 31).average_bytes());
        assert!(average.abs_diff(wanted) < wanted / 10, "{average} for {wanted}");
    }

    #[test]
    fn equal_rows_are_kept_once() {
        let mut library = Library::default();
        assert!(Arc::ptr_eq(&library.intern(b"row"), &library.intern(b"row")));
    }
}
