//! `docs`: runs scenarios and writes their figures into `docs/simulation.md`.
//!
//! Invariant: sections of scenarios that were not run stay as they are; a run that was stopped changes nothing.

use std::path::{Path, PathBuf};

use anyhow::bail;
use mesh_sim::experiment::Variation;
use mesh_sim::result::document::Document;
use mesh_sim::result::table;
use mesh_sim::scenario::Seeds;

use crate::report::{self, Outcome};
use crate::{files, running};

/// What to run and write.
#[derive(clap::Args)]
pub struct Options {
    /// Which scenarios; all, if none is named.
    scenarios: Vec<String>,
    /// The seeds; by default each scenario's own.
    #[arg(long)]
    seeds: Option<Seeds>,
    /// The document.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Shows no progress.
    #[arg(short, long)]
    quiet: bool,
}

pub fn docs(options: &Options) -> anyhow::Result<Outcome> {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation.md");
    let document = Document {
        path: options.output.clone().unwrap_or_else(own),
        begin: "<!-- Figures, written by `cargo xtask sim docs`. -->\n",
        end: "<!-- The end of what it writes. -->\n",
        head: "### ",
    };
    let names = match options.scenarios.is_empty() {
        true => files::all()?.into_iter().map(|(_, scenario)| scenario.name).collect(),
        false => options.scenarios.clone(),
    };
    // What would fail after hours fails now.
    document.read()?;
    let read_scenario = |name: &String| files::scenario(name, &[], options.seeds.as_ref());
    let chosen = names.iter().map(read_scenario).collect::<anyhow::Result<Vec<_>>>()?;
    let mut outcome = Outcome::Good;
    for (file, scenario) in chosen {
        let name = &scenario.name;
        eprintln!("{name}");
        let batch = running::batch(&file, &[Variation::none(scenario.clone())], options.quiet)?;
        if batch.stopped > 0 {
            bail!("stopped; {name} and what comes after it is not written");
        }
        let (troubles, lines) = (report::troubles(&batch), report::verdicts(&batch.results, &scenario.expect));
        let bad = !troubles.is_empty() || lines.iter().any(|(held, _)| !held);
        outcome = outcome.and(if bad { Outcome::Bad } else { Outcome::Good });
        let figures = table::markdown(&batch.results.only(&scenario.measures));
        let lines = lines.into_iter().map(|(_, line)| line).chain(troubles).map(|line| format!("- {}\n", line.trim()));
        let section = format!("{figures}\n{}", lines.collect::<String>());
        document.put(name, &section)?;
    }
    Ok(outcome)
}
