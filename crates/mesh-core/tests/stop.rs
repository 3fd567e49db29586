//! A clean stop: what only the brain knew is with the store before it says that it has stopped.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::port::user::{ErrorKind, UserCommand, UserReply};
use mesh_proto::port::view::{CounterView, StatusView};
use mesh_proto::port::{Event, Failure};
use mesh_proto::record::Access;
use world::World;

const MBIT: u64 = 125_000;

fn status(world: &mut World, host: usize) -> StatusView {
    match world.reply(host, UserCommand::Status) {
        UserReply::Status(status) => *status,
        other => panic!("no status: {other:?}"),
    }
}

fn payload(status: &StatusView, direction: &str) -> u64 {
    let is = |name: &str, labels: &[(String, String)]| labels.iter().any(|(_, value)| value == name);
    let counters = status.counters.iter().filter(|one| is("payload", &one.labels) && is(direction, &one.labels));
    counters.map(|one| one.value).sum()
}

/// All counters but those of connections, which end with the process and begin anew.
fn lasting(status: &StatusView) -> Vec<&CounterView> {
    let of_connections = |name: &str| ["connection_opened", "connection_closed", "dial_failed"].contains(&name);
    let lasts = |one: &&CounterView| !one.labels.iter().any(|(_, value)| of_connections(value));
    status.counters.iter().filter(lasts).collect()
}

fn is_complete(world: &World, host: usize) -> bool {
    !world.seen(host, |event| matches!(event, Event::TransferComplete { .. }).then_some(())).is_empty()
}

#[test]
fn what_was_counted_survives_a_clean_stop() {
    let mut world = World::new();
    let source = world.add(100 * MBIT, &[]);
    let getter = world.add(100 * MBIT, &[]);
    let shared = world.share(source, "/data/file-200", Access::Ticket);
    world.get(getter, &shared.ticket);
    assert!(world.run_until(Duration::from_secs(30), |world| is_complete(world, getter)));
    // The last receipt is still on its way.
    world.run_until(Duration::from_secs(1), |_| false);
    for host in [source, getter] {
        let before = status(&mut world, host);
        world.stop(host);
        world.restart(host, &[]);
        let after = status(&mut world, host);
        assert_eq!(lasting(&after), lasting(&before));
    }
    assert_eq!(payload(&status(&mut world, getter), "received"), shared.size_bytes);
    assert_eq!(payload(&status(&mut world, source), "sent"), shared.size_bytes);
}

#[test]
fn a_transfer_s_costs_survive_a_clean_stop() {
    let mut world = World::new();
    let source = world.add(20 * MBIT, &[]);
    let getter = world.add(20 * MBIT, &[]);
    let shared = world.share(source, "/data/file-1000", Access::Ticket);
    world.get(getter, &shared.ticket);
    world.run_until(Duration::from_secs(9), |_| false);
    world.stop(getter);
    world.run_until(Duration::from_secs(100), |_| false);
    world.restart(getter, &[]);
    assert!(world.run_until(Duration::from_secs(120), |world| is_complete(world, getter)));
    let report = world
        .seen(getter, |event| match event {
            Event::TransferComplete { report } => Some(report.clone()),
            _ => None,
        })
        .pop()
        .expect("just seen");
    // What was on the wire at that moment is with the store, but was never told.
    let on_the_wire = 1 << 20;
    let counted = report.received_bytes + on_the_wire;
    assert!(counted >= shared.size_bytes, "{} of {}", report.received_bytes, shared.size_bytes);
    let ideal_ms = shared.size_bytes * 1000 / (20 * MBIT);
    assert!(report.elapsed_ms >= ideal_ms && report.elapsed_ms < ideal_ms + 10_000, "{} ms", report.elapsed_ms);
}

#[test]
fn a_stop_is_answered_even_if_the_disk_says_no() {
    let mut world = World::new();
    let host = world.add(MBIT, &[]);
    world.run_until(Duration::from_secs(5), |_| false);
    world.hosts[host].store.write_failure = Some(Failure::lasting("the disk is gone"));
    world.stop(host);
    let warned = world.seen(host, |event| match event {
        Event::Warning { message } => Some(message.contains("the disk is gone")),
        _ => None,
    });
    assert!(warned.contains(&true));
}

#[test]
fn a_node_that_stops_begins_nothing_new() {
    let mut world = World::new();
    let host = world.add(MBIT, &[]);
    world.run_until(Duration::from_secs(5), |_| false);
    world.ask_to_stop(host);
    match world.reply(host, UserCommand::Status) {
        UserReply::Failed(error) => assert_eq!(error.kind, ErrorKind::Unavailable),
        other => panic!("{other:?}"),
    }
    let wakes = world.wakes;
    world.run_until(Duration::from_secs(600), |_| false);
    assert!(world.wakes <= wakes + 1, "it sleeps");
}
