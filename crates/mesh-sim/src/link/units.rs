//! Rates, sizes and times as people write them: "100 Mbit/s", "64 KiB", "5 ms".
//!
//! Invariant: all arithmetic is in integers, so a text means the same number on every machine, and what is written
//! reads back as the same number.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Longest text looked at, in bytes.
const TEXT_BYTES_MAX: usize = 40;
/// Most digits of a number.
const DIGITS_MAX: usize = 18;

/// What a text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Bytes per second.
    Rate,
    /// Bytes.
    Size,
    /// Nanoseconds.
    Time,
}

/// A text is not the quantity that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a {quantity}")]
pub struct UnitError {
    /// What was written, cut where it is long.
    pub text: String,
    /// What was asked for.
    pub quantity: Quantity,
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rate => {
                "rate; write whole bytes per second, or text with one of bit/s, kbit/s, Mbit/s, Gbit/s, \
                 B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s, such as \"2 kbit/s\""
            }
            Self::Size => {
                "size; write whole bytes, or text with one of B, kB, MB, GB, KiB, MiB, GiB, such as \"64 KiB\""
            }
            Self::Time => "time; write text with one of ns, us, ms, s, min, h, d, such as \"5 ms\" or \"1.5 s\"",
        })
    }
}

/// A unit: its name, and what one of it is as a fraction.
type Unit = (&'static str, u64, u64);

const TIMES: [Unit; 8] = [
    ("d", 86_400_000_000_000, 1),
    ("h", 3_600_000_000_000, 1),
    ("min", 60_000_000_000, 1),
    ("s", 1_000_000_000, 1),
    ("ms", 1_000_000, 1),
    ("us", 1_000, 1),
    ("µs", 1_000, 1),
    ("ns", 1, 1),
];

const SIZES: [Unit; 9] = [
    ("GiB", 1 << 30, 1),
    ("MiB", 1 << 20, 1),
    ("KiB", 1 << 10, 1),
    ("GB", 1_000_000_000, 1),
    ("MB", 1_000_000, 1),
    ("kB", 1_000, 1),
    ("KB", 1_000, 1),
    ("byte", 1, 1),
    ("B", 1, 1),
];

const BITS: [Unit; 8] = [
    ("Gbit", 1_000_000_000, 8),
    ("Mbit", 1_000_000, 8),
    ("kbit", 1_000, 8),
    ("Kbit", 1_000, 8),
    ("Gibit", 1 << 30, 8),
    ("Mibit", 1 << 20, 8),
    ("Kibit", 1 << 10, 8),
    ("bit", 1, 8),
];

/// Reads a rate, in bytes per second, rounded down. The "/s" may be missing, as in the files of other simulators.
///
/// # Errors
/// If the text is not a number with a unit of rate, or too large.
pub fn parse_rate(text: &str) -> Result<u64, UnitError> {
    parse(text, Quantity::Rate)
}

/// Reads a size, in bytes, rounded down.
///
/// # Errors
/// If the text is not a number with a unit of size, or too large.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    parse(text, Quantity::Size)
}

/// Reads a time, in nanoseconds, rounded down.
///
/// # Errors
/// If the text is not a number with a unit of time, or too large.
pub fn parse_time(text: &str) -> Result<u64, UnitError> {
    parse(text, Quantity::Time)
}

fn parse(text: &str, quantity: Quantity) -> Result<u64, UnitError> {
    amount(text, quantity).ok_or_else(|| UnitError { text: text.chars().take(TEXT_BYTES_MAX).collect(), quantity })
}

fn amount(text: &str, quantity: Quantity) -> Option<u64> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(unit_at);
    let (_, multiplier, divisor) = unit_of(unit.trim_start(), quantity)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() + fraction.len() > DIGITS_MAX || number.ends_with('.') {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    u64::try_from(digits * u128::from(multiplier) / (u128::from(divisor) * scale)).ok()
}

fn unit_of(name: &str, quantity: Quantity) -> Option<Unit> {
    let named = |units: &[Unit], name: &str| units.iter().find(|unit| unit.0 == name).copied();
    match quantity {
        Quantity::Time => named(&TIMES, name),
        Quantity::Size => named(&SIZES, name),
        Quantity::Rate => {
            let amount = name.strip_suffix("/s").unwrap_or(name);
            named(&BITS, amount).or_else(|| named(&SIZES, amount))
        }
    }
}

/// Writes a time with the largest unit that divides it.
#[must_use]
pub fn time_text(ns: u64) -> String {
    Exact::time(ns).to_string()
}

/// Writes a size with the largest binary unit that divides it.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    Exact::size(bytes).to_string()
}

/// Writes a rate in bits with the largest unit that divides it, or else in bytes.
#[must_use]
pub fn rate_text(bytes_per_s: u64) -> String {
    Exact::rate(bytes_per_s).to_string()
}

/// An amount in the largest unit that divides it.
struct Exact {
    count: u64,
    unit: &'static str,
    after: &'static str,
}

impl Exact {
    fn of(amount: u64, units: &[Unit]) -> Option<Self> {
        let (unit, one, _) = units.iter().find(|(_, one, _)| amount > 0 && amount.is_multiple_of(*one))?;
        Some(Self { count: amount / one, unit, after: "" })
    }

    fn time(ns: u64) -> Self {
        Self::of(ns, &TIMES[..6]).unwrap_or(Self { count: ns, unit: "ns", after: "" })
    }

    fn size(bytes: u64) -> Self {
        Self::of(bytes, &SIZES[..3]).unwrap_or(Self { count: bytes, unit: "B", after: "" })
    }

    fn rate(bytes_per_s: u64) -> Self {
        let bits = bytes_per_s.checked_mul(8).and_then(|bits| Self::of(bits, &BITS[..3]));
        Self { after: "/s", ..bits.unwrap_or(Self { count: bytes_per_s, unit: "B", after: "" }) }
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}{}", self.count, self.unit, self.after)
    }
}

/// A rate in bytes per second; in a file, text or whole bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateText(pub u64);

/// A size in bytes; in a file, text or whole bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeText(pub u64);

impl Serialize for RateText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Exact::rate(self.0))
    }
}

impl Serialize for SizeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Exact::size(self.0))
    }
}

impl<'de> Deserialize<'de> for RateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber(Quantity::Rate)).map(Self)
    }
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber(Quantity::Size)).map(Self)
    }
}

/// A time in nanoseconds as text, for `#[serde(with)]`: without a unit nobody knows what a number of time means.
pub mod time_ns {
    use super::{Exact, Quantity, TextOrNumber};
    use serde::{Deserializer, Serializer};

    /// Writes nanoseconds as text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(ns: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Exact::time(*ns))
    }

    /// Reads text as nanoseconds.
    ///
    /// # Errors
    /// If it is not text that says a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(TextOrNumber(Quantity::Time))
    }
}

struct TextOrNumber(Quantity);

impl Visitor<'_> for TextOrNumber {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a {}", self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<u64, E> {
        parse(text, self.0).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<u64, E> {
        match self.0 {
            Quantity::Time => Err(E::custom(format!("{number} has no unit; it is not a {}", self.0))),
            Quantity::Rate | Quantity::Size => Ok(number),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<u64, E> {
        let number = u64::try_from(number).map_err(|_| E::custom(format!("{number} is not a {}", self.0)))?;
        self.visit_u64(number)
    }
}
