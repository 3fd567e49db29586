//! A member with many nodes and many requests gets one member's share of an uplink, and no more.
//!
//! Each greedy node fetches as many contents at once as a node works on; each of them keeps several requests open. The
//! source's journal says how many waited at once.

use std::time::Duration;

use mesh_tests::{Host, Lan, Running, TestNode, files, journal, json, wait};
use tempfile::TempDir;

const UPLINK_MBIT_PER_S: u32 = 20;
const GREEDY_NODES: usize = 4;
const CONTENTS_PER_NODE: usize = 16;
const GREEDY_FILE_BYTES: u64 = 2 << 20;
/// Large enough that its first half second, in which nothing comes yet, hardly counts.
const MODEST_FILE_BYTES: u64 = 20 << 20;
/// Over all greedy nodes, fifty each.
const REQUESTS_MIN: usize = GREEDY_NODES * 50;
const SHARE_MIN: f64 = 0.45;
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Clone, Copy, PartialEq)]
enum Bottleneck {
    /// The source was told of it.
    Told,
    /// The network has it; the source was not told.
    Untold,
}

/// The modest member's share of what left the source while it fetched.
fn modest_share(lan: &mut Lan, bottleneck: Bottleneck, discipline: &str) -> f64 {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let source_host = lan.host();
    let mut source = source_host.node(&folder.path().join("source"));
    source.configure(&format!("discipline = \"{discipline}\"\n"));
    source.up();
    match bottleneck {
        Bottleneck::Told => drop(source.run(&["limit", "--up", &format!("{}", UPLINK_MBIT_PER_S * 125_000)])),
        Bottleneck::Untold => source_host.limit_rate(UPLINK_MBIT_PER_S),
    }
    let greedy = greedy_member(lan, &folder);
    let modest = lone_member(lan, &folder);

    let mut orders = Vec::new();
    for (number, node) in greedy.iter().enumerate() {
        for content in 0..CONTENTS_PER_NODE {
            let file = folder.path().join(format!("greedy-{number}-{content}"));
            files::write_random(&file, GREEDY_FILE_BYTES, (number * 1000 + content) as u64);
            orders.push((node, source.share(&file), file.with_extension("copy")));
        }
    }
    let file = folder.path().join("modest");
    files::write_random(&file, MODEST_FILE_BYTES, 99);
    let ticket = source.share(&file);
    // The source stands still while all begin, so that they come at once however slow this machine is.
    source.process().signal("STOP");
    let mut fetches: Vec<Running> = orders.iter().map(|(node, ticket, copy)| node.start_fetch(ticket, copy)).collect();
    for node in &greedy {
        let works_on_all = || (node.status()["transfers"].as_array()?.len() == CONTENTS_PER_NODE).then_some(());
        wait::until("a node that works on all it was asked for", LIMIT, works_on_all);
    }
    source.process().signal("CONT");
    for fetch in fetches.iter_mut().step_by(CONTENTS_PER_NODE) {
        let _ = fetch.wait_for_event("transfer_progress", LIMIT);
    }

    let share = measure(&source_host, &modest, &ticket, &folder);
    let unfinished = fetches.iter_mut().filter_map(|fetch| fetch.runs().then_some(())).count();
    assert!(unfinished > GREEDY_NODES, "the greedy member had nothing left to ask for: the test shows nothing");
    drop(fetches);
    source.stop();
    let requests = journal::requests_at_once(source.data());
    println!("{requests} requests waited at the source at once");
    assert!(requests > REQUESTS_MIN, "only {requests} requests waited at once: the test shows nothing");
    source.stop_and_replay();
    share
}

/// Of all bytes that left the source while the modest member fetched, headers and all, those that went to it.
fn measure(source: &Host, modest: &Modest, ticket: &str, folder: &TempDir) -> f64 {
    let before = (source.sent_bytes(), modest.host.received_bytes());
    let fetch = modest.node.start_fetch(ticket, &folder.path().join("modest.copy"));
    let _ = fetch.wait(LIMIT).success();
    let (sent, received) = (source.sent_bytes() - before.0, modest.host.received_bytes() - before.1);
    assert!(received > MODEST_FILE_BYTES, "its link brought the file");
    let share = received as f64 / sent as f64;
    println!("share of the uplink: {:.1} % ({sent} bytes left the source)", share * 100.0);
    share
}

struct Modest {
    host: Host,
    node: TestNode,
}

fn greedy_member(lan: &mut Lan, folder: &TempDir) -> Vec<TestNode> {
    let mut nodes: Vec<TestNode> =
        (0..GREEDY_NODES).map(|number| lan.host().node(&folder.path().join(format!("greedy-node-{number}")))).collect();
    nodes.iter_mut().for_each(TestNode::up);
    let made = nodes[0].run(&["member", "new", "Greedy"]);
    let member = json::text(&made, "member");
    for other in &nodes[1..] {
        let _ = nodes[0].run(&["member", "add-node", &other.id()]);
        let _ = other.run(&["member", "accept", member]);
    }
    nodes
}

fn lone_member(lan: &mut Lan, folder: &TempDir) -> Modest {
    let host = lan.host();
    let mut node = host.node(&folder.path().join("modest-node"));
    node.up();
    let _ = node.run(&["member", "new", "Modest"]);
    Modest { host, node }
}

/// Measures once, and once more if that was too little: five nodes share two cores with whatever else runs here, and who
/// is not given a core can't ask.
fn is_fair(bottleneck: Bottleneck) {
    let measure = || Lan::new().map(|mut lan| modest_share(&mut lan, bottleneck, "deficit-round-robin"));
    let Some(first) = measure() else { return };
    let share = if first < SHARE_MIN { measure().unwrap_or(first) } else { first };
    assert!(share >= SHARE_MIN, "the modest member had {:.1} %, and {:.1} % before", share * 100.0, first * 100.0);
}

#[test]
fn a_limit_is_shared_by_members_and_not_by_requests() {
    is_fair(Bottleneck::Told);
}

#[test]
fn an_uplink_nobody_told_of_is_shared_by_members_and_not_by_requests() {
    is_fair(Bottleneck::Untold);
}

/// That the two tests above show something: without fair grants the modest member starves.
#[test]
fn first_come_grants_let_many_requests_win() {
    let Some(mut lan) = Lan::new() else { return };
    let share = modest_share(&mut lan, Bottleneck::Told, "first-come");
    assert!(share < SHARE_MIN, "first-come grants gave the modest member {:.1} %", share * 100.0);
}
