//! Civil time that jumps, while a node runs and between two runs of it: transfers do not notice, and news still counts.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::UnixMs;
use mesh_proto::port::Event;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::port::view::GetReport;
use mesh_proto::record::Access;
use world::World;

const RATE: u64 = 2_500_000;
const DAY_MS: u64 = 86_400_000;
const NOW: UnixMs = UnixMs(1_700_000_000_000);
const YEAR_2100: UnixMs = UnixMs(4_102_444_800_000);
const JUMPS: [UnixMs; 6] =
    [UnixMs(0), UnixMs(NOW.0 + DAY_MS), YEAR_2100, UnixMs(NOW.0 - DAY_MS), UnixMs(u64::MAX), NOW];

/// Fetches a file; `each` is called five times a second meanwhile. The report, and how long it took.
fn fetch(mut each: impl FnMut(&mut World, usize)) -> (GetReport, Duration) {
    let mut world = World::new();
    let (source, getter) = (world.add(RATE, &[]), world.add(RATE, &[]));
    let shared = world.share(source, "/data/file-400", Access::Ticket);
    world.settle(5);
    let began = world.now;
    world.get(getter, &shared.ticket);
    for step in 0.. {
        each(&mut world, step);
        let done = |world: &World| {
            let complete = |event: &Event| match event {
                Event::TransferComplete { report } => Some(report.clone()),
                _ => None,
            };
            world.seen(getter, complete).pop()
        };
        if world.run_until(Duration::from_millis(200), |world| done(world).is_some()) {
            return (done(&world).expect("just seen"), Duration::from_nanos(world.now - began));
        }
        assert!(step < 3000, "the transfer does not end");
    }
    unreachable!("the loop returns or fails")
}

#[test]
fn a_transfer_does_not_notice_that_clocks_jump() {
    let (calm, calm_time) = fetch(|_, _| {});
    assert!(calm_time > Duration::from_secs(4), "{calm_time:?} leave no time to jump");
    let (jumpy, time) = fetch(|world, step| {
        for host in 0..2 {
            world.set_clock(host, JUMPS[(step + host) % JUMPS.len()], step % 2 == 0);
        }
    });
    assert_eq!(jumpy.received_bytes, calm.received_bytes);
    assert_eq!((jumpy.duplicate_bytes, jumpy.rejected_bytes), (0, 0));
    assert!(time < calm_time + calm_time / 20, "{time:?} instead of {calm_time:?}");
}

/// How many contents of this name a host's catalogue shows.
fn listed(world: &mut World, host: usize, name: &str) -> usize {
    match world.reply(host, UserCommand::Search { text: name.to_owned() }) {
        UserReply::Catalogue(views) => views.len(),
        other => panic!("no catalogue: {other:?}"),
    }
}

fn list(world: &mut World, host: usize, path: &str) -> mesh_proto::ContentId {
    let command = UserCommand::Share {
        path: path.to_owned(),
        name: None,
        listed: Some(true),
        tags: None,
        access: Some(Access::Public),
    };
    match world.reply(host, command) {
        UserReply::Shared(view) => view.content_id,
        other => panic!("not shared: {other:?}"),
    }
}

#[test]
fn what_is_said_after_a_jump_outdoes_what_was_said_before() {
    // Forwards and back again, running; then the same with a restart in between, as of a machine without a battery.
    for restarts in [false, true] {
        let mut world = World::new();
        let (node, other) = (world.add(RATE, &[]), world.add(RATE, &[0]));
        world.settle(5);
        let jump = |world: &mut World, to: UnixMs| {
            if restarts {
                world.stop(node);
                world.restart(node, &[]);
            }
            world.set_clock(node, to, false);
            world.settle(60);
        };
        jump(&mut world, YEAR_2100);
        let content = list(&mut world, node, "/data/maps of the hills-40");
        world.settle(30);
        assert_eq!(listed(&mut world, other, "hills"), 1, "restarts: {restarts}");
        for to in [UnixMs(0), UnixMs(u64::MAX), NOW] {
            jump(&mut world, to);
            let reply = world.reply(node, UserCommand::Remove { content, delete_files: false });
            assert_eq!(reply, UserReply::Done, "restarts: {restarts}, {to:?}");
            world.settle(30);
            assert_eq!(listed(&mut world, other, "hills"), 0, "the withdrawal counts; restarts: {restarts}, {to:?}");
            jump(&mut world, NOW);
            assert_eq!(list(&mut world, node, "/data/maps of the hills-40"), content);
            world.settle(30);
            assert_eq!(listed(&mut world, other, "hills"), 1, "and the new entry; restarts: {restarts}, {to:?}");
        }
    }
}
