//! A folder as a content: its listing, and the paths and links in it.

use std::path::{Component, Path};

use mesh_chunk::tree::listing::TREE_BYTES_MAX;
use mesh_chunk::tree::path::{COMPONENT_BYTES_MAX, check_link_target, check_path};
use mesh_chunk::{EntryKind, Listing, TreeEntry, TreeMap, TreePart};
use mesh_proto::limits::TREE_PATH_BYTES_MAX;

use crate::memory::within;
use crate::{Seed, Target, input};

/// A listing may take so many times its bytes in memory: entries are some seventy bytes, where they take six at least.
const LISTING_TIMES_MAX: usize = 24;

pub const LISTING: Target =
    Target { name: "tree-listing", input_bytes_max: 16 * 1024, check: check_listing, seeds: listings };
pub const PATH: Target = Target { name: "tree-path", input_bytes_max: 1024, check: check_paths, seeds: paths };

fn check_listing(bytes: &[u8]) {
    let decoded = within(LISTING_TIMES_MAX * bytes.len() + 16 * 1024, || Listing::decode(bytes));
    let Ok(listing) = decoded else { return };
    assert_eq!(listing.encode().ok().as_deref(), Some(bytes), "there is one way to write a listing");
    let paths: Vec<&str> = listing.entries().iter().map(|entry| entry.path.as_str()).collect();
    paths.iter().for_each(|path| stays_below(path));
    let map = TreeMap::new(&listing, bytes.len() as u64);
    assert!(map.total_bytes() <= TREE_BYTES_MAX + bytes.len() as u64);
    let mut end = 0;
    for slice in map.locate(0, u64::MAX).take(64) {
        let start = match slice.part {
            TreePart::Listing => Some(0),
            TreePart::File(index) => map.offset_of_file(index),
        };
        assert_eq!(start, Some(end), "a gap or an overlap");
        end += slice.length;
    }
    let borders = map.forced_borders();
    assert!(borders.windows(2).all(|pair| pair[0] < pair[1]));
}

/// On every system, and whatever lies there: a path of plain names only.
fn stays_below(path: &str) {
    let plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    assert!(Path::new(path).components().all(plain), "{path:?} is no plain path");
    assert_eq!(Path::new(path).components().count(), path.split('/').count());
    assert!(path.len() <= TREE_PATH_BYTES_MAX && path.split('/').all(|name| name.len() <= COMPONENT_BYTES_MAX));
    assert!(!path.contains(['\\', ':', '\0']), "{path:?} means something else elsewhere");
}

/// Two parts: an entry's path, and where it points to if it is a link.
fn check_paths(bytes: &[u8]) {
    let mut parts = input::parts(bytes).map(input::text);
    let (path, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if check_path(&path).is_err() {
        return;
    }
    stays_below(&path);
    if check_link_target(&path, &target).is_err() {
        return;
    }
    let mut depth = path.split('/').count() - 1;
    for component in target.split('/') {
        match component {
            ".." => depth = depth.checked_sub(1).unwrap_or_else(|| panic!("{path:?} -> {target:?} leaves the tree")),
            name => {
                stays_below(name);
                depth += 1;
            }
        }
    }
}

/// Entries of every kind.
pub fn entries() -> Vec<TreeEntry> {
    let file = |path: &str, size_bytes| (path.to_owned(), EntryKind::File { size_bytes, mode: 0o644 });
    let all = [
        file("a/b.txt", 10),
        file("a/large", 100_000),
        file("données/été", 0),
        ("a".to_owned(), EntryKind::Directory { mode: 0o755 }),
        ("empty".to_owned(), EntryKind::Directory { mode: 0o700 }),
        ("link".to_owned(), EntryKind::Symlink { target: "a/b.txt".to_owned() }),
        ("x/y/up".to_owned(), EntryKind::Symlink { target: "../../a".to_owned() }),
    ];
    all.into_iter().map(|(path, kind)| TreeEntry { path, kind, modified_unix_ms: 1_700_000_000_000 }).collect()
}

fn listings() -> Vec<Seed> {
    let encoded = |entries: Vec<TreeEntry>| {
        let listing = Listing::new(entries).expect("the entries make a tree");
        listing.encode().expect("it is short")
    };
    let deep = |path: String| TreeEntry { path, kind: EntryKind::Directory { mode: 0 }, modified_unix_ms: 0 };
    vec![
        Seed::new("empty", encoded(Vec::new())),
        Seed::new("kinds", encoded(entries())),
        Seed::new("one", encoded(entries().into_iter().take(1).collect())),
        Seed::new("deep", encoded(vec![deep(vec!["a"; 200].join("/")), deep(vec!["b"; 200].join("/"))])),
    ]
}

fn paths() -> Vec<Seed> {
    let all = [("a/b", "../c"), ("x/y/z", "../../a/b"), ("CON.txt", ""), ("C:/x", "D:x"), ("é/ß", "ẞ"), ("a ", ".")];
    let seed =
        |(number, (path, target)): (usize, (&str, &str))| Seed::new(number.to_string(), input::join([path, target]));
    all.into_iter().enumerate().map(seed).collect()
}
