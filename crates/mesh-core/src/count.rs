//! From what the parts counted to the counters that are kept.

use mesh_analytics::{Counters, Direction, Purpose};
use mesh_proto::port::net::LinkClass;

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
    let counted = counts.len() > 0;
    counts.for_each(|(kind, times)| counters.add_events(kind, times));
    counted
}
