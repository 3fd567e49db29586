//! What a sender sends when, and how it learns what is lost.
//!
//! Paths don't reorder, so whatever was sent before something acknowledged, and is not, is lost. Where nothing comes
//! back at all, the last segment is sent once more after two round trips (RFC 8985 section 7), and everything after a
//! timeout (RFC 6298). Invariant: at most one reduction per round trip, as with SACK (RFC 6675).

use std::collections::VecDeque;

use mesh_proto::Timestamp;

use super::bandwidth::{Bandwidth, Sample};
use super::window::Window;
use super::{Control, SEGMENTS_MAX};
use crate::flow::SEGMENT_BYTES;

/// The smallest timeout, as most systems set it.
const TIMEOUT_NS_MIN: u64 = 200_000_000;

/// Before the first round trip is measured.
const FIRST_TIMEOUT_NS: u64 = 1_000_000_000;

const BACKOFF_MAX: u32 = 6;

#[derive(Debug)]
enum Pace {
    Window(Window),
    Bandwidth(Bandwidth),
}

/// One sending of a segment that was neither acknowledged nor lost so far.
#[derive(Debug, Clone, Copy)]
struct Sent {
    sending: u64,
    segment: u32,
    at: Timestamp,
    /// How many segments were acknowledged then, since when, and when the last of them had been sent.
    delivered: u64,
    delivered_at: Timestamp,
    last_sent_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Sender {
    segments: u32,
    next: u32,
    resend: VecDeque<u32>,
    acknowledged: Vec<bool>,
    flight: VecDeque<Sent>,
    sendings: u64,
    delivered: u64,
    delivered_at: Timestamp,
    last_sent_at: Timestamp,
    /// Sendings below this belong to the round trip of the last reduction.
    recovered_at: u64,
    pace: Pace,
    free_at: Timestamp,
    rtt_ns: Option<(u64, u64)>,
    silence: u32,
    deadline: Timestamp,
}

impl Sender {
    pub(super) fn new(now: Timestamp, bytes: u64, control: Control, luck: u64) -> Self {
        let segments = bytes.div_ceil(SEGMENT_BYTES).clamp(1, SEGMENTS_MAX) as u32;
        let pace = match control {
            Control::Reno | Control::Cubic => Pace::Window(Window::new(control)),
            Control::Bandwidth => Pace::Bandwidth(Bandwidth::new(luck)),
        };
        Self {
            segments,
            next: 0,
            resend: VecDeque::new(),
            acknowledged: vec![false; segments as usize],
            flight: VecDeque::new(),
            sendings: 0,
            delivered: 0,
            delivered_at: now,
            last_sent_at: now,
            recovered_at: 0,
            pace,
            free_at: now,
            rtt_ns: None,
            silence: 0,
            deadline: now,
        }
    }

    pub(super) fn segments(&self) -> u32 {
        self.segments
    }

    pub(super) fn is_done(&self) -> bool {
        self.delivered == u64::from(self.segments)
    }

    /// When to call [`Sender::timeout`] if nothing is acknowledged before.
    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// When the pace allows the next segment.
    pub(super) fn free_at(&self) -> Timestamp {
        self.free_at
    }

    /// What to send now: (segment, sending).
    pub(super) fn poll_send(&mut self, now: Timestamp) -> Option<(u32, u64)> {
        if self.free_at > now || self.flight.len() as f64 + 1.0 > self.window().max(1.0) {
            return None;
        }
        while self.resend.front().is_some_and(|segment| self.acknowledged[*segment as usize]) {
            self.resend.pop_front();
        }
        let segment = match self.resend.pop_front() {
            Some(segment) => segment,
            None if self.next < self.segments => {
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        Some(self.send(now, segment))
    }

    fn send(&mut self, now: Timestamp, segment: u32) -> (u32, u64) {
        if self.flight.is_empty() {
            (self.delivered_at, self.last_sent_at) = (now, now);
            self.deadline = Timestamp(now.0 + self.patience_ns());
        }
        let sent = Sent {
            sending: self.sendings,
            segment,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            last_sent_at: self.last_sent_at,
        };
        self.flight.push_back(sent);
        self.sendings += 1;
        if let Pace::Bandwidth(bandwidth) = &self.pace {
            self.free_at = Timestamp(self.free_at.max(now).0 + bandwidth.gap_ns());
        }
        (segment, sent.sending)
    }

    fn window(&self) -> f64 {
        match &self.pace {
            Pace::Window(window) => window.segments(),
            Pace::Bandwidth(bandwidth) => bandwidth.segments(),
        }
    }

    pub(super) fn acknowledge(&mut self, now: Timestamp, segment: u32, sending: u64) {
        let new = !std::mem::replace(&mut self.acknowledged[segment as usize], true);
        self.delivered += u64::from(new);
        let Ok(place) = self.flight.binary_search_by_key(&sending, |sent| sent.sending) else { return };
        let lost = place > 0;
        let reduces = self.flight.front().is_some_and(|_| lost)
            && self.flight.range(..place).any(|sent| sent.sending >= self.recovered_at);
        for sent in self.flight.drain(..place) {
            self.resend.push_back(sent.segment);
        }
        let sent = self.flight.pop_front().expect("it was found there");
        self.measure(now.0 - sent.at.0);
        (self.silence, self.deadline) = (0, Timestamp(now.0 + self.patience_ns()));
        self.follow(now, sent, lost, reduces);
        (self.delivered_at, self.last_sent_at) = (now, sent.at);
    }

    /// Tells the window or the bandwidth.
    fn follow(&mut self, now: Timestamp, sent: Sent, lost: bool, reduces: bool) {
        let rtt_ns = now.0 - sent.at.0;
        match &mut self.pace {
            Pace::Window(window) if reduces => {
                window.reduce();
                self.recovered_at = self.sendings;
            }
            Pace::Window(_) if sent.sending < self.recovered_at => {}
            Pace::Window(window) => window.acknowledged(now, rtt_ns as f64 / 1e9),
            Pace::Bandwidth(bandwidth) => {
                let over_ns = (now.0 - sent.delivered_at.0).max(sent.at.0 - sent.last_sent_at.0);
                let (delivered_before, delivered) = (sent.delivered, self.delivered);
                let in_flight = self.flight.len();
                let sample = Sample { rtt_ns, delivered_before, delivered, over_ns, in_flight, lost };
                bandwidth.acknowledged(now, sample);
            }
        }
    }

    /// Nothing was acknowledged until the deadline. Returns what to send at once.
    pub(super) fn timeout(&mut self, now: Timestamp) -> Option<(u32, u64)> {
        if self.flight.is_empty() {
            self.deadline = Timestamp(now.0 + self.patience_ns());
            return None;
        }
        self.silence += 1;
        self.deadline = Timestamp(now.0 + self.patience_ns());
        if let (1, Some(last)) = (self.silence, self.flight.back().copied()) {
            return Some(self.send(now, last.segment));
        }
        if let Pace::Window(window) = &mut self.pace {
            window.collapse();
        }
        self.recovered_at = self.sendings;
        self.resend.extend(self.flight.drain(..).map(|sent| sent.segment));
        None
    }

    fn measure(&mut self, rtt_ns: u64) {
        self.rtt_ns = Some(match self.rtt_ns {
            None => (rtt_ns, rtt_ns / 2),
            Some((mean, spread)) => ((7 * mean + rtt_ns) / 8, (3 * spread + mean.abs_diff(rtt_ns)) / 4),
        });
    }

    /// How long to wait for an acknowledgement.
    fn patience_ns(&self) -> u64 {
        match (self.rtt_ns, self.silence) {
            (None, silence) => FIRST_TIMEOUT_NS << silence.min(BACKOFF_MAX),
            (Some((mean, _)), 0) => 2 * mean,
            (Some((mean, spread)), silence) => {
                (mean + 4 * spread).max(TIMEOUT_NS_MIN) << (silence - 1).min(BACKOFF_MAX)
            }
        }
    }
}
