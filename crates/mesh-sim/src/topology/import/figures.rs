//! The figures that files of any format hold, by key.
//!
//! Invariant: a key we know has a value we understand, or the file is refused; keys we do not know are passed over.

use std::borrow::Cow;

use super::super::graph::{NAME_BYTES_MAX, RadioChannel, Role};
use super::error::{Problem, quoted};
use crate::link::units::{parse_rate, parse_time};
use crate::link::{LATENCY_NS_MAX, LinkQuality, RATE_BYTES_PER_S_MAX};

/// A value in a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    Text(&'a str),
    Number(f64),
    Truth(bool),
}

impl Scalar<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
            Self::Truth(_) => None,
        }
    }

    fn number_in(&self, min: f64, max: f64) -> Option<f64> {
        self.number().filter(|number| (min..=max).contains(number))
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("\"{}\"", quoted(text)),
            Self::Number(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
        }
    }

    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Truth(truth) => Cow::Owned(truth.to_string()),
        }
    }
}

/// A value, or what is wrong with it.
fn must<T>(key: &str, value: &Scalar<'_>, understood: Option<T>, allowed: &'static str) -> Result<Option<T>, Problem> {
    match understood {
        Some(understood) => Ok(Some(understood)),
        None => Err(Problem::Value { key: key.to_owned(), found: value.shown(), allowed }),
    }
}

const TIME: &str = "a time with a unit such as \"5 ms\", or milliseconds; at most 10 min";
const RATE: &str = "a rate with a unit such as \"10 Mbit/s\", up to 1 Tbit/s";
const NUMBER_RATE: &str = "1 byte per second to 1 Tbit/s";

fn time(value: &Scalar<'_>) -> Option<u64> {
    let ms = || value.number_in(0.0, 600_000.0).map(|ms| libm::round(ms * 1e6) as u64);
    let with_unit = match value {
        Scalar::Text(text) => parse_time(text).ok(),
        _ => None,
    };
    with_unit.or_else(ms).filter(|ns| *ns <= LATENCY_NS_MAX)
}

fn rate(value: &Scalar<'_>) -> Option<u64> {
    let Scalar::Text(text) = value else { return None };
    parse_rate(text).ok().filter(|rate| (1..=RATE_BYTES_PER_S_MAX).contains(rate))
}

fn number_rate(value: &Scalar<'_>, per_byte: f64) -> Option<u64> {
    let number = value.number_in(per_byte, RATE_BYTES_PER_S_MAX as f64 * per_byte);
    number.map(|number| (number / per_byte) as u64)
}

/// What a file says of a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct NodeFigures {
    pub label: Option<String>,
    pub role: Option<Role>,
    pub x_m: Option<f64>,
    pub y_m: Option<f64>,
    pub up_bytes_per_s: Option<u64>,
    pub down_bytes_per_s: Option<u64>,
}

impl NodeFigures {
    pub fn set(&mut self, key: &str, value: &Scalar<'_>) -> Result<(), Problem> {
        let metres = || value.number_in(-2e7, 2e7);
        match key {
            "label" => {
                let label = value.text();
                self.label = Some(label[..label.floor_char_boundary(NAME_BYTES_MAX)].to_owned());
            }
            "role" => self.role = Role::named(&value.text()),
            "x_m" => self.x_m = must(key, value, metres(), "metres within 20,000 km")?,
            "y_m" => self.y_m = must(key, value, metres(), "metres within 20,000 km")?,
            "host_bandwidth_up" => self.up_bytes_per_s = must(key, value, rate(value), RATE)?,
            "host_bandwidth_down" => self.down_bytes_per_s = must(key, value, rate(value), RATE)?,
            _ => {}
        }
        Ok(())
    }
}

/// What a file says of a link.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LinkFigures {
    pub latency_ns: Option<u64>,
    pub jitter_ns: Option<u64>,
    pub rate_bytes_per_s: Option<u64>,
    pub loss_ppm: Option<u32>,
    pub cost: Option<f64>,
    pub quality: Option<Box<LinkQuality>>,
    pub back: Option<Box<LinkQuality>>,
    pub channels: Vec<u32>,
}

/// A share of a million, rounded.
fn ppm(share: f64) -> u32 {
    libm::round(share * 1e6) as u32
}

impl LinkFigures {
    pub fn set(&mut self, key: &str, value: &Scalar<'_>) -> Result<(), Problem> {
        match key {
            "latency" | "latency_ms" => self.latency_ns = must(key, value, time(value), TIME)?,
            "jitter" | "jitter_ms" => self.jitter_ns = must(key, value, time(value), TIME)?,
            "packet_loss" | "packetloss" => {
                self.loss_ppm = must(key, value, value.number_in(0.0, 1.0).map(ppm), "a share of 0 to 1")?;
            }
            "loss_ppm" => {
                let lost = value.number_in(0.0, 1e6).map(|number| number as u32);
                self.loss_ppm = must(key, value, lost, "0 to 1000000")?;
            }
            "rate" | "bandwidth" => self.rate_bytes_per_s = must(key, value, rate(value), RATE)?,
            "rate_bytes_per_s" => {
                self.rate_bytes_per_s = must(key, value, number_rate(value, 1.0), NUMBER_RATE)?;
            }
            "LinkSpeedRaw" => self.rate_bytes_per_s = must(key, value, number_rate(value, 8.0), NUMBER_RATE)?,
            "cost" => self.cost = value.number(),
            "mesh_quality" => self.quality = Some(from_json(key, value)?),
            "mesh_back" => self.back = Some(from_json(key, value)?),
            "mesh_channels" => self.channels = from_json(key, value)?,
            _ => {}
        }
        Ok(())
    }
}

/// The radio channels that our own exports write as JSON text.
pub(super) fn channels_from_json(value: &Scalar<'_>) -> Result<Vec<RadioChannel>, Problem> {
    from_json("mesh_channels", value)
}

fn from_json<T: serde::de::DeserializeOwned>(key: &str, value: &Scalar<'_>) -> Result<T, Problem> {
    let text = value.text();
    serde_json::from_str(&text).map_err(|error| Problem::Syntax(format!("`{key}` is wrong: {error}")))
}
