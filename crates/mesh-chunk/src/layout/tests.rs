//! Layouts rebuilt from pages in any order must say the same as the entries they were built from.

use super::*;
use crate::manifest::{BuiltManifest, EncodedPage, ManifestBuilder, RootKind};
use crate::test_data::{entries, next_random};
use proptest::prelude::*;

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

/// Adds missing pages in an order that `seed` chooses, as many as `pages_max`.
fn fill(layout: &mut Layout, built: &BuiltManifest, seed: u64, pages_max: usize) {
    let stored: BTreeMap<PageId, &EncodedPage> = built.pages.iter().map(|page| (page.reference.page, page)).collect();
    let mut state = seed | 1;
    for _ in 0..pages_max {
        let missing = layout.missing_pages();
        if missing.is_empty() {
            return;
        }
        let reference = missing[(next_random(&mut state) % missing.len() as u64) as usize];
        assert_eq!(layout.missing_page(&reference.page), Some(reference));
        let page = Page::decode(&stored[&reference.page].bytes, &reference).expect("a page of our own");
        layout.add_page(&reference, &page).expect("a page that is missing");
    }
}

fn agrees(layout: &Layout, entries: &[ChunkEntry]) {
    let mut offset = 0;
    for (index, entry) in (0u32..).zip(entries) {
        let is_known = layout.known().contains(index);
        assert_eq!(layout.length(index), is_known.then_some(entry.length));
        if is_known {
            assert_eq!(layout.offset_of(index), Some(offset));
            let last = offset + u64::from(entry.length) - 1;
            let expected = ChunkPosition { chunk: index, chunk_offset: offset, skip_bytes: entry.length - 1 };
            assert_eq!(layout.chunk_at(last), Some(expected));
        }
        assert!(layout.chunks_around(offset).is_some_and(|range| (range.start..range.end()).contains(&index)));
        offset += u64::from(entry.length);
    }
    assert_eq!(layout.offset_of(entries.len() as u32), Some(offset));
    assert_eq!(layout.offset_of(entries.len() as u32 + 1), None);
    assert_eq!(layout.length(entries.len() as u32), None);
    assert_eq!(layout.chunk_at(offset), None);
}

#[test]
fn an_empty_content_has_no_places() {
    let built = build(&[]);
    let layout = Layout::new(&built.root, Detail::Full).expect("a legal root");
    assert!(layout.is_complete() && layout.known().is_empty());
    agrees(&layout, &[]);
}

#[test]
fn a_page_in_several_places_is_asked_for_once() {
    let once = ChunkEntry { id: ChunkId([9; 32]), length: 1000 };
    let all = vec![once; 5000];
    let built = build(&all);
    let mut layout = Layout::new(&built.root, Detail::Full).expect("a legal root");
    assert_eq!(layout.missing_pages().len(), 2);
    fill(&mut layout, &built, 1, 2);
    assert!(layout.is_complete());
    assert_eq!(layout.known().len(), 5000);
    agrees(&layout, &all);
}

#[test]
fn only_lengths_are_kept_on_demand() {
    let all = entries(1, 3000);
    let built = build(&all);
    let mut layout = Layout::new(&built.root, Detail::LengthsOnly).expect("a legal root");
    fill(&mut layout, &built, 1, usize::MAX);
    agrees(&layout, &all);
    assert_eq!(layout.chunk(0), None);
}

#[test]
fn a_page_is_taken_once_and_only_where_it_fits() {
    let built = build(&entries(2, 3000));
    let mut layout = Layout::new(&built.root, Detail::Full).expect("a legal root");
    let first = &built.pages[0];
    let page = Page::decode(&first.bytes, &first.reference).expect("a page of our own");
    let other = PageRef { page: PageId([0; 32]), ..first.reference };
    assert!(matches!(layout.add_page(&other, &page), Err(LayoutError::NotMissing)));
    assert!(matches!(layout.add_page(&layout.missing_pages()[1], &page), Err(LayoutError::Page(_))));
    assert_eq!(layout.add_page(&first.reference, &page).ok(), Some(first.reference.chunks));
    assert!(matches!(layout.add_page(&first.reference, &page), Err(LayoutError::NotMissing)));
}

#[test]
fn chunks_longer_than_the_parameters_allow_are_refused() {
    let built = build(&[ChunkEntry { id: ChunkId([1; 32]), length: 256 * 1024 + 1 }]);
    assert!(matches!(Layout::new(&built.root, Detail::Full), Err(LayoutError::ChunkTooLong { length: 262_145 })));
}

#[test]
fn forgotten_leaves_are_missing_again() {
    let all = entries(3, 20_000);
    let built = build(&all);
    let mut layout = Layout::new(&built.root, Detail::Full).expect("a legal root");
    fill(&mut layout, &built, 1, usize::MAX);
    layout.forget(ChunkRange { start: 1000, count: 10_000 });
    let left = layout.known().len();
    assert!((10_000..12_100).contains(&left), "{left}");
    assert!(!layout.is_complete());
    agrees(&layout, &all);
    fill(&mut layout, &built, 2, usize::MAX);
    assert!(layout.is_complete());
    agrees(&layout, &all);
}

#[test]
fn missing_pages_are_named_from_where_one_asks() {
    let built = build(&entries(4, 5000));
    let layout = Layout::new(&built.root, Detail::Full).expect("a legal root");
    let all = layout.missing_pages();
    assert_eq!(layout.next_missing_pages(all[0].chunks - 1, 1), all[..1]);
    assert_eq!(layout.next_missing_pages(all[0].chunks, 2), all[1..3]);
    assert_eq!(layout.next_missing_pages(u32::MAX, 9), all[all.len() - 1..]);
    assert_eq!(layout.offset_of(all[0].chunks), Some(all[0].bytes));
    assert_eq!(layout.bytes_of(ChunkRange { start: 0, count: all[0].chunks }), Some(all[0].bytes));
    assert_eq!(layout.bytes_of(ChunkRange { start: 0, count: 1 }), None);
    assert_eq!(layout.bytes_of(ChunkRange { start: 1, count: u32::MAX }), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Some pages stand in several places, as where a file repeats itself.
    #[test]
    fn pages_forgotten_and_found_again_keep_every_place(
        seed in any::<u64>(),
        blocks in proptest::collection::vec(0u64..3, 1..20),
        steps in proptest::collection::vec((any::<bool>(), 0u32..6000, 0u32..4000), 0..10),
    ) {
        let all: Vec<ChunkEntry> = blocks.iter().flat_map(|block| entries(*block, 300)).collect();
        let built = build(&all);
        let mut layout = Layout::new(&built.root, Detail::Full).expect("a legal root");
        for (found, at, count) in steps {
            let before = layout.known().clone();
            if found {
                fill(&mut layout, &built, seed ^ u64::from(at), count as usize % 6);
                prop_assert!(before.difference(layout.known()).is_empty(), "what was known is lost");
            } else {
                let range = ChunkRange { start: at, count };
                layout.forget(range);
                let lost = before.difference(layout.known());
                prop_assert!(lost.runs().iter().all(|run| run.overlap(range) == Some(*run)), "{lost:?} of {range:?}");
            }
            prop_assert_eq!(layout.is_complete(), layout.known().len() as usize == all.len());
            agrees(&layout, &all);
        }
        fill(&mut layout, &built, seed, usize::MAX);
        prop_assert!(layout.is_complete());
        agrees(&layout, &all);
    }

    /// A chunk counts if its length is here, or if the whole missing page that holds it is asked for.
    #[test]
    fn of_missing_pages_those_count_that_are_in_the_range_as_a_whole(
        seed in any::<u64>(), pages_max in 0usize..8, start in 0u32..5000, count in 0u32..5000,
    ) {
        let all = entries(seed, 4000);
        let built = build(&all);
        let mut layout = Layout::new(&built.root, Detail::LengthsOnly).expect("a legal root");
        fill(&mut layout, &built, seed, pages_max);
        let range = ChunkRange { start, count };
        let (mut offset, mut expected) = (0, 0);
        for (index, entry) in (0u32..).zip(&all) {
            let page = layout.chunks_around(offset).expect("an offset within");
            let told = layout.length(index).is_some() || page.overlap(range) == Some(page);
            if told && (range.start..range.end()).contains(&index) {
                expected += u64::from(entry.length);
            }
            offset += u64::from(entry.length);
        }
        prop_assert_eq!(layout.bytes_told_of(range), expected);
    }

    #[test]
    fn pages_in_any_order_give_the_entries_back(
        seed in any::<u64>(), count in 0usize..8000, pages_max in prop_oneof![0usize..30, Just(usize::MAX)],
    ) {
        let all = entries(seed, count);
        let built = build(&all);
        let root = Root::decode(&built.root_bytes, &built.id).expect("a root of our own");
        let mut layout = Layout::new(&root, Detail::Full).expect("a legal root");
        fill(&mut layout, &built, seed, pages_max);
        agrees(&layout, &all);
        if layout.is_complete() {
            let rebuilt: Vec<ChunkEntry> = (0..layout.chunk_count()).filter_map(|index| layout.chunk(index)).collect();
            prop_assert_eq!(rebuilt, all);
        }
    }
}
