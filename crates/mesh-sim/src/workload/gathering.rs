//! One content, many getters: flash crowds, and steady transfers to measure.
//!
//! Invariant: each node's time depends on its own stream only.

use serde::{Deserialize, Serialize};

use super::demands::{Part, Source};
use super::{Demand, Want};
use crate::draw::{RANKS_MAX, Refused, SECONDS_MAX, check, nanos};
use crate::select::Selector;
use mesh_proto::Timestamp;

/// Many want the same content within a short time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlashCrowd {
    /// Who; all nodes unless said.
    #[serde(default)]
    pub who: Selector,
    /// Which content.
    pub content: u32,
    /// When the first may ask, in seconds.
    pub at_s: f64,
    /// Within how many seconds they ask, each at a random moment; 0: all at once.
    #[serde(default)]
    pub over_s: f64,
}

impl FlashCrowd {
    pub(super) fn validate(&self) -> Result<(), Refused> {
        self.who.validate().map_err(|refused| refused.inside("who"))?;
        check("content", self.content, 0..=RANKS_MAX - 1)?;
        check("at_s", self.at_s, 0.0..=SECONDS_MAX)?;
        check("over_s", self.over_s, 0.0..=SECONDS_MAX)
    }

    pub(super) fn source(&self, part: &Part<'_>) -> Result<Source, Refused> {
        let (begin, over_s, what) = (nanos(self.at_s), self.over_s, Want::Get { content: self.content });
        let demand = |node| {
            let late = nanos(over_s * part.stream("crowd", node).unit());
            Demand { at: Timestamp(begin.saturating_add(late)), node, what }
        };
        let mut demands: Vec<Demand> = part.nodes(&self.who)?.into_iter().map(demand).collect();
        demands.sort_by_key(|demand| (demand.at, demand.node));
        Ok(Box::new(demands.into_iter()))
    }
}

/// Everyone gets a content at the same time, perhaps again and again with the next content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfers {
    /// Who; all nodes unless said.
    #[serde(default)]
    pub who: Selector,
    /// Which content at first.
    #[serde(default)]
    pub content: u32,
    /// When, in seconds.
    pub at_s: f64,
    /// How many times, each with the next content; once unless said.
    #[serde(default = "once")]
    pub times: u32,
    /// How many seconds lie between two times; 0 unless said.
    #[serde(default)]
    pub every_s: f64,
}

fn once() -> u32 {
    1
}

impl Transfers {
    pub(super) fn validate(&self) -> Result<(), Refused> {
        self.who.validate().map_err(|refused| refused.inside("who"))?;
        check("times", self.times, 1..=RANKS_MAX)?;
        check("content", self.content, 0..=RANKS_MAX - self.times)?;
        check("at_s", self.at_s, 0.0..=SECONDS_MAX)?;
        check("every_s", self.every_s, 0.0..=SECONDS_MAX)
    }

    /// The last content that is asked for.
    pub(super) fn last_content(&self) -> u32 {
        self.content + (self.times - 1)
    }

    pub(super) fn source(&self, part: &Part<'_>) -> Result<Source, Refused> {
        let (begin, every, first) = (nanos(self.at_s), nanos(self.every_s), self.content);
        let nodes = part.nodes(&self.who)?;
        Ok(Box::new((0..self.times).flat_map(move |time| {
            let at = Timestamp(begin.saturating_add(every.saturating_mul(u64::from(time))));
            let what = Want::Get { content: first + time };
            nodes.clone().into_iter().map(move |node| Demand { at, node, what })
        })))
    }
}
