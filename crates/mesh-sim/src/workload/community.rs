//! Communities: who founds one, who is invited, who is taken back, and what is for its members only.
//!
//! Invariant: each node's times depend on its own streams only.

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::demands::{Part, Source};
use super::{Demand, Want};
use crate::draw::{Poisson, RANKS_MAX, Refused, SECONDS_MAX, check, nanos};
use crate::select::{LISTED_MAX, Selector};

/// A community, and its members' coming and going.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Community {
    /// Who founds it.
    pub founder: u32,
    /// When, in seconds.
    pub at_s: f64,
    /// Who is invited, besides.
    pub members: Selector,
    /// Within how many seconds after it was founded; 0: all at once.
    #[serde(default)]
    pub over_s: f64,
    /// Whom it takes back later; nobody unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Selector>,
    /// From when on, in seconds.
    #[serde(default)]
    pub revoked_from_s: f64,
    /// Within how many seconds.
    #[serde(default)]
    pub revoked_over_s: f64,
    /// Which contents of the catalogue are for its members only. They must be shared after it was founded.
    #[serde(default)]
    pub contents: Vec<u32>,
}

impl Community {
    pub(super) fn validate(&self) -> Result<(), Refused> {
        self.members.validate().map_err(|refused| refused.inside("members"))?;
        if let Some(revoked) = &self.revoked {
            revoked.validate().map_err(|refused| refused.inside("revoked"))?;
        }
        for (place, seconds) in [
            ("at_s", self.at_s),
            ("over_s", self.over_s),
            ("revoked_from_s", self.revoked_from_s),
            ("revoked_over_s", self.revoked_over_s),
        ] {
            check(place, seconds, 0.0..=SECONDS_MAX)?;
        }
        check("number of contents", self.contents.len(), 0..=LISTED_MAX)?;
        self.contents.iter().try_for_each(|content| check("contents", *content, 0..=RANKS_MAX - 1))
    }

    pub(super) fn source(&self, part: &Part<'_>) -> Result<Source, Refused> {
        let community = part.number();
        check("founder", self.founder as usize, 0..=part.node_count().saturating_sub(1))?;
        let late = |from_s: f64, over_s: f64, purpose, node| {
            Timestamp(nanos(from_s).saturating_add(nanos(over_s * part.stream(purpose, node).unit())))
        };
        let founded = Demand { at: Timestamp(nanos(self.at_s)), node: self.founder, what: Want::Found { community } };
        let mut demands = vec![founded];
        let members = part.nodes(&self.members)?.into_iter().filter(|node| *node != self.founder);
        demands.extend(members.map(|node| Demand {
            at: late(self.at_s, self.over_s, "invited", node),
            node,
            what: Want::Join { community },
        }));
        let revoked = self.revoked.as_ref().map(|revoked| part.nodes(revoked)).transpose()?;
        let revoked = revoked.unwrap_or_default().into_iter().filter(|node| *node != self.founder);
        demands.extend(revoked.map(|node| Demand {
            at: late(self.revoked_from_s, self.revoked_over_s, "revoked", node),
            node,
            what: Want::BeRevoked { community },
        }));
        demands.sort_by_key(|demand| demand.at);
        Ok(Box::new(demands.into_iter()))
    }
}

/// Publishers list what they share, and take it off the list again, in turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relistings {
    /// How often each content per hour, in the mean, at random moments.
    pub per_hour: f64,
    /// When they begin, in seconds.
    pub from_s: f64,
    /// When they stop, in seconds.
    pub until_s: f64,
}

impl Relistings {
    pub(super) fn validate(&self) -> Result<(), Refused> {
        check("from_s", self.from_s, 0.0..=SECONDS_MAX)?;
        check("until_s", self.until_s, self.from_s..=SECONDS_MAX)?;
        Poisson::new(self.per_hour, None).map(|_| ())
    }

    /// One source for each content.
    pub(super) fn sources(&self, part: &Part<'_>, contents: &super::Contents) -> Result<Vec<Source>, Refused> {
        let poisson = Poisson::new(self.per_hour, None)?;
        let until = Timestamp(nanos(self.until_s)).min(part.until);
        let source = |content| -> Source {
            let (poisson, node) = (poisson.clone(), contents.publisher(content));
            let mut stream = part.stream("relistings", content);
            let mut at = Timestamp(nanos(self.from_s));
            Box::new(std::iter::from_fn(move || {
                at = poisson.next(&mut stream, at, until)?;
                Some(Demand { at, node, what: Want::Relist { content } })
            }))
        };
        Ok((0..contents.count()).map(source).collect())
    }
}
