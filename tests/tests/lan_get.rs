//! The main job between hosts: finding each other, fetching from whoever has it, losing a source on the way.

use std::time::Duration;

use mesh_tests::node::bare_ticket;
use mesh_tests::scene::{given, sources};
use mesh_tests::{Folder, Host, Lan, Scene, TestNode, files, json};
use serde_json::Value;

/// A new node must see its peers within this, also with multicast blocked.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;

/// A scene in which each source has its own of these hosts, and the getter one more.
fn scene(lan: &mut Lan, source_hosts: &[Host], bytes: u64) -> Scene {
    let folder = Folder::new();
    let sources = source_hosts.iter().enumerate();
    let sources = sources.map(|(number, host)| host.node(&folder.path(&format!("source{number}"))));
    let sources: Vec<TestNode> = sources.collect();
    let getter = lan.host().node(&folder.path("getter"));
    Scene::new(folder, sources, getter, bytes)
}

#[test]
fn a_file_is_found_and_fetched_by_mdns_alone() {
    let Some(mut lan) = Lan::new() else { return };
    let source = lan.host();
    let scene = scene(&mut lan, &[source], 20 * MIB);
    let report = scene.find_and_fetch(DISCOVERY_LIMIT);
    assert_eq!(json::text(&report, "blake3"), files::blake3_of(&scene.file));
    assert_eq!(json::number(&report, "duplicate_bytes"), 0);
    scene.stop_and_replay();
}

#[test]
fn with_multicast_blocked_one_static_peer_leads_to_the_source() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let hosts = [lan.host(), lan.host(), lan.host()];
    hosts.iter().for_each(Host::block_multicast);
    let [middle_host, source_host, getter_host] = &hosts;
    let known = middle_host.multiaddr();
    let mut middle = middle_host.node(&folder.path("middle"));
    let source = source_host.node(&folder.path("source")).with_options(&["--peer", &known]);
    let getter = getter_host.node(&folder.path("getter")).with_options(&["--peer", &known]);
    middle.up();
    let scene = Scene::new(folder, vec![source], getter, 5 * MIB);
    scene.source().wait_for_peers(1, DISCOVERY_LIMIT);
    // Both of them: the one it was told of, and the one only that one knows.
    scene.getter.wait_for_peers(2, DISCOVERY_LIMIT);
    let _ = scene.find_and_fetch(DISCOVERY_LIMIT);
    middle.stop_and_replay();
    scene.stop_and_replay();
}

#[test]
fn three_sources_give_at_once() {
    let Some(mut lan) = Lan::new() else { return };
    let hosts = [lan.host(), lan.host(), lan.host()];
    hosts.iter().for_each(|host| host.limit_rate(50));
    let scene = scene(&mut lan, &hosts, 60 * MIB);
    let report = scene.find_and_fetch(DISCOVERY_LIMIT);
    let given = given(&report);
    assert!(given.iter().filter(|bytes| **bytes > 10 * MIB).count() == 3, "each gives its part: {given:?}");
    assert!(json::number(&report, "duplicate_bytes") < 60 * MIB / 100, "duplicates stay below 1 %: {report}");
    scene.stop_and_replay();
}

#[test]
fn a_source_unplugged_midway_costs_its_part_only() {
    let Some(mut lan) = Lan::new() else { return };
    let hosts = [lan.host(), lan.host()];
    hosts.iter().for_each(|host| host.limit_rate(50));
    let scene = scene(&mut lan, &hosts, 60 * MIB);
    scene.getter.wait_for_peers(2, DISCOVERY_LIMIT);
    let mut fetch = scene.getter.start_fetch(&bare_ticket(&scene.ticket), &scene.copy());
    let _ = fetch.wait_for_bytes(15 * MIB, Duration::from_secs(60));
    hosts[0].unplug();
    let _ = fetch.wait(Duration::from_secs(120)).success();
    scene.assert_fetched();
    hosts[0].plug();
    scene.stop_and_replay();
}

#[test]
fn a_source_that_flips_bytes_is_banned_and_the_file_still_right() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let liar = lan.host().node(&folder.path("liar")).with_variable("MESH_TEST_CORRUPT", "1");
    let honest = lan.host().node(&folder.path("honest"));
    let getter = lan.host().node(&folder.path("getter"));
    let scene = Scene::new(folder, vec![liar, honest], getter, 20 * MIB);
    let report = scene.find_and_fetch(DISCOVERY_LIMIT);
    let banned = sources(&report).iter().filter(|source| source["banned"] == Value::Bool(true));
    let banned: Vec<&str> = banned.map(|source| json::text(source, "node")).collect();
    assert_eq!(banned, [scene.source().id()], "{report}");
    scene.stop_and_replay();
}

#[test]
fn a_lossy_link_delivers_every_byte() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let source = lan.host().node(&folder.path("source"));
    let far = lan.host();
    far.lose(3);
    let getter = far.node(&folder.path("getter"));
    let scene = Scene::new(folder, vec![source], getter, 5 * MIB);
    let _ = scene.fetch();
    scene.stop_and_replay();
}

#[test]
fn a_source_that_comes_later_is_waited_for() {
    let Some(mut lan) = Lan::new() else { return };
    let source = lan.host();
    let mut scene = scene(&mut lan, &[source], 2 * MIB);
    scene.sources[0].stop();
    let mut fetch = scene.getter.start_fetch(&bare_ticket(&scene.ticket), &scene.copy());
    let _ = fetch.wait_for_event("transfer_waiting", Duration::from_secs(60));
    scene.sources[0].up();
    let _ = fetch.wait(Duration::from_secs(60)).success();
    scene.assert_fetched();
    scene.stop_and_replay();
}
