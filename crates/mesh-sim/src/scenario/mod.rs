//! A scenario: a world, what happens in it, what is measured and what is expected, as one TOML file.
//!
//! ```toml
//! name = "flash-crowd"
//! question = "How long until everybody has what one shares?"
//! duration_s = 300
//! seeds = "1..20"
//!
//! [topology]
//! kind = "segment"
//! nodes = 50
//!
//! [catalogue]
//! contents = 1
//! size_bytes = { kind = "constant", value = 100_000_000 }
//! publishers = { kind = "one", node = 0 }
//! from_s = 10
//!
//! [[activities]]
//! kind = "flash_crowd"
//! content = 0
//! at_s = 30
//!
//! [[expect]]
//! measure = "unfinished"
//! statistic = "max"
//! at_most = 0
//! ```
//!
//! Unknown keys are refused, with the line. [`Scenario::set`] changes one value by its path, as `--set` does.
//!
//! | file | what it does |
//! |---|---|
//! | `nodes` | how nodes are: their settings, clocks, when they start |
//! | `seeds` | lists of seeds as text |
//! | `build` | a scenario's world for a seed |
//!
//! Invariant: a scenario and a seed say all there is to say about a run.

mod build;
mod nodes;
mod seeds;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultPlan};
use crate::flow::Congestion;
use crate::result::{Expectation, TEXT_BYTES_MAX};
use crate::topology::TopologyPlan;
use crate::workload::{Activity, Catalogue, Workload};
use crate::world::store::StoreKind;
pub use build::{BuildError, Built, population};
pub use nodes::{ClockPlan, NodePlan, Start};
pub use seeds::{SEEDS_MAX, Seeds, SeedsError};

/// The longest run: ten years.
pub const DURATION_S_MAX: f64 = 315_360_000.0;
/// The longest file.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Why a scenario can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is not a scenario in TOML; says where and why.
    #[error("not a scenario: {0}")]
    Text(String),
    /// A value is out of range.
    #[error("{field} = {value}: {allowed}")]
    Value {
        /// Which.
        field: String,
        /// What it is.
        value: String,
        /// What may be.
        allowed: String,
    },
    /// What is to be changed is not there.
    #[error("there is nothing to set at `{path}`: {why}")]
    Path {
        /// Where.
        path: String,
        /// Why not.
        why: String,
    },
    /// What is to be changed can't be that.
    #[error("`{path}` can't be set to `{value}`: {why}")]
    Set {
        /// Where.
        path: String,
        /// To what.
        value: String,
        /// Why not.
        why: String,
    },
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name: the file's, without `.toml`.
    pub name: String,
    /// What it is to find out, for people.
    pub question: String,
    /// How long a run is, in seconds of the world.
    pub duration_s: f64,
    /// The seeds it is run with unless others are asked for.
    #[serde(default)]
    pub seeds: Seeds,
    /// Whether multicast gets through, so that neighbours find each other by it.
    #[serde(default = "yes")]
    pub multicast: bool,
    /// How TCP finds its rate: `bbr` (the default) or `cubic`.
    #[serde(default = "bbr")]
    pub congestion: Congestion,
    /// What nodes keep their contents in: `model`, or `real` for the real store over a faulty disk.
    #[serde(default)]
    pub store: StoreKind,
    /// The run may end when everything that was asked for is there, and faults are over.
    #[serde(default)]
    pub ends_when_done: bool,
    /// The end of the time in which things settle, in seconds: from then on who starts is a newcomer, and whether contents
    /// are available is looked at. Rates are over the whole run.
    #[serde(default)]
    pub settled_s: f64,
    /// The defect that all nodes have.
    #[cfg(feature = "planted")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<mesh_proto::planted::Defect>,
    /// Who is connected with whom, and how.
    pub topology: TopologyPlan,
    /// How nodes are.
    #[serde(default)]
    pub node: NodePlan,
    /// What there is to get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<Catalogue>,
    /// What people do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activities: Vec<Activity>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What is measured and shown; all that can be, unless said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<String>,
    /// What must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expectation>,
}

fn bbr() -> Congestion {
    Congestion::Bbr
}

fn yes() -> bool {
    true
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// [`ScenarioError`] with the line, or with the field that is out of range.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(ScenarioError::Text(format!("it is longer than {FILE_BYTES_MAX} bytes")));
        }
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError::Text(error.to_string()))?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// Prints it.
    ///
    /// # Panics
    /// Never: every scenario can be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a scenario is made of numbers, words, lists and tables")
    }

    /// Changes the value at a path such as `topology.nodes`, `catalogue.contents` or `activities.0.exponent` to what `text` says in
    /// TOML; a text that is no value in TOML is taken as a word.
    ///
    /// # Errors
    /// [`ScenarioError`] if there is no such place, or the scenario would be none.
    pub fn set(&self, path: &str, text: &str) -> Result<Self, ScenarioError> {
        let refused = |why: &str| ScenarioError::Path { path: path.to_owned(), why: why.to_owned() };
        let mut whole = toml::Table::try_from(self).map_err(|error| ScenarioError::Text(error.to_string()))?;
        let value = toml::from_str::<toml::Table>(&format!("value = {text}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(text.to_owned()));
        let (parents, last) = path.rsplit_once('.').map_or((None, path), |(parents, last)| (Some(parents), last));
        let mut table = toml::Value::Table(std::mem::take(&mut whole));
        let mut place = &mut table;
        for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
            place = step(place, part).ok_or_else(|| refused(&format!("`{part}` is not there")))?;
        }
        match place {
            toml::Value::Table(table) => _ = table.insert(last.to_owned(), value),
            toml::Value::Array(list) => {
                let index = last.parse::<usize>().ok().filter(|index| *index < list.len());
                list[index.ok_or_else(|| refused(&format!("`{last}` is not a place in that list")))?] = value;
            }
            _ => return Err(refused("what is there has no parts")),
        }
        let mut scenario: Self = table.try_into().map_err(|error: toml::de::Error| {
            let why = error.message().trim().to_owned();
            ScenarioError::Set { path: path.to_owned(), value: text.to_owned(), why }
        })?;
        scenario.topology.keep(&self.topology);
        scenario.validate()?;
        Ok(scenario)
    }

    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`ScenarioError`] with the field.
    pub fn validate(&self) -> Result<(), ScenarioError> {
        let refused = |field: &str, value: String, allowed: &str| {
            Err(ScenarioError::Value { field: field.to_owned(), value, allowed: allowed.to_owned() })
        };
        let is_name = |name: &str| {
            let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
            (1..=64).contains(&name.len()) && name.chars().all(fits) && !name.starts_with('-')
        };
        if !is_name(&self.name) {
            return refused("name", self.name.clone(), "1 to 64 of a–z, 0–9 and -, the first no -");
        }
        if self.question.len() > TEXT_BYTES_MAX {
            let length = format!("{} bytes", self.question.len());
            return refused("question", length, &format!("at most {TEXT_BYTES_MAX} bytes"));
        }
        if !(self.duration_s > 0.0 && self.duration_s <= DURATION_S_MAX) {
            return refused("duration_s", self.duration_s.to_string(), "above 0, at most 315,360,000 (ten years)");
        }
        if !(0.0..=self.duration_s).contains(&self.settled_s) {
            return refused("settled_s", self.settled_s.to_string(), "0 to the duration");
        }
        self.node.validate()?;
        let inside = |error: &dyn std::fmt::Display| ScenarioError::Text(error.to_string());
        self.workload().validate().map_err(|error| inside(&error))?;
        self.fault_plan().validate().map_err(|error| inside(&error))
    }

    /// What people do in it.
    #[must_use]
    pub fn workload(&self) -> Workload {
        Workload { catalogue: self.catalogue.clone(), activities: self.activities.clone() }
    }

    /// What goes wrong in it.
    #[must_use]
    pub fn fault_plan(&self) -> FaultPlan {
        FaultPlan { faults: self.faults.clone() }
    }
}

/// The part of a value by name or place.
fn step<'a>(value: &'a mut toml::Value, part: &str) -> Option<&'a mut toml::Value> {
    match value {
        toml::Value::Table(table) => table.get_mut(part),
        toml::Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    }
}
