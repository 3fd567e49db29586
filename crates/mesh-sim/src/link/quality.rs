//! What one direction of a link is like, as data.
//!
//! Invariant: what was read from a file has been checked; [`LinkQuality::check`] says what holds.

use mesh_proto::port::net::LinkClass;
use serde::{Deserialize, Serialize};

use super::choice::LinkText;
use super::error::LinkError;
use super::latency::{LATENCY_NS_MAX, Latency};
use super::loss::{Loss, check_ppm};
use super::queue::time_at;
use super::schedule::Schedule;

/// Highest rate: 1 Tbit/s.
pub const RATE_BYTES_PER_S_MAX: u64 = 125_000_000_000;
/// Largest buffer: 1 GiB.
pub const BUFFER_BYTES_MAX: u64 = 1 << 30;
/// What routing expects to be sent at a time: it makes a slow link cost more than a long one.
pub const ROUTING_BYTES: u64 = 64 << 10;

/// One direction of a link.
///
/// In a file every key may be left out when there is a `preset`; without one, `latency` and `rate` must be there, and
/// the rest has the defaults below. `latency_ms = 5` and `loss_ppm = 100` are short for a constant latency and
/// independent loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LinkText", into = "LinkText")]
pub struct LinkQuality {
    /// `latency`: how long a frame takes besides its own sending.
    pub latency: Latency,
    /// `rate`: bytes per second, 1 to 1 Tbit/s; text such as "100 Mbit/s", or whole bytes per second.
    pub rate_bytes_per_s: u64,
    /// `buffer`: how much may wait before the link, 1 byte to 1 GiB; text such as "64 KiB", or whole bytes: it bounds the
    /// queue that Cubic builds, and with it what payload loses. Frames wait beyond. Default: what the rate sends in 200 ms,
    /// at least 3,000 bytes.
    pub buffer_bytes: u64,
    /// `burst`: how much goes at once after a rest, as shapers with a token bucket permit, up to 1 GiB: of frames and of payload
    /// together; of payload only if every link on its way has one. Default 0.
    pub burst_bytes: u64,
    /// `loss`: what is lost. Default: nothing.
    pub loss: Loss,
    /// Frames that arrive twice, in parts per million: they take the link twice, and TCP gives them once. Default 0.
    pub duplication_ppm: u32,
    /// Frames, and slices of payload, that arrive late, in parts per million: TCP lets those behind wait. Default 0.
    pub reordering_ppm: u32,
    /// `reordering_delay`: how much later those arrive, at most 10 min. Default: 0.
    pub reordering_delay_ns: u64,
    /// What a MiB costs, in units of money. Default 0.
    pub cost_per_mib: u32,
    /// `metered`: whether somebody pays by the byte. Default: whether the class is metered or MiBs cost something.
    pub is_metered: bool,
    /// `class`: `same_segment`, `farther` or `metered`: what a path of this link alone looks like to a node. Default
    /// `farther`.
    pub class: LinkClass,
    /// `schedule`: when the link is there. Default: always.
    pub schedule: Option<Schedule>,
}

impl LinkQuality {
    /// A link of this latency and rate, and the defaults for everything else.
    #[must_use]
    pub fn new(latency: Latency, rate_bytes_per_s: u64) -> Self {
        Self {
            latency,
            rate_bytes_per_s,
            buffer_bytes: default_buffer(rate_bytes_per_s),
            burst_bytes: 0,
            loss: Loss::None,
            duplication_ppm: 0,
            reordering_ppm: 0,
            reordering_delay_ns: 0,
            cost_per_mib: 0,
            is_metered: false,
            class: LinkClass::Farther,
            schedule: None,
        }
    }

    /// What routing counts it as: its mean latency, and the time of 64 KiB at its rate. Never 0.
    #[must_use]
    pub fn routing_cost_ns(&self) -> u64 {
        self.latency.mean_ns().saturating_add(time_at(ROUTING_BYTES, self.rate_bytes_per_s)).max(1)
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    /// What is not, and what is allowed.
    pub fn check(&self) -> Result<(), LinkError> {
        self.latency.check()?;
        self.loss.check()?;
        check_ppm("duplication_ppm", self.duplication_ppm)?;
        check_ppm("reordering_ppm", self.reordering_ppm)?;
        self.schedule.as_ref().map_or(Ok(()), Schedule::check)?;
        if !(1..=RATE_BYTES_PER_S_MAX).contains(&self.rate_bytes_per_s) {
            let found = format!("{} bytes per second", self.rate_bytes_per_s);
            return Err(LinkError::out_of_range("rate", found, "1 byte per second to 1 Tbit/s"));
        }
        if !(1..=BUFFER_BYTES_MAX).contains(&self.buffer_bytes) {
            let found = format!("{} bytes", self.buffer_bytes);
            return Err(LinkError::out_of_range("buffer", found, "1 byte to 1 GiB"));
        }
        if self.burst_bytes > BUFFER_BYTES_MAX {
            let found = format!("{} bytes", self.burst_bytes);
            return Err(LinkError::out_of_range("burst", found, "at most 1 GiB"));
        }
        if self.reordering_delay_ns > LATENCY_NS_MAX {
            let found = format!("{} ns", self.reordering_delay_ns);
            return Err(LinkError::out_of_range("reordering_delay", found, "at most 10 min"));
        }
        match self.class {
            LinkClass::Loopback => {
                Err(LinkError::out_of_range("class", "loopback".to_owned(), "same_segment, farther or metered"))
            }
            _ => Ok(()),
        }
    }
}

/// What the rate sends in 200 ms, but two full frames at least.
pub(super) fn default_buffer(rate_bytes_per_s: u64) -> u64 {
    (rate_bytes_per_s / 5).clamp(3000, BUFFER_BYTES_MAX)
}
