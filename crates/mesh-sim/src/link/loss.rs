//! What is lost on a link: as data, and as a process in time.
//!
//! Invariant: whether a link is in a bad state at a moment depends on the link's stream and the moment only, never on
//! who asked before, or how often.

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::burst::Bursts;
use super::error::LinkError;
use super::trace::TraceSteps;
use super::units::time_ns;
use crate::Stream;

/// A million in a million: everything.
pub const PPM: u32 = 1_000_000;
/// Longest mean stay in a state: 30 days.
pub const STAY_NS_MAX: u64 = 2_592_000_000_000_000;
/// States that last this long on average are shown to flows one by one; shorter ones as their mean.
pub const SLOW_NS: u64 = 1_000_000_000;

/// How frames are lost. Shares are in parts per million of frames.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Nothing is lost.
    #[default]
    None,
    /// Each frame by itself.
    Independent {
        /// The share lost, 0 to 1,000,000.
        ppm: u32,
    },
    /// Two states that take turns, each for an exponential time (Gilbert 1960; Elliott 1963, in continuous time):
    /// losses come in bursts. The share of time in the bad state is bad ÷ (good + bad).
    GilbertElliott {
        /// Mean stay in the good state, 1 ns to 30 days.
        #[serde(rename = "good_mean", with = "time_ns")]
        good_mean_ns: u64,
        /// Mean stay in the bad state, the same range.
        #[serde(rename = "bad_mean", with = "time_ns")]
        bad_mean_ns: u64,
        /// The share lost in the good state.
        #[serde(default)]
        good_loss_ppm: u32,
        /// The share lost in the bad state.
        #[serde(default = "everything")]
        bad_loss_ppm: u32,
    },
    /// What somebody measured, again and again.
    Trace(TraceSteps),
}

fn everything() -> u32 {
    PPM
}

impl Loss {
    /// The mean over a long time, in parts per million.
    #[must_use]
    pub fn mean_ppm(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::Independent { ppm } => *ppm,
            Self::GilbertElliott { good_mean_ns, bad_mean_ns, good_loss_ppm, bad_loss_ppm } => {
                let (good, bad) = (u128::from(*good_mean_ns), u128::from(*bad_mean_ns));
                let lost = good * u128::from(*good_loss_ppm) + bad * u128::from(*bad_loss_ppm);
                u32::try_from(lost / (good + bad).max(1)).unwrap_or(PPM)
            }
            Self::Trace(steps) => steps.mean_ppm(),
        }
    }

    /// Whether its states last so long ([`SLOW_NS`]) that a flow sees each of them.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        match self {
            Self::None | Self::Independent { .. } => false,
            Self::GilbertElliott { good_mean_ns, bad_mean_ns, .. } => *good_mean_ns.min(bad_mean_ns) >= SLOW_NS,
            Self::Trace(steps) => steps.mean_step_ns() >= SLOW_NS,
        }
    }

    /// Whether every parameter is in its range.
    ///
    /// # Errors
    /// What is not, and what is allowed.
    pub fn check(&self) -> Result<(), LinkError> {
        match self {
            Self::None => Ok(()),
            Self::Independent { ppm } => check_ppm("loss.ppm", *ppm),
            Self::GilbertElliott { good_mean_ns, bad_mean_ns, good_loss_ppm, bad_loss_ppm } => {
                check_ppm("loss.good_loss_ppm", *good_loss_ppm)?;
                check_ppm("loss.bad_loss_ppm", *bad_loss_ppm)?;
                check_stay("loss.good_mean", *good_mean_ns)?;
                check_stay("loss.bad_mean", *bad_mean_ns)
            }
            Self::Trace(steps) => steps.check(),
        }
    }
}

fn check_stay(key: &'static str, ns: u64) -> Result<(), LinkError> {
    match (1..=STAY_NS_MAX).contains(&ns) {
        true => Ok(()),
        false => Err(LinkError::out_of_range(key, format!("{ns} ns"), "1 ns to 30 d")),
    }
}

pub(super) fn check_ppm(key: &'static str, ppm: u32) -> Result<(), LinkError> {
    match ppm <= PPM {
        true => Ok(()),
        false => Err(LinkError::out_of_range(key, ppm.to_string(), "0 to 1000000")),
    }
}

/// Losses as they run.
#[derive(Debug, Clone)]
pub(super) enum LossProcess {
    Steady(u32),
    Bursts { bursts: Bursts, good_loss_ppm: u32, bad_loss_ppm: u32 },
    Trace(TraceSteps),
}

impl LossProcess {
    /// The process of a link, whose states come from the link's own stream.
    pub fn new(loss: &Loss, states: Stream) -> Self {
        match loss {
            Loss::None => Self::Steady(0),
            Loss::Independent { ppm } => Self::Steady(*ppm),
            Loss::GilbertElliott { good_mean_ns, bad_mean_ns, good_loss_ppm, bad_loss_ppm } => Self::Bursts {
                bursts: Bursts::new(*good_mean_ns, *bad_mean_ns, states),
                good_loss_ppm: *good_loss_ppm,
                bad_loss_ppm: *bad_loss_ppm,
            },
            Loss::Trace(steps) => Self::Trace(steps.clone()),
        }
    }

    /// The share lost at a moment, and when that may change next.
    pub fn at(&mut self, now: Timestamp) -> (u32, Option<Timestamp>) {
        match self {
            Self::Steady(ppm) => (*ppm, None),
            Self::Bursts { bursts, good_loss_ppm, bad_loss_ppm } => {
                let stay = bursts.at(now);
                (if stay.is_bad { *bad_loss_ppm } else { *good_loss_ppm }, Some(stay.until))
            }
            Self::Trace(steps) => {
                let (is_lost, until) = steps.at(now);
                (if is_lost { PPM } else { 0 }, Some(until))
            }
        }
    }
}
