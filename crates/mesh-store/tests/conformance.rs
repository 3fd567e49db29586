//! What every store promises, whatever disk and index it stands on: one suite, run over all of them.

mod kit;

use kit::{Two, World, copy_all, copy_chunk, noise, one, read_all};
use mesh_proto::payload::{SinkError, SourceError};
use mesh_proto::port::store::{StoreInput, StoredContent};
use mesh_proto::{ChunkRange, PageId};
use mesh_store::OpenError;
use mesh_store::disk::{Access, Kind};

/// Makes a module of tests for each promise, a test for each kind of store in it.
macro_rules! promises {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            #[test]
            fn on_the_system_disk_with_sled() {
                super::promise::$name(&super::World::system_and_sled());
            }
            #[test]
            fn on_the_system_disk_with_a_memory_index() {
                super::promise::$name(&super::World::system_and_memory());
            }
            #[test]
            fn on_the_faulty_disk_with_sled() {
                super::promise::$name(&super::World::faulty_and_sled());
            }
            #[test]
            fn on_the_faulty_disk_with_a_memory_index() {
                super::promise::$name(&super::World::faulty_and_memory());
            }
            #[test]
            fn all_in_memory() {
                super::promise::$name(&super::World::all_in_memory());
            }
        }
    )* };
}

promises!(
    files_of_every_size_arrive_as_they_were,
    a_folder_arrives_with_modes_links_times_and_empty_parts,
    a_wrong_byte_is_refused_and_never_visible,
    what_was_written_is_there_after_a_restart,
    damage_to_what_was_kept_is_caught_and_fetched_again,
    an_unfinished_chunk_is_kept_aside_and_gone_on_with,
    a_changed_file_is_noticed_and_not_served,
    what_is_in_the_way_is_left_alone,
    a_store_is_opened_once,
    an_unchanged_path_is_not_read_again,
    damage_to_a_received_file_is_found_and_repaired,
    a_second_copy_is_verified_and_complete,
    what_a_person_put_in_its_place_is_not_deleted,
    what_belongs_to_no_content_is_swept,
    pages_of_a_large_manifest_are_found,
    rows_are_kept,
);

mod promise {
    use super::*;

    pub fn files_of_every_size_arrive_as_they_were(world: &World) {
        let two = Two::new(world);
        for (round, length) in [0, 1, 65_536, 3_000_000].into_iter().enumerate() {
            let bytes = noise(length, round as u64);
            let stored = two.shared(&bytes);
            assert_eq!(stored.whole_hash, *blake3::hash(&bytes).as_bytes());
            let received = two.begin(&stored);
            assert!(received.have.is_empty());
            copy_all(&two.source, &two.getter, &stored, &received.have);
            assert!(!world.exists("copy"), "the final name appears only when all is verified");
            let done = two.getter.finish(stored.content).expect("finishes");
            assert!(done.complete && !done.in_place);
            assert_eq!(world.read("copy"), bytes);
            two.getter.remove(stored.content, true).expect("removes");
            assert!(!world.exists("copy"));
        }
    }

    pub fn a_folder_arrives_with_modes_links_times_and_empty_parts(world: &World) {
        let (two, disk) = (Two::new(world), &world.disk);
        disk.create_folders(&world.path("folder/deep/empty")).expect("makes");
        world.write("folder/deep/large", &noise(300_000, 3));
        world.write("folder/script", b"#!/bin/sh\n");
        world.write("folder/nothing", b"");
        disk.set_mode(&world.path("folder/script"), 0o750).expect("sets");
        disk.set_modified(&world.path("folder/script"), 1_234_567_890_123).expect("sets");
        disk.symlink("script", &world.path("folder/link")).expect("links");
        let stored = two.source.share(&world.path("folder")).expect("shares");
        let received = two.begin(&stored);
        assert!(!received.listing_checked);
        copy_all(&two.source, &two.getter, &stored, &received.have);
        two.getter.finish(stored.content).expect("finishes");
        assert_eq!(world.read("copy/deep/large"), noise(300_000, 3));
        let script = disk.metadata(&world.path("copy/script")).expect("is there");
        assert_eq!((script.mode, script.modified_ms()), (0o750, 1_234_567_890_123));
        assert_eq!(disk.read_link(&world.path("copy/link")).expect("a link"), "script");
        assert_eq!(disk.metadata(&world.path("copy/deep/empty")).expect("is there").kind, Kind::Folder);
        assert_eq!(world.read("copy/nothing"), b"");
        // And it is served on from there.
        for chunk in 0..stored.chunk_count {
            two.getter.bytes(stored.content, one(chunk)).expect("serves");
        }
    }

    pub fn a_wrong_byte_is_refused_and_never_visible(world: &World) {
        let two = Two::new(world);
        let stored = two.shared(&noise(1_000_000, 5));
        let _ = two.begin(&stored);
        let range = ChunkRange { start: 0, count: 2 };
        let mut bytes = two.source.bytes(stored.content, range).expect("reads");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let mut sink = two.getter.sink(stored.content, range, 0).expect("open");
        assert_eq!(sink.write(&bytes), Err(SinkError::Mismatch { chunk: 1 }));
        assert!(sink.write(&bytes).is_err(), "a sink that was lied to takes nothing more");
        drop(sink);
        assert!(matches!(two.getter.source(stored.content, one(1), 0), Err(SourceError::NotHeld)));
        assert!(two.getter.finish(stored.content).is_err());
        assert!(!world.exists("copy"));
    }

    pub fn what_was_written_is_there_after_a_restart(world: &World) {
        let mut two = Two::new(world);
        let stored = two.shared(&noise(2_000_000, 9));
        let _ = two.begin(&stored);
        let half = ChunkRange { start: 0, count: stored.chunk_count / 2 };
        for chunk in 0..half.count {
            copy_chunk(&two.source, &two.getter, stored.content, chunk).expect("takes");
        }
        two = two.restart_getter();
        let again = two.resume(&stored);
        assert!(again.have.contains_range(half), "{:?}", again.have);
        copy_all(&two.source, &two.getter, &stored, &again.have);
        two.getter.finish(stored.content).expect("finishes");
        assert_eq!(world.read("copy"), noise(2_000_000, 9));
        two = two.restart_getter();
        let (_, contents, repairs) = two.getter.opened();
        assert!(contents[0].complete && repairs.is_empty(), "{repairs:?}");
        two.getter.bytes(stored.content, one(0)).expect("serves");
    }

    pub fn damage_to_what_was_kept_is_caught_and_fetched_again(world: &World) {
        let mut two = Two::new(world);
        let stored = two.shared(&noise(1_000_000, 11));
        let received = two.begin(&stored);
        copy_all(&two.source, &two.getter, &stored, &received.have);
        two.getter.engine.checkpoint();
        two = two.restart_getter();
        let names = world.disk.list(&world.root).expect("lists");
        let partial = names.into_iter().find(|name| name.ends_with(".mesh-part")).expect("a partial file");
        let file = world.disk.open(&world.path(&partial), Access::ReadWrite).expect("opens");
        let mut byte = [0];
        file.read_at(&mut byte, 500_000).expect("reads");
        file.write_at(&[byte[0] ^ 1], 500_000).expect("writes");
        two.resume(&stored);
        let failure = two.getter.finish(stored.content).expect_err("a flipped bit must not get the final name");
        assert!(failure.may_pass && failure.why.contains("1 chunks were damaged"), "{}", failure.why);
        assert!(!world.exists("copy"));
        let again = two.resume(&stored);
        assert_eq!(again.have.len(), stored.chunk_count - 1);
        copy_all(&two.source, &two.getter, &stored, &again.have);
        two.getter.finish(stored.content).expect("finishes");
    }

    pub fn an_unfinished_chunk_is_kept_aside_and_gone_on_with(world: &World) {
        let mut two = Two::new(world);
        let stored = two.shared(&noise(500_000, 13));
        let _ = two.begin(&stored);
        let bytes = two.source.bytes(stored.content, one(0)).expect("reads");
        let mut sink = two.getter.sink(stored.content, one(0), 0).expect("open");
        sink.write(&bytes[..1000]).expect("takes");
        assert_eq!(sink.set_aside(), 1000);
        two = two.restart_getter();
        assert_eq!(two.resume(&stored).aside, [(0, 1000)]);
        let rest = read_all(&mut *two.source.source(stored.content, one(0), 1000).expect("held")).expect("reads");
        let mut sink = two.getter.sink(stored.content, one(0), 1000).expect("open");
        assert_eq!(sink.write(&rest).expect("takes").chunks_verified, 1);
    }

    pub fn a_changed_file_is_noticed_and_not_served(world: &World) {
        let two = Two::new(world);
        let mut bytes = noise(500_000, 17);
        let stored = two.shared(&bytes);
        bytes[10] ^= 1;
        world.write("file", &bytes);
        assert!(matches!(two.source.source(stored.content, one(0), 0), Err(SourceError::Changed { .. })));
        let told = two.source.inputs.lock().pop();
        assert!(matches!(told, Some(StoreInput::Changed { .. })), "{told:?}");
        let again = two.source.share(&world.path("file")).expect("shares");
        assert_ne!(again.content, stored.content);
        two.source.bytes(again.content, one(0)).expect("serves what it is now");
    }

    pub fn what_is_in_the_way_is_left_alone(world: &World) {
        let two = Two::new(world);
        let stored = two.shared(&noise(100_000, 19));
        world.write("copy", b"mine");
        let root = two.source.root(stored.content);
        let failure = two.getter.receive(stored.content, root, &world.path("copy")).expect_err("in the way");
        assert!(failure.why.contains("exists already"), "{}", failure.why);
        world.disk.remove_file(&world.path("copy")).expect("removes");
        let received = two.begin(&stored);
        copy_all(&two.source, &two.getter, &stored, &received.have);
        world.write("copy", b"mine");
        let failure = two.getter.finish(stored.content).expect_err("in the way");
        assert!(failure.why.contains("came into being"), "{}", failure.why);
        assert_eq!(world.read("copy"), b"mine");
        world.disk.remove_file(&world.path("copy")).expect("removes");
        two.getter.finish(stored.content).expect("now it can");
    }

    pub fn a_store_is_opened_once(world: &World) {
        let first = world.open("a");
        assert!(matches!(world.try_open("a"), Err(OpenError::Locked { .. })));
        drop(first);
        drop(world.open("a"));
    }

    pub fn an_unchanged_path_is_not_read_again(world: &World) {
        let bench = world.open("a");
        world.disk.create_folders(&world.path("tree/deep")).expect("makes");
        world.write("tree/deep/one", &noise(100_000, 23));
        let path = world.write("file", &noise(200_000, 29));
        // Only files that have been at rest for a while are recognised by their looks.
        settle(world);
        for path in [path, world.path("tree")] {
            let stored = bench.share(&path).expect("shares");
            let before = bench.engine.paths_read();
            assert_eq!(bench.share(&path), Ok(stored.clone()));
            assert_eq!(bench.engine.paths_read(), before, "{} was read again", path.display());
            bench.bytes(stored.content, one(0)).expect("serves");
        }
        world.write("tree/deep/one", &noise(100_000, 31));
        let changed = bench.share(&world.path("tree")).expect("shares");
        let first = bench.bytes(changed.content, ChunkRange { start: 0, count: changed.chunk_count });
        assert!(first.expect("serves").ends_with(&noise(100_000, 31)));
    }

    pub fn damage_to_a_received_file_is_found_and_repaired(world: &World) {
        let two = Two::new(world);
        let bytes = noise(1_000_000, 37);
        let stored = two.shared(&bytes);
        let received = two.begin(&stored);
        copy_all(&two.source, &two.getter, &stored, &received.have);
        two.getter.finish(stored.content).expect("finishes");
        assert_eq!(two.getter.verify(stored.content).expect("reads").len(), stored.chunk_count);
        let file = world.disk.open(&world.path("copy"), Access::ReadWrite).expect("opens");
        file.write_at(&[bytes[700_000] ^ 1], 700_000).expect("writes");
        assert_eq!(two.getter.verify(stored.content).expect("reads").len(), stored.chunk_count - 1);
        let again = two.getter.repair(stored.content).expect("begins");
        assert_eq!(again.have.len(), stored.chunk_count - 1);
        assert!(!world.exists("copy"), "what is damaged does not stand under the final name");
        copy_all(&two.source, &two.getter, &stored, &again.have);
        two.getter.finish(stored.content).expect("finishes");
        assert_eq!(world.read("copy"), bytes);
        // All of it gone is only more damage.
        world.disk.remove_file(&world.path("copy")).expect("removes");
        assert!(two.getter.verify(stored.content).expect("looks").is_empty());
        let again = two.getter.repair(stored.content).expect("begins");
        copy_all(&two.source, &two.getter, &stored, &again.have);
        two.getter.finish(stored.content).expect("finishes");
        assert_eq!(world.read("copy"), bytes);
    }

    pub fn a_second_copy_is_verified_and_complete(world: &World) {
        let bench = world.open("a");
        world.disk.create_folders(&world.path("tree/deep")).expect("makes");
        world.write("tree/deep/one", &noise(100_000, 47));
        world.write("tree/empty", b"");
        world.disk.set_mode(&world.path("tree/deep/one"), 0o640).expect("sets");
        let tree = bench.share(&world.path("tree")).expect("shares");
        bench.copy(tree.content, &world.path("second")).expect("copies");
        assert_eq!(world.read("second/deep/one"), noise(100_000, 47));
        assert_eq!(world.read("second/empty"), b"");
        assert_eq!(world.disk.metadata(&world.path("second/deep/one")).expect("is there").mode, 0o640);
        let file = bench.share(&world.write("file", &noise(300_000, 53))).expect("shares");
        let failure = bench.copy(file.content, &world.path("second")).expect_err("in the way");
        assert!(failure.why.contains("exists already"), "{}", failure.why);
        bench.copy(file.content, &world.path("third")).expect("copies");
        assert_eq!(world.read("third"), noise(300_000, 53));
        world.write("file", &noise(300_000, 59));
        bench.copy(file.content, &world.path("fourth")).expect_err("it is no longer what was shared");
        let left = world.disk.list(&world.root).expect("lists");
        assert!(!left.iter().any(|name| name.contains("fourth")), "{left:?}");
    }

    pub fn what_a_person_put_in_its_place_is_not_deleted(world: &World) {
        let two = Two::new(world);
        world.disk.create_folders(&world.path("tree")).expect("makes");
        world.write("tree/one", &noise(1_000, 61));
        let get = |stored: &StoredContent| {
            let received = two.begin(stored);
            copy_all(&two.source, &two.getter, stored, &received.have);
            two.getter.finish(stored.content).expect("finishes");
        };
        let file = two.shared(&noise(100_000, 67));
        get(&file);
        world.write("copy", b"mine");
        let failure = two.getter.remove(file.content, true).expect_err("it is somebody's");
        assert!(failure.why.contains("no longer what was received"), "{}", failure.why);
        two.getter.remove(file.content, false).expect("it is forgotten and left where it is");
        assert_eq!(world.read("copy"), b"mine");
        world.disk.remove_file(&world.path("copy")).expect("removes");
        let tree = two.source.share(&world.path("tree")).expect("shares");
        get(&tree);
        world.write("copy/two", b"mine");
        two.getter.remove(tree.content, true).expect_err("something of it is somebody's");
        two.getter.remove(tree.content, false).expect("it is forgotten");
        assert_eq!(world.read("copy/two"), b"mine");
        world.disk.remove_folder(&world.path("copy")).expect("removes");
        get(&tree);
        two.getter.remove(tree.content, true).expect("removes");
        assert!(!world.exists("copy"));
    }

    pub fn what_belongs_to_no_content_is_swept(world: &World) {
        let two = Two::new(world);
        let stored = two.shared(&noise(100_000, 41));
        let stray = |name: &str| {
            let path = format!("a/store/manifests/{}/{name}", &stored.content.to_string()[..2]);
            world.write(&path, b"left behind");
            path
        };
        let (old, unknown) = ("a/store/manifests/new-99", stray(&"ab".repeat(32)));
        world.write(old, b"left behind");
        two.source.sweep().expect("sweeps");
        assert!(!world.exists(old) && !world.exists(&unknown));
        assert!(two.source.root(stored.content).is_some(), "what is known stays");
    }

    pub fn pages_of_a_large_manifest_are_found(world: &World) {
        let bench = world.open("a");
        // Of a manifest over 16 KiB pages are looked up by the index.
        let stored = bench.share(&world.write("file", &noise(56 << 20, 43))).expect("shares");
        assert!(stored.chunk_count > 16_384 / 36);
        let root = bench.root(stored.content).expect("a root");
        let root = mesh_chunk::Root::decode(&root, &stored.content).expect("decodes");
        let layout = mesh_chunk::Layout::new(&root, mesh_chunk::Detail::Full).expect("a layout");
        for _ in 0..2 {
            for reference in layout.missing_pages() {
                let page = bench.page(stored.content, reference.page).expect("is there");
                assert!(mesh_chunk::Page::decode(&page, &reference).is_ok());
            }
            assert_eq!(bench.page(stored.content, PageId([7; 32])), None);
        }
    }

    pub fn rows_are_kept(world: &World) {
        let bench = world.open("a");
        for key in 0..20 {
            bench.put(&[key], &[key; 100]).expect("writes");
        }
        bench.put(&[3], b"other").expect("writes");
        drop(bench);
        let (rows, ..) = world.open("a").opened();
        assert_eq!(rows.len(), 20);
        assert!(rows.iter().any(|row| row.key == [3] && row.value == b"other"));
    }
}

/// Lets so much time go by that files written before count as being at rest.
fn settle(world: &World) {
    let probe = world.path("clock");
    let begun = world.disk.now_ns();
    while world.disk.now_ns() < begun + 2_100_000_000 {
        match world.disk.open(&probe, Access::Fresh).expect("opens").set_length(0) {
            // A disk in memory ticks with every change; the system's needs waiting.
            Ok(()) if world.root.starts_with("/home") => {}
            _ => std::thread::sleep(std::time::Duration::from_millis(100)),
        }
    }
}
