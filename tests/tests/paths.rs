//! Paths given relative, through links or with `..` are kept so that they still lead there. Runs without root.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::{Folder, Running, Scene, TestNode, files, json};

const MIB: u64 = 1 << 20;
const LIMIT: Duration = Duration::from_secs(20);

/// Runs a command of a node in another folder.
fn run_in(node: &TestNode, folder: &PathBuf, words: &[&str]) -> serde_json::Value {
    let mut command = node.command(&[words, &["--json"]].concat());
    command.current_dir(folder);
    Running::start(command).wait(LIMIT).success().json()
}

#[test]
fn a_share_outlives_the_folder_it_was_named_from() {
    let scene = Scene::on_loopback(MIB);
    let at = scene.folder.path("at");
    fs::create_dir(&at).unwrap();
    fs::create_dir(scene.folder.path("src")).unwrap();
    let file = scene.folder.random_file("src/a.bin", MIB + 1);
    let shared = run_in(scene.source(), &at, &["share", "../at/../src/a.bin"]);
    fs::remove_dir(&at).unwrap();
    let id = json::text(&shared, "content_id").to_owned();
    let listed = scene.source().content(&id).expect("it is listed");
    assert_eq!(json::text(&listed, "path"), file.canonicalize().unwrap().to_str().unwrap());
    let _ = scene.getter.fetch(json::text(&shared, "ticket"), &scene.folder.path("got"));
    files::assert_same_file(&file, &scene.folder.path("got"));
}

#[test]
fn a_target_is_the_same_from_wherever_it_is_named() {
    let scene = Scene::slow_on_loopback(8 * MIB, "4MiB/s");
    let at = scene.folder.path("at");
    fs::create_dir(&at).unwrap();
    let copy = scene.copy().parent().unwrap().canonicalize().unwrap().join("copy");
    let mut command = scene.getter.command(&["get", &scene.ticket, "-o", "../at/new/../../copy", "--events"]);
    command.current_dir(&at);
    let mut fetch = Running::start(command);
    let _ = fetch.wait_for_bytes(1, LIMIT);
    assert_eq!(json::text(&scene.at_getter().expect("it is listed"), "path"), copy.to_str().unwrap());
    let _ = scene.source().run(&["limit", "--up", "0"]);
    let report = scene.getter.fetch(&scene.ticket, &copy);
    assert_eq!(json::text(&report, "path"), copy.to_str().unwrap(), "it joins what is under way");
    let _ = fetch.wait(LIMIT).success();
    scene.assert_fetched();
    assert_eq!(run_in(&scene.getter, &at, &["get", &scene.ticket, "-o", "../copy"])["complete"], true);
}

#[test]
fn the_api_keeps_paths_in_the_same_way() {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node"));
    node.up();
    let file = folder.random_file("file", 1000);
    let share = |path: &str| node.api_request("POST", "/v1/share", &format!("{{\"path\": {path:?}}}"));
    let answer = share(&folder.text("node/../file"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let path = node.run(&["ls"])[0]["path"].as_str().map(str::to_owned);
    assert_eq!(path.as_deref(), file.canonicalize().unwrap().to_str());
    let answer = share("file");
    assert!(answer.status == 400 && answer.body.contains("not absolute"), "{answer:?}");
}

#[test]
fn a_link_is_shared_under_its_own_name() {
    let folder = Folder::new();
    let mut node = TestNode::on_loopback(&folder.path("node"));
    node.up();
    let file = folder.random_file("file", 1000);
    std::os::unix::fs::symlink(&file, folder.path("link")).unwrap();
    let shared = node.run(&["share", &folder.text("link")]);
    assert_eq!((json::text(&shared, "name"), json::number(&shared, "size_bytes")), ("link", 1000));
    assert!(node.run(&["ls"])[0]["path"].as_str().is_some_and(|path| path.ends_with("/link")));
}

#[test]
fn nothing_is_fetched_into_what_belongs_to_the_node() {
    let scene = Scene::on_loopback(MIB);
    std::os::unix::fs::symlink(scene.getter.data(), scene.folder.path("detour")).unwrap();
    for target in ["getter/store/x", "getter/x", "detour/store/x", "getter/../detour/x"] {
        let refused = scene.try_get(&scene.ticket, &scene.folder.text(target));
        let _ = refused.refused(2, &["belongs to the node itself", "-o"]);
        assert!(!scene.folder.path(target).exists());
    }
    let _ = scene.fetch();
}

#[test]
fn a_data_folder_behind_a_link_is_one_and_the_same() {
    let folder = Folder::new();
    fs::create_dir(folder.path("real")).unwrap();
    std::os::unix::fs::symlink(folder.path("real"), folder.path("data")).unwrap();
    let mut node = TestNode::on_loopback(&folder.path("data"));
    node.up();
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"piped").unwrap();
    drop(writer);
    let shared = Running::start_with_input(node.command(&["share", "-", "--json"]), reader).wait(LIMIT).success();
    let shared = shared.json();
    assert_eq!(fs::read_dir(folder.path("real/stdin-shares")).unwrap().count(), 1);
    let _ = node.run(&["rm", json::text(&shared, "content_id")]);
    assert_eq!(fs::read_dir(folder.path("real/stdin-shares")).unwrap().count(), 0, "nobody else knows of it");
}
