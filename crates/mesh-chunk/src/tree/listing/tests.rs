//! Every rule of a listing, broken once.

use super::*;
use proptest::prelude::*;

fn file(path: &str) -> TreeEntry {
    sized(path, 10)
}

fn sized(path: &str, size_bytes: u64) -> TreeEntry {
    let kind = EntryKind::File { size_bytes, mode: 0o644 };
    TreeEntry { path: path.to_owned(), kind, modified_unix_ms: 1_700_000_000_000 }
}

fn folder(path: &str) -> TreeEntry {
    TreeEntry { path: path.to_owned(), kind: EntryKind::Directory { mode: 0o755 }, modified_unix_ms: -1 }
}

fn link(path: &str, target: &str) -> TreeEntry {
    let kind = EntryKind::Symlink { target: target.to_owned() };
    TreeEntry { path: path.to_owned(), kind, modified_unix_ms: 0 }
}

fn bytes_of(entries: Vec<TreeEntry>) -> Vec<u8> {
    Listing { entries }.encode().expect("a short listing")
}

#[test]
fn a_good_listing_is_sorted_and_survives_the_way() {
    let entries = vec![link("z", "a/b"), file("a/b"), folder("a"), file("a-b"), folder("empty"), file("c/d/é.txt")];
    let listing = Listing::new(entries).expect("a legal tree");
    let paths: Vec<&str> = listing.entries().iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["a", "a-b", "a/b", "c/d/é.txt", "empty", "z"]);
    assert_eq!(Listing::decode(&listing.encode().expect("short")).ok(), Some(listing));
    assert_eq!(Listing::decode(&[1, 0, 0, 0, 0, 0]).ok(), Some(Listing::default()));
}

#[test]
fn paths_that_meet_are_refused() {
    let meet = |entries: Vec<TreeEntry>| Listing::new(entries).expect_err("the paths meet");
    assert!(matches!(meet(vec![file("a"), file("a")]), ListingError::Duplicate { .. }));
    assert!(matches!(meet(vec![file("a"), file("A")]), ListingError::CaseCollision { .. }));
    assert!(matches!(meet(vec![file("é"), file("É")]), ListingError::CaseCollision { .. }));
    assert!(matches!(meet(vec![file("A/x"), file("a/y")]), ListingError::CaseCollision { .. }));
    assert!(matches!(meet(vec![folder("A"), file("a/y")]), ListingError::CaseCollision { .. }));
    assert!(matches!(meet(vec![file("A/x"), file("a")]), ListingError::CaseCollision { .. }));
    assert!(matches!(meet(vec![file("a"), file("a/b/c")]), ListingError::FileAsFolder { .. }));
    assert!(matches!(meet(vec![file("a"), file("a-b"), file("a/b")]), ListingError::FileAsFolder { .. }));
    assert!(matches!(meet(vec![link("a", "b"), file("a/c")]), ListingError::ThroughLink { .. }));
}

#[test]
fn entries_that_break_a_rule_are_refused() {
    let broken = |entry: TreeEntry| Listing::new(vec![entry]).expect_err("a rule is broken");
    assert!(matches!(broken(file("../a")), ListingError::Path { source: PathError::Dots, .. }));
    assert!(matches!(broken(link("a", "..")), ListingError::Target { source: PathError::LeavesTree, .. }));
    let mut setuid = file("a");
    setuid.kind = EntryKind::File { size_bytes: 1, mode: 0o4755 };
    assert!(matches!(broken(setuid), ListingError::Mode { .. }));
    assert!(matches!(broken(sized("a", TREE_BYTES_MAX + 1)), ListingError::TreeTooLarge));
    let both = Listing::new(vec![sized("a", u64::MAX), sized("b", 1)]);
    assert!(matches!(both, Err(ListingError::TreeTooLarge)));
}

#[test]
fn bytes_that_break_a_rule_are_refused() {
    let good = bytes_of(vec![file("a"), file("b")]);
    let unsorted = bytes_of(vec![file("b"), file("a")]);
    assert!(matches!(Listing::decode(&unsorted), Err(ListingError::NotSorted { .. })));
    assert!(matches!(Listing::decode(&bytes_of(vec![file("a/..")])), Err(ListingError::Path { .. })));
    assert!(matches!(Listing::decode(&good[..good.len() - 1]), Err(ListingError::WrongLength)));
    assert!(matches!(Listing::decode(&good[..5]), Err(ListingError::WrongLength)));
    assert!(matches!(Listing::decode(&[&good[..], &[0]].concat()), Err(ListingError::WrongLength)));
    assert!(matches!(Listing::decode(&[2, 0, 0, 0, 0, 0]), Err(ListingError::UnknownFormat { format: 2 })));
    assert!(matches!(Listing::decode(&[1, 0, 0xff, 0xff, 0xff, 0xff]), Err(ListingError::TooManyEntries { .. })));
    assert!(matches!(Listing::decode(&[1, 0, 0, 0, 16, 0]), Err(ListingError::WrongLength)));
    let mut longer = bytes_of(vec![file("a")]);
    // The path's length, 1, written as a three-byte number.
    longer.splice(8..9, [251, 1, 0]);
    longer[6] += 2;
    assert!(matches!(Listing::decode(&longer), Err(ListingError::NotCanonical)));
}

#[test]
fn the_largest_entry_fits_its_limit_and_the_smallest_is_no_smaller() {
    let long = vec!["a".repeat(255); 16].join("/");
    let entry = TreeEntry { path: long.clone(), kind: EntryKind::Symlink { target: long }, modified_unix_ms: i64::MIN };
    let listing = Listing::new(vec![entry]).expect("long but legal");
    assert_eq!(Listing::decode(&listing.encode().expect("short")).ok(), Some(listing));
    let shortest = TreeEntry { path: "a".to_owned(), kind: EntryKind::Directory { mode: 0 }, modified_unix_ms: 0 };
    assert!(bytes_of(vec![shortest]).len() - HEADER_BYTES >= ENTRY_BYTES_MIN);
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail_without_panic(
        count in 0u8..4, body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = [&[1, 0, count, 0, 0, 0], &body[..]].concat();
        if let Ok(listing) = Listing::decode(&bytes) {
            prop_assert_eq!(listing.encode().expect("short"), bytes);
        }
    }

    #[test]
    fn damaged_listings_decode_or_fail_without_panic(at in any::<usize>(), value in any::<u8>()) {
        let mut bytes = bytes_of(vec![folder("a"), file("a/b"), link("c", "a/b")]);
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(listing) = Listing::decode(&bytes) {
            prop_assert_eq!(listing.encode().expect("short"), bytes);
        }
    }

    #[test]
    fn random_trees_are_refused_or_survive_the_way(paths in proptest::collection::vec("[abA](/[abA]){0,2}", 0..6)) {
        if let Ok(listing) = Listing::new(paths.iter().map(|path| file(path)).collect()) {
            prop_assert_eq!(Listing::decode(&listing.encode().expect("short")).ok(), Some(listing));
        }
    }

    #[test]
    fn a_tree_is_refused_just_where_two_of_its_paths_meet(
        tree in proptest::collection::btree_map("[abAéÉ-](/[abA-]){0,3}", 0u8..3, 0..9),
    ) {
        let entries: Vec<TreeEntry> = tree
            .iter()
            .map(|(path, kind)| match kind {
                0 => file(path),
                1 => folder(path),
                _ => link(path, "x"),
            })
            .collect();
        let meets = entries.iter().any(|one| entries.iter().any(|other| meets(one, other)));
        prop_assert_eq!(Listing::new(entries).is_err(), meets);
    }
}

/// Whether a system that ignores case takes a folder of the one, or its own place, for one of the other; or the one is in
/// the way of the other. Said of all pairs, and so too slow for any but small trees.
fn meets(one: &TreeEntry, other: &TreeEntry) -> bool {
    let places = |path: &str| -> Vec<String> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        ends.map(|end| path[..end].to_owned()).collect()
    };
    let (ours, theirs) = (places(&one.path), places(&other.path));
    let differ_in_case =
        ours.iter().any(|place| theirs.iter().any(|their| place != their && fold(place) == fold(their)));
    let above = other.path.strip_prefix(&one.path).is_some_and(|rest| rest.starts_with('/'));
    differ_in_case || (above && !matches!(one.kind, EntryKind::Directory { .. }))
}

#[test]
fn a_deep_path_takes_no_more_memory_than_a_long_one_may() {
    // Each folder on the way is a part of the path, and is not kept by itself: 2,000 of these would be gigabytes.
    let deep = |first: usize| folder(&format!("{first}/{}", vec!["a"; 2000].join("/")));
    assert!(Listing::new((0..2000).map(deep).collect()).is_ok());
}
