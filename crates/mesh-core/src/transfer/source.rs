//! One peer as a source of one content: what it holds, how fast it gives, what was asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::limits::SPAN_BYTES_MIN;
use mesh_proto::message::Holding;
use mesh_proto::port::net::LinkClass;
use mesh_proto::{ChunkRange, ChunkSet, CommandId, PageId, Timestamp};

/// Time over which a rate sample is taken.
const SAMPLE: Duration = Duration::from_millis(200);
/// A span is about so long at the source's rate.
const SPAN_MS: u64 = 35;
/// Beyond two round trips, so much is asked for ahead: a source may send that far before our receipts come.
const AHEAD_MS: u64 = 150;
/// The largest span planned, unless one chunk is larger.
const SPAN_BYTES_PLANNED_MAX: u64 = 8 * 1024 * 1024;
/// What is asked for while the rate is not known.
const FIRST_SPAN_BYTES: u64 = 128 * 1024;
const FIRST_AHEAD_BYTES: u64 = 1024 * 1024;
const AHEAD_BYTES_MAX: u64 = 96 * 1024 * 1024;
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A span that was asked for.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Which chunks.
    pub chunks: ChunkRange,
    /// Bytes of the first chunk that were kept aside.
    pub skip_bytes: u32,
    /// What is to come.
    pub payload_bytes: u64,
    /// What came.
    pub received_bytes: u64,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Whether it was taken back: a faster source can have it, or nothing can be written now.
    pub cancelled: bool,
    /// Whether the store looked at the disk anew since: what it says of chunks is known better.
    pub stale: bool,
}

/// One peer as a source. See the module.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// What it said it holds; `None` before it answered.
    pub holding: Option<Holding>,
    /// Whether it was asked on the connection that stands.
    pub asked: bool,
    /// Spans asked for and not ended.
    pub fetches: BTreeMap<CommandId, Fetch>,
    /// Pages asked for and not answered, with the time to give up.
    pub pages: BTreeMap<PageId, Timestamp>,
    /// Nothing is asked of it before.
    pub not_before: Timestamp,
    /// It sent a wrong byte: nothing more is taken from it for this content.
    pub banned: bool,
    /// It refused because we may not have the content.
    pub denied: bool,
    /// It refused because its file changed since it was shared.
    pub changed: bool,
    /// Content bytes received from it and verified.
    pub verified_bytes: u64,
    /// Bytes received from it and thrown away.
    pub wasted_bytes: u64,
    /// Over what path it gave.
    pub class: Option<LinkClass>,
    /// Where its last span ended: going on there keeps reads and writes in sequence.
    pub next_chunk: Option<u32>,
    failures: u32,
    rate_bytes_per_s: u64,
    sample_bytes: u64,
    sample_began: Option<Timestamp>,
}

impl Source {
    /// Whether it can be asked for spans now.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.holds_something() && !self.banned && !self.denied && self.not_before <= now
    }

    /// Whether it holds any of the content, as far as it said.
    #[must_use]
    pub fn holds_something(&self) -> bool {
        match &self.holding {
            None | Some(Holding::None) => false,
            Some(Holding::Partial(chunks)) => !chunks.is_empty(),
            Some(Holding::Complete) => true,
        }
    }

    /// Which of `chunks` it holds.
    #[must_use]
    pub fn held_of(&self, chunks: &ChunkSet) -> ChunkSet {
        match &self.holding {
            None | Some(Holding::None) => ChunkSet::new(),
            Some(Holding::Partial(held)) => chunks.intersection(held),
            Some(Holding::Complete) => chunks.clone(),
        }
    }

    /// Bytes asked for and not received.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.fetches.values().map(|fetch| fetch.payload_bytes.saturating_sub(fetch.received_bytes)).sum()
    }

    /// Bytes per second it gives; 0 = not known.
    #[must_use]
    pub fn rate_bytes_per_s(&self) -> u64 {
        self.rate_bytes_per_s
    }

    /// How many bytes a span should have.
    #[must_use]
    pub fn span_bytes(&self) -> u64 {
        match self.rate_bytes_per_s {
            0 => FIRST_SPAN_BYTES,
            rate => (rate.saturating_mul(SPAN_MS) / 1000).clamp(SPAN_BYTES_MIN, SPAN_BYTES_PLANNED_MAX),
        }
    }

    /// How many bytes should be asked for ahead: enough to cover the path twice and what the source may send unreceipted.
    #[must_use]
    pub fn ahead_bytes(&self, rtt_us: u64) -> u64 {
        match self.rate_bytes_per_s {
            0 => FIRST_AHEAD_BYTES,
            rate => {
                let bytes = u128::from(rate) * u128::from(2 * rtt_us + AHEAD_MS * 1000) / 1_000_000;
                let bytes = u64::try_from(bytes).unwrap_or(AHEAD_BYTES_MAX);
                bytes.clamp(self.span_bytes().saturating_mul(2), AHEAD_BYTES_MAX)
            }
        }
    }

    /// How long everything asked for should still take.
    #[must_use]
    pub fn eta(&self) -> Duration {
        match self.rate_bytes_per_s {
            0 => Duration::from_secs(2),
            rate => Duration::from_millis(self.in_flight_bytes().saturating_mul(1000) / rate),
        }
    }

    /// Silence for so long means that nothing more comes: four times what the work in flight should take.
    #[must_use]
    pub fn stall_ms(&self) -> u64 {
        let expected = match self.rate_bytes_per_s {
            0 => 0,
            rate => self.span_bytes().max(64 * 1024).saturating_mul(4000) / rate,
        };
        expected.max(15_000)
    }

    /// Notes bytes that arrived.
    pub fn on_bytes(&mut self, now: Timestamp, bytes: u64) {
        let began = *self.sample_began.get_or_insert(now);
        self.sample_bytes += bytes;
        let passed = now.since(began);
        if passed < SAMPLE {
            return;
        }
        let sample = u64::try_from(u128::from(self.sample_bytes) * 1_000_000_000 / passed.as_nanos());
        let sample = sample.unwrap_or(u64::MAX);
        // Up at once, down slowly: a sample can only be too low (the source had others to serve, or we asked too little).
        self.rate_bytes_per_s = match sample > self.rate_bytes_per_s {
            true => sample,
            false => (self.rate_bytes_per_s * 7 + sample) / 8,
        };
        self.failures = 0;
        self.sample_bytes = 0;
        self.sample_began = Some(now);
    }

    /// Nothing is in flight: a pause must not count as slowness.
    pub fn on_idle(&mut self) {
        self.sample_began = None;
        self.sample_bytes = 0;
    }

    /// Something between us and it failed, and with it all that was in flight: that is one failure.
    pub fn back_off_once(&mut self, now: Timestamp) {
        if self.not_before <= now {
            self.back_off(now);
        }
    }

    /// It failed in a way that may pass: leave it alone for a while, longer each time. A source that is busy says so
    /// to each span, and is left alone the longer the more it was asked for.
    pub fn back_off(&mut self, now: Timestamp) {
        self.failures += 1;
        let wait = Duration::from_millis(250).saturating_mul(1 << self.failures.min(8)).min(BACKOFF_MAX);
        self.not_before = self.not_before.max(now.after(wait));
    }

    /// Its last connection ended. What was in flight is answered one by one.
    pub fn on_disconnected(&mut self) {
        self.asked = false;
        self.holding = None;
        self.pages.clear();
        self.on_idle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_together_is_one_failure() {
        let mut source = Source::default();
        let now = Timestamp(1_000_000_000);
        (0..48).for_each(|_| source.back_off_once(now));
        assert_eq!(source.not_before, now.after(Duration::from_millis(500)));
        let later = now.after(Duration::from_secs(1));
        source.back_off_once(later);
        assert_eq!(source.not_before, later.after(Duration::from_secs(1)), "the next one counts");
    }
}
