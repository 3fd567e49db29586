//! How many bytes may be granted and not yet receipted: rate × (shortest round trip + a little queue).
//!
//! The rate is the largest delivery rate of the last eight *rounds*, or of the last three
//! where eight take seconds. A round ends when a byte granted in it is
//! receipted (and, once the rate is known, after 200 ms at least, because receipts come in bursts and a short round would
//! see one too many). Since the window holds a little more than the path, it fills whatever the path becomes able to
//! carry, and finds the new rate by itself; the queue it builds is the little more, here [`WindowConfig::queue_target`].
//!
//! At the start the rate is unknown and the window grows by every byte receipted (doubling per round trip) until the
//! rate grows by less than a quarter in three rounds, or receipts come late by more than the queue allowed.
//!
//! Our own standing queue hides the shortest round trip. So when that was last seen ten seconds ago, the owner of all
//! windows of a link calls [`SendWindow::start_drain`] on all of them at once: each shrinks to half of its path, and what
//! is then measured is the empty path.
//!
//! Invariant: [`SendWindow::room`] + outstanding ≤ window, so grants within the room keep the window.

use std::time::Duration;

use mesh_proto::limits::SLICE_BYTES_MIN;
use mesh_proto::{ByteRate, Timestamp};

use crate::max_filter::MaxFilter;
use drain::Drain;

mod drain;

/// The largest window.
pub const WINDOW_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The smallest window: two of the smallest slices.
pub const WINDOW_BYTES_MIN: u64 = 2 * SLICE_BYTES_MIN as u64;
/// How long a shortest round trip is believed.
pub const ROUND_TRIP_VALID: Duration = Duration::from_secs(10);

const ROUND_MIN: Duration = Duration::from_millis(200);
const STARTUP_QUEUE_MAX: Duration = Duration::from_millis(50);
const STARTUP_FLAT_ROUNDS: u32 = 3;
const BURST_SLACK: Duration = Duration::from_millis(15);
const BURST_MAX: Duration = Duration::from_millis(65);
/// On a longer way a packet that TCP lost holds back all behind it for a round trip, and then they come at once. The
/// window has room for that, or each loss would let the way run empty; no more than this, whatever the round trip.
const FAR_BURST_MAX: Duration = Duration::from_secs(1);
/// From here on the receipts of such a burst are told from those of one read.
const NEAR_RTT_MAX: Duration = Duration::from_millis(50);
const REFILL_START: Duration = Duration::from_millis(20);

/// What distinguishes one window from another.
#[derive(Debug, Clone, Copy)]
pub struct WindowConfig {
    /// The queue the window builds where its path is the bottleneck.
    pub queue_target: Duration,
    /// While less queue than this is seen, the path is not the bottleneck and the window gets more than it needs, so
    /// that whoever shares the real bottleneck out decides; zero = never.
    pub headroom_below: Duration,
}

/// Goes with each grant and comes back with its receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrantMark {
    /// When it was granted.
    pub at: Timestamp,
    round: u64,
}

/// One receipt, as a window sees it.
#[derive(Debug, Clone, Copy)]
pub struct ReceiptSample {
    /// Bytes of the grant that arrived.
    pub bytes: u64,
    /// The grant's mark of this window.
    pub mark: GrantMark,
    /// The path's own round trip to hold against, where another window knows it; `None` = measure it here.
    pub path_rtt: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct ClosedRound {
    blocked: bool,
    queue: Option<Duration>,
}

/// Congestion control for one peer or for a whole uplink.
#[derive(Debug, Clone)]
pub struct SendWindow {
    config: WindowConfig,
    outstanding_bytes: u64,
    rates: MaxFilter,
    rtt: Option<Duration>,
    rtt_ever: Option<Duration>,
    rtt_seen_at: Timestamp,
    drain: Option<Drain>,
    /// After a drain the window opens a quarter as fast as receipts come, else it would build the very queue it avoids.
    refill_bytes: Option<u64>,
    /// `Some(window)` until the rate is known.
    startup_bytes: Option<u64>,
    startup_rate: u64,
    startup_flat_rounds: u32,
    delivered_bytes: u64,
    round: u64,
    round_started_at: Timestamp,
    round_started_delivered: u64,
    round_blocked: bool,
    round_queue: Option<Duration>,
    round_closed: Option<ClosedRound>,
    queue_seen: Duration,
    /// Whether the last round was held back by this window.
    is_full: bool,
    shared_queue: Duration,
    others_queue: Duration,
    lift: Duration,
    instant: Timestamp,
    burst_began: Timestamp,
    burst_bytes: u64,
    burst_bytes_max: u64,
}

impl SendWindow {
    /// A window of which nothing is known.
    #[must_use]
    pub fn new(now: Timestamp, config: WindowConfig) -> Self {
        Self {
            config,
            outstanding_bytes: 0,
            rates: MaxFilter::default(),
            rtt: None,
            rtt_ever: None,
            rtt_seen_at: now,
            drain: None,
            refill_bytes: None,
            startup_bytes: Some(initial_bytes(None)),
            startup_rate: 0,
            startup_flat_rounds: 0,
            delivered_bytes: 0,
            round: 0,
            round_started_at: now,
            round_started_delivered: 0,
            round_blocked: false,
            round_queue: None,
            round_closed: None,
            queue_seen: Duration::MAX,
            is_full: false,
            shared_queue: Duration::ZERO,
            others_queue: Duration::ZERO,
            lift: Duration::ZERO,
            instant: now,
            burst_began: now,
            burst_bytes: 0,
            burst_bytes_max: 0,
        }
    }

    /// Bytes granted and not receipted.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u64 {
        self.outstanding_bytes
    }

    /// The rate measured, once there is one.
    #[must_use]
    pub fn rate(&self) -> Option<ByteRate> {
        match self.rates.max() {
            0 => None,
            rate => Some(ByteRate(rate)),
        }
    }

    /// The shortest round trip believed.
    #[must_use]
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Whether the rate is still being found.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.startup_bytes.is_some()
    }

    /// Whether the window is what the measured rate and round trip make of it: not while it starts, nor while its path is
    /// emptied and filled again.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.startup_bytes.is_none() && self.drain.is_none() && self.refill_bytes.is_none()
    }

    /// The window.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        let rate = ByteRate(self.rates.max());
        let path_bytes = rate.bytes_in(self.rtt.unwrap_or_default());
        let bytes = if self.drain.is_some() {
            path_bytes / 2
        } else if let Some(bytes) = self.startup_bytes {
            bytes
        } else {
            let headroom = rate.bytes_in(self.config.headroom_below.saturating_sub(self.queue_seen));
            let bytes = path_bytes
                .saturating_add(self.queue_bytes())
                .saturating_add(rate.bytes_in(self.shared_queue))
                .saturating_add(rate.bytes_in(self.lift))
                .saturating_add(headroom);
            self.refill_bytes.map_or(bytes, |refill| refill.min(bytes))
        };
        bytes.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX)
    }

    /// The queue it lets build: what is allowed, or what receipts that bring much at once collect.
    fn queue_bytes(&self) -> u64 {
        let rate = ByteRate(self.rates.max());
        let longest = self.way().max(BURST_MAX);
        let burst = (self.burst_bytes_max + rate.bytes_in(BURST_SLACK)).min(rate.bytes_in(longest));
        rate.bytes_in(self.config.queue_target).max(burst)
    }

    /// The queue it builds now, if it is what holds senders back.
    #[must_use]
    pub fn standing_queue(&self) -> Duration {
        match (self.is_full, self.rates.max()) {
            (true, rate) if rate > 0 => Duration::from_nanos(self.queue_bytes().saturating_mul(1_000_000_000) / rate),
            _ => Duration::ZERO,
        }
    }

    /// What may be granted now.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.window_bytes().saturating_sub(self.outstanding_bytes)
    }

    /// This window, and nothing else, kept bytes from being granted.
    pub fn note_blocked(&mut self) {
        self.round_blocked = true;
    }

    /// Takes in what the last receipts said if all is receipted, and lets a round begin with the next byte after a
    /// pause. Call it before asking for [`room`](Self::room) to grant from.
    pub fn wake(&mut self, now: Timestamp) {
        if self.outstanding_bytes > 0 {
            return;
        }
        let paused = now.since(self.instant);
        self.settle(now);
        // Who was held back by its window and then waited for its turn did not pause: a small window is often empty, and
        // would never be seen to be too small.
        if !self.round_blocked || paused >= ROUND_MIN {
            self.begin_round(now);
        }
    }

    /// Bytes were granted.
    pub fn on_grant(&mut self, now: Timestamp, bytes: u64) -> GrantMark {
        self.outstanding_bytes = self.outstanding_bytes.saturating_add(bytes);
        GrantMark { at: now, round: self.round }
    }

    /// Bytes that will never be receipted: not sent, or lost with their connection.
    pub fn forget(&mut self, bytes: u64) {
        self.outstanding_bytes = self.outstanding_bytes.saturating_sub(bytes);
    }

    /// A round trip was measured elsewhere (a ping, or the mean of the peers for the uplink).
    pub fn set_rtt(&mut self, now: Timestamp, rtt: Duration) {
        if self.startup_bytes.is_some() && self.delivered_bytes == 0 {
            self.startup_bytes = Some(initial_bytes(Some(rtt)));
        }
        self.see_rtt(now, rtt);
    }

    /// So much of the queue that receipts meet is before this window's path, where others' windows share it: it is not
    /// held against the path. `with_others` says whether others indeed send now.
    pub fn set_shared_queue(&mut self, queue: Duration, with_others: bool) {
        self.shared_queue = queue;
        self.others_queue = if with_others { queue } else { Duration::ZERO };
    }

    /// So much of what the window counts has left its path and waits behind it, in paths of single peers.
    pub fn set_lift(&mut self, lift: Duration) {
        self.lift = lift;
    }

    /// Replaces the round trip by one that others measured.
    pub fn replace_rtt(&mut self, now: Timestamp, rtt: Duration) {
        self.rtt = Some(rtt);
        self.rtt_seen_at = now;
    }

    /// Some bytes of a grant arrived.
    pub fn on_receipt(&mut self, now: Timestamp, sample: ReceiptSample) {
        if now > self.instant {
            self.settle(now);
        }
        self.outstanding_bytes = self.outstanding_bytes.saturating_sub(sample.bytes);
        self.delivered_bytes = self.delivered_bytes.saturating_add(sample.bytes);
        self.note_burst(now, sample.bytes);
        let elapsed = now.since(sample.mark.at);
        if sample.path_rtt.is_none() {
            self.see_rtt(now, elapsed);
        }
        let queue = elapsed.saturating_sub(sample.path_rtt.or(self.rtt).unwrap_or(elapsed));
        self.round_queue = Some(self.round_queue.map_or(queue, |least| least.min(queue)));
        if let Some(bytes) = &mut self.startup_bytes
            && self.round_blocked
        {
            *bytes = bytes.saturating_add(sample.bytes).min(WINDOW_BYTES_MAX);
        }
        if let Some(bytes) = self.refill_bytes.filter(|_| self.drain.is_none()) {
            let bytes = bytes.saturating_add(sample.bytes / 4);
            self.refill_bytes = Some(bytes);
            if bytes > self.window_bytes() {
                self.refill_bytes = None;
            }
        }
        let is_starting = self.startup_bytes.is_some();
        let long_enough = now.since(self.round_started_at) >= ROUND_MIN;
        let is_back = sample.mark.round == self.round && (is_starting || long_enough);
        // The window must not go on growing until a round is back that waits behind all that it has let through.
        let is_late = is_starting && long_enough && self.round_queue.is_some_and(|queue| queue > STARTUP_QUEUE_MAX);
        if self.round_closed.is_none() && (is_back || is_late) {
            self.round += 1;
            self.round_closed = Some(ClosedRound { blocked: self.round_blocked, queue: self.round_queue.take() });
            // In startup the window must keep doubling through the receipts of this very instant.
            self.round_blocked = self.startup_bytes.is_some() && self.round_blocked;
        }
    }

    /// Whether the shortest round trip is too old to be believed.
    #[must_use]
    pub fn is_rtt_stale(&self, now: Timestamp) -> bool {
        self.rtt.is_some() && self.drain.is_none() && now > self.rtt_fresh_until()
    }

    /// Until when the shortest round trip is believed at least.
    pub(crate) fn rtt_fresh_until(&self) -> Timestamp {
        self.rtt_seen_at.after(ROUND_TRIP_VALID)
    }

    /// Shrinks to half of the path until `until`, to see it empty. A window at its floor is as empty as it gets.
    pub fn start_drain(&mut self, now: Timestamp, until: Timestamp) {
        if self.drain.is_some() {
            return;
        }
        if self.startup_bytes.is_some() || self.window_bytes() <= 2 * WINDOW_BYTES_MIN {
            self.rtt_seen_at = now;
            return;
        }
        self.drain = Some(Drain::new(now, until));
    }

    /// Ends a drain that is over. Says whether it did.
    pub fn end_drain(&mut self, now: Timestamp) -> bool {
        let Some(drain) = self.drain.filter(|drain| drain.is_over(now)) else { return false };
        self.drain = None;
        self.rtt = drain.rtt().or(self.rtt);
        self.rtt_seen_at = now;
        let rate = ByteRate(self.rates.max());
        let path_bytes = rate.bytes_in(self.rtt.unwrap_or_default());
        self.refill_bytes = Some(path_bytes / 2 + rate.bytes_in(REFILL_START));
        // Whatever was delivered meanwhile says nothing about the path.
        self.begin_round(now);
        true
    }

    /// The same for one of several paths behind an uplink: a drain that has not seen its path empty goes on alone.
    pub fn end_drain_if_seen(&mut self, now: Timestamp) -> bool {
        let has_others = self.others_queue > Duration::ZERO;
        let goes_on = has_others && self.drain.is_some_and(|drain| drain.may_see_more(now));
        !goes_on && self.end_drain(now)
    }

    /// Counts receipts that come at once. What TCP held back for a lost packet comes within a moment, not an instant.
    fn note_burst(&mut self, now: Timestamp, bytes: u64) {
        let moment = self.way().saturating_sub(NEAR_RTT_MAX) / 2;
        if now.since(self.burst_began) > moment {
            let usual = ByteRate(self.rates.max()).bytes_in(moment);
            let fade = self.burst_bytes_max - self.burst_bytes_max / 64;
            self.burst_bytes_max = fade.max(self.burst_bytes.saturating_sub(usual));
            (self.burst_began, self.burst_bytes) = (now, 0);
        }
        self.burst_bytes = self.burst_bytes.saturating_add(bytes);
    }

    /// The way without any queue, as far as it was ever seen.
    fn way(&self) -> Duration {
        self.rtt_ever.unwrap_or_default().min(FAR_BURST_MAX)
    }

    fn see_rtt(&mut self, now: Timestamp, rtt: Duration) {
        self.rtt_ever = Some(self.rtt_ever.map_or(rtt, |least| least.min(rtt)));
        if let Some(drain) = &mut self.drain {
            drain.see(now, rtt, self.rtt, self.others_queue);
        }
        // A little more is the same way, and no reason to empty it.
        if self.rtt.is_none_or(|least| rtt <= least + least / 8) {
            self.rtt = Some(self.rtt.map_or(rtt, |least| least.min(rtt)));
            self.rtt_seen_at = now;
        }
    }

    /// Begins a new round, dropping the one under way.
    fn begin_round(&mut self, now: Timestamp) {
        self.round += 1;
        self.round_started_at = now;
        self.round_started_delivered = self.delivered_bytes;
        self.round_blocked = false;
        self.round_queue = None;
        self.round_closed = None;
    }

    /// All receipts of the last instant are in: what that says.
    fn settle(&mut self, now: Timestamp) {
        if let Some(closed) = self.round_closed.take() {
            self.is_full = closed.blocked;
            if let Some(queue) = closed.queue.filter(|_| self.drain.is_none()) {
                self.queue_seen = queue;
            }
            let bytes = self.delivered_bytes - self.round_started_delivered;
            let time = self.instant.since(self.round_started_at);
            if let Some(rate) = ByteRate::measured(bytes, time).filter(|_| bytes > 0 && self.drain.is_none()) {
                self.take_sample(rate.0.max(1), time, closed);
            }
            self.round_started_at = self.instant;
            self.round_started_delivered = self.delivered_bytes;
        }
        self.instant = now;
    }

    fn take_sample(&mut self, rate: u64, time: Duration, closed: ClosedRound) {
        // While others fill the uplink, it is they that hold this sender back, and only a queue tells that its own path is
        // full too: clearly more of it than the uplink builds.
        let queue_max = self.shared_queue + self.config.queue_target / 2;
        let is_path_full = self.others_queue > Duration::ZERO && closed.queue.is_some_and(|queue| queue > queue_max);
        if closed.blocked || is_path_full {
            self.rates.push(time, rate);
        } else {
            self.rates.push_demand_limited(time, rate);
        }
        if self.startup_bytes.is_none() || !closed.blocked {
            return;
        }
        if rate >= self.startup_rate.saturating_add(self.startup_rate / 4) {
            self.startup_rate = rate;
            self.startup_flat_rounds = 0;
        } else {
            self.startup_flat_rounds += 1;
        }
        let late = closed.queue.is_some_and(|queue| queue > STARTUP_QUEUE_MAX);
        if late || self.startup_flat_rounds >= STARTUP_FLAT_ROUNDS {
            self.startup_bytes = None;
            self.rates.keep_last(STARTUP_FLAT_ROUNDS as usize);
            self.burst_bytes_max = 0;
        }
    }
}

/// How much to send before anything is known but perhaps a ping: a long round trip may mean a slow link, on which a
/// large first window would take minutes.
fn initial_bytes(rtt: Option<Duration>) -> u64 {
    const KIB: u64 = 1024;
    match rtt.map(|rtt| rtt.as_millis()) {
        None => 16 * KIB,
        Some(0..=150) => 128 * KIB,
        Some(151..=400) => 32 * KIB,
        Some(401..=900) => 8 * KIB,
        Some(_) => 2 * KIB,
    }
}

#[cfg(test)]
mod tests;
