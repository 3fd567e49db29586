//! Manifests: a root by itself, and a root with pages, put together as a receiver does.

use mesh_chunk::manifest::PAGE_DECODED_BYTES_MAX;
use mesh_chunk::manifest::root::{CIPHER_NONE, FORMAT};
use mesh_chunk::{
    ChunkEntry, ChunkParameters, Detail, Layout, ManifestBuilder, Page, PageBody, PageRef, Root, RootKind, content_id,
    page_id,
};
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{CHUNKS_PER_CONTENT_MAX, PAGE_BYTES_MAX};
use mesh_proto::{ChunkId, ChunkRange, codec};

use crate::memory::within;
use crate::{Seed, Target, input};

/// A page in memory, and its second encoding, which it is compared with; that grows by doubling.
const DECODING_BYTES_MAX: usize = PAGE_DECODED_BYTES_MAX + 3 * PAGE_BYTES_MAX + 1024;

pub const ROOT: Target = Target { name: "manifest-root", input_bytes_max: 8 * 1024, check: check_root, seeds: roots };
pub const PAGES: Target =
    Target { name: "manifest-pages", input_bytes_max: 16 * 1024, check: check_pages, seeds: pages };

fn check_root(bytes: &[u8]) {
    let id = content_id(bytes);
    let Ok(root) = within(DECODING_BYTES_MAX, || Root::decode(bytes, &id)) else { return };
    assert_eq!(root.encode(), bytes, "there is one way to write a root");
    assert!(root.chunk_count <= CHUNKS_PER_CONTENT_MAX);
    if let Ok(layout) = Layout::new(&root, Detail::Full) {
        check_layout(&layout, &root);
    }
}

/// What holds of a layout however much of it is known.
fn check_layout(layout: &Layout, root: &Root) {
    let whole = ChunkRange { start: 0, count: root.chunk_count };
    assert_eq!((layout.chunk_count(), layout.total_bytes()), (root.chunk_count, root.total_bytes));
    assert_eq!(layout.bytes_of(whole), Some(root.total_bytes));
    assert_eq!(layout.is_complete(), layout.known().contains_range(whole));
    assert_eq!(layout.known().is_empty(), layout.length(0).is_none() && layout.known().runs().is_empty());
    let mut end = 0;
    for chunk in layout.known().iter().take(64) {
        let (length, offset) = (layout.length(chunk), layout.offset_of(chunk));
        let (Some(length), Some(offset)) = (length, offset) else { panic!("chunk {chunk} has no place") };
        assert!(offset >= end, "chunk {chunk} begins before the one before it ends");
        end = offset + u64::from(length);
        assert_eq!(layout.chunk_at(end - 1).map(|position| position.chunk), Some(chunk));
    }
    assert!(end <= root.total_bytes);
}

/// Each part of the input is a page. References are made for them that say what the pages say, but for one byte of the
/// input each; a root then lists those that were accepted, as a dishonest maker could.
fn check_pages(bytes: &[u8]) {
    let mut accepted: Vec<(PageRef, Page)> = Vec::new();
    for part in input::parts(bytes) {
        let Some((lie, page_bytes)) = part.split_first() else { continue };
        let Some(reference) = reference_of(page_bytes, *lie) else { continue };
        let Ok(page) = within(DECODING_BYTES_MAX, || Page::decode(page_bytes, &reference)) else { continue };
        assert_eq!(page.encode(), page_bytes, "there is one way to write a page");
        accepted.push((reference, page));
    }
    let references: Vec<PageRef> = accepted.iter().map(|(reference, _)| *reference).collect();
    let Some(root) = root_of(references) else { return };
    let Ok(mut layout) = Layout::new(&root, Detail::Full) else { return };
    check_layout(&layout, &root);
    for (reference, page) in &accepted {
        let known = layout.known().len();
        if let Ok(added) = layout.add_page(reference, page) {
            assert_eq!(layout.known().len(), known + added);
        }
        check_layout(&layout, &root);
    }
    layout.forget(ChunkRange { start: 0, count: root.chunk_count });
    assert!(layout.known().is_empty(), "a root of pages has no chunks of its own");
    check_layout(&layout, &root);
}

fn reference_of(bytes: &[u8], lie: u8) -> Option<PageRef> {
    let page: Page = codec::decode::<_, PAGE_DECODED_BYTES_MAX>(bytes).ok()?;
    let (height, chunks, total) = match &page.body {
        PageBody::Leaf(entries) => {
            (0, u32::try_from(entries.len()).ok()?, entries.iter().map(|entry| u64::from(entry.length)).sum())
        }
        PageBody::Branch(pages) => {
            let height = pages.first()?.height.checked_add(1)?;
            let chunks = pages.iter().try_fold(0u32, |sum, page| sum.checked_add(page.chunks))?;
            (height, chunks, pages.iter().try_fold(0u64, |sum, page| sum.checked_add(page.bytes))?)
        }
    };
    let honest = PageRef { page: page_id(bytes), height, chunks, bytes: total };
    Some(match lie {
        1 => PageRef { height: height.wrapping_add(1), ..honest },
        2 => PageRef { chunks: chunks.wrapping_add(1), ..honest },
        3 => PageRef { bytes: total.wrapping_sub(1), ..honest },
        _ => honest,
    })
}

/// The root of these pages, as it comes out of the decoder.
fn root_of(pages: Vec<PageRef>) -> Option<Root> {
    let root = Root {
        format: FORMAT,
        kind: RootKind::File,
        cipher: CIPHER_NONE,
        parameters: ChunkParameters::for_size(0),
        chunk_count: pages.iter().try_fold(0u32, |sum, page| sum.checked_add(page.chunks))?,
        total_bytes: pages.iter().try_fold(0u64, |sum, page| sum.checked_add(page.bytes))?,
        whole_hash: [7; 32],
        body: PageBody::Branch(pages),
        extensions: Extensions::default(),
    };
    let bytes = root.encode();
    Root::decode(&bytes, &content_id(&bytes)).ok()
}

/// A chunk's entry, different for each number.
fn entry(number: u32) -> ChunkEntry {
    let id = *blake3::hash(&number.to_le_bytes()).as_bytes();
    ChunkEntry { id: ChunkId(id), length: 1 + number % 100_000 }
}

/// A manifest of so many chunks: root, then pages.
fn manifest(chunks: u32, kind: RootKind) -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut builder = ManifestBuilder::new(ChunkParameters::for_size(0));
    let made = (0..chunks).map(|number| builder.push(entry(number)).expect("entries keep the limits"));
    let mut pages: Vec<_> = made.collect::<Vec<_>>().into_iter().flatten().collect();
    let mut built = builder.finish(kind, [7; 32]);
    pages.append(&mut built.pages);
    (built.root_bytes, pages.into_iter().map(|page| page.bytes).collect())
}

fn roots() -> Vec<Seed> {
    let seed = |name: &str, chunks, kind| Seed::new(name, manifest(chunks, kind).0);
    vec![
        seed("empty", 0, RootKind::File),
        seed("file", 3, RootKind::File),
        seed("tree", 5, RootKind::Tree { listing_bytes: 9 }),
        seed("branch", 3000, RootKind::File),
    ]
}

fn pages() -> Vec<Seed> {
    let honest = |page: &Vec<u8>| [&[0], page.as_slice()].concat();
    let page = |entries: std::ops::Range<u32>| Page { body: PageBody::Leaf(entries.map(entry).collect()) }.encode();
    let two = [page(0..64), page(64..70)];
    let (_, of_branch) = manifest(200, RootKind::File);
    let height_1 = PageBody::Branch(two.iter().filter_map(|page| reference_of(page, 0)).collect());
    let height_1 = Page { body: height_1 }.encode();
    vec![
        Seed::new("leaf", input::join([honest(&two[1])])),
        Seed::new("leaves", input::join(two.iter().map(honest))),
        Seed::new("twice", input::join([&two[0], &two[0], &two[1]].map(honest))),
        Seed::new("height", input::join([honest(&height_1)])),
        Seed::new("built", input::join(of_branch.iter().map(honest))),
        Seed::new("lies", input::join((1..=3u8).map(|lie| [&[lie], two[1].as_slice()].concat()))),
    ]
}
