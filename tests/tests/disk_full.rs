//! A disk that fills up again and again, with all of a node on it. Needs root, to mount a small disk.

use std::time::Duration;

use mesh_tests::random::Random;
use mesh_tests::{Folder, Running, Scene, SmallDisk, TestNode, files, json, soak, wait};

const MIB: u64 = 1 << 20;
const SEED: u64 = 0x6675_6c6c;
const LIMIT: Duration = Duration::from_secs(20);
/// What is fetched between two times that the disk is full, at most.
const MIB_PER_ROUND: u64 = 3;

/// Waits until the getter says that there is no space.
fn wait_until_said(getter: &TestNode, round: u64) {
    wait::until(&format!("the full disk to be said in round {round} (seed {SEED:#x})"), LIMIT, || {
        let status = getter.status();
        // The system's words, or ours.
        let why = json::find(&status, "waiting_for")?.as_str()?.to_lowercase();
        why.contains("no space left").then_some(())
    });
}

/// A node that starts on a full disk: it runs, or says what it lacks.
fn start_on_a_full_disk(getter: &TestNode, moment: Duration) {
    let starting = Running::start(getter.node_command(&["up"]));
    wait::let_pass(moment);
    let outcome = starting.kill();
    let said = outcome.all().to_lowercase();
    assert!(!said.contains("panicked"), "seed {SEED:#x}: {said}");
    assert!(outcome.code.is_none() || said.contains("no space left"), "seed {SEED:#x}: {said}");
}

#[test]
fn a_disk_full_at_random_moments_loses_nothing_soak() {
    let rounds = soak::count(5, 50);
    let folder = Folder::new();
    let Some(disk) = SmallDisk::mount(&folder.path("disk"), rounds * MIB_PER_ROUND + 32) else { return };
    let source = TestNode::on_loopback(&folder.path("source"));
    let getter = TestNode::on_loopback(&disk.path("getter")).without_journal();
    let mut scene = Scene::new(folder, vec![source], getter, rounds * MIB_PER_ROUND * MIB);
    let _ = scene.source().run(&["limit", "--up", "4MiB/s"]);
    let before = scene.getter.run(&["share", &scene.folder.random_file("before", MIB).to_string_lossy()]);
    let copy = disk.path("copy");
    let fetch_again = |scene: &Scene| scene.getter.start_fetch(&scene.ticket, &copy);
    let mut fetch = fetch_again(&scene);
    let (mut random, mut done) = (Random::new(SEED), 0);
    for round in 0..rounds {
        let progress = fetch.wait_for_bytes(done + random.between(1, MIB), LIMIT);
        done = json::number(&progress, "done_bytes");
        wait::let_pass(Duration::from_millis(random.between(0, 300)));
        assert!(fetch.runs(), "the transfer ended before round {round} (seed {SEED:#x}); the file is too small");
        disk.fill();
        if round % 3 != 1 {
            wait_until_said(&scene.getter, round);
            disk.empty();
            let _ = scene.getter.run(&["resume", &scene.id()]);
            continue;
        }
        // Now and then it crashes then, and finds the disk full when it starts.
        wait::let_pass(Duration::from_millis(random.between(0, 500)));
        scene.getter.crash();
        let _ = fetch.kill();
        start_on_a_full_disk(&scene.getter, Duration::from_millis(random.between(50, 1500)));
        disk.empty();
        scene.getter.up();
        fetch = fetch_again(&scene);
    }
    let _ = scene.source().run(&["limit", "--up", "0"]);
    let _ = fetch.wait(Duration::from_secs(60)).success();
    files::assert_same_file(&scene.file, &copy);
    scene.getter.stop();
    scene.getter.up();
    assert!(!disk.path("getter/store/index.damaged").exists(), "the index was lost (seed {SEED:#x})");
    for (id, state) in [(json::text(&before, "content_id"), "shared"), (&scene.id(), "complete")] {
        let content = scene.getter.content(id).unwrap_or_else(|| panic!("{id} is lost (seed {SEED:#x})"));
        assert_eq!(content["state"], state, "seed {SEED:#x}: {content}");
    }
    drop(scene);
}
