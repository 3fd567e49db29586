//! The path is emptied for a moment when a shortest round trip is too old to be believed, whenever its peer began to fetch.

use std::time::Duration;

use mesh_fair::{Discipline, Request, RequestKey, UplinkScheduler};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::{NodeId, Timestamp};

const STEP: Duration = Duration::from_millis(50);

/// Grants all there is, and receipts it a step later: longer than the round trip that was measured.
fn run(
    scheduler: &mut UplinkScheduler,
    now: &mut Timestamp,
    time: Duration,
    look: impl Fn(&UplinkScheduler, Timestamp),
) {
    let until = now.after(time);
    while *now < until {
        let grants: Vec<_> = std::iter::from_fn(|| scheduler.poll_grant(*now)).collect();
        look(scheduler, *now);
        *now = now.after(STEP);
        for grant in grants {
            scheduler.on_receipt(*now, grant.node, grant.request, grant.bytes);
        }
    }
}

fn ask(scheduler: &mut UplinkScheduler, now: Timestamp, number: u8) -> NodeId {
    let node = NodeId([number; 32]);
    let request = Request {
        key: RequestKey(u64::from(number)),
        member: None,
        node,
        flow: 0,
        class: TrafficClass::Public,
        priority: 0,
        bytes: u64::MAX / 4,
    };
    scheduler.enqueue(now, request).expect("there is room");
    scheduler.set_rtt(now, node, Duration::from_millis(5));
    node
}

#[test]
fn no_round_trip_of_who_fetches_grows_old() {
    let mut now = Timestamp(1_000_000_000);
    let mut scheduler = UplinkScheduler::new(now, Discipline::DeficitRoundRobin);
    let first = ask(&mut scheduler, now, 1);
    run(&mut scheduler, &mut now, Duration::from_secs(7), |_, _| ());
    let second = ask(&mut scheduler, now, 2);
    run(&mut scheduler, &mut now, Duration::from_secs(60), |scheduler, now| {
        for node in [first, second] {
            let window = scheduler.peer_window(&node).expect("it asked");
            assert!(!window.is_rtt_stale(now), "of {node:?} at {now:?}");
        }
    });
}
