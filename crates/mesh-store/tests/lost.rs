//! What the store keeps of a content is lost, or its files are away: it is said, and there is a way back.

mod kit;

use std::fs::{self, File};
use std::path::Path;

use kit::{Bench, World, noise, one};
use mesh_proto::ContentId;
use mesh_proto::port::store::{Look, StoreInput};
use mesh_store::disk::FaultyDisk;

/// What was said of contents that are not as they were.
fn said(bench: &Bench) -> Vec<String> {
    let inputs = bench.inputs.lock();
    inputs
        .iter()
        .filter_map(|input| if let StoreInput::Changed { why, .. } = input { Some(why.clone()) } else { None })
        .collect()
}

fn manifest_of(content: ContentId, ending: &str) -> String {
    let name = content.to_string();
    format!("a/store/manifests/{}/{name}{ending}", &name[..2])
}

#[test]
fn a_lost_manifest_is_said_once_and_made_anew_when_the_path_is_shared_again() {
    for (ending, is_tree) in [("", false), ("", true), (".listing", true)] {
        let world = World::system_and_sled();
        let path = if is_tree { world.path("tree") } else { world.path("file") };
        if is_tree {
            world.disk.create_folders(&path).expect("makes");
            world.write("tree/file", &noise(300_000, 2));
        } else {
            world.write("file", &noise(300_000, 2));
        }
        let stored = world.open("a").share(&path).expect("shares");
        let manifest = world.path(&manifest_of(stored.content, ending));
        for damage in [None, Some(b"damaged".as_slice())] {
            match damage {
                None => world.disk.remove_file(&manifest).expect("deletes"),
                Some(bytes) => fs::write(&manifest, bytes).expect("writes"),
            }
            let store = world.open("a");
            assert!(store.bytes(stored.content, one(0)).is_err());
            let _ = store.root(stored.content);
            assert!(store.verify(stored.content).is_err_and(|failure| failure.why.contains("share")));
            let why = said(&store);
            assert!(why.len() == 1 && why[0].contains(&*path.to_string_lossy()), "{why:?}");
            assert_eq!(store.share(&path).expect("shares"), stored, "the same bytes are the same content");
            store.bytes(stored.content, one(0)).expect("serves");
            assert!(store.root(stored.content).is_some());
        }
    }
}

#[test]
fn a_log_that_is_gone_is_said() {
    let world = World::system_and_memory();
    let store = world.open("a");
    store.share(&world.write("file", &noise(50_000, 3))).expect("shares");
    drop(store);
    assert!(world.open("a").opened().2.is_empty());
    for damage in [None, Some(b"mesh".as_slice())] {
        let log = world.path("a/store/log");
        match damage {
            None => world.disk.remove_file(&log).expect("deletes"),
            Some(bytes) => fs::write(&log, bytes).expect("writes"),
        }
        let (_, contents, repairs) = world.open("a").opened();
        assert!(contents.is_empty() && repairs.len() == 1 && repairs[0].contains("was gone"), "{repairs:?}");
    }
    let fresh = World::system_and_memory();
    assert!(fresh.open("a").opened().2.is_empty(), "a new store lacks nothing");
}

#[test]
fn what_lies_on_a_disk_that_comes_back_is_given_again() {
    let disk = FaultyDisk::default();
    let world = World::on(&disk);
    let store = world.open("a");
    let stored = store.share(&world.write("file", &noise(300_000, 4))).expect("shares");
    disk.set_removed(true);
    assert!(store.bytes(stored.content, one(0)).is_err());
    assert_eq!(said(&store).len(), 1);
    assert!(matches!(store.look(stored.content), Look::Gone(_)));
    disk.set_removed(false);
    assert!(store.bytes(stored.content, one(0)).is_err(), "it was not looked at yet");
    assert_eq!(store.look(stored.content), Look::Same);
    store.bytes(stored.content, one(0)).expect("serves");
    // A second time it is said again.
    disk.set_removed(true);
    assert!(store.bytes(stored.content, one(0)).is_err());
    assert_eq!(said(&store).len(), 2);
    disk.set_removed(false);
    world.write("file", &noise(300_000, 5));
    assert!(matches!(store.look(stored.content), Look::Changed(_)), "it is another file by now");
    assert!(matches!(store.look(stored.content), Look::Changed(_)), "and stays one");
    assert!(store.bytes(stored.content, one(0)).is_err());
}

#[test]
fn what_was_read_and_is_wrong_does_not_become_right_by_being_away() {
    let disk = FaultyDisk::default();
    let world = World::on(&disk);
    let store = world.open("a");
    let path = world.write("file", &noise(300_000, 6));
    let stored = store.share(&path).expect("shares");
    // Size and time stay as they were.
    disk.flip(&path, 800).expect("flips");
    assert!(store.bytes(stored.content, one(0)).is_err());
    disk.set_removed(true);
    assert!(store.bytes(stored.content, one(0)).is_err());
    disk.set_removed(false);
    assert!(matches!(store.look(stored.content), Look::Changed(_)));
    assert!(store.bytes(stored.content, one(0)).is_err());
}

/// Puts another file in the place of one, of this content and the same time.
fn replace(path: &Path, bytes: &[u8]) {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).expect("the file is there");
    let other = path.with_extension("other");
    fs::write(&other, bytes).expect("writes");
    File::options().write(true).open(&other).and_then(|file| file.set_modified(modified)).expect("sets the time");
    fs::rename(other, path).expect("renames");
}

#[test]
fn a_file_that_its_file_system_numbers_anew_is_the_same_one() {
    let world = World::system_and_memory();
    let path = world.write("file", &noise(300_000, 7));
    let store = world.open("a");
    let stored = store.share(&path).expect("shares");
    replace(&path, &noise(300_000, 7));
    store.bytes(stored.content, one(0)).expect("serves");
    drop(store);
    let store = world.open("a");
    assert_eq!(store.look(stored.content), Look::Same);
    store.bytes(stored.content, one(0)).expect("serves");
    drop(store);
    // What only looks like it is noticed when it is read.
    replace(&path, &noise(300_000, 8));
    let store = world.open("a");
    assert!(store.bytes(stored.content, one(0)).is_err());
    assert!(matches!(store.look(stored.content), Look::Changed(_)));
}
