//! Drawing from distributions, portably: what a [`Stream`](crate::Stream) gives, shaped by theory.
//!
//! | file | what it draws |
//! |---|---|
//! | `continuous` | exponential, normal and gamma numbers |
//! | `distribution` | a distribution that a scenario names: its draws, mean, and what is left of a draw under way |
//! | `zipf` | a place in a ranking, all of it or what is left of it |
//! | `arrivals` | the next arrival of a Poisson process, by day and by night |
//! | `sample` | shuffles, samples, and who of many holds what |
//! | `refused` | how a number out of range is refused |
//!
//! Invariant: a draw depends on its stream and parameters only, and is the same to the last bit on every platform.

mod arrivals;
mod continuous;
mod distribution;
mod refused;
mod sample;
#[cfg(test)]
mod tests;
mod zipf;

pub use arrivals::{DAY_PARTS_MAX, DayCurve, PER_HOUR_MAX, Poisson};
pub use continuous::{exponential, gamma, normal};
pub use distribution::Distribution;
pub use refused::{Refused, check};
pub use sample::{Holders, sample, shuffle};
pub use zipf::{RANKS_MAX, ZIPF_EXPONENT_MAX, Zipf};

/// The longest time a scenario may name: ten years.
pub const SECONDS_MAX: f64 = 315_360_000.0;

/// Nanoseconds of a time in seconds: rounded, nothing below zero, saturating.
#[must_use]
pub fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}
