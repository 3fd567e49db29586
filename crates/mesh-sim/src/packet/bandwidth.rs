//! A sender that measures what gets through and sends at that rate, as BBR does (Cardwell et al. 2016, version 1).
//!
//! Left out: the phase that drains the path every ten seconds to measure the round trip anew; here the first packets
//! find the path empty. Invariant: what it believes of the path is the most it saw in ten round trips.

use std::collections::VecDeque;

use mesh_proto::Timestamp;

use super::window::FIRST_SEGMENTS;

/// 2 ÷ ln 2: the smallest gain that doubles the rate each round trip.
const STARTUP_GAIN: f64 = 2.885;

const WINDOW_GAIN: f64 = 2.0;

const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];

/// Round trips for which the largest rate is remembered.
const FILTER_ROUNDS: u64 = 10;

/// The start is over when the rate has not grown by a quarter for so many round trips.
const FULL_ROUNDS: u32 = 3;

const SEGMENTS_MIN: f64 = 4.0;

/// What one acknowledgement tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) rtt_ns: u64,
    /// Segments acknowledged in all, when the segment was sent and now.
    pub(super) delivered_before: u64,
    pub(super) delivered: u64,
    /// Over how long those came.
    pub(super) over_ns: u64,
    pub(super) in_flight: usize,
    /// Whether segments were found lost by it.
    pub(super) lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Startup,
    Drain,
    Probe { step: usize, since: Timestamp },
}

#[derive(Debug)]
pub(super) struct Bandwidth {
    phase: Phase,
    /// Where in the cycle it begins to probe.
    first_step: usize,
    /// (round, segments per second), falling.
    rates: VecDeque<(u64, f64)>,
    rtt_ns_min: u64,
    round: u64,
    round_ends_at: u64,
    full_rate: f64,
    full_rounds: u32,
}

impl Bandwidth {
    /// Flows begin their cycles at different steps, never the second.
    pub(super) fn new(luck: u64) -> Self {
        Self {
            phase: Phase::Startup,
            first_step: [0, 2, 3, 4, 5, 6, 7][(luck % 7) as usize],
            rates: VecDeque::new(),
            rtt_ns_min: u64::MAX,
            round: 0,
            round_ends_at: 0,
            full_rate: 0.0,
            full_rounds: 0,
        }
    }

    fn rate(&self) -> f64 {
        self.rates.front().map_or(0.0, |(_, rate)| *rate)
    }

    /// Segments the path holds, by what is known of it.
    fn path_segments(&self) -> f64 {
        self.rate() * self.rtt_ns_min as f64 / 1e9
    }

    pub(super) fn segments(&self) -> f64 {
        match (self.rates.is_empty(), self.phase) {
            (true, _) => FIRST_SEGMENTS,
            (_, Phase::Startup | Phase::Drain) => (STARTUP_GAIN * self.path_segments()).max(FIRST_SEGMENTS),
            _ => (WINDOW_GAIN * self.path_segments()).max(SEGMENTS_MIN),
        }
    }

    /// Time between two segments.
    pub(super) fn gap_ns(&self) -> u64 {
        let gain = match self.phase {
            Phase::Startup => STARTUP_GAIN,
            Phase::Drain => 1.0 / STARTUP_GAIN,
            Phase::Probe { step, .. } => CYCLE[step],
        };
        match self.rates.is_empty() {
            true => 0,
            false => (1e9 / (gain * self.rate())) as u64,
        }
    }

    pub(super) fn acknowledged(&mut self, now: Timestamp, sample: Sample) {
        self.rtt_ns_min = self.rtt_ns_min.min(sample.rtt_ns);
        let new_round = sample.delivered_before >= self.round_ends_at;
        if new_round {
            self.round += 1;
            self.round_ends_at = sample.delivered;
        }
        self.note(sample);
        match self.phase {
            Phase::Startup if new_round => self.check_full(),
            Phase::Drain if sample.in_flight as f64 <= self.path_segments() => {
                self.phase = Phase::Probe { step: self.first_step, since: now };
            }
            Phase::Probe { step, since } => self.cycle(now, sample, step, since),
            _ => {}
        }
    }

    fn note(&mut self, sample: Sample) {
        let segments = (sample.delivered - sample.delivered_before) as f64;
        let rate = segments * 1e9 / sample.over_ns.max(1) as f64;
        while self.rates.back().is_some_and(|(_, last)| *last <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((self.round, rate));
        while self.rates.front().is_some_and(|(round, _)| round + FILTER_ROUNDS < self.round) {
            self.rates.pop_front();
        }
    }

    fn check_full(&mut self) {
        if self.rate() >= 1.25 * self.full_rate {
            (self.full_rate, self.full_rounds) = (self.rate(), 0);
        } else {
            self.full_rounds += 1;
        }
        if self.full_rounds >= FULL_ROUNDS {
            self.phase = Phase::Drain;
        }
    }

    fn cycle(&mut self, now: Timestamp, sample: Sample, step: usize, since: Timestamp) {
        let long_enough = now.0 - since.0 > self.rtt_ns_min;
        let in_flight = sample.in_flight as f64;
        let over = match CYCLE[step] {
            gain if gain > 1.0 => long_enough && (sample.lost || in_flight >= gain * self.path_segments() - 1.0),
            gain if gain < 1.0 => long_enough || in_flight <= self.path_segments(),
            _ => long_enough,
        };
        if over {
            self.phase = Phase::Probe { step: (step + 1) % CYCLE.len(), since: now };
        }
    }
}
