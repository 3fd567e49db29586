//! Sessions and absences: an alternating renewal process for each node.
//!
//! Invariant: with a stationary start, the share of nodes that are up is E\[up\] ÷ (E\[up\] + E\[down\]) at any time, also at
//! the beginning.

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::demands::{Part, Source, Within};
use super::sessions::Sessions;
use super::{Demand, Want};
use crate::draw::{Distribution, Refused, check, nanos};
use crate::random::Stream;
use crate::select::Selector;

/// No session and no absence is shorter, in nanoseconds: a millisecond.
const LASTS_NS_MIN: u64 = 1_000_000;

/// Nodes come and go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// Who; all nodes unless said.
    #[serde(default)]
    pub who: Selector,
    /// How long sessions last, in seconds, or a published name; the mean is at least a second.
    pub up_s: Sessions,
    /// How long absences last.
    pub down_s: Sessions,
    /// The share of sessions that end by a crash and not by leaving in good order: 0 to 1; 0 unless said.
    #[serde(default)]
    pub crash_share: f64,
    /// Whether it begins as if it had gone on for ever: some nodes are absent, and sessions under way are the longer ones
    /// (length bias). Otherwise all are up and begin a session. True unless said.
    #[serde(default = "stationary")]
    pub stationary: bool,
    /// When it begins, in seconds; 0 unless said.
    #[serde(default)]
    pub from_s: f64,
    /// When it stops, in seconds: nodes then stay as they are. At the end of the run unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
}

fn stationary() -> bool {
    true
}

impl Churn {
    /// The share of the time that a node is up, in the long run.
    #[must_use]
    pub fn availability(&self) -> f64 {
        let (up, down) = (self.up_s.distribution().mean(), self.down_s.distribution().mean());
        up / (up + down)
    }

    pub(super) fn validate(&self) -> Result<(), Refused> {
        self.who.validate().map_err(|refused| refused.inside("who"))?;
        self.up_s.validate().map_err(|refused| refused.inside("up_s"))?;
        self.down_s.validate().map_err(|refused| refused.inside("down_s"))?;
        check("crash_share", self.crash_share, 0.0..=1.0)
    }

    pub(super) fn within(&self) -> Within {
        Within { from_s: self.from_s, until_s: self.until_s }
    }

    /// One source for each node.
    pub(super) fn sources(&self, part: &Part<'_>) -> Result<Vec<Source>, Refused> {
        let (from, until) = self.within().times(part.until);
        let availability = self.availability();
        let source = |node| -> Source {
            let mut stream = part.stream("churn", node);
            let up = !self.stationary || stream.unit() < availability;
            Box::new(Life {
                node,
                up_s: self.up_s.distribution(),
                down_s: self.down_s.distribution(),
                crash_share: self.crash_share,
                stream,
                up,
                turn: from,
                until,
                beginning: true,
                under_way: self.stationary,
            })
        };
        Ok(part.nodes(&self.who)?.into_iter().map(source).collect())
    }
}

/// One node's coming and going.
struct Life {
    node: u32,
    up_s: Distribution,
    down_s: Distribution,
    crash_share: f64,
    stream: Stream,
    /// Whether it is up until the next turn.
    up: bool,
    turn: Timestamp,
    until: Timestamp,
    /// Nothing was said yet of this node.
    beginning: bool,
    /// Whether the first time is what is left of one.
    under_way: bool,
}

impl Life {
    /// Sets the next turn by how long this time lasts.
    fn lasts(&mut self) {
        let time = if self.up { self.up_s } else { self.down_s };
        let seconds = match std::mem::take(&mut self.under_way) {
            true => time.draw_rest(&mut self.stream),
            false => time.draw(&mut self.stream),
        };
        self.turn = Timestamp(self.turn.0.saturating_add(nanos(seconds).max(LASTS_NS_MIN)));
    }
}

impl Iterator for Life {
    type Item = Demand;

    fn next(&mut self) -> Option<Demand> {
        let node = self.node;
        if std::mem::take(&mut self.beginning) {
            let at = self.turn;
            self.lasts();
            if !self.up && at < self.until {
                return Some(Demand { at, node, what: Want::Absent });
            }
        }
        if self.turn >= self.until {
            return None;
        }
        let at = self.turn;
        self.up = !self.up;
        let what = match self.up {
            true => Want::Return,
            false if self.stream.unit() < self.crash_share => Want::Crash,
            false => Want::Leave,
        };
        self.lasts();
        Some(Demand { at, node, what })
    }
}
