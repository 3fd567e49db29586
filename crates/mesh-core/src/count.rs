//! From what the parts counted to the counters that are kept and shown.

use mesh_analytics::{Counters, Direction, Purpose};
use mesh_proto::port::net::LinkClass;
use mesh_proto::port::view::CounterView;

use crate::Context;

/// Content bytes came from a peer.
pub fn received(counters: &mut Counters, class: LinkClass, bytes: u64) {
    counters.add_bytes(class.into(), Purpose::Payload, Direction::Received, bytes);
}

/// A peer receipted content bytes.
pub fn sent(counters: &mut Counters, class: LinkClass, bytes: u64) {
    counters.add_bytes(class.into(), Purpose::Payload, Direction::Sent, bytes);
}

/// Takes over what was counted as events since the last call. Says whether there was anything.
pub fn events(counters: &mut Counters, ctx: &mut Context) -> bool {
    let counts = ctx.take_counts();
    let counted = !counts.is_empty();
    counts.into_iter().for_each(|(kind, times)| counters.add_events(kind, times));
    counted
}

/// All counters, for `status` and the metrics: also those at zero, so that a rate of what has just begun is not unknown.
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
    bytes.chain(events).collect()
}
