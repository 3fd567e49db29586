//! The main job between hosts: finding each other, fetching from whoever has it, losing a source on the way.

use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::node::bare_ticket;
use mesh_tests::{Lan, TestNode, files, json, wait};
use serde_json::Value;
use tempfile::TempDir;

/// A new node must see its peers within this, also with multicast blocked.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary folders can be made"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn random_file(&self, name: &str, bytes: u64) -> PathBuf {
        files::write_random(&self.path(name), bytes, bytes);
        self.path(name)
    }
}

fn stop_all<const COUNT: usize>(nodes: [TestNode; COUNT]) {
    nodes.into_iter().for_each(TestNode::stop_and_replay);
}

/// Verified bytes by source, from a report.
fn given(report: &Value) -> Vec<u64> {
    let sources = json::find(report, "sources").and_then(Value::as_array).expect("a report names its sources");
    sources.iter().map(|source| json::number(source, "bytes")).collect()
}

#[test]
fn a_file_is_found_and_fetched_by_mdns_alone() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let file = folder.random_file("file", 20 * MIB);
    let mut source = lan.host().node(&folder.path("source"));
    let mut getter = lan.host().node(&folder.path("getter"));
    source.up();
    getter.up();
    let ticket = source.share(&file);
    getter.wait_for_peers(1, DISCOVERY_LIMIT);
    let report = getter.fetch(&bare_ticket(&ticket), &folder.path("copy"));
    files::assert_same_file(&file, &folder.path("copy"));
    assert_eq!(json::text(&report, "blake3"), files::blake3_of(&file));
    assert_eq!(json::number(&report, "duplicate_bytes"), 0);
    stop_all([source, getter]);
}

#[test]
fn with_multicast_blocked_one_static_peer_leads_to_the_source() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let file = folder.random_file("file", 5 * MIB);
    let hosts = [lan.host(), lan.host(), lan.host()];
    hosts.iter().for_each(mesh_tests::Host::block_multicast);
    let [middle_host, source_host, getter_host] = &hosts;
    let known = middle_host.multiaddr();
    let mut middle = middle_host.node(&folder.path("middle"));
    let mut source = source_host.node(&folder.path("source")).with_options(&["--peer", &known]);
    let mut getter = getter_host.node(&folder.path("getter")).with_options(&["--peer", &known]);
    middle.up();
    source.up();
    let ticket = source.share(&file);
    source.wait_for_peers(1, DISCOVERY_LIMIT);
    getter.up();
    // Both of them: the one it was told of, and the one only that one knows.
    getter.wait_for_peers(2, DISCOVERY_LIMIT);
    let _ = getter.fetch(&bare_ticket(&ticket), &folder.path("copy"));
    files::assert_same_file(&file, &folder.path("copy"));
    stop_all([middle, source, getter]);
}

#[test]
fn three_sources_give_at_once() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let file = folder.random_file("file", 60 * MIB);
    let mut sources = [1, 2, 3].map(|number| {
        let host = lan.host();
        host.limit_rate(50);
        host.node(&folder.path(&format!("source{number}")))
    });
    let mut getter = lan.host().node(&folder.path("getter"));
    let mut ticket = String::new();
    for source in &mut sources {
        source.up();
        // The same bytes are the same content, whoever shares them.
        ticket = source.share(&file);
    }
    getter.up();
    getter.wait_for_peers(3, DISCOVERY_LIMIT);
    let report = getter.fetch(&bare_ticket(&ticket), &folder.path("copy"));
    files::assert_same_file(&file, &folder.path("copy"));
    let given = given(&report);
    assert!(given.iter().filter(|bytes| **bytes > 10 * MIB).count() == 3, "each gives its part: {given:?}");
    assert!(json::number(&report, "duplicate_bytes") < 60 * MIB / 100, "duplicates stay below 1 %: {report}");
    stop_all(sources);
    stop_all([getter]);
}

#[test]
fn a_source_unplugged_midway_costs_its_part_only() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let file = folder.random_file("file", 60 * MIB);
    let hosts = [lan.host(), lan.host()];
    hosts.iter().for_each(|host| host.limit_rate(50));
    let mut sources = [0, 1].map(|number: usize| hosts[number].node(&folder.path(&format!("source{number}"))));
    let mut getter = lan.host().node(&folder.path("getter"));
    let mut ticket = String::new();
    for source in &mut sources {
        source.up();
        ticket = source.share(&file);
    }
    getter.up();
    getter.wait_for_peers(2, DISCOVERY_LIMIT);
    let mut fetch = getter.start_fetch(&bare_ticket(&ticket), &folder.path("copy"));
    let _ = fetch.wait_for_line("a quarter of the file", Duration::from_secs(60), |event| {
        json::find(event, "done_bytes").and_then(Value::as_u64).is_some_and(|done| done > 15 * MIB)
    });
    hosts[0].unplug();
    let _ = fetch.wait(Duration::from_secs(120)).success();
    files::assert_same_file(&file, &folder.path("copy"));
    hosts[0].plug();
    stop_all(sources);
    stop_all([getter]);
}

#[test]
fn a_source_that_flips_bytes_is_banned_and_the_file_still_right() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let file = folder.random_file("file", 20 * MIB);
    let mut liar = lan.host().node(&folder.path("liar")).with_variable("MESH_TEST_CORRUPT", "1");
    let mut honest = lan.host().node(&folder.path("honest"));
    let mut getter = lan.host().node(&folder.path("getter"));
    for source in [&mut liar, &mut honest] {
        source.up();
        let _ = source.share(&file);
    }
    getter.up();
    getter.wait_for_peers(2, DISCOVERY_LIMIT);
    let ticket = bare_ticket(&honest.share(&file));
    let report = getter.fetch(&ticket, &folder.path("copy"));
    files::assert_same_file(&file, &folder.path("copy"));
    let sources = json::find(&report, "sources").and_then(Value::as_array).expect("a report names its sources");
    let banned: Vec<&str> = sources
        .iter()
        .filter(|source| source["banned"] == Value::Bool(true))
        .map(|source| json::text(source, "node"))
        .collect();
    assert_eq!(banned, [liar.id()], "{report}");
    stop_all([liar, honest, getter]);
}

#[test]
fn a_lossy_link_delivers_every_byte() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let file = folder.random_file("file", 5 * MIB);
    let mut source = lan.host().node(&folder.path("source"));
    let far = lan.host();
    far.lose(3);
    let mut getter = far.node(&folder.path("getter"));
    source.up();
    getter.up();
    let ticket = source.share(&file);
    let _ = getter.fetch(&ticket, &folder.path("copy"));
    files::assert_same_file(&file, &folder.path("copy"));
    stop_all([source, getter]);
}

#[test]
fn a_source_that_comes_later_is_waited_for() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let file = folder.random_file("file", 2 * MIB);
    let mut source = lan.host().node(&folder.path("source"));
    let mut getter = lan.host().node(&folder.path("getter"));
    source.up();
    let ticket = bare_ticket(&source.share(&file));
    source.stop();
    getter.up();
    let mut fetch = getter.start_fetch(&ticket, &folder.path("copy"));
    let _ = fetch.wait_for_event("transfer_waiting", Duration::from_secs(60));
    source.up();
    let outcome = wait_for_end(fetch);
    assert_eq!(outcome, Some(0));
    files::assert_same_file(&file, &folder.path("copy"));
    stop_all([source, getter]);
}

fn wait_for_end(mut process: mesh_tests::Running) -> Option<i32> {
    wait::until("the end of the transfer", Duration::from_secs(60), || (!process.runs()).then_some(()));
    process.wait(Duration::from_secs(5)).code
}
