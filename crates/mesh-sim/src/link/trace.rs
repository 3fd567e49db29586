//! Losses as somebody measured them, replayed again and again.
//!
//! Invariant: what is lost at a moment depends on the moment only.

use std::sync::Arc;

use mesh_proto::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::LinkError;
use super::loss::PPM;
use super::units::time_ns;

/// Most steps of a trace.
pub const TRACE_STEPS_MAX: usize = 1_000_000;
/// Longest period of a trace: 30 days.
pub const TRACE_PERIOD_NS_MAX: u64 = 2_592_000_000_000_000;

/// Pairs of a time and whether frames are lost from then on until the next pair; after `period` they begin again.
/// Before the first pair it is as after the last.
///
/// In a file: `loss = { kind = "trace", period = "3 s", steps_us = [[0, 0], [1200000, 1], [1250000, 0]] }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceSteps {
    /// After this long it repeats: above 0, to 30 days.
    #[serde(rename = "period", with = "time_ns")]
    pub period_ns: u64,
    /// Microseconds since the beginning, ascending and below the period, and 1 if frames are lost from then on, else 0;
    /// 1 to 1,000,000 pairs. Links
    /// of one quality share them.
    #[serde(serialize_with = "write_steps", deserialize_with = "read_steps")]
    pub steps_us: Arc<[(u64, u8)]>,
}

fn write_steps<S: Serializer>(steps: &Arc<[(u64, u8)]>, serializer: S) -> Result<S::Ok, S::Error> {
    steps.as_ref().serialize(serializer)
}

fn read_steps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[(u64, u8)]>, D::Error> {
    Vec::deserialize(deserializer).map(Arc::from)
}

impl TraceSteps {
    /// Whether frames are lost at a moment, and when that may change next.
    pub(super) fn at(&self, now: Timestamp) -> (bool, Timestamp) {
        let phase_ns = now.0 % self.period_ns.max(1);
        let next = self.steps_us.partition_point(|(at_us, _)| at_us.saturating_mul(1000) <= phase_ns);
        let present = next.checked_sub(1).map_or(self.steps_us.last(), |index| self.steps_us.get(index));
        let next_ns = match self.steps_us.get(next) {
            Some((at_us, _)) => at_us.saturating_mul(1000),
            None => self.first_ns().saturating_add(self.period_ns),
        };
        (present.is_some_and(|(_, lost)| *lost != 0), Timestamp(now.0.saturating_add(next_ns - phase_ns)))
    }

    fn first_ns(&self) -> u64 {
        self.steps_us.first().map_or(0, |(at_us, _)| at_us.saturating_mul(1000))
    }

    /// The share of time in which frames are lost.
    pub(super) fn mean_ppm(&self) -> u32 {
        let last_end = self.first_ns().saturating_add(self.period_ns);
        let ends = self.steps_us.iter().skip(1).map(|(at_us, _)| at_us.saturating_mul(1000)).chain([last_end]);
        let lost_ns = self
            .steps_us
            .iter()
            .zip(ends)
            .filter(|((_, lost), _)| *lost != 0)
            .fold(0u64, |sum, (step, end)| sum.saturating_add(end.saturating_sub(step.0.saturating_mul(1000))));
        u32::try_from(u128::from(lost_ns) * u128::from(PPM) / u128::from(self.period_ns.max(1))).unwrap_or(PPM)
    }

    /// Mean time from one pair to the next.
    pub(super) fn mean_step_ns(&self) -> u64 {
        self.period_ns / (self.steps_us.len() as u64).max(1)
    }

    pub(super) fn check(&self) -> Result<(), LinkError> {
        if !(1..=TRACE_PERIOD_NS_MAX).contains(&self.period_ns) {
            return Err(LinkError::out_of_range("loss.period", format!("{} ns", self.period_ns), "above 0, to 30 d"));
        }
        if !(1..=TRACE_STEPS_MAX).contains(&self.steps_us.len()) {
            let found = format!("{} pairs long", self.steps_us.len());
            return Err(LinkError::out_of_range("loss.steps_us", found, "1 to 1000000 pairs"));
        }
        let ascending = self.steps_us.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let inside = self.steps_us.last().is_some_and(|(at_us, _)| *at_us < self.period_ns.div_ceil(1000));
        if !ascending || !inside {
            let found = "not in order, or as long as the period".to_owned();
            return Err(LinkError::out_of_range("loss.steps_us", found, "times that ascend and stay below the period"));
        }
        if let Some((_, lost)) = self.steps_us.iter().find(|(_, lost)| *lost > 1) {
            return Err(LinkError::out_of_range("loss.steps_us", format!("{lost} as a second number"), "0 or 1"));
        }
        Ok(())
    }
}
