//! From what the parts counted to the counters that are kept and shown.

use mesh_analytics::{Counters, Direction, EventKind, Purpose};
use mesh_proto::port::net::LinkClass;
use mesh_proto::port::view::CounterView;

use crate::serve::Serving;
use crate::strangers::Strangers;
use crate::transfer::Transfers;

/// Content bytes came from a peer.
pub fn received(counters: &mut Counters, class: LinkClass, bytes: u64) {
    counters.add_bytes(class.into(), Purpose::Payload, Direction::Received, bytes);
}

/// A peer receipted content bytes.
pub fn sent(counters: &mut Counters, class: LinkClass, bytes: u64) {
    counters.add_bytes(class.into(), Purpose::Payload, Direction::Sent, bytes);
}

/// Takes over what was counted as events since the last call. Says whether there was anything.
pub fn events(
    counters: &mut Counters,
    transfers: &mut Transfers,
    serving: &mut Serving,
    strangers: &mut Strangers,
) -> bool {
    let mut counted = false;
    let mut take = |kind: EventKind, count: &mut u64| {
        if *count > 0 {
            counters.add_events(kind, std::mem::take(count));
            counted = true;
        }
    };
    take(EventKind::ChunkVerified, &mut transfers.chunks_verified);
    take(EventKind::ChunkMismatch, &mut transfers.mismatches);
    take(EventKind::PeerBanned, &mut transfers.bans);
    take(EventKind::Granted, &mut serving.given.grants);
    take(EventKind::RequestRefused, &mut serving.given.refusals);
    take(EventKind::LimitConnections, &mut strangers.closed);
    counted
}

/// All counters that are not zero, for `status` and the metrics.
#[must_use]
pub fn views(counters: &Counters) -> Vec<CounterView> {
    let bytes = counters.iter_bytes().map(|(class, purpose, direction, value)| CounterView {
        name: "mesh_bytes".to_owned(),
        labels: vec![
            ("class".to_owned(), class.name().to_owned()),
            ("purpose".to_owned(), purpose.name().to_owned()),
            ("direction".to_owned(), direction.name().to_owned()),
        ],
        value,
    });
    let events = counters.iter_events().map(|(kind, value)| CounterView {
        name: "mesh_events".to_owned(),
        labels: vec![("kind".to_owned(), kind.name().to_owned())],
        value,
    });
    bytes.chain(events).filter(|counter| counter.value > 0).collect()
}
