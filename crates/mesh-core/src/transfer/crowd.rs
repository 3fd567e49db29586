//! How many fetch the same at once, and so can trade: how much is asked of all of them together, and of whom.
//!
//! Invariant: what is in flight from a crowd is bounded as a whole, so that no source is asked for more than it soon gives.

use std::time::Duration;

use mesh_proto::port::NetCommand;
use mesh_proto::{ContentId, NodeId, Timestamp};

use super::Transfers;
use super::state::Transfer;
use crate::Context;

/// Spans in flight from a crowd; more where that is less than the paths and so long ahead would bear.
const CROWD_SPANS: usize = 24;
const CROWD_AHEAD: Duration = Duration::from_millis(100);
/// What a crowd was asked for so long ago is not waited for with other requests: a source may never give it.
const OVERDUE: Duration = Duration::from_secs(1);

impl Transfers {
    /// What was asked ahead of sources before anybody knew of a crowd is taken back, but for what is asked ahead in one:
    /// all the others asked for the same.
    pub(super) fn join_crowd(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        for source in transfer.sources.values_mut() {
            let mut ahead = source.ahead_bytes(true);
            for (command, fetch) in &mut source.fetches {
                let left = fetch.payload_bytes.saturating_sub(fetch.received_bytes);
                if ahead == 0 && fetch.received_bytes == 0 && !fetch.cancelled {
                    fetch.cancelled = true;
                    ctx.net(NetCommand::CancelFetch { fetch: *command });
                }
                ahead = ahead.saturating_sub(left);
            }
        }
    }

    /// Asks a crowd for as much as should be in flight from all of them together, always who would give it first: so who
    /// is asked by many is asked for less. Those that should be spared give what only they have besides.
    pub(super) fn ask_crowd(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get(&content) else { return };
        let has_budget = transfer.crowd_budget(ctx.now) > 0;
        let (mut spared, mut traders) = (Vec::new(), Vec::new());
        for (node, source) in transfer.able(ctx.now, true) {
            match source.is_spared(ctx.now) {
                true => spared.push(node),
                false if has_budget => traders.push(node),
                false => {}
            }
        }
        if spared.is_empty() && traders.is_empty() {
            return;
        }
        let mut candidates = transfer.candidates();
        for node in spared {
            while self.has_room(content, node, true) && self.ask_source(ctx, content, node, true, &mut candidates) {}
        }
        while !candidates.is_empty() {
            let Some(transfer) = self.transfers.get(&content) else { return };
            if transfer.crowd_budget(ctx.now) == 0 {
                return;
            }
            let wait = |(_, node): &(usize, &NodeId)| {
                transfer.sources.get(*node).map(|source| (source.expected_ms(ctx.now), **node))
            };
            let Some((place, node)) = traders.iter().enumerate().min_by_key(wait).map(|(place, node)| (place, *node))
            else {
                return;
            };
            if !self.ask_source(ctx, content, node, true, &mut candidates) || !self.has_room(content, node, true) {
                traders.swap_remove(place);
            }
        }
    }
}

impl Transfer {
    /// How many spans more should be in flight from a crowd.
    fn crowd_budget(&self, now: Timestamp) -> usize {
        let (mut spans, mut bytes, mut rtt_us) = (0, 0, 0);
        for source in self.sources.values().filter(|source| !source.fetches.is_empty() && !source.is_spared(now)) {
            for fetch in source.fetches.values().filter(|fetch| now.since(fetch.asked) < OVERDUE) {
                spans += 1;
                bytes += fetch.payload_bytes.saturating_sub(fetch.received_bytes);
                rtt_us = source.rtt_us.max(rtt_us);
            }
        }
        let too_few = bytes < self.goodput.bytes_in(Duration::from_micros(2 * rtt_us) + CROWD_AHEAD);
        CROWD_SPANS.saturating_sub(spans).max(usize::from(too_few))
    }
}
