//! The power goes at every single step of a store's life, and what was promised is there when it comes back.
//!
//! A step is a change or a sync. After the cut unsynced writes are dropped, kept or torn, at random by the seed.

mod kit;

use kit::{Bench, Two, World, copy_all, copy_chunk, copy_pages, noise, one};
use mesh_proto::ChunkSet;
use mesh_proto::port::Failure;
use mesh_proto::port::store::StoredContent;
use mesh_store::disk::{Disk as _, FaultyDisk};

/// Cuts at each step, each taking away something else.
const SEEDS: u64 = 4;

/// What the store said is done.
#[derive(Debug, Default)]
struct Promised {
    rows: Vec<u8>,
    shared: Option<StoredContent>,
    kept: ChunkSet,
    finished: bool,
    removed: bool,
}

/// One life of a store, against a source on a disk of its own that never fails.
struct Life<'a> {
    source: &'a Bench,
    stored: &'a StoredContent,
    disk: FaultyDisk,
    world: World,
}

impl Life<'_> {
    /// Does everything a store does, noting what it promises, until something fails.
    fn live(&self, promised: &mut Promised) -> Result<(), Failure> {
        let store = self.world.try_open("b").map_err(|error| Failure::passing(error.to_string()))?;
        let row = |promised: &mut Promised, key: u8| {
            store.put(&[key], &[key; 600])?;
            promised.rows.push(key);
            Ok::<_, Failure>(())
        };
        row(promised, 1)?;
        promised.shared = Some(store.share(&self.world.path("mine"))?);
        row(promised, 2)?;
        let content = self.stored.content;
        store.receive(content, self.source.root(content), &self.world.path("folder/copy"))?;
        copy_pages(self.source, &store, content)?;
        for chunk in 0..self.stored.chunk_count {
            copy_chunk(self.source, &store, content, chunk).map_err(|error| Failure::passing(error.to_string()))?;
            // Some eight checkpoints in between.
            if chunk % (self.stored.chunk_count / 8 + 1) == 0 {
                let steps = self.disk.steps();
                store.engine.checkpoint();
                if self.disk.power_is_on() && self.disk.steps() > steps {
                    promised.kept = ChunkSet::from_iter([mesh_proto::ChunkRange { start: 0, count: chunk + 1 }]);
                }
                row(promised, 10 + chunk as u8)?;
            }
        }
        store.finish(content)?;
        promised.finished = true;
        row(promised, 3)?;
        store.remove(promised.shared.as_ref().expect("shared before").content, false)?;
        promised.removed = true;
        store.sweep()
    }

    /// The power is back: everything promised must be there, and what was under way can be ended.
    fn check(&self, promised: &Promised) {
        let (store, content) = (self.world.open("b"), self.stored.content);
        let (rows, contents, _) = store.opened();
        for key in &promised.rows {
            assert!(rows.iter().any(|row| row.key == [*key] && row.value == [*key; 600]), "row {key} is lost");
        }
        if let Some(shared) = promised.shared.as_ref().filter(|_| !promised.removed) {
            // A removal that was not answered may have happened.
            if contents.contains(shared) {
                assert_eq!(store.verify(shared.content).expect("reads").len(), shared.chunk_count);
                store.bytes(shared.content, one(0)).expect("serves");
            } else {
                assert!(promised.finished, "what was shared is lost");
            }
        }
        let found = contents.iter().find(|found| found.content == content);
        assert!(found.is_some_and(|found| found.complete) || !promised.finished, "what was finished is not");
        if !found.is_some_and(|found| found.complete) {
            self.end(&store, promised);
        }
        assert_eq!(store.verify(content).expect("reads").len(), self.stored.chunk_count);
        self.same();
    }

    /// Goes on with the reception; what was kept is not fetched again.
    fn end(&self, store: &Bench, promised: &Promised) {
        let content = self.stored.content;
        let received = store.receive(content, self.source.root(content), &self.world.path("folder/copy"));
        let received = received.expect("goes on");
        let lost = promised.kept.difference(&received.have);
        assert!(lost.is_empty(), "{lost:?} was kept and is lost");
        copy_pages(self.source, store, content).expect("takes pages");
        for chunk in received.have.iter() {
            store.bytes(content, one(chunk)).expect("what it says it has it has");
        }
        copy_all(self.source, store, self.stored, &received.have);
        store.finish(content).expect("finishes");
    }

    /// What lies under the final name is what was shared.
    fn same(&self) {
        match self.world.disk.list(&self.world.path("folder/copy")) {
            Ok(_) => {
                assert_eq!(self.world.read("folder/copy/deep/large"), noise(250_000, 3));
                assert_eq!(self.world.read("folder/copy/small"), noise(5_000, 4));
                assert_eq!(self.world.read("folder/copy/nothing"), b"");
            }
            Err(_) => assert_eq!(blake3::hash(&self.world.read("folder/copy")), self.stored.whole_hash),
        }
    }
}

/// Cuts at every step, or at each so many.
fn cut_everywhere(source: &Bench, stored: &StoredContent, stride: usize) {
    let life = || {
        let disk = FaultyDisk::default();
        let world = World::on(&disk);
        world.write("mine", &noise(150_000, 6));
        Life { source, stored, disk, world }
    };
    let whole = life();
    let before = whole.disk.steps();
    whole.live(&mut Promised::default()).expect("nothing fails without a fault");
    let steps = whole.disk.steps() - before;
    assert!(steps > 60, "{steps} steps are no life");
    for step in (1..=steps + 1).step_by(stride) {
        for seed in 0..SEEDS {
            let (life, mut promised) = (life(), Promised::default());
            life.disk.stop_at(life.disk.steps() + step);
            let _ = life.live(&mut promised);
            life.disk.power_cut(step * SEEDS + seed);
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life.check(&promised)));
            assert!(checked.is_ok(), "power cut at step {step} of {steps}, seed {seed}: {promised:?}");
        }
    }
}

#[test]
fn a_file_survives_a_power_cut_at_every_step() {
    let world = World::all_in_memory();
    let source = world.open("a");
    let stored = source.share(&world.write("file", &noise(700_000, 5))).expect("shares");
    cut_everywhere(&source, &stored, 1);
}

#[test]
fn a_tree_survives_a_power_cut_at_every_step() {
    let world = World::all_in_memory();
    let source = world.open("a");
    world.disk.create_folders(&world.path("tree/deep")).expect("makes");
    world.write("tree/deep/large", &noise(250_000, 3));
    world.write("tree/small", &noise(5_000, 4));
    world.write("tree/nothing", b"");
    let stored = source.share(&world.path("tree")).expect("shares");
    cut_everywhere(&source, &stored, 1);
}

#[test]
fn a_manifest_of_several_pages_survives_a_power_cut() {
    let world = World::all_in_memory();
    let source = world.open("a");
    let stored = source.share(&world.write("file", &noise(28 << 20, 7))).expect("shares");
    assert!(stored.chunk_count > 256, "{} chunks have no pages of their own", stored.chunk_count);
    cut_everywhere(&source, &stored, 23);
}

#[test]
fn what_was_deleted_does_not_come_back() {
    let world = World::all_in_memory();
    let two = Two::new(&world);
    let stored = two.shared(&noise(300_000, 8));
    for seed in 0..SEEDS {
        let disk = FaultyDisk::default();
        let world = World::on(&disk);
        let store = world.open("b");
        let root = two.source.root(stored.content);
        let received = store.receive(stored.content, root, &world.path("copy")).expect("begins");
        copy_all(&two.source, &store, &stored, &received.have);
        store.finish(stored.content).expect("finishes");
        store.remove(stored.content, true).expect("removes");
        drop(store);
        disk.power_cut(seed);
        assert!(!world.exists("copy"), "seed {seed}: nobody would know whose it is");
    }
}

#[test]
fn a_log_that_is_written_anew_survives_a_power_cut_at_every_step() {
    // The log is written anew behind the put that makes it longer than 4 MiB.
    let (before, value) = (69, |round: u8| vec![round; 60_000]);
    let mut step = 1;
    loop {
        let mut ended = false;
        for seed in 0..SEEDS {
            let disk = FaultyDisk::default();
            let world = World::on(&disk);
            let store = world.open("a");
            (0..before).for_each(|round| store.put(b"key", &value(round)).expect("writes"));
            let length = disk.metadata(&world.path("a/store/log")).expect("is there").size_bytes;
            disk.stop_at(disk.steps() + step);
            let answers = [before, before + 1].map(|round| store.put(b"key", &value(round)).is_ok());
            if answers == [true, true] {
                let written = disk.metadata(&world.path("a/store/log")).expect("is there").size_bytes;
                assert!(written < length / 4, "{length} bytes became {written}");
                ended = true;
            }
            drop(store);
            disk.power_cut(step * SEEDS + seed);
            let (rows, _, _) = world.open("a").opened();
            let [row] = &rows[..] else { panic!("step {step}, seed {seed}: {} rows", rows.len()) };
            let round = row.value[0];
            let promised = before - 1 + answers.iter().filter(|answer| **answer).count() as u8;
            assert!(row.value == value(round) && (promised..=before + 1).contains(&round), "step {step}, seed {seed}");
        }
        if ended {
            break;
        }
        step += 1;
    }
    assert!(step > 5, "{step} steps write no log anew");
}
