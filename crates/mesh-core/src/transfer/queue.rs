//! Which transfers are worked on: at most [`TRANSFERS_ACTIVE_MAX`] at once, the most urgent of those that can go on.
//!
//! One that waits for a source takes no place, so a ticket that nobody answers never stands in another's way. Sources
//! are looked for on behalf of all; if many wait, of some in each run, one after another.

use std::cmp::Reverse;
use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::limits::TRANSFERS_ACTIVE_MAX;
use mesh_proto::{ContentId, Timestamp, WakeReason};

use super::state::{Phase, Transfer};
use super::{Around, Transfers};
use crate::Context;
use crate::peers::Peers;

/// Waiting transfers that sources are looked for in one run.
const LOOKS_PER_RUN: usize = 16;
/// While something is fetched, clocks are looked at so often: rates, stalls, progress, stealing.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// While a transfer waits for a source, they are looked at so often …
const WAITING: Duration = Duration::from_secs(5);
/// … and no more often than this, however many wait.
const WAITING_MIN: Duration = Duration::from_millis(250);

impl Transfers {
    /// Works on the transfers that have a place, and looks for sources for the others.
    pub fn run(&mut self, ctx: &mut Context, around: &mut Around<'_>) {
        (self.runs, self.ran) = (self.runs + 1, ctx.now);
        self.save_again(ctx);
        let (working, waiting) = self.turns(ctx, around.peers);
        for content in waiting.iter().chain(&working) {
            self.find_holders(ctx, *content, around);
            self.look_wider(ctx, *content, around);
        }
        for content in &working {
            self.step(ctx, *content);
        }
        for content in waiting.iter().chain(&working) {
            self.tell(ctx, *content);
        }
    }

    /// Gives the places away. Returns who has one, and for whom sources are looked for besides.
    fn turns(&mut self, ctx: &mut Context, peers: &Peers) -> (Vec<ContentId>, Vec<ContentId>) {
        let (mut ready, mut others) = (Vec::new(), Vec::new());
        for transfer in self.transfers.values_mut() {
            if transfer.can_go_on(ctx.now, peers) {
                let order = &transfer.order;
                ready.push((order.class, Reverse(order.priority), transfer.begun, transfer.content));
            } else if transfer.is_active() {
                transfer.queued = false;
                others.push((transfer.looked_for, transfer.content));
            }
        }
        ready.sort_unstable();
        others.sort_unstable();
        for (place, (.., content)) in ready.iter().enumerate() {
            let Some(transfer) = self.transfers.get_mut(content) else { continue };
            let queued = place >= TRANSFERS_ACTIVE_MAX;
            if queued && !transfer.queued {
                ctx.count(EventKind::LimitTransfers);
            }
            transfer.queued = queued;
        }
        others.truncate(LOOKS_PER_RUN);
        for (_, content) in &others {
            if let Some(transfer) = self.transfers.get_mut(content) {
                transfer.looked_for = self.runs;
            }
        }
        let working = ready.into_iter().take(TRANSFERS_ACTIVE_MAX).map(|(.., content)| content);
        (working.collect(), others.into_iter().map(|(_, content)| content).collect())
    }

    /// When to look at the clock again.
    #[must_use]
    pub fn deadline(&self, ctx: &Context) -> Option<(Timestamp, WakeReason)> {
        let active = || self.transfers.values().filter(|transfer| transfer.is_active());
        let blocked = active().filter_map(|transfer| match transfer.phase {
            Phase::Blocked { until, .. } => Some(until),
            _ => None,
        });
        let heartbeat = active().any(Transfer::is_asking).then(|| ctx.now.after(HEARTBEAT));
        let waiting = u32::try_from(active().count()).unwrap_or(u32::MAX).max(1);
        let pause = (WAITING * LOOKS_PER_RUN as u32 / waiting).clamp(WAITING_MIN, WAITING);
        let look = active().next().map(|_| ctx.now.after(pause));
        let looked_for = active().filter(|transfer| !transfer.queued);
        let seek = looked_for.filter_map(|transfer| transfer.fellows.deadline());
        // Of very many some are left for the next run.
        let seek = seek.map(|at| if at > ctx.now { at } else { ctx.now.after(WAITING_MIN) });
        blocked
            .chain(heartbeat)
            .chain(look)
            .chain(seek)
            .chain(self.limit_wait)
            .min()
            .map(|at| (at, "work on a transfer"))
    }
}

impl Transfer {
    /// Whether something was asked of a source and has not come.
    fn is_asking(&self) -> bool {
        self.sources.values().any(|source| !source.fetches.is_empty() || !source.pages.is_empty())
    }

    /// Whether there is something to do now for which nobody has to come first.
    fn can_go_on(&self, now: Timestamp, peers: &Peers) -> bool {
        let source = || self.sources.iter().any(|(node, source)| source.is_usable(now) && peers.is_connected(*node));
        match &self.phase {
            // What the store kept is looked at even while it is paused: people want to see how far it is.
            Phase::Kept => true,
            _ if !self.is_active() => false,
            Phase::Preparing | Phase::Finishing => true,
            Phase::Blocked { until, .. } => *until <= now,
            Phase::Locating => self.is_asking() || source(),
            Phase::Fetching => self.is_asking() || source() || self.is_all_here() || self.may_have_pages(),
            Phase::Failed(_) => false,
        }
    }
}
