//! How a flow becomes fast: at first, after a rest, and when more becomes free than it knows of.
//!
//! - At first, ten segments in the first round trip, and twice as many in each that follows (RFC 6928, RFC 5681; the
//!   startup of BBR is as fast), until it has its share.
//! - With Cubic the first loss ends the start. It comes after ln 2 ÷ loss segments in half of all cases, when the
//!   window has grown by as many. That is more than loss will let it keep: some more losses follow until loss limits
//!   it.
//! - Later a flow knows what it got lately, and takes up to that at once; with Cubic, what its queue holds besides.
//!   Beyond, it must find out: Bbr probes with 5/4 of its rate once in eight round trips and remembers the best of ten
//!   (Cardwell et al. 2016); Cubic's window grows with the third power of time, or by a segment per round trip where
//!   that is faster (RFC 9438 section 4). That takes seconds on long paths; on short ones, and where loss limits Cubic,
//!   it is left out.
//!
//! Invariant: a ramp asks for an event only while it holds its flow back or is about to end.

use mesh_proto::Timestamp;

use super::loss::{CUBIC_BETA, CUBIC_C};
use super::{Congestion, PathQuality, RATE_BYTES_PER_S_MAX, SEGMENT_BYTES};

/// Segments in the first round trip (RFC 6928).
const FIRST_SEGMENTS: f64 = 10.0;

/// After a rest longer than this, and than [`IDLE_ROUNDS`], a flow begins anew: the smallest timeout most systems set
/// (RFC 5681 section 4.1 says one timeout).
const IDLE_NS: u64 = 200_000_000;

const IDLE_ROUNDS: u64 = 2;

/// On a shorter round trip a flow that has once had its share follows it at once.
const PROBES_RTT_NS_MIN: u64 = 20_000_000;

/// For so many round trips a flow knows that it got more.
const MEMORY_ROUNDS: u64 = 10;

/// How much faster a flow becomes in one step.
const STEP: f64 = 1.25;

/// Between a step and the next, where growth is halfway: √[`STEP`].
const HALF_STEP: f64 = 1.118;

/// Round trips of Bbr from one probe to the next; and until the answer of the first: half of that, and one.
const PROBE_ROUNDS: u64 = 8;
const FIRST_PROBE_ROUNDS: u64 = 5;

/// Half of all starts meet their first loss sooner than after so many times the mean, ln 2. With the mean itself, short
/// flows are too fast: what few long starts gain does not make up for what many short ones lose.
const START_MEDIAN: f64 = 0.693;

/// Cubic's mean window over its largest: it falls to [`CUBIC_BETA`] and comes back with the third power of time.
const CUBIC_MEAN: f64 = 1.0 - (1.0 - CUBIC_BETA) / 4.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Start,
    /// Loss has ended the start; the window still comes down.
    Excess,
    /// It had its share. It may have got less for a while, and then grows from what it had.
    Known {
        less_since: Option<Timestamp>,
        grows: Option<Growth>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Growth {
    since: Timestamp,
    from: f64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ramp {
    stage: Stage,
    /// Bytes per second.
    cap: f64,
    /// What the flow had when it last had anything, and since when.
    rate: f64,
    since: Timestamp,
    /// Bytes until the next loss, as long as losses count one by one.
    until_loss: f64,
    /// When the cap rises, and when it falls.
    rises: Option<Timestamp>,
    falls: Option<Timestamp>,
}

impl Ramp {
    pub(super) fn new(quality: PathQuality) -> Self {
        Self {
            stage: Stage::Start,
            cap: rate_of_window(FIRST_SEGMENTS, quality).min(RATE_BYTES_PER_S_MAX),
            rate: 0.0,
            since: Timestamp::ZERO,
            until_loss: f64::INFINITY,
            rises: None,
            falls: None,
        }
    }

    /// Whether so long a rest makes a flow begin anew.
    pub(super) fn is_forgotten(idle_ns: u64, rtt_ns: u64) -> bool {
        idle_ns > IDLE_NS.max(rtt_ns.saturating_mul(IDLE_ROUNDS))
    }

    /// The largest rate now, of a flow that has `slowed` where loss is what limits it.
    pub(super) fn cap_bytes_per_s(&self, quality: PathQuality, slowed: f64) -> f64 {
        match self.stage {
            Stage::Start | Stage::Excess if quality.congestion == Congestion::Cubic => self.cap,
            _ => self.cap.min(slowed),
        }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.rises.into_iter().chain(self.falls).min()
    }

    /// The flow rests.
    pub(super) fn rest(&mut self, now: Timestamp) {
        self.until_loss -= self.rate * (now.0 - self.since.0) as f64 / 1e9;
        (self.rises, self.falls) = (None, None);
    }

    /// The rest is over.
    pub(super) fn wake(&mut self, now: Timestamp) {
        self.since = now;
    }

    /// What was due by now happens, to a flow that would have `free` on an endless path.
    pub(super) fn step(&mut self, now: Timestamp, quality: PathQuality, free: f64) {
        if self.rises.take_if(|at| *at <= now).is_some() {
            self.cap *= if self.stage == Stage::Start { 2.0 } else { STEP };
            self.cap = self.cap.min(RATE_BYTES_PER_S_MAX);
        }
        if self.falls.take_if(|at| *at <= now).is_some() {
            let window = rate_of_window(FIRST_SEGMENTS + start_segments(quality), quality);
            self.cap = CUBIC_BETA * if self.stage == Stage::Start { window } else { self.cap };
            self.until_loss = segments_per_loss(quality) * SEGMENT_BYTES as f64;
            (self.stage, self.rises, self.since) = (Stage::Excess, None, now);
            self.falls = self.next_fall(now, quality);
            if self.cap <= free {
                self.know_all();
            }
        }
    }

    /// The flow was given a rate, and its cap was what held it back, or was not. If it cannot know that it may have so
    /// much, its cap is lower from now on.
    pub(super) fn follow(&mut self, now: Timestamp, quality: PathQuality, rate: f64, holds: bool) {
        let passed_ns = now.0 - self.since.0;
        let before = std::mem::replace(&mut self.rate, rate);
        self.since = now;
        if before <= 0.0 && Self::is_forgotten(passed_ns, quality.rtt_ns) {
            // It wanted to send and could not, so it timed out.
            *self = Self { rate, since: now, ..Self::new(quality) };
            return;
        }
        let by_loss = quality.loss_ppm > 0 && quality.congestion == Congestion::Cubic;
        let short = quality.rtt_ns < PROBES_RTT_NS_MIN;
        match self.stage {
            Stage::Start | Stage::Excess if by_loss => {
                self.count_loss(now, quality, before * passed_ns as f64 / 1e9);
                let doubles = holds && self.stage == Stage::Start;
                self.rises = doubles.then(|| self.rises.unwrap_or(later(now, quality.rtt_ns)));
            }
            Stage::Start if holds => self.rises = self.rises.or(Some(later(now, quality.rtt_ns))),
            Stage::Known { .. } if short || by_loss => self.know_all(),
            Stage::Start | Stage::Excess if short => self.know_all(),
            Stage::Start | Stage::Excess => {
                self.stage = Stage::Known { less_since: Some(now), grows: None };
                (self.rises, self.falls) = (None, None);
                self.cap = self.cap.max(rate * queue_factor(quality));
            }
            Stage::Known { less_since, grows } => self.probe(now, quality, before, holds, (less_since, grows)),
        }
    }

    /// Notes that so many bytes were sent, and when the next loss is known: a round trip after it.
    fn count_loss(&mut self, now: Timestamp, quality: PathQuality, sent: f64) {
        self.until_loss -= sent;
        if self.stage == Stage::Start {
            // The first of them, or the path was not lossy before.
            self.until_loss = self.until_loss.min(start_segments(quality) * SEGMENT_BYTES as f64);
        }
        if self.until_loss > 0.0 || self.falls.is_none() {
            self.falls = self.next_fall(now, quality);
        }
    }

    fn next_fall(&self, now: Timestamp, quality: PathQuality) -> Option<Timestamp> {
        let seconds = self.until_loss.max(0.0) / self.rate;
        (seconds < 1e9).then(|| later(now, quality.rtt_ns.saturating_add((seconds * 1e9) as u64)))
    }

    fn probe(
        &mut self,
        now: Timestamp,
        quality: PathQuality,
        before: f64,
        holds: bool,
        (mut less_since, mut grows): (Option<Timestamp>, Option<Growth>),
    ) {
        let memory_ns = quality.rtt_ns.saturating_mul(MEMORY_ROUNDS);
        let known = (before * queue_factor(quality)).max(rate_of_window(FIRST_SEGMENTS, quality));
        if self.rate > known && less_since.is_some_and(|since| now > later(since, memory_ns)) {
            (self.cap, self.rate, less_since) = (known, before, None);
        } else if holds {
            less_since = None;
            let growth = *grows.get_or_insert(Growth { since: now, from: self.cap });
            self.rises = self.rises.or_else(|| Some(growth.next(now, quality, self.cap)));
        } else {
            (grows, self.rises) = (None, None);
            self.cap = self.cap.max(self.rate * queue_factor(quality));
            if self.rate < before || less_since.is_none() {
                less_since = Some(now);
            }
        }
        self.stage = Stage::Known { less_since, grows };
    }

    /// From now on the share and the loss alone decide.
    fn know_all(&mut self) {
        self.stage = Stage::Known { less_since: None, grows: None };
        self.cap = RATE_BYTES_PER_S_MAX;
        (self.rises, self.falls) = (None, None);
    }
}

impl Growth {
    /// When a flow that has grown to its cap takes the next step.
    fn next(self, now: Timestamp, quality: PathQuality, cap: f64) -> Timestamp {
        let rtt_ns = quality.rtt_ns;
        match quality.congestion {
            Congestion::Bbr if now == self.since => later(now, rtt_ns.saturating_mul(FIRST_PROBE_ROUNDS)),
            Congestion::Bbr => later(now, rtt_ns.saturating_mul(PROBE_ROUNDS)),
            Congestion::Cubic => {
                let segments = (cap * HALF_STEP - self.from) / rate_of_window(1.0, quality);
                let seconds = libm::cbrt(segments / CUBIC_C).min(segments * rtt_ns as f64 / 1e9);
                later(self.since, (seconds * 1e9) as u64).max(later(now, rtt_ns))
            }
        }
    }
}

/// Bytes per second of so many segments per round trip.
fn rate_of_window(segments: f64, quality: PathQuality) -> f64 {
    segments * SEGMENT_BYTES as f64 * 1e9 / quality.rtt_ns.max(1) as f64
}

/// Segments from one loss to the next.
fn segments_per_loss(quality: PathQuality) -> f64 {
    1e6 / f64::from(quality.loss_ppm)
}

/// Segments until the first loss.
fn start_segments(quality: PathQuality) -> f64 {
    START_MEDIAN * segments_per_loss(quality)
}

/// How much faster a flow may go at once with what it has in flight.
fn queue_factor(quality: PathQuality) -> f64 {
    match quality.congestion {
        Congestion::Bbr => 1.0,
        Congestion::Cubic => {
            let queue = quality.queue_ns as f64 / quality.rtt_ns.max(1) as f64;
            (CUBIC_MEAN * (1.0 + queue)).max(1.0)
        }
    }
}

fn later(now: Timestamp, nanos: u64) -> Timestamp {
    Timestamp(now.0.saturating_add(nanos.max(1)))
}
