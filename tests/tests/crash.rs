//! `kill -9` at random moments: what was kept is kept, and is not fetched again; what was shared is shared.

use std::time::{Duration, Instant};

use mesh_proto::ChunkSet;
use mesh_tests::random::Random;
use mesh_tests::{Folder, Lan, Running, Scene, TestNode, files, journal, json, soak, wait};

const SEED: u64 = 0x6d65_7368;
const LIMIT: Duration = Duration::from_secs(60);
/// How much of a file it takes that a transfer outlives a kill, at the rate of the link.
const GETTER_BYTES_PER_KILL: u64 = 8 << 20;
const SOURCE_BYTES_PER_KILL: u64 = 4 << 20;
/// What a kill may cost: what was on its way then, and a chunk's unverified part.
const COST_PER_KILL_BYTES_MAX: u64 = 2 << 20;

fn kills() -> u64 {
    soak::count(20, 200)
}

/// How long the rest may take when nothing is killed any more: at a sixth of the link's rate, for a busy machine.
fn end_limit(bytes: u64) -> Duration {
    Duration::from_secs(120 + bytes / (2 << 20))
}

/// What one host fetches from another, over a link of 100 Mbit/s.
fn scene_on(lan: &mut Lan, bytes: u64) -> (Scene, mesh_tests::Host) {
    let folder = Folder::new();
    let (source_host, getter_host) = (lan.host(), lan.host());
    source_host.limit_rate(100);
    let source = source_host.node(&folder.path("source"));
    let getter = getter_host.node(&folder.path("getter"));
    (Scene::new(folder, vec![source], getter, bytes), getter_host)
}

#[test]
fn a_killed_getter_resumes_where_it_stopped_soak() {
    let Some(mut lan) = Lan::new() else { return };
    let kills = kills();
    let file_bytes = kills * GETTER_BYTES_PER_KILL;
    let (mut scene, getter_host) = scene_on(&mut lan, file_bytes);
    // From here on each run of the getter is that of a command.
    scene.getter.stop();
    let words = ["get", &scene.ticket, "-o", &scene.folder.text("copy"), "--events", "--json"];
    let start = || Running::start(scene.getter.node_command(&words));

    let mut random = Random::new(SEED);
    let before = getter_host.received_bytes();
    for kill in 0..kills {
        let mut getting = start();
        // Every other kill strikes anywhere, start-up included; the others once bytes have flowed again.
        if kill % 2 == 0 {
            let _ = getting.wait_for_event("transfer_progress", LIMIT);
        }
        wait::let_pass(Duration::from_millis(random.between(10, 600)));
        assert!(getting.runs(), "the transfer ended before kill {kill} (seed {SEED:#x}); the file is too small");
        let _ = getting.kill();
        assert!(!scene.copy().exists(), "a partial file has its final name after kill {kill} (seed {SEED:#x})");
    }
    let report = start().wait(end_limit(file_bytes)).success().json();
    scene.assert_fetched();
    let carried = getter_host.received_bytes() - before;
    println!("report: {report}\nseed {SEED:#x}: {carried} bytes carried for a file of {file_bytes}");
    // Packets' heads and encryption take up to 6 %.
    let carried_max = file_bytes + file_bytes * 6 / 100 + kills * COST_PER_KILL_BYTES_MAX;
    assert!(carried <= carried_max, "{carried} bytes were carried, more than {carried_max} (seed {SEED:#x})");
    assert_eq!(json::text(&report, "blake3"), files::blake3_of(&scene.file));
    // The first kills come before anything was begun; then every run finds all that the ones before it verified, and
    // asks for none of it.
    let mut verified = ChunkSet::new();
    for (number, run) in journal::fetch_runs(scene.getter.data()).into_iter().enumerate() {
        let Some(found) = &run.found else { continue };
        let lost = verified.difference(found);
        assert!(lost.is_empty(), "run {number} does not find {lost:?} (seed {SEED:#x})");
        assert!(run.asked_again.is_empty(), "run {number} asks again for {:?} (seed {SEED:#x})", run.asked_again);
        verified.union_with(&run.verified);
    }
    assert!(!verified.is_empty(), "the journals say nothing");
    scene.stop_and_replay();
}

#[test]
fn a_killed_source_opens_again_and_nothing_is_fetched_twice_soak() {
    let Some(mut lan) = Lan::new() else { return };
    let kills = kills();
    let (mut scene, _) = scene_on(&mut lan, kills * SOURCE_BYTES_PER_KILL);
    let mut fetch = scene.start_fetch();
    let mut random = Random::new(SEED);
    let mut done = 0;
    for kill in 0..kills {
        // Every other kill strikes a source that gives, the others one that starts.
        if kill % 2 == 0 {
            let progress = fetch.wait_for_bytes(done + 1, LIMIT);
            done = json::number(&progress, "done_bytes");
            wait::let_pass(Duration::from_millis(random.between(10, 600)));
            scene.sources[0].crash();
        } else {
            let starting = Running::start(scene.sources[0].node_command(&["up"]));
            wait::let_pass(Duration::from_millis(random.between(1, 400)));
            let _ = starting.kill();
        }
        assert!(fetch.runs(), "the transfer ended before kill {kill} (seed {SEED:#x}); the file is too small");
        if kill % 2 == 1 || kill + 1 == kills {
            scene.sources[0].up();
            let content = scene.source().content(&scene.id()).expect("what was shared is shared");
            assert_eq!(content["state"], "shared", "after kill {kill} (seed {SEED:#x}): {content}");
        }
    }
    let report = fetch.wait(end_limit(kills * SOURCE_BYTES_PER_KILL)).success();
    scene.assert_fetched();
    println!("seed {SEED:#x}: {}", report.stdout.lines().last().unwrap_or_default());
    let [run] = &journal::fetch_runs(scene.getter.data())[..] else { panic!("the getter ran once") };
    assert!(!run.verified.is_empty(), "the journal says nothing");
    assert!(run.asked_again.is_empty(), "{:?} is fetched again (seed {SEED:#x})", run.asked_again);
    scene.stop_and_replay();
}

#[test]
fn a_node_killed_while_it_shares_a_tree_forgets_nothing_and_shares_it_at_last_soak() {
    let folder = Folder::new();
    let (tree, copy) = (folder.path("tree"), folder.path("copy"));
    files::write_tree(&tree, 3000, 20_000, SEED);
    let mut node = TestNode::on_loopback(&folder.path("node"));
    node.up();
    let before =
        json::text(&node.run(&["share", &folder.random_file("before", 1 << 20).to_string_lossy()]), "content_id")
            .to_owned();
    let began = Instant::now();
    let shared = node.run(&["share", &tree.to_string_lossy()]);
    let took_ms = u64::try_from(began.elapsed().as_millis()).expect("it was shared in less than an age");
    let (id, mut random, mut struck) = (json::text(&shared, "content_id"), Random::new(SEED), 0);
    for kill in 0..kills() {
        let told = format!("before kill {kill} (seed {SEED:#x})");
        let content = node.content(&before).unwrap_or_else(|| panic!("a content is forgotten {told}"));
        assert_eq!(content["state"], "shared", "{told}: {content}");
        // What the last share left, if anything, is whole; it goes, so that the next one reads again.
        if let Some(content) = node.content(id) {
            assert_eq!(content["state"], "shared", "{told}: {content}");
            let _ = node.run(&["verify", id]);
            let _ = node.run(&["rm", id]);
        }
        let mut share = Running::start(node.command(&["share", &tree.to_string_lossy()]));
        wait::let_pass(Duration::from_millis(random.between(1, took_ms + took_ms / 4)));
        struck += u64::from(share.runs());
        node.crash();
        // Struck before it spoke to the node, it is one itself.
        let _ = share.kill();
        node.up();
    }
    println!("seed {SEED:#x}: {struck} kills struck a share, which took {took_ms} ms");
    assert!(struck > 0, "no kill struck a share (seed {SEED:#x})");
    let again = node.run(&["share", &tree.to_string_lossy()]);
    assert_eq!(json::text(&again, "content_id"), id);
    let mut getter = TestNode::on_loopback(&folder.path("getter"));
    getter.up();
    let _ = getter.fetch(json::text(&again, "ticket"), &copy);
    files::assert_same_tree(&tree, &copy);
    node.stop_and_replay();
    getter.stop_and_replay();
}
