//! New versions of contents, listed under the same name.
//!
//! Invariant: each content has a stream of its own, and its versions ascend by one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::catalogue::Contents;
use super::demands::{Part, Source, Within};
use super::{Demand, Want};
use crate::draw::{Poisson, Refused, check};

/// The most contents that are updated by one activity.
const UPDATED_MAX: u32 = 100_000;

/// Publishers bring new versions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Updates {
    /// How many contents, the most popular ones: 1 to 100,000. All unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<u32>,
    /// How many new versions of each per hour, in the mean, at random moments.
    pub per_hour: f64,
    /// When they begin, in seconds; 0 unless said.
    #[serde(default)]
    pub from_s: f64,
    /// When they stop, in seconds; at the end of the run unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
}

impl Updates {
    pub(super) fn validate(&self) -> Result<(), Refused> {
        Poisson::new(self.per_hour, None).map(|_| ())
    }

    pub(super) fn within(&self) -> Within {
        Within { from_s: self.from_s, until_s: self.until_s }
    }

    /// One source for each content.
    pub(super) fn sources(&self, part: &Part<'_>, contents: &Contents) -> Result<Vec<Source>, Refused> {
        let count = self.contents.unwrap_or(contents.count());
        check("contents", count, 1..=contents.count().min(UPDATED_MAX))?;
        let poisson = Poisson::new(self.per_hour, None)?;
        let (from, until) = self.within().times(part.until);
        let contents = Arc::new(contents.clone());
        let source = |content| -> Source {
            let (poisson, contents) = (poisson.clone(), Arc::clone(&contents));
            let mut stream = part.stream("updates", content);
            let mut at = from;
            Box::new((1..).map_while(move |version| {
                at = poisson.next(&mut stream, at, until)?;
                let what = Want::Update { content, version, bytes: contents.bytes(content, version) };
                Some(Demand { at, node: contents.publisher(content), what })
            }))
        };
        Ok((0..count).map(source).collect())
    }
}
