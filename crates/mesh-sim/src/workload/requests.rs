//! Who asks for what, how often.
//!
//! Invariant: each node has one stream for its times and one for its choices.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrivals::{Arrivals, Process, Times};
use super::demands::{Part, Source, Within};
use super::{Demand, Want};
use crate::draw::{DayCurve, Refused, ZIPF_EXPONENT_MAX, Zipf, check};
use crate::select::Selector;

const HEAVY_SHARE: std::ops::RangeInclusive<f64> = 0.000_1..=0.999_9;

/// People ask for contents by popularity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// Who asks; all nodes unless said.
    #[serde(default)]
    pub who: Selector,
    /// Zipf's exponent α: 0 (all contents alike) to 5. The web's is 0.64 to 0.83 (Breslau et al. 1999).
    pub exponent: f64,
    /// When a node asks.
    pub arrivals: Arrivals,
    /// How the rate follows the day; not at all unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<DayCurve>,
    /// Whether a node asks for a content once at most, as people do for what does not change (Gummadi et al. 2003). It
    /// then chooses among what is left, by popularity, until it has asked for everything. False unless said.
    #[serde(default)]
    pub at_most_once: bool,
    /// A few nodes that ask for more than the others; none unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heavy: Option<Heavy>,
    /// When they begin, in seconds; 0 unless said.
    #[serde(default)]
    pub from_s: f64,
    /// When they stop, in seconds; at the end of the run unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
}

/// A share of the nodes that makes a share of the requests, while the mean over all nodes stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heavy {
    /// The share of the nodes, 0.0001 to 0.9999: in each stretch of 1 ÷ `nodes` consecutive ones, one at a random place.
    pub nodes: f64,
    /// The share of the requests, 0.0001 to 0.9999.
    pub requests: f64,
}

impl Heavy {
    fn validate(self) -> Result<(), Refused> {
        for (place, share) in [("heavy.nodes", self.nodes), ("heavy.requests", self.requests)] {
            check(place, share, HEAVY_SHARE)?;
        }
        Ok(())
    }

    /// How many times the mean rate each of so many nodes has.
    fn factors(self, part: &Part<'_>, nodes: usize) -> Vec<f64> {
        let heavy = self.requests / self.nodes;
        let light = (1.0 - self.requests) / (1.0 - self.nodes);
        // The rarer ones are placed, so that each has a stretch of its own.
        let (share, placed, others) = match self.nodes <= 0.5 {
            true => (self.nodes, heavy, light),
            false => (1.0 - self.nodes, light, heavy),
        };
        // A stretch begins where the share, summed up over the nodes, passes a whole number.
        let stretch = |place: usize| (place as f64 * share).floor() as u32;
        let mut factors = vec![others; nodes];
        let mut first = 0;
        while first < nodes {
            let number = stretch(first);
            let length = (1..).take_while(|more| stretch(first + more) == number).count() + 1;
            let chosen = first + part.stream("heavy", number).below(length as u64) as usize;
            if let Some(factor) = factors.get_mut(chosen) {
                *factor = placed;
            }
            first += length;
        }
        factors
    }
}

impl Requests {
    pub(super) fn validate(&self) -> Result<(), Refused> {
        self.who.validate().map_err(|refused| refused.inside("who"))?;
        check("exponent", self.exponent, 0.0..=ZIPF_EXPONENT_MAX)?;
        self.heavy.map_or(Ok(()), Heavy::validate)?;
        self.process().map(|_| ())
    }

    fn process(&self) -> Result<Process, Refused> {
        self.arrivals.process(self.day.as_ref()).map_err(|refused| refused.inside("arrivals"))
    }

    pub(super) fn within(&self) -> Within {
        Within { from_s: self.from_s, until_s: self.until_s }
    }

    /// One source for each node.
    pub(super) fn sources(&self, part: &Part<'_>, contents: u32) -> Result<Vec<Source>, Refused> {
        let zipf = Arc::new(Zipf::new(contents, self.exponent)?);
        let process = self.process()?;
        let (from, until) = self.within().times(part.until);
        let nodes = part.nodes(&self.who)?;
        let factors = match self.heavy {
            Some(heavy) => heavy.factors(part, nodes.len()),
            None => vec![1.0; nodes.len()],
        };
        let source = |(node, factor)| -> Source {
            let times = Times::new(process.times(factor), part.stream("request times", node), from, until);
            let (zipf, mut choices) = (Arc::clone(&zipf), part.stream("request choices", node));
            let (at_most_once, mut asked) = (self.at_most_once, Vec::new());
            Box::new(times.map_while(move |at| {
                let content = if at_most_once {
                    let content = zipf.draw_besides(&mut choices, &asked)?;
                    asked.insert(asked.partition_point(|other| *other < content), content);
                    content
                } else {
                    zipf.draw(&mut choices)
                };
                Some(Demand { at, node, what: Want::Get { content } })
            }))
        };
        Ok(nodes.into_iter().zip(factors).map(source).collect())
    }
}
