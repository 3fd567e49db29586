//! Taking from slow sources for fast ones, when nothing else is open to those.
//!
//! Invariant: a span is never asked of two sources at once: it is taken back first.

use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::port::NetCommand;
use mesh_proto::{ChunkRange, ChunkSet, ContentId, NodeId, Timestamp};

use super::Transfers;
use super::source::Source;
use super::state::Phase;
use crate::Context;

/// A span is taken back from a slow source only if another would be done in less than a third of the time.
const STEAL_FACTOR: u32 = 3;
/// A span just asked for is left where it is, so that two sources do not take it from each other in turn.
const STEAL_AGE_MIN: Duration = Duration::from_millis(500);
/// A source that gave nothing for so long loses its spans also to one of which nothing is known yet.
const SILENT: Duration = Duration::from_secs(15);
/// How often it is looked for something to take.
const STEAL_EVERY: Duration = Duration::from_millis(100);

impl Transfers {
    /// Takes from the slow for the fast what nobody else is asked for any more.
    pub(super) fn steal(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        if ctx.now.since(transfer.stole) < STEAL_EVERY {
            return;
        }
        transfer.stole = ctx.now;
        let idle = |source: &Source| source.fetches.is_empty() && source.is_usable(ctx.now) && !source.robbed;
        let thieves = transfer.sources.iter().filter(|(_, source)| idle(source));
        let mut thieves: Vec<(Timestamp, NodeId)> = thieves.map(|(node, source)| (source.gave_at, *node)).collect();
        // Who gave last is the surest to be there.
        thieves.sort_unstable_by(|one, other| other.cmp(one));
        for (_, thief) in thieves {
            self.steal_for(ctx, content, thief);
        }
    }

    /// When nothing is open for an idle source, takes the last span of the slowest source that would take much longer.
    fn steal_for(&mut self, ctx: &mut Context, content: ContentId, thief: NodeId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let Some(source) = transfer.sources.get(&thief) else { return };
        let (rate, now) = (source.rate_bytes_per_s(), ctx.now);
        let victim = transfer
            .sources
            .iter()
            .filter(|(node, _)| **node != thief)
            .filter_map(|(node, victim)| {
                let is_silent = victim.rate_bytes_per_s() == 0;
                let settled_after = if rate > 0 { STEAL_AGE_MIN } else { SILENT };
                let last = victim.fetches.iter().rev().find(|(_, fetch)| {
                    let settled = now.since(fetch.asked) >= settled_after && (rate > 0 || is_silent);
                    settled && !fetch.cancelled && source.holds_all_of(fetch.chunks)
                });
                last.map(|(command, fetch)| (victim.eta(now), *node, *command, fetch.payload_bytes))
            })
            .max();
        let Some((eta, node, command, bytes)) = victim else { return };
        let own_ms = bytes.saturating_mul(1000).checked_div(rate).map_or(0, |ms| ms.max(50));
        if eta.as_millis() <= u128::from(own_ms) * u128::from(STEAL_FACTOR) {
            return;
        }
        let Some(victim) = transfer.sources.get_mut(&node) else { return };
        victim.robbed = victim.silence(now) >= STEAL_AGE_MIN;
        if victim.is_missed(now) {
            victim.back_off_once(now);
        }
        if let Some(fetch) = victim.fetches.get_mut(&command) {
            (fetch.cancelled, fetch.taken_for) = (true, Some(thief));
            ctx.count(EventKind::SpanStolen);
            ctx.net(NetCommand::CancelFetch { fetch: command });
        }
    }

    /// Asks the thief for what came back for it. Left to whoever is asked first it might go to who had it, be taken again
    /// half a second later, and so on for ever.
    pub(super) fn hand_over(&mut self, ctx: &mut Context, content: ContentId, thief: NodeId, chunks: ChunkRange) {
        let Some(transfer) = self.transfers.get(&content) else { return };
        let is_usable = transfer.sources.get(&thief).is_some_and(|source| source.is_usable(ctx.now));
        if !is_usable || !matches!(transfer.phase, Phase::Fetching) {
            return;
        }
        let mut candidates = transfer.candidates().intersection(&ChunkSet::from_iter([chunks]));
        while self.has_room(content, thief, false) && self.ask_source(ctx, content, thief, false, &mut candidates) {}
    }
}
