//! News of records: how soon all have it, what it costs, and that nothing which fails on the way keeps it from anybody.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::ContentId;
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Message, Records};
use world::{World, entry, signed};

const RATE: u64 = 12_500_000;
const NODES: usize = 40;

/// So many nodes of which all but the first know the first.
fn begun_together(nodes: usize) -> World {
    let mut world = World::new();
    for index in 0..nodes {
        let seeds: &[usize] = if index == 0 { &[] } else { &[0] };
        world.add(RATE, seeds);
    }
    world
}

fn settled(nodes: usize) -> World {
    let mut world = begun_together(nodes);
    world.settle(120);
    world
}

/// A listing of somebody who is not there comes to a host as one of its peers would bring it.
fn bring_news(world: &mut World, host: usize, number: u8) {
    let record = signed([0xee; 32], &entry(ContentId([number; 32]), 1, false, "news"));
    let from = (0..world.hosts.len()).find(|peer| world.is_connected(*peer, host)).expect("it has a peer");
    let records = Records { records: vec![record.into()], extensions: Extensions::default() };
    world.inject(host, from, Message::Records(records));
}

fn knows(world: &World, host: usize, count: usize) -> bool {
    world.hosts[host].store.records().len() == count
}

/// Runs until all know so many records; how many milliseconds it took.
fn all_know(world: &mut World, count: usize, seconds_max: u64) -> Option<u64> {
    let began = world.now;
    while world.now < began + seconds_max * 1_000_000_000 {
        world.run_until(Duration::from_millis(50), |_| false);
        if (0..world.hosts.len()).all(|host| knows(world, host, count)) {
            return Some((world.now - began) / 1_000_000);
        }
    }
    None
}

#[test]
fn one_piece_of_news_reaches_all_soon_and_in_few_messages() {
    let mut world = settled(NODES);
    let connections = (0..NODES).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|(a, b)| world.is_connected(*a, *b));
    let connections = connections.count() as u64;
    world.frames = 0;
    world.records_to.clear();
    bring_news(&mut world, 17, 1);
    let took_ms = all_know(&mut world, NODES + 1, 10).expect("all know it");
    assert!(took_ms <= 2000, "{took_ms} ms");
    world.settle(2);
    let copies: usize = world.records_to.values().sum();
    assert!(copies <= 4 * NODES, "{copies} copies for {NODES} nodes");
    // In full or by name it goes about once over each connection; some requests and comparisons come to it.
    let most = connections + 4 * NODES as u64;
    assert!(world.frames <= most, "{} messages over {connections} connections", world.frames);
}

#[test]
fn much_news_travels_together() {
    let mut world = settled(NODES);
    world.frames = 0;
    world.records_to.clear();
    for number in 0..200 {
        bring_news(&mut world, usize::from(number) % NODES, number);
    }
    let took_ms = all_know(&mut world, NODES + 200, 20).expect("all know all");
    assert!(took_ms <= 4000, "{took_ms} ms");
    world.settle(10);
    let each = world.frames / NODES as u64;
    assert!(each <= 200, "{each} messages a node for 200 records");
    let copies: usize = world.records_to.values().sum();
    assert!(copies <= 4 * 200 * NODES, "{copies} copies for {NODES} nodes");
}

#[test]
fn nodes_that_begin_together_know_each_other_soon_and_in_few_messages() {
    let mut world = begun_together(NODES);
    let took_ms = all_know(&mut world, NODES, 20).expect("all know all");
    assert!(took_ms <= 5000, "{took_ms} ms");
    world.settle(60);
    let each = world.frames / NODES as u64;
    assert!(each <= 200, "{each} messages a node");
    let copies: usize = world.records_to.values().sum();
    assert!(copies <= 5 * NODES * NODES, "{copies} records sent");
}

#[test]
fn a_newcomer_is_told_of_each_record_about_once() {
    let mut world = settled(NODES);
    world.frames = 0;
    world.records_to.clear();
    let newcomer = world.add(RATE, &[3]);
    let took_ms = all_know(&mut world, NODES + 1, 20).expect("all know all");
    assert!(took_ms <= 3000, "{took_ms} ms");
    world.settle(20);
    let told = world.records_to.get(&newcomer).copied().unwrap_or(0);
    assert!((NODES..=NODES * 3 / 2).contains(&told), "{told} records for {NODES}");
}

#[test]
fn connections_that_break_keep_news_from_nobody() {
    let mut world = settled(NODES);
    for number in 1..=20_u8 {
        bring_news(&mut world, usize::from(number) * 2 - 1, number);
        for step in 0..10 {
            (0..3).for_each(|cut| world.cut(usize::from(number) * 97 + step * 31 + cut * 11));
            world.run_until(Duration::from_millis(20), |_| false);
        }
    }
    let took_ms = all_know(&mut world, NODES + 20, 60).expect("all know all");
    assert!(took_ms <= 10_000, "{took_ms} ms after the last cut");
}

#[test]
fn one_bridge_between_two_crowds_is_enough() {
    let mut world = World::new();
    world.border = Some(NODES / 2);
    for index in 0..NODES {
        let first = if index < NODES / 2 { 0 } else { NODES / 2 };
        let seeds = if index == 0 { Vec::new() } else { vec![first, 0] };
        world.add(RATE, &seeds);
    }
    world.settle(120);
    assert!(world.is_connected(0, NODES / 2), "the bridge stands");
    for number in 1..=5 {
        bring_news(&mut world, 3, number);
        let took_ms = all_know(&mut world, NODES + usize::from(number), 10);
        assert!(took_ms.is_some_and(|took_ms| took_ms <= 3000), "{took_ms:?} ms");
        world.settle(1);
    }
}
