//! Amounts of bytes and bytes per second, so that neither is taken for the other.

use std::fmt;
use std::time::Duration;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

const NANOS_PER_S: u128 = 1_000_000_000;

/// An amount of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteCount(pub u64);

/// A rate in bytes per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteRate(pub u64);

impl ByteRate {
    /// The bytes that pass in `time` at this rate, rounded down.
    #[must_use]
    pub fn bytes_in(self, time: Duration) -> u64 {
        mul_div(self.0, time.as_nanos(), NANOS_PER_S)
    }

    /// How long `bytes` take at this rate; [`Duration::MAX`] at rate zero.
    #[must_use]
    pub fn time_for(self, bytes: u64) -> Duration {
        if self.0 == 0 {
            return Duration::MAX;
        }
        Duration::from_nanos(mul_div(bytes, NANOS_PER_S, u128::from(self.0)))
    }

    /// The rate at which `bytes` passed in `time`; `None` if no time passed.
    #[must_use]
    pub fn measured(bytes: u64, time: Duration) -> Option<Self> {
        if time.is_zero() {
            return None;
        }
        Some(Self(mul_div(bytes, NANOS_PER_S, time.as_nanos())))
    }
}

/// `amount × factor ÷ divisor`, rounded down.
fn mul_div(amount: u64, factor: u128, divisor: u128) -> u64 {
    // Nearly everything fits 64 bits, which divide several times faster than 128.
    let narrow = u64::try_from(factor).ok().and_then(|factor| amount.checked_mul(factor));
    if let (Some(product), Ok(divisor)) = (narrow, u64::try_from(divisor)) {
        return product / divisor;
    }
    u64::try_from(u128::from(amount).saturating_mul(factor) / divisor).unwrap_or(u64::MAX)
}

/// Writes an amount with a binary unit and three digits: `512 B`, `1.50 MiB`.
fn write_binary(formatter: &mut fmt::Formatter<'_>, bytes: u64) -> fmt::Result {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return write!(formatter, "{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    write!(formatter, "{value:.decimals$} {}", UNITS[unit])
}

impl fmt::Display for ByteCount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_binary(formatter, self.0)
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_binary(formatter, self.0)?;
        formatter.write_str("/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_agree() {
        let rate = ByteRate(12_500_000);
        assert_eq!(rate.bytes_in(Duration::from_millis(50)), 625_000);
        assert_eq!(rate.time_for(625_000), Duration::from_millis(50));
        assert_eq!(ByteRate(0).time_for(1), Duration::MAX);
        assert_eq!(ByteRate::measured(10, Duration::ZERO), None);
        assert_eq!(ByteRate::measured(625_000, Duration::from_millis(50)), Some(rate));
    }

    #[test]
    fn no_amount_and_no_time_is_too_large() {
        let rate = ByteRate(u64::MAX / 2);
        assert_eq!(rate.bytes_in(Duration::from_secs(2)), u64::MAX - 1);
        assert_eq!(rate.bytes_in(Duration::MAX), u64::MAX);
        assert_eq!(rate.time_for(u64::MAX - 1), Duration::from_secs(2));
        assert_eq!(ByteRate::measured(u64::MAX - 1, Duration::from_secs(2)), Some(rate));
    }

    #[test]
    fn amounts_print_with_three_digits() {
        assert_eq!(ByteCount(1023).to_string(), "1023 B");
        assert_eq!(ByteCount(1536 * 1024).to_string(), "1.50 MiB");
        assert_eq!(ByteRate(100 << 20).to_string(), "100 MiB/s");
    }
}
