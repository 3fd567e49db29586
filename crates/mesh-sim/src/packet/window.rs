//! Windows: Reno (RFC 5681) and Cubic (RFC 9438).
//!
//! Invariant: a window is never below one segment, and shrinks at most once per round trip (the sender sees to that).

use mesh_proto::Timestamp;

use super::Control;
use crate::flow::{CUBIC_BETA, CUBIC_C};

/// Segments at first (RFC 6928).
pub(super) const FIRST_SEGMENTS: f64 = 10.0;

const RENO_BETA: f64 = 0.5;

/// The smallest window after a loss.
const SEGMENTS_MIN: f64 = 2.0;

#[derive(Debug)]
pub(super) struct Window {
    cubic: bool,
    segments: f64,
    threshold: f64,
    /// The window before the last reduction, and what it is to reach again.
    before: f64,
    plateau: f64,
    /// When growth began after the last reduction, the window then, and what Reno would have by now.
    epoch: Option<Timestamp>,
    reno: f64,
    /// Seconds from the epoch to the plateau.
    to_plateau_s: f64,
}

impl Window {
    pub(super) fn new(control: Control) -> Self {
        Self {
            cubic: control == Control::Cubic,
            segments: FIRST_SEGMENTS,
            threshold: f64::INFINITY,
            before: 0.0,
            plateau: 0.0,
            epoch: None,
            reno: 0.0,
            to_plateau_s: 0.0,
        }
    }

    pub(super) fn segments(&self) -> f64 {
        self.segments
    }

    /// A segment was acknowledged outside of a recovery.
    pub(super) fn acknowledged(&mut self, now: Timestamp, rtt_s: f64) {
        if self.segments < self.threshold {
            self.segments += 1.0;
        } else if self.cubic {
            self.grow_cubic(now, rtt_s);
        } else {
            self.segments += 1.0 / self.segments;
        }
    }

    fn grow_cubic(&mut self, now: Timestamp, rtt_s: f64) {
        let began = *self.epoch.get_or_insert_with(|| {
            self.plateau = self.plateau.max(self.segments);
            self.to_plateau_s = libm::cbrt((self.plateau - self.segments) / CUBIC_C);
            self.reno = self.segments;
            now
        });
        let alpha = match self.reno < self.before {
            true => 3.0 * (1.0 - CUBIC_BETA) / (1.0 + CUBIC_BETA),
            false => 1.0,
        };
        self.reno += alpha / self.segments;
        let passed_s = (now.0 - began.0) as f64 / 1e9;
        let at = |seconds: f64| {
            let past = seconds - self.to_plateau_s;
            CUBIC_C * past * past * past + self.plateau
        };
        if at(passed_s) < self.reno {
            self.segments = self.segments.max(self.reno);
        } else {
            let target = at(passed_s + rtt_s).clamp(self.segments, 1.5 * self.segments);
            self.segments += (target - self.segments) / self.segments;
        }
    }

    /// Something was lost in this round trip.
    pub(super) fn reduce(&mut self) {
        let beta = if self.cubic { CUBIC_BETA } else { RENO_BETA };
        // Fast convergence (RFC 9438 section 4.7): who has less than last time makes room.
        self.plateau = match self.segments < self.plateau {
            true => self.segments * (1.0 + beta) / 2.0,
            false => self.segments,
        };
        self.before = self.segments;
        self.threshold = (self.segments * beta).max(SEGMENTS_MIN);
        self.segments = self.threshold;
        self.epoch = None;
    }

    /// Nothing came back for a whole timeout.
    pub(super) fn collapse(&mut self) {
        self.reduce();
        self.segments = 1.0;
    }
}
