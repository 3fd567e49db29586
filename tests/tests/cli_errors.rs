//! What goes wrong on the way is said clearly, and nothing is lost or half-written. Runs without root.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::{Outcome, Running, TestNode, files, json};
use tempfile::TempDir;

/// Fields end in their order: the nodes before the folder they work in.
struct Fixture {
    source: TestNode,
    getter: TestNode,
    folder: TempDir,
    file: PathBuf,
    ticket: String,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folders can be made");
        let file = folder.path().join("file");
        files::write_random(&file, 3 << 20, 3);
        let mut source = TestNode::on_loopback(&folder.path().join("source"));
        let mut getter = TestNode::on_loopback(&folder.path().join("getter"));
        source.up();
        getter.up();
        let ticket = source.share(&file);
        Self { source, getter, folder, file, ticket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn try_get(&self, ticket: &str, target: &str) -> Outcome {
        self.getter.try_run(&["get", ticket, "-o", target])
    }
}

/// The command failed, and what it said holds all of these words.
#[track_caller]
fn assert_refused(outcome: &Outcome, words: &[&str]) {
    assert!(!matches!(outcome.code, Some(0) | None), "it should have failed with a code: {outcome:?}");
    let said = outcome.all().to_lowercase();
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "\"{word}\" is not in: {said}");
    }
}

#[test]
fn a_wrong_ticket_is_refused_at_once() {
    let fixture = Fixture::new();
    let target = fixture.path("copy").to_string_lossy().into_owned();
    assert_refused(&fixture.try_get("hello", &target), &["ticket", "mesh:"]);
    assert_refused(&fixture.try_get("mesh:1234", &target), &["ticket", "64"]);
    assert!(!fixture.path("copy").exists());
}

#[test]
fn without_peers_a_get_says_that_it_waits() {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let mut getter = TestNode::on_loopback(&folder.path().join("getter"));
    getter.up();
    let ticket = format!("mesh:{}", "ab".repeat(32));
    let mut fetch = getter.start_fetch(&ticket, &folder.path().join("copy"));
    let event = fetch.wait_for_event("transfer_waiting", Duration::from_secs(60));
    assert!(json::text(&event, "why").to_lowercase().contains("peer"), "{event}");
    assert!(fetch.runs(), "it goes on waiting");
    assert!(!folder.path().join("copy").exists());
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let fixture = Fixture::new();
    let target = fixture.path("taken");
    fs::write(&target, "precious").unwrap();
    assert_refused(&fixture.try_get(&fixture.ticket, &target.to_string_lossy()), &["exists"]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_folder_nobody_may_write_to_is_an_error() {
    let fixture = Fixture::new();
    // Not even root may make files there.
    assert_refused(&fixture.try_get(&fixture.ticket, "/sys/kernel/mesh-copy"), &["/sys/kernel"]);
}

#[test]
fn sharing_what_is_not_there_is_an_error() {
    let fixture = Fixture::new();
    let missing = fixture.path("missing").to_string_lossy().into_owned();
    assert_refused(&fixture.source.try_run(&["share", &missing]), &["missing"]);
}

#[test]
fn a_file_changed_while_shared_is_noticed_and_not_served() {
    let fixture = Fixture::new();
    files::write_random(&fixture.file, 3 << 20, 4);
    let mut fetch = fixture.getter.start_fetch(&fixture.ticket, &fixture.path("copy"));
    mesh_tests::wait::until("the source to notice the change", Duration::from_secs(60), || {
        let list = fixture.source.run(&["ls"]);
        (json::find(&list, "state")?.as_str()? == "changed").then_some(())
    });
    assert!(!fixture.path("copy").exists(), "nothing wrong was shown");
    fetch.interrupt();
}

#[test]
fn a_second_node_on_a_data_folder_is_refused() {
    let fixture = Fixture::new();
    let second = Running::start(fixture.source.node_command(&["up"]));
    assert_refused(&second.wait(Duration::from_secs(20)), &["in use"]);
    let _ = fixture.source.status();
}

#[test]
fn a_transfer_interrupted_by_its_person_resumes() {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let (file, copy) = (folder.path().join("file"), folder.path().join("copy"));
    files::write_random(&file, 16 << 20, 5);
    let mut source = TestNode::on_loopback(&folder.path().join("source"));
    let getter = TestNode::on_loopback(&folder.path().join("getter"));
    source.up();
    let _ = source.run(&["limit", "--up", "8MiB/s"]);
    let ticket = source.share(&file);
    let words = ["get", &ticket, "-o", &copy.to_string_lossy(), "--events", "--json"].map(ToOwned::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut first = Running::start(getter.node_command(&words));
    let _ = first.wait_for_line("a part of the file", Duration::from_secs(60), |event| {
        json::find(event, "done_bytes").and_then(serde_json::Value::as_u64).is_some_and(|done| done > 0)
    });
    first.interrupt();
    let first = first.wait(Duration::from_secs(20));
    assert_ne!(first.code, Some(0), "{first:?}");
    assert!(!copy.exists());
    let report = Running::start(getter.node_command(&words)).wait(Duration::from_secs(60)).success().json();
    files::assert_same_file(&file, &copy);
    assert!(json::number(&report, "received_bytes") < 18 << 20, "{report}");
}

#[test]
fn an_unknown_key_in_the_configuration_is_shown_with_its_line() {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let node = TestNode::on_loopback(folder.path());
    node.configure("name = \"x\"\nlimt_up = 5\n");
    let refused = Running::start(node.node_command(&["up"])).wait(Duration::from_secs(20));
    assert_refused(&refused, &["limt_up", "2"]);
}
