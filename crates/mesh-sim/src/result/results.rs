//! The runs of a scenario, and the file they are kept in.
//!
//! Invariant: runs stand in order of seed, then of parameters, and no two agree in both.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measured::{Kind, MeasureError, Measured, TEXT_BYTES_MAX, check_name};

/// The version of the file that is written; others are refused.
pub const VERSION: u32 = 1;
/// Most runs in one file.
pub const RUNS_MAX: usize = 100_000;
/// The longest file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why results could not be put together or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// A measure or name is wrong.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The run of a seed has a wrong measure.
    #[error("the run of seed {seed} breaks a rule")]
    Run {
        /// The seed.
        seed: u64,
        /// What is wrong.
        source: MeasureError,
    },
    /// The question is too long.
    #[error("a question has at most {TEXT_BYTES_MAX} bytes")]
    Question,
    /// Seed and parameters are those of a run that is there already.
    #[error("the run of seed {0} is there twice with the same parameters")]
    Twice(u64),
    /// Two runs mean different things by one name.
    #[error("{0} has another kind or unit in another run")]
    Differs(String),
    /// There are too many runs.
    #[error("results hold at most {RUNS_MAX} runs")]
    TooMany,
    /// The file is too long.
    #[error("the file has more than {FILE_BYTES_MAX} bytes")]
    TooLong,
    /// The file was written by another version.
    #[error("the file has version {0}; this program reads version {VERSION}")]
    Version(u32),
    /// The runs in a file are not in order.
    #[error("the run of seed {0} is out of order")]
    Order(u64),
    /// The file is not what the schema says.
    #[error("the file is no results file")]
    Json(#[from] serde_json::Error),
    /// The file could not be read.
    #[error("the file can't be read")]
    Read(#[from] std::io::Error),
}

/// The runs of a scenario. Its JSON, version 1:
///
/// ```
/// let text = r#"{
///   "version": 1,
///   "scenario": "newcomer",
///   "question": "How soon does a newcomer see what exists?",
///   "runs": [{
///     "seed": 7, "parameters": {"nodes": "200"},
///     "digest": "00c0ffee00c0ffee", "events": 12, "virtual_ns": 3000000000,
///     "scalars": {"seen": {"value": 2.5, "unit": "s"}},
///     "counts": {"lost": 3},
///     "samples": {"got": {"unit": "s", "values": {"every": 1, "offered": 2, "kept": [1.5, 2.0]}}},
///     "series": {"known": {"unit": "1", "points": {"every": 1, "offered": 1, "kept": [[1000000000, 200.0]]}}}
///   }]
/// }"#;
/// let results = mesh_sim::result::Results::from_json(text).unwrap();
/// assert_eq!(results.runs()[0].value("seen"), Some(2.5));
/// assert_eq!(mesh_sim::result::Results::from_json(&results.to_json()).unwrap(), results);
/// ```
///
/// Of `offered` values, one of `every` was kept. A digest is text: readers that know only f64 would lose bits of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    version: u32,
    scenario: String,
    question: String,
    runs: Vec<Measured>,
    /// What the names mean, so that another run need not be compared with all.
    #[serde(skip)]
    measures: BTreeMap<String, (Kind, String)>,
}

/// Only the version, to tell a newer file from a broken one.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl Results {
    /// No runs yet.
    ///
    /// # Errors
    /// If the scenario's name or the question has a wrong form.
    pub fn new(scenario: &str, question: &str) -> Result<Self, ResultsError> {
        check_name(scenario)?;
        if question.len() > TEXT_BYTES_MAX {
            return Err(ResultsError::Question);
        }
        let (scenario, question) = (scenario.to_owned(), question.to_owned());
        Ok(Self { version: VERSION, scenario, question, runs: Vec::new(), measures: BTreeMap::new() })
    }

    /// Adds a run in its place.
    ///
    /// # Errors
    /// If it is there already, means something else by a name, or is one too many.
    pub fn add(&mut self, run: Measured) -> Result<(), ResultsError> {
        if self.runs.len() >= RUNS_MAX {
            return Err(ResultsError::TooMany);
        }
        let Err(place) = self.runs.binary_search_by(|other| order(other, &run)) else {
            return Err(ResultsError::Twice(run.seed()));
        };
        learn(&mut self.measures, &run)?;
        self.runs.insert(place, run);
        Ok(())
    }

    /// The scenario's name.
    #[must_use]
    pub fn scenario(&self) -> &str {
        &self.scenario
    }

    /// What the scenario asks.
    #[must_use]
    pub fn question(&self) -> &str {
        &self.question
    }

    /// The runs, in order of seed, then of parameters.
    #[must_use]
    pub fn runs(&self) -> &[Measured] {
        &self.runs
    }

    /// Every measure of any run: its kind and unit.
    #[must_use]
    pub fn measures(&self) -> &BTreeMap<String, (Kind, String)> {
        &self.measures
    }

    /// The same runs with these measures only; names that no run has are left out. All of them if none is named.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let mut chosen = self.clone();
        if !names.is_empty() {
            chosen.runs.iter_mut().for_each(|run| run.retain(|name| names.iter().any(|wanted| wanted == name)));
            chosen.measures.retain(|name, _| names.contains(name));
        }
        chosen
    }

    /// The runs by their parameters: only runs of one variant are ever summed up together.
    #[must_use]
    pub fn variants(&self) -> Vec<Variant<'_>> {
        let mut by_parameters: BTreeMap<&BTreeMap<String, String>, Vec<&Measured>> = BTreeMap::new();
        for run in &self.runs {
            by_parameters.entry(run.parameters()).or_default().push(run);
        }
        let varied = self.varied();
        let mut variants: Vec<Variant<'_>> =
            by_parameters.into_values().map(|runs| Variant { label: label(&varied, runs[0]), runs }).collect();
        variants.sort_by(|a, b| by_number(a.runs[0].parameters(), b.runs[0].parameters()));
        variants
    }

    /// The parameters in which runs differ.
    #[must_use]
    pub fn varied(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.runs.iter().flat_map(|run| run.parameters().keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let first = |name: &str| self.runs[0].parameters().get(name);
        names.retain(|name| self.runs.iter().any(|run| run.parameters().get(*name) != first(name)));
        names
    }

    /// The file's text.
    ///
    /// # Panics
    /// Never: every value is finite and every key a text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("finite values under text keys are JSON");
        text.push('\n');
        text
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// If it is of another version or breaks any rule of [`Measured`].
    pub fn from_json(text: &str) -> Result<Self, ResultsError> {
        let Head { version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(ResultsError::Version(version));
        }
        let mut results: Self = serde_json::from_str(text)?;
        Self::new(&results.scenario, &results.question)?;
        if results.runs.len() > RUNS_MAX {
            return Err(ResultsError::TooMany);
        }
        for (number, run) in results.runs.iter().enumerate() {
            run.check().map_err(|source| ResultsError::Run { seed: run.seed(), source })?;
            learn(&mut results.measures, run)?;
            match number.checked_sub(1).map(|before| order(&results.runs[before], run)) {
                Some(Ordering::Equal) => return Err(ResultsError::Twice(run.seed())),
                Some(Ordering::Greater) => return Err(ResultsError::Order(run.seed())),
                Some(Ordering::Less) | None => {}
            }
        }
        Ok(results)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Results::from_json`]; also if it is longer than [`FILE_BYTES_MAX`] or can't be read.
    pub fn read(path: &Path) -> Result<Self, ResultsError> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        match text.len() as u64 > FILE_BYTES_MAX {
            true => Err(ResultsError::TooLong),
            false => Self::from_json(&text),
        }
    }
}

/// The runs of one set of parameters, in order of seed.
#[derive(Debug, Clone)]
pub struct Variant<'a> {
    label: String,
    runs: Vec<&'a Measured>,
}

impl<'a> Variant<'a> {
    /// The parameters in which it differs from others, such as `nodes=200 loss=1%`; empty if there is no other.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its runs.
    #[must_use]
    pub fn runs(&self) -> &[&'a Measured] {
        &self.runs
    }

    /// A scalar or count of each run that has it.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.value(name)).collect()
    }

    /// A sample of each run that has it.
    #[must_use]
    pub fn samples(&self, name: &str) -> Vec<&'a [f64]> {
        self.runs.iter().filter_map(|run| run.sample(name)).map(|sample| sample.values.kept()).collect()
    }
}

fn order(a: &Measured, b: &Measured) -> Ordering {
    (a.seed(), a.parameters()).cmp(&(b.seed(), b.parameters()))
}

/// Learns what the names of a run mean, unless one means something else already: then nothing is learnt.
fn learn(known: &mut BTreeMap<String, (Kind, String)>, run: &Measured) -> Result<(), ResultsError> {
    let differs = |(name, kind, unit): &(&str, Kind, &str)| {
        known.get(*name).is_some_and(|meaning| meaning.0 != *kind || meaning.1 != *unit)
    };
    if let Some((name, ..)) = run.measures().find(differs) {
        return Err(ResultsError::Differs(name.to_owned()));
    }
    for (name, kind, unit) in run.measures() {
        if !known.contains_key(name) {
            known.insert(name.to_owned(), (kind, unit.to_owned()));
        }
    }
    Ok(())
}

fn label(varied: &[&str], run: &Measured) -> String {
    let texts = varied.iter().filter_map(|name| run.parameters().get(*name).map(|text| format!("{name}={text}")));
    texts.collect::<Vec<_>>().join(" ")
}

/// Numbers as numbers: 2 before 10. Texts that read as one number keep the order of their texts.
fn by_number(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Ordering {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    // Numbers before other texts, so that the order is one for all.
    let key = |text: &str| number(text).map_or((1_u8, 0.0), |number| (0, number));
    let texts = a.iter().zip(b).map(|((name, text), (other_name, other_text))| {
        let ((kind, number), (other_kind, other_number)) = (key(text), key(other_text));
        let values = kind.cmp(&other_kind).then(number.total_cmp(&other_number)).then_with(|| text.cmp(other_text));
        name.cmp(other_name).then(values)
    });
    texts.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
}
