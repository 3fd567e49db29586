//! Links as files describe them: a preset, values beside it, another way back, and how often such a link occurs.
//!
//! Invariant: what is not written is the preset's, or the documented default.

use mesh_proto::port::net::LinkClass;
use serde::{Deserialize, Serialize};

use super::error::LinkError;
use super::latency::{Latency, LatencyText};
use super::loss::Loss;
use super::preset::Preset;
use super::quality::{LinkQuality, default_buffer};
use super::schedule::Schedule;
use super::units::{RateText, SizeText, parse_time, time_text};
use crate::Stream;

/// Largest weight of a choice.
pub const WEIGHT_MAX: u32 = 1_000_000;

/// A kind of link that a topology is made of.
///
/// In a file: `{ preset = "wifi", weight = 3 }`, or
/// `{ latency = "15 ms", rate = "1 Mbit/s", back = { rate = "16 Mbit/s" } }`. Keys are those of [`LinkQuality`], and:
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LinkText", into = "LinkText")]
pub struct LinkChoice {
    /// How often it occurs beside the others in a list, 1 to 1,000,000. Default 1.
    pub weight: u32,
    /// The direction from the link's first end to its second: towards switch, hub, root or gateway, where there is one.
    pub quality: LinkQuality,
    /// The other direction, where it differs: `back` changes what it names; with a `preset` of its own it stands by
    /// itself.
    pub back: Option<LinkQuality>,
    /// `channel`: all links of one number share the airtime of one radio channel, 0 to 999. Default: none.
    pub channel: Option<u32>,
}

/// Largest number of a radio channel in a file.
pub const CHANNEL_MAX: u32 = 999;

impl LinkChoice {
    /// The links of a preset.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        Self { weight: 1, quality: preset.quality(), back: preset.back(), channel: None }
    }

    /// A link that is the same in both directions.
    #[must_use]
    pub fn symmetric(quality: LinkQuality) -> Self {
        Self { weight: 1, quality, back: None, channel: None }
    }

    /// Draws one of a list by weight; takes exactly one number of the stream. `None` only if the list is empty.
    pub fn draw<'a>(choices: &'a [Self], stream: &mut Stream) -> Option<&'a Self> {
        let sum: u64 = choices.iter().map(|choice| u64::from(choice.weight)).sum();
        // One number, whatever the weights: the smallest part of a bias is worth less than streams in step.
        let mut place = ((u128::from(stream.next_u64()) * u128::from(sum)) >> 64) as u64;
        choices.iter().find(|choice| {
            let weight = u64::from(choice.weight);
            let is_here = place < weight;
            place = place.saturating_sub(weight);
            is_here
        })
    }
}

/// The text form of a link; every key optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LinkText {
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<Preset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "rate_bytes_per_s")]
    rate: Option<RateText>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "buffer_bytes")]
    buffer: Option<SizeText>,
    #[serde(skip_serializing_if = "Option::is_none", alias = "burst_bytes")]
    burst: Option<SizeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_ppm: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplication_ppm: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reordering_ppm: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reordering_delay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_per_mib: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<LinkClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<LatencyText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<Loss>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    back: Option<Box<LinkText>>,
}

impl LinkText {
    /// Refuses keys that belong to a choice and not to a direction.
    fn refuse_choice_keys(&self) -> Result<(), LinkError> {
        let keys =
            [("weight", self.weight.is_some()), ("channel", self.channel.is_some()), ("back", self.back.is_some())];
        keys.iter().find(|(_, is_there)| *is_there).map_or(Ok(()), |(key, _)| Err(LinkError::Misplaced { key }))
    }

    fn latency(&self) -> Result<Option<Latency>, LinkError> {
        match (self.latency, self.latency_ms) {
            (Some(_), Some(_)) => Err(LinkError::Both { first: "latency", second: "latency_ms" }),
            (Some(LatencyText(latency)), None) => Ok(Some(latency)),
            (None, Some(ms)) if (0.0..=600_000.0).contains(&ms) => {
                Ok(Some(Latency::Constant { time_ns: libm::round(ms * 1e6) as u64 }))
            }
            (None, Some(ms)) => Err(LinkError::out_of_range("latency_ms", ms.to_string(), "0 to 600000")),
            (None, None) => Ok(None),
        }
    }

    fn loss(&self) -> Result<Option<Loss>, LinkError> {
        match (&self.loss, self.loss_ppm) {
            (Some(_), Some(_)) => Err(LinkError::Both { first: "loss", second: "loss_ppm" }),
            (Some(loss), None) => Ok(Some(loss.clone())),
            (None, ppm) => Ok(ppm.map(|ppm| Loss::Independent { ppm })),
        }
    }

    /// What it stands on where it says nothing.
    fn base(&self) -> Result<LinkQuality, LinkError> {
        if let Some(preset) = self.preset {
            return Ok(preset.quality());
        }
        let latency = self.latency()?.ok_or(LinkError::Missing { key: "latency" })?;
        let RateText(rate) = self.rate.ok_or(LinkError::Missing { key: "rate" })?;
        Ok(LinkQuality::new(latency, rate))
    }

    /// Changes what it names.
    fn apply_to(&self, mut quality: LinkQuality) -> Result<LinkQuality, LinkError> {
        if let Some(RateText(rate)) = self.rate {
            (quality.rate_bytes_per_s, quality.buffer_bytes) = (rate, default_buffer(rate));
        }
        if let Some(text) = &self.reordering_delay {
            quality.reordering_delay_ns = parse_time(text).map_err(|_| {
                LinkError::out_of_range("reordering_delay", format!("\"{text}\""), "a time such as \"5 ms\"")
            })?;
        }
        quality.latency = self.latency()?.unwrap_or(quality.latency);
        quality.loss = self.loss()?.unwrap_or(quality.loss);
        quality.buffer_bytes = self.buffer.map_or(quality.buffer_bytes, |SizeText(bytes)| bytes);
        quality.burst_bytes = self.burst.map_or(quality.burst_bytes, |SizeText(bytes)| bytes);
        quality.duplication_ppm = self.duplication_ppm.unwrap_or(quality.duplication_ppm);
        quality.reordering_ppm = self.reordering_ppm.unwrap_or(quality.reordering_ppm);
        quality.cost_per_mib = self.cost_per_mib.unwrap_or(quality.cost_per_mib);
        quality.class = self.class.unwrap_or(quality.class);
        let costs = quality.class == LinkClass::Metered || quality.cost_per_mib > 0;
        quality.is_metered = self.metered.unwrap_or(costs);
        quality.schedule = self.schedule.clone().or(quality.schedule);
        quality.check()?;
        Ok(quality)
    }

    /// The other direction, where it differs.
    fn back(&self) -> Result<Option<LinkQuality>, LinkError> {
        let Some(back) = &self.back else {
            let of_preset = self.preset.and_then(Preset::back);
            return of_preset.map(|quality| self.apply_to(quality)).transpose();
        };
        back.refuse_choice_keys()?;
        if back.preset.is_some() {
            return back.apply_to(back.base()?).map(Some);
        }
        let base = self.preset.and_then(Preset::back).map_or_else(|| self.base(), Ok)?;
        back.apply_to(self.apply_to(base)?).map(Some)
    }
}

impl TryFrom<LinkText> for LinkQuality {
    type Error = LinkError;

    fn try_from(text: LinkText) -> Result<Self, LinkError> {
        text.refuse_choice_keys()?;
        text.apply_to(text.base()?)
    }
}

impl TryFrom<LinkText> for LinkChoice {
    type Error = LinkError;

    fn try_from(text: LinkText) -> Result<Self, LinkError> {
        let weight = text.weight.unwrap_or(1);
        if !(1..=WEIGHT_MAX).contains(&weight) {
            return Err(LinkError::out_of_range("weight", weight.to_string(), "1 to 1000000"));
        }
        if let Some(channel) = text.channel.filter(|channel| *channel > CHANNEL_MAX) {
            return Err(LinkError::out_of_range("channel", channel.to_string(), "0 to 999"));
        }
        Ok(Self { weight, quality: text.apply_to(text.base()?)?, back: text.back()?, channel: text.channel })
    }
}

impl From<LinkQuality> for LinkText {
    fn from(quality: LinkQuality) -> Self {
        let some_if = |number: u32| Some(number).filter(|number| *number > 0);
        Self {
            rate: Some(RateText(quality.rate_bytes_per_s)),
            buffer: Some(SizeText(quality.buffer_bytes)),
            burst: Some(SizeText(quality.burst_bytes)).filter(|_| quality.burst_bytes > 0),
            duplication_ppm: some_if(quality.duplication_ppm),
            reordering_ppm: some_if(quality.reordering_ppm),
            reordering_delay: Some(time_text(quality.reordering_delay_ns)).filter(|_| quality.reordering_delay_ns > 0),
            cost_per_mib: some_if(quality.cost_per_mib),
            metered: Some(quality.is_metered),
            class: Some(quality.class),
            latency: Some(LatencyText(quality.latency)),
            loss: Some(quality.loss).filter(|loss| *loss != Loss::None),
            schedule: quality.schedule,
            ..Self::default()
        }
    }
}

impl From<LinkChoice> for LinkText {
    fn from(choice: LinkChoice) -> Self {
        let back = choice.back.map(|back| Box::new(Self::from(back)));
        Self { weight: Some(choice.weight), channel: choice.channel, back, ..Self::from(choice.quality) }
    }
}
