//! When a link is there: windows that repeat, such as a satellite's passes or a nightly hour of radio.
//!
//! Invariant: `next_change` names each moment at which `is_on` changes, and no other.

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::LinkError;
use super::units::time_ns;

/// Most windows of a period.
pub const WINDOWS_MAX: usize = 10_000;
/// Longest period: 366 days.
pub const PERIOD_NS_MAX: u64 = 31_622_400_000_000_000;

/// Windows in which a link is on, in each period anew, counted from the beginning of the run.
///
/// In a file: `schedule = { period = "95 min", on = [{ from = "0 s", until = "10 min" }] }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// After this long it begins again: above 0, to 366 days.
    #[serde(rename = "period", with = "time_ns")]
    pub period_ns: u64,
    /// When the link is on: in order, without overlap, inside the period; at most 10,000. None: it is never on.
    #[serde(rename = "on")]
    pub windows: Vec<Window>,
}

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its first moment, counted from the period's beginning.
    #[serde(rename = "from", with = "time_ns")]
    pub from_ns: u64,
    /// The first moment after it, at most the period.
    #[serde(rename = "until", with = "time_ns")]
    pub until_ns: u64,
}

impl Schedule {
    /// Whether the link is on.
    #[must_use]
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.window_at(self.phase_ns(now)).is_some()
    }

    /// The next moment after `now` at which it goes on or off.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let phase_ns = self.phase_ns(now);
        let change_ns = if self.window_at(phase_ns).is_some() {
            self.end_of_on(phase_ns)?
        } else {
            let next = self.windows.partition_point(|window| window.from_ns <= phase_ns);
            let first_of_next_period = self.windows.first().map(|first| first.from_ns + self.period_ns);
            self.windows.get(next).map(|window| window.from_ns).or(first_of_next_period)?
        };
        now.0.checked_add(change_ns - phase_ns).map(Timestamp)
    }

    /// The share of time it is on, in parts per million.
    #[must_use]
    pub fn on_ppm(&self) -> u32 {
        let on_ns: u64 = self.windows.iter().map(|window| window.until_ns.saturating_sub(window.from_ns)).sum();
        (u128::from(on_ns) * 1_000_000 / u128::from(self.period_ns.max(1))).try_into().unwrap_or(u32::MAX)
    }

    /// Whether every parameter is in its range.
    ///
    /// # Errors
    /// What is not, and what is allowed.
    pub fn check(&self) -> Result<(), LinkError> {
        if !(1..=PERIOD_NS_MAX).contains(&self.period_ns) {
            let found = format!("{} ns", self.period_ns);
            return Err(LinkError::out_of_range("schedule.period", found, "above 0, to 366 d"));
        }
        if self.windows.len() > WINDOWS_MAX {
            let found = format!("{} windows long", self.windows.len());
            return Err(LinkError::out_of_range("schedule.on", found, "at most 10000 windows"));
        }
        let inside = |window: &Window| window.from_ns < window.until_ns && window.until_ns <= self.period_ns;
        let in_order = self.windows.windows(2).all(|pair| pair[0].until_ns <= pair[1].from_ns);
        if !in_order || !self.windows.iter().all(inside) {
            let found = "not in order, or not inside the period".to_owned();
            return Err(LinkError::out_of_range("schedule.on", found, "windows in order, with from < until ≤ period"));
        }
        Ok(())
    }

    fn phase_ns(&self, now: Timestamp) -> u64 {
        now.0 % self.period_ns.max(1)
    }

    fn window_at(&self, phase_ns: u64) -> Option<usize> {
        let before = self.windows.partition_point(|window| window.from_ns <= phase_ns);
        before.checked_sub(1).filter(|index| phase_ns < self.windows[*index].until_ns)
    }

    /// Where the windows that follow each other without a gap end, also beyond the period; `None` if they never do.
    fn end_of_on(&self, phase_ns: u64) -> Option<u64> {
        let mut index = self.window_at(phase_ns)?;
        let mut periods_ns = 0;
        for _ in 0..=self.windows.len() {
            let end_ns = periods_ns + self.windows[index].until_ns;
            index += 1;
            if index == self.windows.len() {
                (index, periods_ns) = (0, periods_ns + self.period_ns);
            }
            if end_ns != periods_ns + self.windows[index].from_ns {
                return Some(end_ns);
            }
        }
        None
    }
}
