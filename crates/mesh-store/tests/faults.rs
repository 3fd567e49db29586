//! A disk that is full, read-only, gone, or lies about a sync: a clear error that may pass, and work goes on after it.

mod kit;

use kit::{Two, World, copy_all, copy_chunk, noise, one};
use mesh_proto::payload::SinkError;
use mesh_store::disk::{Disk, FaultyDisk};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

/// Receives half a content, then lets `fault` happen and `cure` end it; the rest must arrive.
fn goes_on_after(fault: impl Fn(&FaultyDisk), cure: impl Fn(&FaultyDisk), shown: fn(&SinkError) -> bool) {
    let calm = World::all_in_memory();
    let source = calm.open("a");
    let stored = source.share(&calm.write("file", &noise(1_500_000, 3))).expect("shares");
    let disk = FaultyDisk::default();
    let world = World::on(&disk);
    let getter = world.open("b");
    getter.receive(stored.content, source.root(stored.content), &world.path("copy")).expect("begins");
    kit::copy_pages(&source, &getter, stored.content).expect("takes pages");
    let half = stored.chunk_count / 2;
    (0..half).for_each(|chunk| copy_chunk(&source, &getter, stored.content, chunk).expect("takes"));
    getter.put(b"before", b"1").expect("writes");
    fault(&disk);
    let error = copy_chunk(&source, &getter, stored.content, half).expect_err("a fault");
    assert!(shown(&error), "{error}");
    getter.engine.checkpoint();
    let failure = getter.put(b"during", b"1").expect_err("a fault");
    assert!(failure.may_pass, "{}", failure.why);
    let failure = getter.finish(stored.content).expect_err("a fault");
    assert!(world.disk.symlink_metadata(&world.path("copy")).is_err(), "{}", failure.why);
    let again = getter.receive(stored.content, None, &world.path("copy"));
    assert!(again.as_ref().is_ok() || again.as_ref().is_err_and(|failure| failure.may_pass), "{again:?}");
    cure(&disk);
    let again = getter.receive(stored.content, None, &world.path("copy")).expect("goes on");
    assert_eq!(again.have.len(), half, "what was written before is there");
    copy_all(&source, &getter, &stored, &again.have);
    getter.finish(stored.content).expect("finishes");
    assert_eq!(world.read("copy"), noise(1_500_000, 3));
    getter.put(b"after", b"1").expect("writes");
    drop(getter);
    let rows: Vec<_> = world.open("b").opened().0.into_iter().map(|row| row.key).collect();
    assert_eq!(rows, [b"after".to_vec(), b"before".to_vec()], "what was refused does not come back");
}

#[test]
fn a_full_disk_pauses_and_goes_on_when_there_is_space() {
    let shown = |error: &SinkError| matches!(error, SinkError::NoSpace { path } if path.contains("copy"));
    goes_on_after(|disk| disk.set_full(true), |disk| disk.set_full(false), shown);
}

#[test]
fn a_disk_that_became_read_only_pauses() {
    let shown = |error: &SinkError| matches!(error, SinkError::Io { why, .. } if why.contains("read-only"));
    goes_on_after(|disk| disk.set_read_only(true), |disk| disk.set_read_only(false), shown);
}

#[test]
fn a_removed_disk_pauses_and_goes_on_when_it_is_back() {
    let shown = |error: &SinkError| matches!(error, SinkError::Io { .. });
    goes_on_after(|disk| disk.set_removed(true), |disk| disk.set_removed(false), shown);
}

#[test]
fn a_partial_file_that_is_gone_is_not_begun_anew_elsewhere() {
    let world = World::faulty_and_memory();
    let two = Two::new(&world);
    let stored = two.shared(&noise(500_000, 5));
    let _ = two.begin(&stored);
    copy_chunk(&two.source, &two.getter, stored.content, 0).expect("takes");
    two.getter.engine.checkpoint();
    let names = world.disk.list(&world.root).expect("lists");
    let partial = names.into_iter().find(|name| name.ends_with(".mesh-part")).expect("a partial file");
    world.disk.rename(&world.path(&partial), &world.path("elsewhere")).expect("renames");
    let failure = two.getter.receive(stored.content, None, &world.path("copy")).expect_err("it is gone");
    assert!(failure.may_pass && failure.why.contains("bring it back"), "{}", failure.why);
    world.disk.rename(&world.path("elsewhere"), &world.path(&partial)).expect("renames");
    assert!(two.resume(&stored).have.contains(0));
}

#[test]
fn bytes_whose_sync_failed_are_not_called_kept() {
    let disk = FaultyDisk::default();
    let world = World::on(&disk);
    let two = Two::new(&world);
    let stored = two.shared(&noise(900_000, 7));
    let _ = two.begin(&stored);
    copy_chunk(&two.source, &two.getter, stored.content, 0).expect("takes");
    disk.set_sync_fails(true);
    two.getter.engine.checkpoint();
    disk.set_sync_fails(false);
    // The system may have dropped them and call the next sync a success: nothing goes on until they are written anew.
    two.getter.engine.checkpoint();
    assert!(copy_chunk(&two.source, &two.getter, stored.content, 1).is_err());
    assert!(two.getter.finish(stored.content).expect_err("not all is here").may_pass);
    let again = two.resume(&stored);
    copy_all(&two.source, &two.getter, &stored, &again.have);
    two.getter.finish(stored.content).expect("finishes");
    disk.power_cut(1);
    assert_eq!(world.read("copy"), noise(900_000, 7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A flipped bit in any file of the store: it opens or says why not, and never serves or shows a wrong byte.
    #[test]
    fn a_flipped_bit_anywhere_is_found(which in any::<prop::sample::Index>(), bit in any::<usize>()) {
        let disk = FaultyDisk::default();
        let world = World::on(&disk);
        let two = Two::new(&world);
        let bytes = noise(300_000, 11);
        let stored = two.shared(&bytes);
        let _ = two.begin(&stored);
        copy_chunk(&two.source, &two.getter, stored.content, 0).expect("takes");
        two.getter.put(b"row", b"value").expect("writes");
        drop(two.getter);
        let files = all_files(&*world.disk, &world.path("b"));
        disk.flip(&files[which.index(files.len())], bit).expect("flips");
        let Ok(getter) = world.try_open("b") else { return Ok(()) };
        let root = two.source.root(stored.content);
        if let Ok(received) = getter.receive(stored.content, root, &world.path("copy")) {
            for chunk in received.have.iter() {
                if let Ok(read) = getter.bytes(stored.content, one(chunk)) {
                    assert_eq!(Ok(read), two.source.bytes(stored.content, one(chunk)));
                }
            }
            kit::copy_pages(&two.source, &getter, stored.content).expect("takes pages");
            copy_all(&two.source, &getter, &stored, &received.have);
            if getter.finish(stored.content).is_err() {
                let again = getter.receive(stored.content, None, &world.path("copy")).expect("goes on");
                copy_all(&two.source, &getter, &stored, &again.have);
                getter.finish(stored.content).expect("finishes");
            }
            assert_eq!(world.read("copy"), bytes);
        }
    }
}

fn all_files(disk: &dyn Disk, folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for name in disk.list(&folder).expect("lists") {
            let path = folder.join(name);
            match disk.metadata(&path).expect("is there") {
                metadata if metadata.kind == mesh_store::disk::Kind::Folder => folders.push(path),
                metadata if metadata.size_bytes > 0 => files.push(path),
                _ => {}
            }
        }
    }
    files
}

#[test]
fn a_store_whose_first_start_could_not_sync_is_found_after_a_power_cut() {
    for seed in 0..32 {
        let disk = FaultyDisk::default();
        let world = World::on(&disk);
        disk.set_sync_fails(true);
        assert!(world.try_open("a").is_err(), "nothing is promised by a store that can't sync");
        disk.set_sync_fails(false);
        let store = world.open("a");
        store.put(b"key", b"value").expect("writes");
        drop(store);
        disk.power_cut(seed);
        let (rows, ..) = world.open("a").opened();
        assert_eq!(rows.len(), 1, "seed {seed}: what was answered is kept");
    }
}
