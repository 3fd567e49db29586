//! What is done a second time: sharing what is shared, getting what is here, and what changed in between.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_tests::{Folder, TestNode, files, wait};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);

struct Two {
    folder: Folder,
    source: TestNode,
    getter: TestNode,
}

impl Two {
    fn new() -> Self {
        let folder = Folder::new();
        let mut source = TestNode::on_loopback(&folder.path("source"));
        source.up();
        let mut getter = TestNode::on_loopback(&folder.path("getter")).with_options(&["--peer", &source.address()]);
        getter.up();
        Self { folder, source, getter }
    }

    fn file(&self, name: &str, seed: u64) -> PathBuf {
        let path = self.folder.path(name);
        files::write_random(&path, 1 << 20, seed);
        path
    }

    /// Shares with options; the view.
    fn share(&self, path: &Path, options: &[&str]) -> Value {
        self.source.run(&[&["share", &*path.to_string_lossy()], options].concat())
    }

    fn listed_here(&self) -> Vec<Value> {
        self.source.run(&["ls"]).as_array().expect("a list").clone()
    }

    fn holders(&self, content: &Value) -> u64 {
        let browsed = self.getter.run(&["browse"]);
        let entry = browsed.as_array().expect("a list").iter().find(|entry| entry["content_id"] == *content).cloned();
        entry.and_then(|entry| entry["holders"].as_u64()).unwrap_or(0)
    }
}

fn text<'a>(view: &'a Value, key: &str) -> &'a str {
    view[key].as_str().unwrap_or_else(|| panic!("{key} in {view}"))
}

fn damage(path: &Path) {
    let file = OpenOptions::new().write(true).open(path).expect("opens");
    file.write_all_at(b"damage", 500_000).expect("writes");
}

#[test]
fn a_second_share_changes_only_what_it_says() {
    let two = Two::new();
    let file = two.file("file", 1);
    let first = two.share(&file, &["--listed", "--tag", "old", "--name", "named", "--access", "public"]);
    let again = two.share(&file, &[]);
    assert_eq!((&again["name"], &again["listed"], &again["ticket"]), (&first["name"], &true.into(), &first["ticket"]));
    let here = two.listed_here();
    assert_eq!((here.len(), &here[0]["access"]), (1, &"public".into()));
    let again = two.share(&file, &["--unlisted", "--name", "other"]);
    assert_eq!((text(&again, "name"), &again["listed"]), ("other", &false.into()));
    assert_eq!(two.listed_here()[0]["access"], "public");
}

#[test]
fn a_changed_file_shared_again_takes_the_place_of_what_it_was() {
    let two = Two::new();
    let file = two.file("file", 1);
    let old = two.share(&file, &["--listed"]);
    wait::until("the first is listed", LIMIT, || (two.holders(&old["content_id"]) == 1).then_some(()));
    damage(&file);
    let new = two.share(&file, &["--listed"]);
    let here = two.listed_here();
    assert_eq!((here.len(), &here[0]["content_id"]), (1, &new["content_id"]));
    wait::until("only the second is listed", LIMIT, || {
        (two.holders(&new["content_id"]) == 1 && two.holders(&old["content_id"]) == 0).then_some(())
    });
    assert_eq!(two.getter.run(&["browse"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn the_same_bytes_elsewhere_leave_the_first_where_it_is() {
    let two = Two::new();
    let file = two.file("file", 1);
    let first = two.share(&file, &[]);
    let copy = two.folder.path("copy of it");
    fs::copy(&file, &copy).expect("copies");
    assert_eq!(two.share(&copy, &[])["content_id"], first["content_id"]);
    fs::remove_file(&copy).expect("removes");
    let _ = two.getter.fetch(text(&first, "ticket"), &two.folder.path("got"));
    // And when the first is gone, the second may take its place.
    fs::rename(&file, &copy).expect("renames");
    assert_eq!(two.share(&copy, &[])["content_id"], first["content_id"]);
    let mut other = TestNode::on_loopback(&two.folder.path("other"));
    other.up();
    let _ = two.getter.run(&["rm", text(&first, "content_id")]);
    let _ = other.fetch(text(&first, "ticket"), &two.folder.path("got too"));
    files::assert_same_file(&copy, &two.folder.path("got too"));
}

#[test]
fn a_share_that_was_mended_is_found_again() {
    let two = Two::new();
    let file = two.file("file", 1);
    let view = two.share(&file, &["--listed"]);
    let id = &view["content_id"];
    wait::until("it is found", LIMIT, || (two.holders(id) == 1).then_some(()));
    let away = two.folder.path("away");
    fs::rename(&file, &away).expect("renames");
    let said = two.source.try_run(&["verify", text(&view, "content_id")]);
    assert!(said.all().contains("no longer there"), "{}", said.all());
    wait::until("nobody has it", LIMIT, || (two.holders(id) == 0).then_some(()));
    fs::rename(&away, &file).expect("renames");
    let _ = two.source.run(&["verify", text(&view, "content_id")]);
    wait::until("it is found again", LIMIT, || (two.holders(id) == 1).then_some(()));
}

#[test]
fn what_was_deleted_or_changed_is_fetched_again_by_the_same_get() {
    let two = Two::new();
    let file = two.file("file", 1);
    let view = two.share(&file, &[]);
    let ticket = text(&view, "ticket");
    let copy = two.folder.path("copy");
    let _ = two.getter.fetch(ticket, &copy);
    fs::remove_file(&copy).expect("removes");
    let report = two.getter.fetch(ticket, &copy);
    assert_eq!(report["received_bytes"], 1 << 20, "{report}");
    files::assert_same_file(&file, &copy);
    damage(&copy);
    let report = two.getter.fetch(ticket, &copy);
    assert!(report["earlier_bytes"].as_u64() > Some(500_000), "{report}");
    files::assert_same_file(&file, &copy);
    // Wanted elsewhere, what a person changed is left alone.
    damage(&copy);
    let changed = fs::read(&copy).expect("reads");
    let _ = two.getter.fetch(ticket, &two.folder.path("second"));
    files::assert_same_file(&file, &two.folder.path("second"));
    assert!(fs::read(&copy).expect("reads") == changed);
}

#[test]
fn names_of_any_script_may_be_as_long_as_the_file_system_permits() {
    let two = Two::new();
    let name = "漢".repeat(85);
    let file = two.file(&name, 1);
    let view = two.share(&file, &[]);
    let folder = two.folder.path("to");
    fs::create_dir(&folder).expect("makes");
    let _ = two.getter.fetch(text(&view, "ticket"), &folder);
    files::assert_same_file(&file, &folder.join(&name));
}

#[test]
fn the_report_of_a_resumed_get_adds_up() {
    let mut two = Two::new();
    let _ = two.source.run(&["limit", "--up", "4MB"]);
    let file = two.folder.path("large");
    files::write_random(&file, 12 << 20, 3);
    let view = two.share(&file, &[]);
    let ticket = text(&view, "ticket");
    let copy = two.folder.path("copy");
    let mut fetch = two.getter.start_fetch(ticket, &copy);
    fetch.wait_for_bytes(5 << 20, LIMIT);
    two.getter.crash();
    two.getter.up();
    let report = two.getter.fetch(ticket, &copy);
    let given: u64 =
        report["sources"].as_array().expect("sources").iter().filter_map(|one| one["bytes"].as_u64()).sum();
    let earlier = report["earlier_bytes"].as_u64().expect("a number");
    assert_eq!(given + earlier, 12 << 20, "{report}");
    assert!(earlier >= 4 << 20, "{report}");
}
