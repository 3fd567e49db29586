//! One peer as a source of one content: what it holds, how fast it gives, what was asked of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::limits::SPAN_BYTES_MIN;
use mesh_proto::message::Holding;
use mesh_proto::port::net::LinkClass;
use mesh_proto::record::Access;
use mesh_proto::{ChunkRange, ChunkSet, CommandId, NodeId, PageId, Timestamp};

use super::goodput::Goodput;

/// A span is about so long at the source's rate.
const SPAN_MS: u64 = 35;
/// Beyond two round trips, so much is asked for ahead: a source may send that far before our receipts come.
const AHEAD_MS: u64 = 150;
/// The largest span planned, unless one chunk is larger.
const SPAN_BYTES_PLANNED_MAX: u64 = 8 * 1024 * 1024;
/// What is asked for while the rate is not known.
const FIRST_SPAN_BYTES: u64 = 128 * 1024;
const FIRST_AHEAD_BYTES: u64 = 1024 * 1024;
/// The same in a crowd: what is asked of one can't be asked of another, and all begin at once.
const FIRST_AHEAD_IN_CROWD_BYTES: u64 = 128 * 1024;
const AHEAD_IN_CROWD_MS: u64 = 200;
/// How long a span takes to come while nothing came from there yet.
const TURN_MS_ASSUMED: u64 = 100;
const AHEAD_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// Spans asked of one source at once: less than the source accepts per connection.
const FETCHES_MAX: usize = 48;
/// Runs kept of what one said it gives to others; more is not taken in.
const GIVEN_RUNS_MAX: usize = 8192;
/// What a source gives to others is had by them after so long at least, and given up after so long at most.
const PATIENCE_MS_MIN: u64 = 250;
const PATIENCE_MS_MAX: u64 = 30_000;
/// A source that has given before is missed after so long at least.
const MISSED_MS_MIN: u64 = 2000;
/// Silence of a source that has given before: no less than this.
const STALL_MS_MIN: u64 = 15_000;
/// Silence of a source of which no rate is known, the first time …
const FIRST_STALL_MS: u64 = 60_000;
/// … and how often it doubles: to 16 minutes.
const STALL_DOUBLINGS_MAX: u32 = 4;
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
    /// Spans that were asked of the same source then and had not come: they come first.
    pub behind: usize,
    /// Whether it was taken back: a faster source can have it, or nothing can be written now.
    pub cancelled: bool,
    /// The faster source that is asked for it next.
    pub taken_for: Option<NodeId>,
    /// Whether it was asked of a source that gives to others what they ask for, as something that only it has.
    pub spares: bool,
    /// Whether the store looked at the disk anew since: what it says of chunks is known better.
    pub stale: bool,
}

/// Chunks that a source said it gives to others, until they had time to get about: at least one patience, at most two.
#[derive(Debug, Clone, Default)]
pub struct Given {
    lately: ChunkSet,
    before: ChunkSet,
    turned: Timestamp,
    told: Option<Timestamp>,
}

impl Given {
    fn add(&mut self, now: Timestamp, patience: Duration, chunks: &ChunkSet) {
        self.turn(now, patience);
        self.told = Some(now);
        if self.lately.runs().len() + chunks.runs().len() <= GIVEN_RUNS_MAX {
            self.lately.union_with(chunks);
        }
    }

    fn turn(&mut self, now: Timestamp, patience: Duration) {
        if now.since(self.turned) >= patience * 2 {
            self.lately = ChunkSet::new();
        }
        if now.since(self.turned) >= patience {
            (self.before, self.turned) = (std::mem::take(&mut self.lately), now);
        }
    }

    fn is_current(&self, now: Timestamp, patience: Duration) -> bool {
        self.told.is_some_and(|told| now.since(told) < patience * 2)
    }

    /// Which of `chunks` are not given to others.
    pub(super) fn missing_in(&mut self, now: Timestamp, patience: Duration, chunks: &ChunkSet) -> ChunkSet {
        self.turn(now, patience);
        chunks.difference(&self.lately).difference(&self.before)
    }
}

/// One peer as a source. See the module.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// What it said it holds; `None` before it answered. Changed by the transfer, which counts who holds what.
    pub(super) holding: Option<Holding>,
    /// Under which rule it gives it, as it said.
    pub access: Option<Access>,
    /// What it said that it gives to others.
    pub given: Given,
    /// Since when it has nothing left that only it can give.
    pub(super) drained_since: Option<Timestamp>,
    /// It has nothing that is wanted, as long as no chunk becomes wanted (counted by this) and it gets nothing new.
    pub(super) dry: Option<u64>,
    /// Whether it was asked on the connection that stands.
    pub asked: bool,
    /// When it was last asked what it holds.
    pub asked_at: Timestamp,
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
    /// The round trip to it, as it was lately.
    pub rtt_us: u64,
    /// What a MiB from there costs, as it was lately.
    pub cost_ms_per_mib: u64,
    /// Where its last span ended: going on there keeps reads and writes in sequence.
    pub next_chunk: Option<u32>,
    failures: u32,
    /// How long spans took to come from it lately; 0 = not known.
    wait_ms: u64,
    /// The same for each span of ours that waited there.
    turn_ms: u64,
    /// When it was last asked for a span, and when bytes last came.
    pub(super) asked_span_at: Timestamp,
    pub(super) gave_at: Timestamp,
    /// Whether a span was taken from it while it was silent, and nothing came from it since: it may be gone.
    pub(super) robbed: bool,
    goodput: Goodput,
}

impl Source {
    /// Whether it can be asked for spans now: it is connected, and nothing is in the way.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.asked && self.holds_something() && !self.banned && !self.denied && self.not_before <= now
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

    /// What it said it holds; `None` before it answered.
    #[must_use]
    pub fn holding(&self) -> Option<&Holding> {
        self.holding.as_ref()
    }

    /// Whether it holds all.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.holding == Some(Holding::Complete)
    }

    /// Whether it holds all of `chunks`.
    #[must_use]
    pub fn holds_all_of(&self, chunks: ChunkRange) -> bool {
        match &self.holding {
            None | Some(Holding::None) => false,
            Some(Holding::Partial(held)) => held.contains_range(chunks),
            Some(Holding::Complete) => true,
        }
    }

    /// Whether it holds any of `chunks`.
    #[must_use]
    pub fn holds_some_of(&self, chunks: ChunkRange) -> bool {
        match &self.holding {
            None | Some(Holding::None) => false,
            Some(Holding::Partial(held)) => held.intersects(chunks),
            Some(Holding::Complete) => true,
        }
    }

    /// Which of `chunks` it holds.
    #[must_use]
    pub fn held_of<'a>(&self, chunks: &'a ChunkSet) -> Cow<'a, ChunkSet> {
        match &self.holding {
            None | Some(Holding::None) => Cow::Owned(ChunkSet::new()),
            Some(Holding::Partial(held)) => Cow::Owned(chunks.intersection(held)),
            Some(Holding::Complete) => Cow::Borrowed(chunks),
        }
    }

    /// It named chunks that it gives to others. Returns requests of ours for some of them: others get those first.
    pub fn on_given(&mut self, now: Timestamp, chunks: &ChunkSet) -> Vec<CommandId> {
        self.given.add(now, self.patience(), chunks);
        let is_late = |fetch: &Fetch| {
            fetch.spares && !fetch.cancelled && fetch.received_bytes == 0 && chunks.contains_range(fetch.chunks)
        };
        self.fetches.iter().filter(|(_, fetch)| is_late(fetch)).map(|(command, _)| *command).collect()
    }

    /// Whether others fetch from it too what they then give on, so that it should be asked for what nobody else has.
    #[must_use]
    pub fn is_spared(&self, now: Timestamp) -> bool {
        self.is_complete() && self.given.is_current(now, self.patience())
    }

    /// How long what it gives to others may take to get about.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_millis((2 * self.wait_ms).clamp(PATIENCE_MS_MIN, PATIENCE_MS_MAX))
    }

    /// When a span asked of it now would come. What is known of a source that is not asked grows old: it counts for half
    /// as much each second, so that one which was slow is tried again.
    #[must_use]
    pub fn expected_ms(&self, now: Timestamp) -> u64 {
        let turn_ms = match self.turn_ms {
            0 => TURN_MS_ASSUMED,
            turn_ms => turn_ms >> now.since(self.asked_span_at).as_secs().min(63),
        };
        turn_ms.max(1).saturating_mul(self.fetches.len() as u64 + 1)
    }

    /// A span it was asked for came.
    pub fn on_complete(&mut self, now: Timestamp, fetch: &Fetch) {
        let wait_ms = u64::try_from(now.since(fetch.asked).as_millis()).unwrap_or(u64::MAX).clamp(1, PATIENCE_MS_MAX);
        let turn_ms = wait_ms.div_ceil(fetch.behind as u64 + 1);
        let follow = |known: u64, new: u64| if known == 0 { new } else { (known * 3 + new) / 4 };
        (self.wait_ms, self.turn_ms) = (follow(self.wait_ms, wait_ms), follow(self.turn_ms, turn_ms));
    }

    /// Bytes asked for and not received.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.fetches.values().map(|fetch| fetch.payload_bytes.saturating_sub(fetch.received_bytes)).sum()
    }

    /// Bytes per second it gives; 0 = not known.
    #[must_use]
    pub fn rate_bytes_per_s(&self) -> u64 {
        self.goodput.bytes_per_s()
    }

    /// How many bytes a span should have.
    #[must_use]
    pub fn span_bytes(&self) -> u64 {
        match self.rate_bytes_per_s() {
            0 => FIRST_SPAN_BYTES,
            rate => (rate.saturating_mul(SPAN_MS) / 1000).clamp(SPAN_BYTES_MIN, SPAN_BYTES_PLANNED_MAX),
        }
    }

    /// How many bytes should be asked for ahead: enough to cover the path twice and what the source may send unreceipted.
    #[must_use]
    pub fn ahead_bytes(&self, in_crowd: bool) -> u64 {
        match self.rate_bytes_per_s() {
            0 if in_crowd => FIRST_AHEAD_IN_CROWD_BYTES,
            0 => FIRST_AHEAD_BYTES,
            _ if in_crowd => {
                let time = Duration::from_micros(2 * self.rtt_us + AHEAD_IN_CROWD_MS * 1000);
                self.goodput.bytes_in(time).clamp(SPAN_BYTES_MIN, AHEAD_BYTES_MAX)
            }
            _ => {
                let time = Duration::from_micros(2 * self.rtt_us + AHEAD_MS * 1000);
                self.goodput.bytes_in(time).clamp(self.span_bytes().saturating_mul(2), AHEAD_BYTES_MAX)
            }
        }
    }

    /// How many bytes more it should be asked for now.
    #[must_use]
    pub fn room(&self, in_crowd: bool) -> u64 {
        match self.fetches.len() < FETCHES_MAX {
            true => self.ahead_bytes(in_crowd).saturating_sub(self.in_flight_bytes()),
            false => 0,
        }
    }

    /// How long everything asked for should still take: who is silent stays so as long again, as far as anybody knows.
    #[must_use]
    pub fn eta(&self, now: Timestamp) -> Duration {
        match self.rate_bytes_per_s() {
            0 => Duration::from_secs(2),
            rate => Duration::from_millis(self.in_flight_bytes().saturating_mul(1000) / rate).max(self.silence(now)),
        }
    }

    /// For how long it gave nothing of what it was asked for.
    pub(super) fn silence(&self, now: Timestamp) -> Duration {
        let asked = self.fetches.values().map(|fetch| fetch.asked).min();
        asked.map_or(Duration::ZERO, |asked| now.since(asked.max(self.gave_at)))
    }

    /// Whether it is silent for much longer than it ever was: it may be gone.
    #[must_use]
    pub fn is_missed(&self, now: Timestamp) -> bool {
        self.rate_bytes_per_s() > 0 && self.silence(now) > Duration::from_millis((4 * self.wait_ms).max(MISSED_MS_MIN))
    }

    /// Silence for so long means that nothing more comes: four times what the work in flight should take. Of whom no
    /// rate is known it may be the link, on which the first slice takes half a minute at 2 kbit/s: such silence is borne
    /// longer, and twice as long each time it was too short, else what arrives late would be asked for again forever.
    #[must_use]
    pub fn stall_ms(&self) -> u64 {
        match self.rate_bytes_per_s() {
            0 => FIRST_STALL_MS << self.failures.min(STALL_DOUBLINGS_MAX),
            rate => (self.span_bytes().max(64 * 1024).saturating_mul(4000) / rate).max(STALL_MS_MIN),
        }
    }

    /// Notes bytes that arrived.
    pub fn on_bytes(&mut self, now: Timestamp, bytes: u64) {
        if bytes > 0 {
            (self.gave_at, self.robbed) = (now, false);
        }
        if self.goodput.on_bytes(now, bytes) {
            self.failures = 0;
        }
    }

    /// Nothing is in flight: a pause must not count as slowness.
    pub fn on_idle(&mut self) {
        self.goodput.on_idle();
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
        self.given = Given::default();
        self.drained_since = None;
        self.pages.clear();
        self.on_idle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(asked: Timestamp, behind: usize) -> Fetch {
        Fetch {
            chunks: ChunkRange { start: 0, count: 1 },
            skip_bytes: 0,
            payload_bytes: 65_536,
            received_bytes: 0,
            asked,
            behind,
            cancelled: false,
            taken_for: None,
            spares: false,
            stale: false,
        }
    }

    #[test]
    fn a_span_is_expected_the_later_the_more_of_ours_wait() {
        let (mut source, now) = (Source::default(), Timestamp(1_000_000_000));
        assert_eq!(source.expected_ms(now), TURN_MS_ASSUMED);
        source.asked_span_at = now;
        source.on_complete(now.after(Duration::from_millis(300)), &fetch(now, 2));
        assert_eq!(source.expected_ms(now), 100, "two others came before it");
        source.on_complete(now.after(Duration::from_millis(500)), &fetch(now, 0));
        assert_eq!(source.expected_ms(now), 200);
        source.fetches.insert(CommandId(1), fetch(now, 0));
        assert_eq!(source.expected_ms(now), 400);
        assert_eq!(source.expected_ms(now.after(Duration::from_secs(2))), 100, "it is not known any more");
    }

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

    #[test]
    fn silence_of_an_unknown_source_is_borne_longer_each_time() {
        let mut source = Source::default();
        assert_eq!(source.stall_ms(), 60_000, "8 KiB take half of that at 2 kbit/s");
        source.back_off(Timestamp(1));
        assert_eq!(source.stall_ms(), 120_000);
        (0..40).for_each(|_| source.back_off(Timestamp(1)));
        assert_eq!(source.stall_ms(), 960_000);
    }
}
