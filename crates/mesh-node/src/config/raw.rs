//! The configuration as it stands in the file: texts with their places, nothing proven but the names of the keys.

use std::borrow::Borrow;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::quantity;

/// `mesh.toml`. Every key may be missing; the keys are those of [`super::table::KEYS`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) name: Option<Spanned<String>>,
    pub(super) listen: Option<Spanned<Vec<String>>>,
    pub(super) peers: Option<Spanned<Vec<String>>>,
    pub(super) mdns: Option<bool>,
    pub(super) kademlia: Option<bool>,
    pub(super) limit_up: Option<Spanned<Quantity>>,
    pub(super) limit_down: Option<Spanned<Quantity>>,
    pub(super) quota: Option<Spanned<Quantity>>,
    pub(super) discipline: Option<Spanned<String>>,
    pub(super) ping_interval: Option<Spanned<String>>,
    pub(super) gossip_interval: Option<Spanned<String>>,
    pub(super) api_listen: Option<Spanned<String>>,
    pub(super) journal: Option<bool>,
    pub(super) log: Option<Spanned<String>>,
}

/// Bytes or bytes per second: a plain number, or a text with a unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a whole number of bytes, or a text like \"10 MB\" or \"10 MB/s\"")]
pub(super) enum Quantity {
    Number(u64),
    Text(String),
}

/// A value that is out of its range.
#[derive(Debug)]
pub(super) struct FieldError {
    pub(super) key: &'static str,
    /// Where in the file the value stands.
    pub(super) offset: usize,
    pub(super) why: String,
}

impl FieldError {
    pub(super) fn new(key: &'static str, offset: usize, why: String) -> Self {
        Self { key, offset, why }
    }
}

/// What an interval may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntervalRange {
    pub(super) min: Duration,
    pub(super) max: Duration,
    /// Whether 0 is possible, too, and means never.
    pub(super) zero: bool,
}

/// The value, or `usual` if the key is missing.
pub(super) fn plain<T: Copy>(value: &Option<T>, usual: T) -> T {
    value.unwrap_or(usual)
}

/// The value if `check` has nothing against it, or `usual` if the key is missing.
pub(super) fn checked<T: Clone + Borrow<U>, U: ?Sized>(
    key: &'static str,
    value: &Option<Spanned<T>>,
    usual: T,
    check: impl FnOnce(&U) -> Result<(), String>,
) -> Result<T, FieldError> {
    let Some(spanned) = value else {
        return Ok(usual);
    };
    check(spanned.get_ref().borrow()).map_err(|why| FieldError::new(key, spanned.span().start, why))?;
    Ok(spanned.get_ref().clone())
}

/// Checks a value that does not come from the file.
pub(super) fn check<T: ?Sized>(
    key: &'static str,
    value: &T,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<(), FieldError> {
    check(value).map_err(|why| FieldError::new(key, 0, why))
}

/// A count of bytes; 0 if the key is missing.
pub(super) fn bytes(
    key: &'static str,
    value: &Option<Spanned<Quantity>>,
    parse: fn(&str) -> Result<u64, String>,
) -> Result<u64, FieldError> {
    let Some(spanned) = value else {
        return Ok(0);
    };
    match spanned.get_ref() {
        Quantity::Number(number) => Ok(*number),
        Quantity::Text(text) => parse(text).map_err(|why| FieldError::new(key, spanned.span().start, why)),
    }
}

/// An interval in milliseconds.
pub(super) fn interval(
    key: &'static str,
    value: &Option<Spanned<String>>,
    usual_ms: u64,
    range: IntervalRange,
) -> Result<u64, FieldError> {
    let Some(spanned) = value else {
        return Ok(usual_ms);
    };
    parse_interval(spanned.get_ref(), range).map_err(|why| FieldError::new(key, spanned.span().start, why))
}

fn parse_interval(text: &str, range: IntervalRange) -> Result<u64, String> {
    let time = quantity::parse_duration(text)?;
    if time.is_zero() && range.zero {
        return Ok(0);
    }
    if time < range.min || time > range.max {
        let or_zero = if range.zero { ", or 0s for never" } else { "" };
        let (min, max) = (humantime::format_duration(range.min), humantime::format_duration(range.max));
        return Err(format!("`{text}` is out of range: {min} to {max}{or_zero}"));
    }
    u64::try_from(time.as_millis()).map_err(|_| format!("`{text}` is too long"))
}
