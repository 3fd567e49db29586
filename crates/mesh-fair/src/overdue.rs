//! Receipts that do not come: bytes for a peer that vanished have long left the uplink, and must not keep others out of it
//! until its connection is known to be dead.
//!
//! An uplink is a queue. When what was granted much later has arrived, what was granted before has left it; and when
//! nothing at all arrives for much longer than the queue is, all of it has.
//!
//! Invariant: what is let go of here stays in its peer's window.

use std::time::Duration;

use mesh_proto::Timestamp;

use crate::window::SendWindow;

/// What was granted so much earlier than something that arrived has left the uplink, however short the paths.
const OVERTAKEN_MIN: Duration = Duration::from_millis(500);
/// The same in round trips of its peer, queues and all.
const OVERTAKEN_ROUND_TRIPS: u32 = 4;
/// Nothing arrived for so long while no rate is known: as long as a getter bears silence.
const FIRST_SILENCE: Duration = Duration::from_secs(60);
/// It is looked for what is overdue so often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is known of the order in which bytes arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overdue {
    /// When the youngest of the grants was given that something arrived of.
    arrived: Timestamp,
    /// When something last arrived, or was granted into an empty uplink.
    moved: Timestamp,
    looked: Timestamp,
}

impl Overdue {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { arrived: Timestamp::ZERO, moved: now, looked: now }
    }

    /// Something arrived that was granted then.
    pub(crate) fn on_receipt(&mut self, now: Timestamp, granted: Timestamp) {
        (self.arrived, self.moved) = (self.arrived.max(granted), now);
    }

    /// Something was granted into an empty uplink.
    pub(crate) fn moves(&mut self, now: Timestamp) {
        self.moved = now;
    }

    /// Whether it is time to look again.
    pub(crate) fn looks(&mut self, now: Timestamp) -> bool {
        let is_time = now.since(self.looked) >= LOOK_EVERY;
        if is_time {
            self.looked = now;
        }
        is_time
    }

    /// Whether what was granted to a peer then has left the uplink.
    pub(crate) fn is_overtaken(&self, granted: Timestamp, peer: &SendWindow, queues: Duration) -> bool {
        let round_trips = (peer.rtt().unwrap_or_default() + queues) * OVERTAKEN_ROUND_TRIPS;
        granted.after(round_trips.max(OVERTAKEN_MIN)) < self.arrived
    }

    /// When a full uplink counts as silent, if nothing arrives until then.
    pub(crate) fn silent_at(&self, uplink: &SendWindow) -> Timestamp {
        let silence = uplink.rate().map_or(FIRST_SILENCE, |rate| {
            let drains = Duration::from_nanos(uplink.window_bytes().saturating_mul(1_000_000_000) / rate.0.max(1));
            OVERTAKEN_MIN + (uplink.rtt().unwrap_or_default() + drains) * OVERTAKEN_ROUND_TRIPS
        });
        self.moved.after(silence)
    }
}
