//! The main job by its less trodden ways: from standard input, watched by a program, seeded for a time.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use mesh_tests::node::bare_ticket;
use mesh_tests::{Folder, Running, Scene, TestNode, files, json};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn what_is_piped_in_arrives_right_to_the_byte() {
    let scene = Scene::on_loopback(1);
    // One byte more than a buffer, and nothing at all.
    for bytes in [3 * MIB + 1, 0] {
        let piped = scene.folder.random_file("piped", bytes);
        let command = scene.source().command(&["share", "-", "--name", "dump.sql", "--json"]);
        let input = File::open(&piped).unwrap();
        let shared = Running::start_with_input(command, input).wait(LIMIT).success().json();
        assert_eq!((json::text(&shared, "name"), json::number(&shared, "size_bytes")), ("dump.sql", bytes));
        assert_eq!(json::text(&shared, "blake3"), files::blake3_of(&piped));
        let target = scene.folder.path(&format!("into{bytes}"));
        fs::create_dir(&target).unwrap();
        let _ = scene.getter.fetch(json::text(&shared, "ticket"), &target);
        files::assert_same_file(&piped, &target.join("dump.sql"));
    }
}

#[test]
fn a_share_of_standard_input_alone_seeds_until_it_is_stopped() {
    let folder = Folder::new();
    let source = TestNode::on_loopback(&folder.path("source"));
    let getter = TestNode::on_loopback(&folder.path("getter"));
    let piped = folder.random_file("piped", MIB);
    let input = File::open(&piped).unwrap();
    let mut sharing = Running::start_with_input(source.node_command(&["share", "-", "-q"]), input);
    let ticket = sharing.wait_for_text("a ticket", LIMIT, |line| line.starts_with("mesh:").then(|| line.to_owned()));
    let copy = folder.text("copy");
    let words = ["get", &ticket, "-o", &copy, "--timeout", "15s"];
    let _ = Running::start(getter.node_command(&words)).wait(LIMIT).success();
    files::assert_same_file(&piped, &folder.path("copy"));
    sharing.interrupt();
    let _ = sharing.wait(LIMIT).success();
}

fn events(stdout: &str) -> Vec<Value> {
    let parsed = stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}")));
    parsed.collect()
}

#[test]
fn events_are_lines_of_json_from_progress_to_the_report() {
    let scene = Scene::slow_on_loopback(4 * MIB, "4MiB/s");
    let outcome = scene.start_fetch().wait(LIMIT).success();
    let events = events(&outcome.stdout);
    let names: Vec<&str> = events.iter().map(|event| json::text(event, "event")).collect();
    let position = |name: &str| names.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{names:?}"));
    assert!(position("transfer_progress") < position("transfer_complete"), "{names:?}");
    assert_eq!(names.last(), Some(&"report"));
    assert_eq!(names.iter().filter(|name| **name == "transfer_complete").count(), 1, "{names:?}");
    let report = &events.last().expect("a report")["report"];
    assert_eq!(json::text(report, "content_id"), scene.id());
    assert_eq!(json::number(report, "size_bytes"), 4 * MIB);
    let progress = events.iter().filter(|event| event["event"] == "transfer_progress");
    let done: Vec<u64> = progress.map(|event| json::number(&event["transfer"], "done_bytes")).collect();
    assert!(done.is_sorted() && done.len() > 3, "{done:?}");
    assert!(outcome.stderr.is_empty(), "a program that reads events is told nothing twice: {}", outcome.stderr);
}

#[test]
fn events_of_what_is_here_already_are_one_line() {
    let scene = Scene::on_loopback(MIB);
    let _ = scene.fetch();
    let events = events(&scene.start_fetch().wait(LIMIT).success().stdout);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["event"], "here");
    assert_eq!(json::text(&events[0], "content_id"), scene.id());
}

#[test]
fn events_of_what_fails_end_with_the_error_in_one_line() {
    let folder = Folder::new();
    let getter = TestNode::on_loopback(&folder.path("getter"));
    let ticket = format!("mesh:{}", "ab".repeat(32));
    let copy = folder.text("copy");
    for more in [&["--json"][..], &[]] {
        let words = [&["get", &ticket, "-o", &copy, "--events", "--timeout", "1s"], more].concat();
        let outcome = Running::start(getter.node_command(&words)).wait(LIMIT).refused(6, &["nothing came"]);
        let last = events(&outcome.stdout).pop().expect("at least the error");
        assert_eq!((json::text(&last, "event"), json::text(&last, "kind")), ("error", "unavailable"));
    }
}

#[test]
fn a_get_that_seeds_for_a_time_gives_to_others_when_the_source_is_gone_and_then_ends() {
    let mut scene = Scene::on_loopback(4 * MIB);
    scene.getter.stop();
    let copy = scene.folder.text("copy");
    let words = ["get", &scene.ticket, "-o", &copy, "--seed", "6s", "--json"];
    let mut seeding = Running::start(scene.getter.node_command(&words));
    let report = seeding.wait_for_json("the report", LIMIT);
    let complete = Instant::now();
    assert_eq!(report["seeding"], true, "{report}");
    scene.assert_fetched();
    scene.sources[0].stop();
    let third = TestNode::on_loopback(&scene.folder.path("third"));
    let (address, ticket) = (scene.getter.address(), bare_ticket(&scene.ticket));
    let copy = scene.folder.text("third.copy");
    let words = ["get", &ticket, "-o", &copy, "--peer", &address];
    let _ = Running::start(third.node_command(&words)).wait(Duration::from_secs(5)).success();
    files::assert_same_file(&scene.file, &scene.folder.path("third.copy"));
    let _ = seeding.wait(LIMIT).success();
    assert!(complete.elapsed() >= Duration::from_secs(5), "it seeded for {:?}", complete.elapsed());
    // Its time is over, also for a node that runs on the same folder later.
    scene.getter.up();
    let late = TestNode::on_loopback(&scene.folder.path("late"));
    let (address, copy) = (scene.getter.address(), scene.folder.text("late.copy"));
    let words = ["get", &ticket, "-o", &copy, "--timeout", "2s", "--peer", &address];
    let _ = Running::start(late.node_command(&words)).wait(LIMIT).refused(6, &["nothing came"]);
}

#[test]
fn a_seeding_time_that_is_none_is_refused() {
    let scene = Scene::on_loopback(1);
    let refused = scene.getter.try_run(&["get", &scene.ticket, "--seed=soon"]);
    let _ = refused.refused(2, &["soon", "30m"]);
}

#[test]
fn what_is_here_is_copied_to_a_second_place() {
    let scene = Scene::on_loopback(3 * MIB);
    let _ = scene.fetch();
    scene.assert_fetched();
    let second = scene.folder.path("second");
    let view = scene.getter.fetch(&scene.ticket, &second);
    assert_eq!(json::find(&view, "complete"), Some(&Value::Bool(true)), "{view}");
    files::assert_same_file(&scene.file, &second);
    // What is in the way is left alone, and the first copy is still the one that is served.
    let refused = scene.try_get(&scene.ticket, &second.to_string_lossy());
    assert_ne!(refused.code, Some(0));
    files::assert_same_file(&scene.file, &scene.copy());
}
