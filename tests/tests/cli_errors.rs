//! What goes wrong on the way is said clearly, and nothing is lost or half-written. Runs without root.

use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

use mesh_tests::{Folder, Running, Scene, TestNode, json, wait};

const MIB: u64 = 1 << 20;
/// Longer than a node tries to have a folder that is held.
const HELD: Duration = Duration::from_secs(1);

#[test]
fn a_wrong_ticket_is_refused_at_once() {
    let folder = Folder::new();
    let getter = TestNode::on_loopback(&folder.path("getter"));
    let digits = "ab".repeat(32);
    let garbled = [
        ("hello".to_owned(), "mesh:"),
        ("mesh:".to_owned(), "64"),
        ("mesh:1234".to_owned(), "64"),
        (format!("mesh:{}", &digits[1..]), "64"),
        (format!("mesh:{digits}0"), "64"),
        (format!("mesh:{}g", &digits[1..]), "0-9"),
        (format!("mesh:{digits}?size=many"), "size"),
        (format!("mesh:{digits}?name=%zz"), "ticket"),
        (format!("mesh:{digits}?peer=nowhere"), "peer"),
    ];
    for (ticket, word) in garbled {
        let refused = getter.try_run(&["get", &ticket, "-o", &folder.text("copy")]);
        let _ = refused.refused(2, &["this is not a ticket", word, "copy the whole ticket"]);
        assert!(!folder.path("copy").exists(), "{ticket}");
    }
    assert!(!getter.data().join("store").exists(), "no node was started for it");
}

#[test]
fn without_peers_a_get_says_that_it_waits() {
    let folder = Folder::new();
    let mut getter = TestNode::on_loopback(&folder.path("getter"));
    getter.up();
    let ticket = format!("mesh:{}", "ab".repeat(32));
    let mut fetch = getter.start_fetch(&ticket, &folder.path("copy"));
    let event = fetch.wait_for_event("transfer_waiting", Duration::from_secs(60));
    assert!(json::text(&event, "why").to_lowercase().contains("peer"), "{event}");
    assert!(fetch.runs(), "it goes on waiting");
    assert!(!folder.path("copy").exists());
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let scene = Scene::on_loopback(3 * MIB);
    let target = scene.folder.path("taken");
    fs::write(&target, "precious").unwrap();
    let _ = scene.try_get(&scene.ticket, &scene.folder.text("taken")).refused(8, &["exists", "-o"]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_folder_nobody_may_write_to_is_an_error() {
    let scene = Scene::on_loopback(3 * MIB);
    // Not even root may make files there.
    let _ = scene.try_get(&scene.ticket, "/sys/kernel/mesh-copy").refused(4, &["/sys/kernel"]);
}

#[test]
fn sharing_what_is_not_there_is_an_error() {
    let folder = Folder::new();
    let source = TestNode::on_loopback(&folder.path("source"));
    let _ = source.try_run(&["share", &folder.text("missing")]).refused(3, &["missing"]);
}

#[test]
fn a_second_node_on_a_data_folder_is_refused() {
    let folder = Folder::new();
    let mut first = TestNode::on_loopback(&folder.path("node"));
    first.up();
    let second = Running::start(first.node_command(&["up"]));
    let _ = second.wait(Duration::from_secs(20)).refused(9, &["in use"]);
    let _ = first.status();
}

#[test]
fn a_node_starts_when_a_command_has_let_go_of_its_folder() {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node"));
    node.up();
    node.stop();
    // As a command does that runs a node for one answer.
    let lock = File::options().write(true).open(node.data().join("lock")).unwrap();
    lock.lock().unwrap();
    let mut up = Running::start(node.node_command(&["up"]));
    wait::let_pass(HELD);
    assert!(up.runs(), "it waits: {}", up.log());
    drop(lock);
    wait::until("a node", Duration::from_secs(20), || node.data().join("api.address").exists().then_some(()));
    up.interrupt();
    let _ = up.wait(Duration::from_secs(20)).success();
}

#[test]
fn a_transfer_interrupted_by_its_person_resumes() {
    let mut scene = Scene::slow_on_loopback(16 * MIB, "8MiB/s");
    scene.getter.stop();
    let words = ["get", &scene.ticket, "-o", &scene.folder.text("copy"), "--events", "--json"].map(ToOwned::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut first = Running::start(scene.getter.node_command(&words));
    let _ = first.wait_for_bytes(1, Duration::from_secs(60));
    first.interrupt();
    let _ = first.wait(Duration::from_secs(20)).refused(130, &["same command"]);
    assert!(!scene.copy().exists());
    let report = Running::start(scene.getter.node_command(&words)).wait(Duration::from_secs(60)).success().json();
    scene.assert_fetched();
    assert!(json::number(&report, "received_bytes") < 18 * MIB, "{report}");
}

#[test]
fn an_unknown_key_in_the_configuration_is_shown_with_its_line() {
    let folder = Folder::new();
    let node = TestNode::on_loopback(&folder.path("node"));
    node.configure("name = \"x\"\nlimt_up = 5\n");
    let refused = Running::start(node.node_command(&["up"])).wait(Duration::from_secs(20));
    let _ = refused.refused(2, &["limt_up", "2"]);
}

#[test]
fn a_log_filter_that_means_nothing_is_shown_with_its_line() {
    let folder = Folder::new();
    let node = TestNode::on_loopback(&folder.path("node"));
    node.configure("name = \"x\"\nlog = \"blah blah\"\n");
    let refused = Running::start(node.node_command(&["up"])).wait(Duration::from_secs(20));
    let _ = refused.refused(2, &["line 2", "blah blah", "not a level", "info"]);
}

#[test]
fn what_can_t_be_a_data_folder_is_told_with_a_cure() {
    let folder = Folder::new();
    fs::write(folder.path("file"), "precious").unwrap();
    let file = folder.text("file");
    let run = |data: &str, words: &[&str]| {
        let mut command = Command::new(mesh_tests::program::path());
        command.args(["--data", data]).args(words).env("HOME", folder.path(""));
        Running::start(command).wait(Duration::from_secs(20))
    };
    let _ = run(&file, &["ls"]).refused(8, &["in the way", "--data"]);
    let _ = run(&file, &["up"]).refused(8, &["in the way", "--data"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    for (name, format) in [("else", &b"else\n"[..]), ("binary", &[0xff, 0xfe]), ("newer", b"mesh-data 9\n")] {
        let data = folder.path(name);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("format"), format).unwrap();
        let _ = run(&folder.text(name), &["ls"]).refused(8, &["format", "another folder with --data"]);
        assert_eq!(fs::read(data.join("format")).unwrap(), format);
    }
}

/// Runs a command whose results go to a file that takes none.
fn on_full(mut command: Command) -> (Option<i32>, String) {
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = command.stdout(full).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_result_that_can_t_be_written_is_an_error() {
    let scene = Scene::on_loopback(1000);
    let file = scene.file.to_string_lossy().into_owned();
    let alone = TestNode::on_loopback(&scene.folder.path("alone"));
    let commands = [
        scene.source().command(&["ls"]),
        scene.source().command(&["ls", "--json"]),
        scene.source().command(&["share", &file, "-q"]),
        scene.getter.command(&["get", &scene.ticket, "-o", &scene.folder.text("copy"), "--events"]),
        scene.getter.command(&["--help"]),
        // It must not go on seeding for somebody who never saw the ticket.
        alone.node_command(&["share", &file, "-q"]),
        alone.node_command(&["up"]),
    ];
    for command in commands {
        let shown = format!("{command:?}");
        let (code, said) = on_full(command);
        assert_eq!(code, Some(5), "{shown}: {said}");
        assert!(said.contains("standard output"), "{shown}: {said}");
    }
}

#[test]
fn who_closes_the_pipe_early_ends_it_quietly() {
    let folder = Folder::new();
    let node = TestNode::on_loopback(&folder.path("node"));
    for words in [&["openapi"][..], &["ls"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = node.command(words).stdout(writer).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{words:?}");
    }
}
