//! What waits before a link: a finite buffer, first in, first out.
//!
//! Invariant: what waits never exceeds the buffer, except for a single frame that meets an empty queue.

use mesh_proto::Timestamp;

/// The queue of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkQueue {
    /// When everything taken so far has left.
    free_at: Timestamp,
}

impl LinkQueue {
    /// Takes a frame: when its last byte has left, or `None` if the buffer is full and the frame is lost.
    pub fn offer(&mut self, now: Timestamp, bytes: u64, rate_bytes_per_s: u64, buffer_bytes: u64) -> Option<Timestamp> {
        let waiting = self.waiting_bytes(now, rate_bytes_per_s);
        if waiting > 0 && waiting.saturating_add(bytes) > buffer_bytes {
            return None;
        }
        let sending_ns = time_at(bytes, rate_bytes_per_s);
        self.free_at = Timestamp(self.free_at.max(now).0.saturating_add(sending_ns));
        Some(self.free_at)
    }

    /// The same for a frame that is known now and reaches the link only `at`, however much waits: it takes its sending
    /// time of the link, and what comes before it need not wait until it is there. Of a rest before it, `burst_ns` count
    /// as sending time. Gives when it has left.
    pub fn offer_ahead(
        &mut self,
        now: Timestamp,
        at: Timestamp,
        bytes: u64,
        rate_bytes_per_s: u64,
        burst_ns: u64,
    ) -> Timestamp {
        let sending_ns = time_at(bytes, rate_bytes_per_s);
        let sent = |from: Timestamp| {
            let begins = self.free_at.0.max(from.0.saturating_sub(burst_ns));
            Timestamp(begins.saturating_add(sending_ns))
        };
        let left = sent(at).max(at);
        self.free_at = sent(now);
        left
    }

    /// The rate changes: what waits leaves at the new one from now on.
    pub fn set_rate(&mut self, now: Timestamp, from_bytes_per_s: u64, to_bytes_per_s: u64) {
        if self.free_at > now && from_bytes_per_s != to_bytes_per_s {
            let waiting = self.waiting_bytes(now, from_bytes_per_s);
            self.free_at = Timestamp(now.0.saturating_add(time_at(waiting, to_bytes_per_s)));
        }
    }

    /// Bytes that have not left yet.
    #[must_use]
    pub fn waiting_bytes(&self, now: Timestamp, rate_bytes_per_s: u64) -> u64 {
        let waiting_ns = u128::from(self.free_at.0.saturating_sub(now.0));
        u64::try_from((waiting_ns * u128::from(rate_bytes_per_s)).div_ceil(1_000_000_000)).unwrap_or(u64::MAX)
    }

    /// Forgets what waits, as when a link goes down.
    pub fn clear(&mut self) {
        self.free_at = Timestamp::ZERO;
    }
}

/// Nanoseconds that bytes take at a rate; the end of time at rate zero.
pub(crate) fn time_at(bytes: u64, rate_bytes_per_s: u64) -> u64 {
    let ns = (u128::from(bytes) * 1_000_000_000).checked_div(u128::from(rate_bytes_per_s));
    ns.and_then(|ns| u64::try_from(ns).ok()).unwrap_or(u64::MAX)
}
