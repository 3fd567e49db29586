//! A workload, and all its demands in order.
//!
//! Invariant: demands ascend by time; those of one time by activity, then by node or content.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Contents};
use super::churn::Churn;
use super::community::{Community, Relistings};
use super::gathering::{FlashCrowd, Transfers};
use super::requests::Requests;
use super::trace::Trace;
use super::updates::Updates;
use super::{Demand, Want};
use crate::draw::{Refused, SECONDS_MAX, check, nanos};
use crate::random::Stream;
use crate::select::{Population, Selector};

/// The most activities of a workload.
pub const ACTIVITIES_MAX: usize = 100;

/// The most nodes and contents that all activities together may keep in mind.
pub const SOURCES_MAX: usize = 2_000_000;

/// Why a workload can't run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// A value is out of range, or names what is not there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Something is to be got or updated, and there is no catalogue.
    #[error("activities[{0}] is about contents; allowed: only with a `catalogue`")]
    NoCatalogue(usize),
    /// Too much is done by too many.
    #[error("activities are done by {0} nodes and contents, each counted for each; allowed: up to {SOURCES_MAX}")]
    TooMany(usize),
    /// A trace was not given to the run.
    #[error("activities[{activity}].file is `{file}`, which was not read; allowed: files given to the run")]
    NoTrace {
        /// Which activity.
        activity: usize,
        /// The name of the file.
        file: String,
    },
}

/// What people do in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What there is to get; nothing unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<Catalogue>,
    /// What is done, all at the same time: up to 100.
    #[serde(default)]
    pub activities: Vec<Activity>,
}

/// One thing that people do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Activity {
    /// They ask for contents by popularity.
    Requests(Requests),
    /// Many want one content within a short time.
    FlashCrowd(FlashCrowd),
    /// All get one content at the same time.
    Transfers(Transfers),
    /// They come and go.
    Churn(Churn),
    /// They bring new versions.
    Updates(Updates),
    /// They found a community, join it, and are taken back.
    Community(Community),
    /// They change what is listed.
    Relistings(Relistings),
    /// They do what a trace says.
    Trace(Recorded),
}

/// A trace, by the name of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The file, as it is given to the run in [`Setting::traces`].
    pub file: String,
}

/// The run that a workload is for.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// The seed.
    pub seed: u64,
    /// Who is there.
    pub population: &'a Population,
    /// The end of the run: demands from then on are left out.
    pub until: Timestamp,
    /// The traces that were read, by file name.
    pub traces: &'a BTreeMap<String, Trace>,
}

/// Demands of one node or content, in order of time.
pub(super) type Source = Box<dyn Iterator<Item = Demand> + Send>;

/// One activity of a run: where its nodes' streams come from.
pub(super) struct Part<'a> {
    setting: Setting<'a>,
    /// How many activities of the same kind come before it.
    lane: u32,
    pub(super) until: Timestamp,
}

impl Part<'_> {
    /// The stream of a purpose and a node or content.
    pub(super) fn stream(&self, purpose: &str, number: u32) -> Stream {
        Stream::new(self.setting.seed, purpose, u64::from(self.lane) << 32 | u64::from(number))
    }

    /// How many nodes the world has.
    pub(super) fn node_count(&self) -> usize {
        self.setting.population.nodes.len()
    }

    /// How many activities of the same kind come before it.
    pub(super) fn number(&self) -> u32 {
        self.lane
    }

    pub(super) fn nodes(&self, who: &Selector) -> Result<Vec<u32>, Refused> {
        who.resolve_nodes(&self.stream("who", 0), self.setting.population).map_err(|refused| refused.inside("who"))
    }
}

/// From when to when something is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    pub(super) from_s: f64,
    pub(super) until_s: Option<f64>,
}

impl Within {
    fn validate(self) -> Result<(), Refused> {
        check("from_s", self.from_s, 0.0..=SECONDS_MAX)?;
        self.until_s.map_or(Ok(()), |until_s| check("until_s", until_s, self.from_s..=SECONDS_MAX))
    }

    /// The same in a run that ends then.
    pub(super) fn times(self, end: Timestamp) -> (Timestamp, Timestamp) {
        let until = self.until_s.map_or(end, |until_s| Timestamp(nanos(until_s)).min(end));
        (Timestamp(nanos(self.from_s)), until)
    }
}

impl Activity {
    fn validate(&self) -> Result<(), Refused> {
        match self {
            Self::Requests(requests) => {
                requests.within().validate()?;
                requests.validate()
            }
            Self::FlashCrowd(crowd) => crowd.validate(),
            Self::Transfers(transfers) => transfers.validate(),
            Self::Churn(churn) => {
                churn.within().validate()?;
                churn.validate()
            }
            Self::Updates(updates) => {
                updates.within().validate()?;
                updates.validate()
            }
            Self::Community(community) => community.validate(),
            Self::Relistings(relistings) => relistings.validate(),
            Self::Trace(_) => Ok(()),
        }
    }

    /// The highest content that it names by number.
    fn last_content(&self) -> u32 {
        match self {
            Self::FlashCrowd(crowd) => crowd.content,
            Self::Transfers(transfers) => transfers.last_content(),
            Self::Community(community) => community.contents.iter().copied().max().unwrap_or(0),
            _ => 0,
        }
    }
}

impl Workload {
    /// Refuses what is wrong in any world.
    ///
    /// # Errors
    /// [`Refused`] with the activity and the field.
    pub fn validate(&self) -> Result<(), Refused> {
        if let Some(catalogue) = &self.catalogue {
            catalogue.validate().map_err(|refused| refused.inside("catalogue"))?;
        }
        check("number of activities", self.activities.len(), 0..=ACTIVITIES_MAX)?;
        for (place, activity) in self.activities.iter().enumerate() {
            activity.validate().map_err(|refused| refused.inside(&format!("activities[{place}]")))?;
        }
        Ok(())
    }

    /// The communities in it, by number.
    #[must_use]
    pub fn communities(&self) -> Vec<Community> {
        let communities = self.activities.iter().filter_map(|activity| match activity {
            Activity::Community(community) => Some(community.clone()),
            _ => None,
        });
        communities.collect()
    }

    /// The files of the traces that it needs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.activities.iter().filter_map(|activity| match activity {
            Activity::Trace(recorded) => Some(recorded.file.as_str()),
            _ => None,
        })
    }

    /// What people do in a run, from its start to its end.
    ///
    /// # Errors
    /// [`WorkloadError`] if something is out of range or not there.
    pub fn demands(&self, setting: Setting<'_>) -> Result<Demands, WorkloadError> {
        self.validate()?;
        let contents = self.catalogue.as_ref().map(|catalogue| {
            catalogue.contents(setting.seed, setting.population).map_err(|refused| refused.inside("catalogue"))
        });
        let contents = contents.transpose()?;
        let mut sources: Vec<Source> = contents.iter().map(Contents::sharing).collect();
        for (place, activity) in self.activities.iter().enumerate() {
            let kind = std::mem::discriminant(activity);
            let alike = self.activities[..place].iter().filter(|other| std::mem::discriminant(*other) == kind);
            let part = Part { setting, lane: alike.count() as u32, until: setting.until };
            sources.extend(part.sources(place, activity, contents.as_ref())?);
            if sources.len() > SOURCES_MAX {
                return Err(WorkloadError::TooMany(sources.len()));
            }
        }
        Ok(Demands::new(sources, setting.until))
    }
}

impl Part<'_> {
    fn sources(
        &self,
        place: usize,
        activity: &Activity,
        contents: Option<&Contents>,
    ) -> Result<Vec<Source>, WorkloadError> {
        let known = || {
            let contents = contents.ok_or(WorkloadError::NoCatalogue(place))?;
            match activity.last_content() < contents.count() {
                true => Ok(contents),
                false => {
                    let allowed = format!("0 to {}", contents.count() - 1);
                    let refused = Refused::new("content", activity.last_content(), allowed);
                    Err(WorkloadError::Refused(refused.inside(&format!("activities[{place}]"))))
                }
            }
        };
        let sources = match activity {
            Activity::Requests(requests) => requests.sources(self, known()?.count()),
            Activity::FlashCrowd(crowd) => known().map(|_| crowd.source(self))?.map(|source| vec![source]),
            Activity::Transfers(transfers) => known().map(|_| transfers.source(self))?.map(|source| vec![source]),
            Activity::Churn(churn) => churn.sources(self),
            Activity::Updates(updates) => updates.sources(self, known()?),
            Activity::Community(community) => known().map(|_| community.source(self))?.map(|source| vec![source]),
            Activity::Relistings(relistings) => relistings.sources(self, known()?),
            Activity::Trace(recorded) => {
                let file = recorded.file.clone();
                let trace = self.setting.traces.get(&file);
                let trace = trace.ok_or(WorkloadError::NoTrace { activity: place, file })?;
                self.recorded(trace)
            }
        };
        sources.map_err(|refused| refused.inside(&format!("activities[{place}]")).into())
    }

    fn recorded(&self, trace: &Trace) -> Result<Vec<Source>, Refused> {
        let nodes = self.setting.population.nodes.len();
        match trace.highest_node() {
            Some(node) if node as usize >= nodes => {
                Err(Refused::new("node of the trace", node, format!("numbers below {nodes} here")))
            }
            _ => Ok(vec![Box::new(trace.demands())]),
        }
    }
}

/// The next demand of a source; the earliest is the largest.
struct Next {
    order: Reverse<(Timestamp, usize)>,
    node: u32,
    what: Want,
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

/// All demands of a run, in order of time, each made when it is asked for.
pub struct Demands {
    sources: Vec<Source>,
    /// The next demand of each source that has one.
    waiting: BinaryHeap<Next>,
    until: Timestamp,
}

impl Demands {
    fn new(sources: Vec<Source>, until: Timestamp) -> Self {
        let mut demands = Self { waiting: BinaryHeap::with_capacity(sources.len()), sources, until };
        (0..demands.sources.len()).for_each(|source| demands.ask(source));
        demands
    }

    fn ask(&mut self, source: usize) {
        let Some(Demand { at, node, what }) = self.sources[source].next() else { return };
        if at < self.until {
            self.waiting.push(Next { order: Reverse((at, source)), node, what });
        }
    }
}

impl Iterator for Demands {
    type Item = Demand;

    fn next(&mut self) -> Option<Demand> {
        let Next { order: Reverse((at, source)), node, what } = self.waiting.pop()?;
        self.ask(source);
        Some(Demand { at, node, what })
    }
}
