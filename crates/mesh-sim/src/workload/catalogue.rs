//! The contents of a world: how many, how large, by whom, and whether they are listed.
//!
//! Invariant: the size of a content depends on the seed and its number only.

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::demands::Source;
use super::{Demand, Want};
use crate::draw::{Distribution, Holders, RANKS_MAX, Refused, SECONDS_MAX, ZIPF_EXPONENT_MAX, check, nanos};
use crate::random::Stream;
use crate::select::{Population, Selector};

/// The largest content, in bytes: 16 TiB. What is drawn larger is cut to `size_bytes_max`.
pub const CONTENT_BYTES_MAX: u64 = 1 << 44;

/// What there is to get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// How many contents: 1 to 1,000,000.
    pub contents: u32,
    /// How large they are, in bytes; at least 1.
    pub size_bytes: Distribution,
    /// What is drawn larger is cut to this; 16 TiB unless said, and at most.
    #[serde(default = "size_bytes_max")]
    pub size_bytes_max: u64,
    /// Who publishes them; all nodes alike unless said.
    #[serde(default)]
    pub publishers: Publishers,
    /// Whether they are listed in the catalogue when they are shared; true unless said.
    #[serde(default = "listed")]
    pub listed: bool,
    /// When the first is shared, in seconds; 0 unless said.
    #[serde(default)]
    pub from_s: f64,
    /// Over how many seconds they are shared, each at an even place of them; 0 unless said: all at once.
    #[serde(default)]
    pub over_s: f64,
}

fn size_bytes_max() -> u64 {
    CONTENT_BYTES_MAX
}

fn listed() -> bool {
    true
}

/// Who publishes the contents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Publishers {
    /// One node.
    One {
        /// Its number.
        node: u32,
    },
    /// Each content by one of these nodes, all alike.
    Spread {
        /// Which nodes; all unless said.
        #[serde(default)]
        among: Selector,
    },
    /// Each content by one of these nodes, of which the i-th, from 1, has a weight of i to the power of minus the exponent.
    Weighted {
        /// 0 (all alike) to 5.
        exponent: f64,
        /// Which nodes; all unless said.
        #[serde(default)]
        among: Selector,
    },
}

impl Default for Publishers {
    fn default() -> Self {
        Self::Spread { among: Selector::All {} }
    }
}

impl Catalogue {
    /// Refuses what is out of range.
    ///
    /// # Errors
    /// [`Refused`] with the field.
    pub fn validate(&self) -> Result<(), Refused> {
        check("contents", self.contents, 1..=RANKS_MAX)?;
        self.size_bytes.validate().map_err(|refused| refused.inside("size_bytes"))?;
        check("size_bytes_max", self.size_bytes_max, 1..=CONTENT_BYTES_MAX)?;
        check("from_s", self.from_s, 0.0..=SECONDS_MAX)?;
        check("over_s", self.over_s, 0.0..=SECONDS_MAX)?;
        match &self.publishers {
            Publishers::One { .. } => Ok(()),
            Publishers::Spread { among } => among.validate().map_err(|refused| refused.inside("publishers.among")),
            Publishers::Weighted { exponent, among } => {
                check("publishers.exponent", *exponent, 0.0..=ZIPF_EXPONENT_MAX)?;
                among.validate().map_err(|refused| refused.inside("publishers.among"))
            }
        }
    }

    /// The contents in the run of a seed.
    ///
    /// # Errors
    /// [`Refused`] if something is out of range, or the world has no such publisher.
    pub fn contents(&self, seed: u64, population: &Population) -> Result<Contents, Refused> {
        self.validate()?;
        let luck = Stream::new(seed, "publishers", 0);
        let (exponent, among) = match &self.publishers {
            Publishers::One { node } => (0.0, &Selector::Nodes { nodes: vec![*node] }),
            Publishers::Spread { among } => (0.0, among),
            Publishers::Weighted { exponent, among } => (*exponent, among),
        };
        let publishers = among.resolve_nodes(&luck, population).map_err(|refused| refused.inside("publishers"))?;
        let weights = (1..=publishers.len()).map(|place| libm::pow(place as f64, -exponent));
        Ok(Contents { seed, holders: Holders::new(weights), publishers, catalogue: self.clone() })
    }
}

/// The contents of a run: who publishes each, and how large it is.
#[derive(Debug, Clone)]
pub struct Contents {
    seed: u64,
    holders: Holders,
    publishers: Vec<u32>,
    catalogue: Catalogue,
}

impl Contents {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.catalogue.contents
    }

    /// Who publishes a content.
    #[must_use]
    pub fn publisher(&self, content: u32) -> u32 {
        let place = self.holders.holder(&mut Stream::new(self.seed, "content publisher", u64::from(content)));
        self.publishers[place as usize]
    }

    /// How large a version of it is, in bytes; version 0 is what is shared at first.
    #[must_use]
    pub fn bytes(&self, content: u32, version: u32) -> u64 {
        let number = u64::from(content) << 32 | u64::from(version);
        let drawn = self.catalogue.size_bytes.draw(&mut Stream::new(self.seed, "content size", number));
        (drawn.round() as u64).clamp(1, self.catalogue.size_bytes_max)
    }

    /// When it is shared.
    #[must_use]
    pub fn shared_at(&self, content: u32) -> Timestamp {
        let Catalogue { from_s, over_s, .. } = self.catalogue;
        let place = Stream::new(self.seed, "content time", u64::from(content)).unit();
        Timestamp(nanos(from_s).saturating_add(nanos(over_s * place)))
    }

    /// All being shared, and listed if they are.
    pub(super) fn sharing(&self) -> Source {
        let mut order: Vec<(Timestamp, u32)> =
            (0..self.count()).map(|content| (self.shared_at(content), content)).collect();
        order.sort_unstable();
        let contents = self.clone();
        Box::new(order.into_iter().flat_map(move |(at, content)| {
            let demand = |what| Demand { at, node: contents.publisher(content), what };
            let share = demand(Want::Share { content, bytes: contents.bytes(content, 0) });
            let announce = contents.catalogue.listed.then(|| demand(Want::Announce { content }));
            std::iter::once(share).chain(announce)
        }))
    }
}
