//! What goes wrong with networks: every transfer comes to its end all the same, every byte right.

use std::net::Ipv4Addr;
use std::time::Duration;

use mesh_tests::node::bare_ticket;
use mesh_tests::{Folder, Host, Lan, Scene, TestNode, files, wait};

const DISCOVERY_LIMIT: Duration = Duration::from_secs(10);
const MIB: u64 = 1 << 20;

fn scene(source: &Host, getter: &Host, bytes: u64) -> Scene {
    let folder = Folder::new();
    let source = source.node(&folder.path("source"));
    let getter = getter.node(&folder.path("getter"));
    Scene::new(folder, vec![source], getter, bytes)
}

/// The two ends never hear of each other's hosts; who is on both segments has to fetch it first.
#[test]
fn a_node_on_two_segments_carries_content_across() {
    let Some(mut lan) = Lan::new() else { return };
    let far = lan.segment();
    let (source, middle, getter) = (lan.host(), lan.host(), lan.host_on(far));
    lan.join(&middle, far);
    let scene = scene(&source, &getter, 20 * MIB);
    let mut middle = middle.node(&scene.folder.path("middle"));
    middle.up();
    middle.wait_for_peers(2, DISCOVERY_LIMIT);
    let mut fetch = scene.getter.start_fetch(&bare_ticket(&scene.ticket), &scene.copy());
    let _ = fetch.wait_for_event("transfer_waiting", Duration::from_secs(60));
    let between = scene.folder.path("between");
    let _ = middle.fetch(&bare_ticket(&scene.ticket), &between);
    files::assert_same_file(&scene.file, &between);
    let _ = fetch.wait(Duration::from_secs(60)).success();
    scene.assert_fetched();
    middle.stop_and_replay();
    scene.stop_and_replay();
}

#[test]
fn a_transfer_goes_on_when_a_partition_heals() {
    let Some(mut lan) = Lan::new() else { return };
    let hosts = [lan.host(), lan.host()];
    hosts.iter().for_each(|host| host.limit_rate(50));
    let scene = scene(&hosts[0], &hosts[1], 60 * MIB);
    let mut fetch = scene.start_fetch();
    let _ = fetch.wait_for_bytes(15 * MIB, Duration::from_secs(60));
    hosts[1].unplug();
    wait::let_pass(Duration::from_secs(15));
    hosts[1].plug();
    let _ = fetch.wait(Duration::from_secs(90)).success();
    scene.assert_fetched();
    scene.stop_and_replay();
}

/// As when a lease is not renewed: the connection stands on an address that is nobody's any more.
#[test]
fn a_source_with_another_address_is_found_again() {
    let Some(mut lan) = Lan::new() else { return };
    let mut hosts = [lan.host(), lan.host()];
    hosts.iter().for_each(|host| host.limit_rate(50));
    let scene = scene(&hosts[0], &hosts[1], 60 * MIB);
    let mut fetch = scene.start_fetch();
    let _ = fetch.wait_for_bytes(15 * MIB, Duration::from_secs(60));
    hosts[0].readdress(Ipv4Addr::new(10, 77, 0, 200));
    let _ = fetch.wait(Duration::from_secs(75)).success();
    scene.assert_fetched();
    scene.stop_and_replay();
}

/// As when an interface is set up anew, and once more: the address is back before anybody has missed it.
#[test]
fn an_address_that_comes_back_soon_costs_no_connection() {
    let Some(mut lan) = Lan::new() else { return };
    let hosts = [lan.host(), lan.host()];
    hosts.iter().for_each(|host| host.limit_rate(50));
    let scene = scene(&hosts[0], &hosts[1], 60 * MIB);
    let mut fetch = scene.start_fetch();
    for (host, bytes) in [(&hosts[0], 10 * MIB), (&hosts[1], 30 * MIB)] {
        let _ = fetch.wait_for_bytes(bytes, Duration::from_secs(60));
        for _ in 0..2 {
            host.take_address();
            wait::let_pass(Duration::from_millis(1200));
            host.give_address();
            wait::let_pass(Duration::from_millis(400));
        }
    }
    let outcome = fetch.wait(Duration::from_secs(75)).success();
    scene.assert_fetched();
    assert!(!outcome.stdout.contains("peer_disconnected"), "{}", outcome.stdout);
    scene.stop_and_replay();
}

#[test]
fn hosts_without_ipv4_find_each_other_and_fetch() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let node = |host: &Host, name: &str| -> TestNode {
        host.leave_ipv6_only();
        host.node(&folder.path(name)).with_options(&["--listen", &format!("/ip6/::/tcp/{}", Host::PORT)])
    };
    let (source, getter) = (node(&lan.host(), "source"), node(&lan.host(), "getter"));
    let scene = Scene::new(folder, vec![source], getter, 20 * MIB);
    let _ = scene.find_and_fetch(DISCOVERY_LIMIT);
    scene.stop_and_replay();
}

#[test]
fn a_hundredth_and_a_twentieth_lost_cost_no_byte() {
    for percent in [1, 5] {
        let Some(mut lan) = Lan::new() else { return };
        let hosts = [lan.host(), lan.host()];
        hosts[1].lose(percent);
        let scene = scene(&hosts[0], &hosts[1], 10 * MIB);
        let _ = scene.fetch();
        scene.stop_and_replay();
    }
}
