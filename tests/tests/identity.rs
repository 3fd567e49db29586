//! `identity`: a node moves to another data folder and stays who it is. Runs without root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mesh_tests::{Folder, TestNode, json};

struct Fixture {
    old: TestNode,
    new: TestNode,
    folder: Folder,
    export: String,
}

impl Fixture {
    fn new() -> Self {
        let folder = Folder::new();
        let old = TestNode::on_loopback(&folder.path("old"));
        let new = TestNode::on_loopback(&folder.path("new"));
        let export = folder.text("keys");
        Self { old, new, folder, export }
    }
}

fn shown(node: &TestNode) -> String {
    json::text(&node.run(&["identity", "show"]), "node").to_owned()
}

#[test]
fn an_exported_identity_runs_in_another_folder_under_the_same_id() {
    let mut fixture = Fixture::new();
    fixture.old.up();
    let id = fixture.old.id();
    let peer_id = fixture.old.address().rsplit('/').next().expect("an address ends in an id").to_owned();
    let _ = fixture.old.run(&["member", "new", "Ada"]);
    let member = json::text(&fixture.old.run(&["identity", "show"]), "member").to_owned();
    let exported = fixture.old.run(&["identity", "export", &fixture.export]);
    assert_eq!(json::text(&exported, "node"), id);
    let mode = fs::metadata(&fixture.export).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "keys are for their owner only");
    fixture.old.stop();
    let imported = fixture.new.run(&["identity", "import", &fixture.export]);
    assert_eq!(json::text(&imported, "node"), id);
    fixture.new.up();
    assert_eq!(fixture.new.id(), id);
    assert!(fixture.new.address().ends_with(&peer_id), "others know it by the same peer id");
    assert_eq!(json::text(&fixture.new.run(&["identity", "show"]), "member"), member);
}

#[test]
fn an_identity_that_is_there_is_not_overwritten() {
    let fixture = Fixture::new();
    let (old, new) = (shown(&fixture.old), shown(&fixture.new));
    let _ = fixture.old.run(&["identity", "export", &fixture.export]);
    let refused = fixture.new.try_run(&["identity", "import", &fixture.export]);
    let _ = refused.refused(8, &["identity", "--replace"]);
    assert_eq!(shown(&fixture.new), new);
    let _ = fixture.new.run(&["identity", "import", &fixture.export, "--replace"]);
    assert_eq!(shown(&fixture.new), old);
    assert!(fixture.folder.path("new/identity-replaced-1/node.key").is_file(), "the old keys are put aside");
}

#[test]
fn an_existing_file_is_not_overwritten_by_an_export() {
    let fixture = Fixture::new();
    let _ = shown(&fixture.old);
    fs::write(&fixture.export, "precious").unwrap();
    let _ = fixture.old.try_run(&["identity", "export", &fixture.export]).refused(8, &["exists", "another name"]);
    assert_eq!(fs::read_to_string(&fixture.export).unwrap(), "precious");
}

#[test]
fn a_running_node_keeps_its_identity() {
    let mut fixture = Fixture::new();
    let _ = shown(&fixture.old);
    let _ = fixture.old.run(&["identity", "export", &fixture.export]);
    fixture.new.up();
    let id = fixture.new.id();
    let refused = fixture.new.try_run(&["identity", "import", &fixture.export, "--replace"]);
    let _ = refused.refused(9, &["in use", "stop"]);
    assert_eq!(fixture.new.id(), id);
}

#[test]
fn a_node_whose_key_is_gone_says_that_it_is_a_new_one() {
    let mut fixture = Fixture::new();
    fixture.old.up();
    assert!(!fixture.old.process().log().contains("node.key"), "nothing is lost at the first run");
    let id = fixture.old.id();
    fixture.old.stop();
    fs::remove_file(fixture.folder.path("old/identity/node.key")).unwrap();
    fixture.old.up();
    assert_ne!(fixture.old.id(), id);
    let said = fixture.old.process().log();
    assert!(said.contains("WARN") && said.contains("node.key was gone"), "{said}");
}

#[test]
fn what_is_no_export_is_refused_and_nothing_changes() {
    let fixture = Fixture::new();
    let id = shown(&fixture.new);
    let _ = shown(&fixture.old);
    let _ = fixture.old.run(&["identity", "export", &fixture.export]);
    let good = fs::read_to_string(&fixture.export).unwrap();
    let bad = fixture.folder.text("bad");
    for text in [String::new(), "hello".to_owned(), good.replace("node ", "node 0"), good.replace("node ", "nobody ")] {
        fs::write(&bad, text).unwrap();
        let refused = fixture.new.try_run(&["identity", "import", &bad, "--replace"]);
        let _ = refused.refused(2, &["line", "identity export"]);
    }
    for bytes in [vec![0xff; 64], vec![b'x'; 1 << 20]] {
        fs::write(&bad, bytes).unwrap();
        let refused = fixture.new.try_run(&["identity", "import", &bad, "--replace"]);
        let _ = refused.refused(2, &["not part of an exported identity", "identity export"]);
    }
    let folder = fixture.folder.text("old");
    let _ = fixture.new.try_run(&["identity", "import", &folder, "--replace"]).refused(2, &["this is a folder"]);
    let _ = fixture.new.try_run(&["identity", "import", &fixture.folder.text("missing")]).refused(3, &["missing"]);
    assert_eq!(shown(&fixture.new), id);
    assert!(!fixture.folder.path("new/identity-replaced-1").exists());
}
