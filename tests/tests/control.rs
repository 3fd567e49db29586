//! Taking hold of a transfer while it runs: pause, resume, cancel, limits. Runs without root.

use std::fs;
use std::time::{Duration, Instant};

use mesh_tests::{Folder, Running, Scene, TestNode, json, wait};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(20);

/// The getter's only transfer.
fn transfer(scene: &Scene) -> Value {
    let status = scene.getter.status();
    let transfers = json::find(&status, "transfers").and_then(Value::as_array).cloned().unwrap_or_default();
    transfers.into_iter().next().unwrap_or(Value::Null)
}

fn done_bytes(scene: &Scene) -> u64 {
    json::number(&transfer(scene), "done_bytes")
}

/// Files beside the target that are not final.
fn partial_files(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path("")).expect("the folder can be read").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("mesh-part")).collect()
}

#[test]
fn a_paused_transfer_stands_still_and_goes_on_where_it_was() {
    let scene = Scene::slow_on_loopback(8 * MIB, "4MiB/s");
    let mut fetch = scene.begin_fetch();
    let _ = scene.getter.run(&["pause", &scene.id()[..12]]);
    let paused = fetch.wait_for_line("that it is paused", LIMIT, |event| event["transfer"]["state"] == "paused");
    assert_eq!(paused["event"], "transfer_progress");
    assert_eq!(scene.at_getter().expect("it is listed")["state"], "paused");
    wait::until("what was on its way", LIMIT, || {
        (json::number(&scene.source().status(), "requests_waiting") == 0).then_some(())
    });
    let stood = done_bytes(&scene);
    assert!(stood < 8 * MIB);
    wait::let_pass(Duration::from_millis(700));
    assert_eq!(done_bytes(&scene), stood);
    assert!(fetch.runs(), "who waits for it goes on waiting");
    let _ = scene.getter.run(&["resume", &scene.id()]);
    let outcome = fetch.wait(LIMIT).success();
    scene.assert_fetched();
    let received = json::number(&outcome.json(), "received_bytes");
    assert!(received < 9 * MIB, "{received} bytes for 8 MiB");
    scene.stop_and_replay();
}

#[test]
fn a_pause_outlives_a_restart() {
    let mut scene = Scene::slow_on_loopback(8 * MIB, "4MiB/s");
    let fetch = scene.begin_fetch();
    let _ = scene.getter.run(&["pause", &scene.id()]);
    scene.getter.stop();
    let _ = fetch.wait(LIMIT).refused(6, &["stopped", "same command"]);
    scene.getter.up();
    assert_eq!(scene.at_getter().expect("it is listed")["state"], "paused");
    let _ = scene.fetch();
}

#[test]
fn a_cancelled_transfer_leaves_nothing_and_who_waits_for_it_is_told() {
    let scene = Scene::slow_on_loopback(8 * MIB, "2MiB/s");
    let fetch = scene.begin_fetch();
    assert_eq!(partial_files(&scene.folder).len(), 1);
    let _ = scene.getter.run(&["cancel", &scene.id()]);
    let _ = fetch.wait(Duration::from_secs(5)).refused(6, &["cancelled"]);
    assert!(scene.at_getter().is_none());
    wait::until("the partial file to be gone", LIMIT, || partial_files(&scene.folder).is_empty().then_some(()));
    assert!(!scene.copy().exists());
    let _ = scene.getter.try_run(&["cancel", &scene.id()]).refused(3, &["not being fetched"]);
    let _ = scene.source().run(&["limit", "--up", "0"]);
    let _ = scene.fetch();
    scene.stop_and_replay();
}

#[test]
fn what_is_not_being_fetched_can_be_neither_paused_nor_resumed() {
    let scene = Scene::on_loopback(MIB);
    let _ = scene.fetch();
    for command in ["pause", "resume", "cancel"] {
        let _ = scene.getter.try_run(&[command, &scene.id()]).refused(3, &["not being fetched", "mesh-node ls"]);
    }
    let _ = scene.getter.try_run(&["pause", "abcdef"]).refused(3, &["abcdef", "mesh-node ls"]);
    assert!(scene.copy().exists(), "what is complete can't be cancelled away");
}

#[test]
fn a_limit_on_receiving_holds_from_the_moment_it_is_set() {
    let scene = Scene::on_loopback(6 * MIB);
    let _ = scene.getter.run(&["limit", "--down", "1MiB"]);
    let mut fetch = scene.begin_fetch();
    let (began, before) = (Instant::now(), done_bytes(&scene));
    let _ = fetch.wait_for_bytes(before + 2 * MIB, LIMIT);
    let passed = began.elapsed();
    assert!(passed > Duration::from_millis(1200), "2 MiB came in {passed:?} at 1 MiB/s");
    let _ = scene.getter.run(&["limit", "--down", "0"]);
    let lifted = Instant::now();
    let _ = fetch.wait(LIMIT).success();
    assert!(lifted.elapsed() < Duration::from_millis(2500), "the rest took {:?}", lifted.elapsed());
    scene.assert_fetched();
}

#[test]
fn a_limit_on_sending_can_be_changed_and_lifted_midway() {
    let scene = Scene::slow_on_loopback(16 * MIB, "1MiB/s");
    let fetch = scene.begin_fetch();
    let status = scene.source().status();
    assert_eq!(json::number(&status, "limit_up_bytes_per_s"), MIB);
    assert_eq!(json::number(&status, "limit_down_bytes_per_s"), 0, "what was not named is left");
    let _ = scene.source().run(&["limit", "--up", "0"]);
    let lifted = Instant::now();
    let _ = fetch.wait(LIMIT).success();
    assert!(lifted.elapsed() < Duration::from_secs(6), "16 MiB took {:?} without a limit", lifted.elapsed());
    scene.assert_fetched();
    let _ = scene.source().try_run(&["limit", "--up", "fast"]).refused(2, &["500kib/s"]);
}

#[test]
fn limit_alone_shows_what_is_in_force() {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node"));
    node.up();
    let _ = node.run(&["limit", "--up", "1MiB"]);
    let limits = node.run(&["limit"]);
    assert_eq!(json::number(&limits, "limit_up_bytes_per_s"), MIB);
    assert_eq!(json::number(&limits, "limit_down_bytes_per_s"), 0);
    let shown = node.try_run(&["limit"]).success().stdout;
    assert!(shown.contains("up 1.0 MiB/s, down none"), "{shown}");
}

#[test]
fn who_gives_up_waiting_is_told_that_the_running_node_does_not() {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node"));
    let ticket = format!("mesh:{}", "ab".repeat(32));
    let words = ["get", &ticket, "-o", &folder.text("copy"), "--timeout", "1s"];
    let alone = Running::start(node.node_command(&words)).wait(LIMIT).refused(6, &["same command"]);
    assert!(!alone.stderr.contains("goes on fetching"), "{}", alone.stderr);
    node.up();
    let _ = node.try_run(&words).refused(6, &["nothing came for 1s", "the running node goes on fetching", "pause"]);
    assert!(node.content(&"ab".repeat(32)).is_some(), "it does go on");
}
