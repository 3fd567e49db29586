//! What a person did to a file after it was received is theirs: nothing here takes it from them.

mod kit;

use kit::{Bench, Two, World, copy_all, copy_chunk, noise};
use mesh_proto::port::store::StoredContent;
use mesh_store::disk::Access;

fn worlds() -> [World; 2] {
    [World::all_in_memory(), World::system_and_memory()]
}

/// Receives a file of noise as `copy`.
fn received(two: &Two<'_>, length: usize) -> StoredContent {
    let stored = two.shared(&noise(length, 1));
    let begun = two.begin(&stored);
    copy_all(&two.source, &two.getter, &stored, &begun.have);
    two.getter.finish(stored.content).expect("finishes")
}

fn write_at(world: &World, name: &str, bytes: &[u8], offset: u64) {
    let file = world.disk.open(&world.path(name), Access::ReadWrite).expect("opens");
    file.write_at(bytes, offset).expect("writes");
}

fn partials(world: &World) -> Vec<String> {
    let names = world.disk.list(&world.root).expect("lists");
    names.into_iter().filter(|name| name.ends_with(".mesh-part")).collect()
}

fn is_known(store: &Bench, stored: &StoredContent) -> bool {
    store.verify(stored.content).is_ok()
}

#[test]
fn a_repair_that_is_given_up_gives_the_file_back() {
    for (restarts, delete_files) in [(false, false), (true, false), (false, true), (true, true)] {
        for world in &worlds() {
            let mut two = Two::new(world);
            let stored = received(&two, 400_000);
            write_at(world, "copy", b"damage", 200_000);
            let damaged = world.read("copy");
            assert!(two.getter.verify(stored.content).expect("reads").len() < stored.chunk_count);
            two.getter.repair(stored.content).expect("begins");
            assert!(!world.exists("copy") && partials(world).len() == 1);
            if restarts {
                two = two.restart_getter();
            }
            two.getter.remove(stored.content, delete_files).expect("gives up");
            assert!(partials(world).is_empty());
            assert_eq!(world.exists("copy"), !delete_files);
            if !delete_files {
                assert_eq!(world.read("copy"), damaged);
            }
            assert!(!is_known(&two.getter, &stored));
        }
    }
}

#[test]
fn what_was_written_behind_a_received_file_is_never_cut_off() {
    for world in &worlds() {
        let two = Two::new(world);
        let stored = received(&two, 300_000);
        write_at(world, "copy", b"rows of mine", 300_000);
        let mine = world.read("copy");
        let failure = two.getter.verify(stored.content).expect_err("it is not what was received");
        assert!(failure.why.contains("longer"), "{}", failure.why);
        assert!(two.getter.repair(stored.content).is_err());
        assert!(two.getter.remove(stored.content, true).is_err());
        assert_eq!(world.read("copy"), mine);
        let two = two.restart_getter();
        assert!(two.getter.remove(stored.content, true).is_err());
        assert_eq!(world.read("copy"), mine);
    }
}

#[test]
fn what_was_written_behind_a_file_whose_end_was_not_noted_is_never_cut_off() {
    for world in &worlds() {
        let two = Two::new(world);
        let stored = two.shared(&noise(300_000, 1));
        let begun = two.begin(&stored);
        copy_all(&two.source, &two.getter, &stored, &begun.have);
        two.getter.engine.checkpoint();
        // As after a crash between the final name and the note of it.
        let partial = partials(world).pop().expect("a partial file");
        world.disk.rename(&world.path(&partial), &world.path("copy")).expect("renames");
        write_at(world, "copy", b"rows of mine", 300_000);
        let mine = world.read("copy");
        let two = two.restart_getter();
        let failure = two.getter.receive(stored.content, None, &world.path("copy")).expect_err("it is somebody's");
        assert!(failure.why.contains("exists already"), "{}", failure.why);
        assert_eq!(world.read("copy"), mine);
    }
}

#[test]
fn a_restored_file_that_is_shared_again_is_served_again() {
    for world in &worlds() {
        let two = Two::new(world);
        let stored = received(&two, 300_000);
        world.disk.remove_file(&world.path("copy")).expect("removes");
        world.write("copy", b"something else");
        let all = mesh_proto::ChunkRange { start: 0, count: stored.chunk_count };
        assert!(two.getter.bytes(stored.content, all).is_err());
        world.disk.remove_file(&world.path("copy")).expect("removes");
        let path = world.write("copy", &noise(300_000, 1));
        assert_eq!(two.getter.share(&path).expect("shares").content, stored.content);
        assert_eq!(two.getter.bytes(stored.content, all).expect("serves"), noise(300_000, 1));
        // And an intact copy takes the place of one that was changed.
        world.write("copy", b"changed again");
        assert!(two.getter.bytes(stored.content, all).is_err());
        let other = world.write("other", &noise(300_000, 1));
        let shared = two.getter.share(&other).expect("shares");
        assert_eq!(shared.path, other.to_string_lossy());
        assert_eq!(two.getter.bytes(stored.content, all).expect("serves"), noise(300_000, 1));
    }
}

#[test]
fn what_is_being_fetched_is_not_shared_beside_that() {
    let world = World::all_in_memory();
    let two = Two::new(&world);
    let stored = two.shared(&noise(300_000, 1));
    let _ = two.begin(&stored);
    copy_chunk(&two.source, &two.getter, stored.content, 0).expect("takes");
    let path = world.write("stick", &noise(300_000, 1));
    let failure = two.getter.share(&path).expect_err("it is being fetched");
    assert!(failure.why.contains("being fetched to") && failure.why.contains("copy"), "{}", failure.why);
    let received = two.resume(&stored);
    assert!(received.have.contains(0));
    copy_all(&two.source, &two.getter, &stored, &received.have);
    two.getter.finish(stored.content).expect("finishes");
}
