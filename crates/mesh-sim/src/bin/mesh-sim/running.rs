//! `run` and `sweep`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use mesh_sim::experiment::{Batch, Variation, grid, run_all};
use mesh_sim::scenario::{Scenario, Seeds};

use crate::progress::Bar;
use crate::report::Outcome;
use crate::{files, report};

/// What to run.
#[derive(clap::Args)]
pub struct RunOptions {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    output: Output,
}

/// What to run over which values.
#[derive(clap::Args)]
pub struct SweepOptions {
    #[command(flatten)]
    chosen: Chosen,
    /// Values to run with, such as topology.nodes=50,100,200; several of these make a grid.
    #[arg(long = "over", value_name = "KEY=A,B,C", required = true)]
    over: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// A scenario, its seeds, and what is set in it.
#[derive(clap::Args)]
struct Chosen {
    /// A scenario's name, or a file.
    scenario: String,
    /// The seeds, such as 1..50; by default the scenario's own.
    #[arg(long)]
    seeds: Option<Seeds>,
    /// Sets a value of the scenario, such as topology.nodes=50 or activities.0.exponent=0.9; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Chosen {
    fn read(&self) -> anyhow::Result<(PathBuf, Scenario)> {
        files::scenario(&self.scenario, &self.set, self.seeds.as_ref())
    }
}

/// Where results go.
#[derive(clap::Args)]
pub struct Output {
    /// The folder for results, plots and data; by default target/sim/NAME, of a sweep target/sim/NAME-sweep.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Prints data instead of a table.
    #[arg(long)]
    json: bool,
    /// Shows no progress.
    #[arg(short, long)]
    quiet: bool,
}

impl Output {
    fn folder(&self, name: &str) -> PathBuf {
        report::folder(self.output.as_deref(), name)
    }
}

pub fn run(options: &RunOptions) -> anyhow::Result<Outcome> {
    let (path, scenario) = options.chosen.read()?;
    let variants = [Variation::none(scenario.clone())];
    let folder = options.output.folder(&scenario.name);
    batch_and_show(&path, &scenario, &variants, &folder, &options.output)
}

pub fn sweep(options: &SweepOptions) -> anyhow::Result<Outcome> {
    let (path, scenario) = options.chosen.read()?;
    let axis = |text: &String| {
        let (place, values) = text
            .split_once('=')
            .with_context(|| format!("`{text}` is not KEY=A,B,C, such as topology.nodes=50,100"))?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        anyhow::Ok((place.trim().to_owned(), values))
    };
    let axes = options.over.iter().map(axis).collect::<anyhow::Result<Vec<_>>>()?;
    let variants = grid(&scenario, &axes)?;
    let folder = options.output.folder(&format!("{}-sweep", scenario.name));
    batch_and_show(&path, &scenario, &variants, &folder, &options.output)
}

fn batch_and_show(
    path: &Path,
    scenario: &Scenario,
    variants: &[Variation],
    folder: &Path,
    output: &Output,
) -> anyhow::Result<Outcome> {
    files::make_folder(folder)?;
    let batch = batch(path, variants, output.quiet)?;
    report::show(&batch, &scenario.expect, &scenario.measures, folder, output.json)
}

/// Runs variants with a progress bar; Ctrl-C ends the batch and keeps what is done.
pub fn batch(path: &Path, variants: &[Variation], quiet: bool) -> anyhow::Result<Batch> {
    let stop = stop_flag()?;
    let traces = files::traces(path, variants.iter().map(|variant| &variant.scenario))?;
    for variant in variants {
        // What has no world for one seed mostly has none for the others: better said now than by each of them.
        let seed = variant.scenario.seeds.all().first().copied().context("there is no seed to run with")?;
        let built = variant.scenario.build(seed, &traces);
        built.with_context(|| format!("there is no world of seed {seed} {}", variant.label()).trim_end().to_owned())?;
    }
    let runs = variants.iter().map(|variant| variant.scenario.seeds.all().len()).sum();
    let bar = Bar::new(runs, quiet);
    let batch = run_all(variants, &traces, &bar, &stop)?;
    bar.finish();
    Ok(batch)
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends the program at once.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}
