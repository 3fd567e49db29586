//! `compare A B`: two scenarios, or two results, seed by seed.
//!
//! Invariant: both sides are read and checked before the first of them runs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use mesh_sim::experiment::Variation;
use mesh_sim::result::{Measured, Results, compare as compare_variants, table};
use mesh_sim::scenario::{Scenario, Seeds};

use crate::report::{self, Outcome};
use crate::saying::say;
use crate::{files, running};

/// What to compare.
#[derive(clap::Args)]
pub struct Options {
    /// A scenario (name or file), or a folder or `results.json` of an earlier run.
    a: String,
    /// The same.
    b: String,
    /// The seeds for both scenarios; by default those of the first, or of the result that one is compared with.
    #[arg(long)]
    seeds: Option<Seeds>,
    /// Sets a value in both scenarios.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Sets a value in the second only: `compare X X --set-b node.discipline=first-come`.
    #[arg(long = "set-b", value_name = "KEY=VALUE")]
    set_b: Vec<String>,
    /// Prints data instead of a table.
    #[arg(long)]
    json: bool,
    /// Shows no progress.
    #[arg(short, long)]
    quiet: bool,
}

/// One side.
enum Side {
    /// Its runs were made earlier.
    Made(Results),
    /// It is to be run.
    ToRun(PathBuf, Box<Scenario>),
}

pub fn compare(options: &Options) -> anyhow::Result<Outcome> {
    let both: Vec<String> = options.set.iter().chain(&options.set_b).cloned().collect();
    let (a, b) = (Side::read(&options.a, &options.set, options)?, Side::read(&options.b, &both, options)?);
    let made = [&a, &b].into_iter().find(|side| matches!(side, Side::Made(_)));
    let seeds = options.seeds.clone().unwrap_or_else(|| made.unwrap_or(&a).seeds());
    let (a, outcome_a) = a.results("A", &seeds, options)?;
    let (b, outcome_b) = b.results("B", &seeds, options)?;
    let (variants_a, variants_b) = (a.variants(), b.variants());
    let ([one], [other]) = (&variants_a[..], &variants_b[..]) else {
        bail!("there is nothing to compare: each side needs runs of one variant");
    };
    let comparisons = compare_variants(one, other);
    match options.json {
        true => say!("{}", serde_json::to_string_pretty(&comparisons)?),
        false => say!("A: {}\nB: {}\n{}", a.scenario(), b.scenario(), table::comparison(&comparisons)),
    }
    Ok(outcome_a.and(outcome_b))
}

impl Side {
    fn read(name: &str, set: &[String], options: &Options) -> anyhow::Result<Self> {
        let path = Path::new(name);
        let file = if path.is_dir() { path.join("results.json") } else { path.to_owned() };
        if file.extension().is_none_or(|extension| extension != "json") {
            let (path, scenario) = files::scenario(name, set, options.seeds.as_ref())?;
            return Ok(Self::ToRun(path, Box::new(scenario)));
        }
        if !set.is_empty() || options.seeds.is_some() {
            bail!("{name} is a result: --set, --set-b and --seeds are for scenarios, its runs are made already");
        }
        let results = Results::read(&file).with_context(|| format!("can't read {}", file.display()))?;
        match results.variants().len() {
            1 => Ok(Self::Made(results)),
            0 => bail!("{name} has no runs"),
            _ => bail!("{name} is a sweep; each side must be one variant: compare the runs you mean"),
        }
    }

    fn seeds(&self) -> Seeds {
        match self {
            Self::Made(results) => results.runs().iter().map(Measured::seed).collect(),
            Self::ToRun(_, scenario) => scenario.seeds.clone(),
        }
    }

    /// Its runs, and whether all was well in those that were made for this.
    fn results(self, side: &str, seeds: &Seeds, options: &Options) -> anyhow::Result<(Results, Outcome)> {
        let (path, mut scenario) = match self {
            Self::Made(results) => return Ok((results, Outcome::Good)),
            Self::ToRun(path, scenario) => (path, *scenario),
        };
        scenario.seeds = seeds.clone();
        let expect = scenario.expect.clone();
        let batch = running::batch(&path, &[Variation::none(scenario)], options.quiet)?;
        let outcome = report::judge(&format!("{side}: "), &batch, &expect, options.json);
        if batch.stopped > 0 {
            bail!("stopped while {side} ran: nothing is compared");
        }
        Ok((batch.results, outcome))
    }
}
