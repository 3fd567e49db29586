//! `doctor`: what is wrong with a set-up is found, and each finding says what to do.

use std::net::TcpListener;
use std::time::Duration;

use mesh_tests::{Folder, Lan, Running, Scene, SmallDisk, TestNode, json, wait};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);

fn findings(node: &TestNode) -> Vec<Value> {
    let doctor = node.run(&["doctor"]);
    let findings = json::find(&doctor, "findings").and_then(Value::as_array).expect("findings are a list");
    for finding in findings {
        let (severity, cure) = (json::text(finding, "severity"), json::text(finding, "cure"));
        assert!(["ok", "note", "warning", "problem"].contains(&severity), "{finding}");
        assert!(severity == "ok" || severity == "note" || !cure.is_empty(), "no cure: {finding}");
        assert!(!json::text(finding, "message").is_empty());
    }
    findings.clone()
}

/// The finding on a subject; its severity, and its message and cure in one.
fn finding(node: &TestNode, subject: &str) -> Option<(String, String)> {
    let found = findings(node).into_iter().find(|finding| finding["subject"] == subject)?;
    let text = format!("{} -> {}", json::text(&found, "message"), json::text(&found, "cure"));
    Some((json::text(&found, "severity").to_owned(), text))
}

#[track_caller]
fn assert_found(node: &TestNode, subject: &str, severity: &str, words: &[&str]) {
    let (found, text) = finding(node, subject).unwrap_or_else(|| panic!("nothing on {subject}"));
    assert_eq!(found, severity, "{text}");
    for word in words {
        assert!(text.contains(word), "\"{word}\" is not in: {text}");
    }
}

fn node(folder: &Folder) -> TestNode {
    TestNode::on_loopback(&folder.path("node"))
}

#[test]
fn a_lonely_node_is_told_how_to_find_others() {
    let folder = Folder::new();
    let mut node = node(&folder);
    node.up();
    assert_found(&node, "peers", "warning", &["no peer", "--peer"]);
    assert_found(&node, "multicast", "note", &["switched off", "--no-mdns"]);
    let text = node.try_run(&["doctor"]).success().stdout;
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("warning"), "the worst comes first: {text}");
    assert!(text.contains("\n         → "), "each cure stands below its finding: {text}");
}

#[test]
fn who_asks_where_no_node_runs_is_told() {
    let folder = Folder::new();
    let mut node = node(&folder);
    assert_found(&node, "node", "warning", &["none runs here", "mesh-node up"]);
    assert_eq!(node.run(&["status"])["running"], false);
    let text = node.try_run(&["status"]).success().stdout;
    assert!(text.contains("running   no") && !text.contains("listening"), "{text}");
    node.up();
    assert_eq!(finding(&node, "node"), None);
    assert_eq!(node.run(&["status"])["running"], true);
    assert!(node.try_run(&["status"]).success().stdout.contains("listening"));
}

#[test]
fn a_node_with_a_peer_is_well() {
    let scene = Scene::on_loopback(1);
    let _ = scene.fetch();
    assert_found(&scene.getter, "peers", "ok", &["1 connected"]);
    assert_found(&scene.getter, "clock", "ok", &[]);
}

#[test]
fn without_a_running_node_one_is_started_for_the_look() {
    let folder = Folder::new();
    let node = node(&folder);
    node.configure("listen = [\"/ip4/127.0.0.1/tcp/0\"]\nmdns = false\n");
    assert_found(&node, "peers", "warning", &["no peer"]);
    assert!(!folder.path("node/api.address").exists());
}

#[test]
fn a_taken_port_is_a_problem_if_there_is_no_other() {
    let folder = Folder::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", holder.local_addr().unwrap().port());
    let mut node = TestNode::new(mesh_tests::Place::Here, &folder.path("node"));
    node = node.with_options(&["--no-mdns", "--listen", &address]);
    node.up();
    assert_found(&node, "listening", "problem", &[]);
    let texts: Vec<String> = findings(&node).iter().map(Value::to_string).collect();
    assert!(texts.iter().any(|text| text.contains(&address) && text.contains("another")), "{texts:?}");
}

#[test]
fn the_usual_port_taken_is_told_and_another_is_used() {
    let folder = Folder::new();
    // If it is taken already, by a node of whoever works on this machine, all the better.
    let _holder = TcpListener::bind("0.0.0.0:4340");
    let mut node = TestNode::new(mesh_tests::Place::Here, &folder.path("node")).with_options(&["--no-mdns"]);
    node.up();
    assert_found(&node, "listening", "warning", &["/ip4/0.0.0.0/tcp/4340", "listen"]);
    assert!(node.address().contains("/tcp/"), "it listens all the same");
    assert!(node.process().log().contains("another one is used"));
}

#[test]
fn a_static_peer_that_does_not_answer_is_named() {
    let folder = Folder::new();
    let silent = "/ip4/127.0.0.1/tcp/1";
    let mut node = node(&folder).with_options(&["--peer", silent]);
    node.up();
    wait::until("a finding on the peer", LIMIT, || finding(&node, "static peers"));
    assert_found(&node, "static peers", "warning", &[silent, "check the address"]);
}

#[test]
fn a_static_peer_with_a_name_that_does_not_answer_is_named() {
    let mut scene = Scene::on_loopback(1);
    let address = scene.source().address();
    scene.sources[0].stop();
    let mut node = node(&scene.folder).with_options(&["--peer", &address]);
    node.up();
    wait::until("a finding on the peer", LIMIT, || finding(&node, "static peers"));
    let bare = address.split("/p2p/").next().unwrap_or_default();
    assert_found(&node, "static peers", "warning", &[bare, "check the address"]);
}

#[test]
fn a_network_without_multicast_is_suspected() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let hosts = [lan.host(), lan.host()];
    hosts.iter().for_each(mesh_tests::Host::block_multicast);
    let mut nodes = [0, 1].map(|number: usize| hosts[number].node(&folder.path(&format!("node{number}"))));
    nodes.iter_mut().for_each(TestNode::up);
    assert_found(&nodes[0], "multicast", "ok", &["too early"]);
    wait::until("a finding on multicast", LIMIT, || {
        finding(&nodes[0], "multicast").filter(|(severity, _)| severity == "note")
    });
    assert_found(&nodes[0], "multicast", "note", &["no node was found", "--peer"]);
}

#[test]
fn a_disk_that_is_nearly_full_is_warned_of() {
    let folder = Folder::new();
    let Some(disk) = SmallDisk::mount(&folder.path("disk"), 64) else { return };
    let mut node = TestNode::on_loopback(&disk.path("node"));
    node.up();
    assert_found(&node, "disk", "warning", &["MiB free", "mesh-node quota"]);
    node.stop();
}

#[test]
fn a_data_folder_of_another_user_is_refused_with_its_cause() {
    let folder = Folder::new();
    folder.open_to_all();
    let Some(place) = mesh_tests::Place::stranger() else { return };
    let mut node = TestNode::new(place, &folder.path("node")).loopback_only();
    node.up();
    node.stop();
    std::os::unix::fs::chown(node.data(), Some(0), Some(0)).unwrap();
    std::fs::set_permissions(node.data(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let refused = Running::start(node.node_command(&["up"])).wait(LIMIT);
    let _ = refused.refused(4, &["permission denied", "who owns it"]);
}
