//! What happens to one content while something else happens to it.

mod kit;

use kit::{Two, World, copy_all, copy_chunk, noise, one};
use mesh_proto::CommandId;
use mesh_proto::port::store::{StoreCommand, StoreInput};
use mesh_store::disk::FaultyDisk;

#[test]
fn nothing_is_written_or_noted_of_what_was_removed() {
    let world = World::all_in_memory();
    let two = Two::new(&world);
    let stored = two.shared(&noise(500_000, 1));
    let _ = two.begin(&stored);
    copy_chunk(&two.source, &two.getter, stored.content, 0).expect("takes");
    let bytes = two.source.bytes(stored.content, one(1)).expect("serves");
    let mut late = two.getter.sink(stored.content, one(1), 0).expect("opens");
    two.getter.remove(stored.content, true).expect("removes");
    two.getter.engine.checkpoint();
    assert!(late.write(&bytes).is_err());
    drop(late);
    let again = two.begin(&stored);
    assert!(again.have.is_empty(), "{:?} was believed without a look", again.have);
    let two = two.restart_getter();
    assert!(two.resume(&stored).have.is_empty());
}

#[test]
fn a_repair_believes_nothing_that_was_kept_before() {
    let world = World::all_in_memory();
    for restarts in [false, true] {
        let mut two = Two::new(&world);
        let stored = two.shared(&noise(900_000, 2));
        let begun = two.begin(&stored);
        for chunk in mesh_proto::ChunkSet::full(stored.chunk_count).difference(&begun.have).iter() {
            copy_chunk(&two.source, &two.getter, stored.content, chunk).expect("takes");
            two.getter.engine.checkpoint();
        }
        two.getter.finish(stored.content).expect("finishes");
        let file = world.disk.open(&world.path("copy"), mesh_store::disk::Access::ReadWrite).expect("opens");
        file.write_at(b"damage", 450_000).expect("writes");
        if restarts {
            two = two.restart_getter();
        }
        let good = two.getter.verify(stored.content).expect("reads");
        assert!(good.len() < stored.chunk_count);
        let begun = two.getter.repair(stored.content).expect("begins");
        assert_eq!(begun.have, good);
        copy_all(&two.source, &two.getter, &stored, &begun.have);
        two.getter.finish(stored.content).expect("finishes");
        two.getter.remove(stored.content, true).expect("removes");
    }
}

#[test]
fn many_small_contents_are_served_with_few_files_open() {
    let world = World::system_and_memory();
    let store = world.open("a");
    let open_files = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let contents: Vec<_> = (0..200)
        .map(|number| store.share(&world.write(&format!("file{number}"), &noise(100, number))).expect("shares"))
        .collect();
    let before = open_files();
    for stored in &contents {
        store.bytes(stored.content, one(0)).expect("serves");
    }
    assert!(open_files() < before + 64, "{} files are open, {before} were before", open_files());
}

#[test]
fn a_removal_that_can_t_be_noted_forgets_nothing() {
    let disk = FaultyDisk::default();
    let world = World::on(&disk);
    let store = world.open("a");
    let stored = store.share(&world.write("file", &noise(1000, 1))).expect("shares");
    disk.set_full(true);
    assert!(store.remove(stored.content, false).expect_err("the disk is full").may_pass);
    assert_eq!(store.bytes(stored.content, one(0)).expect("serves"), noise(1000, 1));
    disk.set_full(false);
    store.remove(stored.content, false).expect("removes");
    drop(store);
    assert!(world.open("a").opened().1.is_empty());
}

#[test]
fn the_last_two_parts_of_a_listing_may_come_at_once() {
    let world = World::all_in_memory();
    let two = Two::new(&world);
    world.disk.create_folders(&world.path("tree")).expect("makes");
    for number in 0..3000 {
        world.write(&format!("tree/a file with a name of some length, number {number}"), b"");
    }
    let stored = two.source.share(&world.path("tree")).expect("shares");
    assert!(stored.chunk_count >= 2, "the listing has {} chunks", stored.chunk_count);
    let _ = two.begin(&stored);
    std::thread::scope(|scope| {
        for chunk in 0..stored.chunk_count {
            let bytes = two.source.bytes(stored.content, one(chunk)).expect("serves");
            let payload = two.getter.engine.payload();
            let content = stored.content;
            scope.spawn(move || {
                let span = mesh_proto::payload::SpanAddress { content, chunks: one(chunk), skip_bytes: 0 };
                payload.open_sink(span).expect("opens").write(&bytes).expect("takes");
            });
        }
    });
    let told = two.getter.inputs.lock().iter().any(|input| matches!(input, StoreInput::ListingChecked { .. }));
    assert!(told, "nobody said that the listing is here");
    two.getter.finish(stored.content).expect("finishes");
}

#[test]
fn long_work_on_what_is_received_can_be_stopped() {
    let world = World::all_in_memory();
    let two = Two::new(&world);
    let stored = two.shared(&noise(900_000, 3));
    let begun = two.begin(&stored);
    copy_all(&two.source, &two.getter, &stored, &begun.have);
    let two = two.restart_getter();
    let command = CommandId(77);
    let (content, target) = (stored.content, world.path("copy").to_string_lossy().into_owned());
    let engine = &two.getter.engine;
    engine.begin(&StoreCommand::Receive { command, content, root: None, target: target.clone() });
    engine.carry_out(StoreCommand::Stop { command });
    engine.carry_out(StoreCommand::Receive { command, content, root: None, target });
    let stopped = matches!(two.getter.inputs.lock().pop(),
        Some(StoreInput::Receiving { result: Err(failure), .. }) if failure.may_pass && failure.why == "stopped");
    assert!(stopped);
    assert_eq!(two.resume(&stored).have.len(), stored.chunk_count);
    two.getter.finish(stored.content).expect("finishes");
}

/// A disk that fails once, at each step of writing the log anew: what is answered as done from then on is there.
#[test]
fn a_log_that_could_not_be_written_anew_loses_nothing_afterwards() {
    static VALUE: [u8; 60_000] = [7; 60_000];
    let fill = |disk: &FaultyDisk| {
        let world = World::on(disk);
        let store = world.open("a");
        for round in 0..69u8 {
            store.put(b"fill", &[[round; 1].as_slice(), &VALUE].concat()).expect("writes");
        }
        (world, store)
    };
    let steps = {
        let disk = FaultyDisk::default();
        let (world, store) = fill(&disk);
        let length = || world.disk.metadata(&world.path("a/store/log")).expect("is there").size_bytes;
        let begins = disk.steps();
        let before = length();
        store.put(b"fill", &VALUE).expect("writes");
        assert!(length() < before, "the log was written anew");
        begins + 1..disk.steps() + 3
    };
    // Each failure is followed by a clean end, or by a power cut that takes away this or that.
    for (step, cut) in steps.flat_map(|step| (0..5).map(move |cut| (step, cut))) {
        let disk = FaultyDisk::default();
        let (world, store) = fill(&disk);
        disk.hiccup_at(step);
        let keys: Vec<u8> =
            (0..6).filter(|key| store.put(&[*key], &[[*key].as_slice(), &VALUE].concat()).is_ok()).collect();
        assert!(keys.len() >= 5, "one failure refuses one at most");
        drop(store);
        if cut > 0 {
            disk.power_cut(step * 10 + cut);
        }
        let (rows, _, _) = world.open("a").opened();
        for key in keys {
            assert!(rows.iter().any(|row| row.key == [key]), "failing at step {step}, row {key} was lost");
        }
    }
}
