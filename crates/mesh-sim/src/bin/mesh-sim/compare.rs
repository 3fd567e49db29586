//! `compare A B`: two scenarios, or two results, seed by seed.

use std::path::Path;

use anyhow::{Context as _, bail};
use mesh_sim::experiment::Variation;
use mesh_sim::result::{Results, compare as compare_variants, table};
use mesh_sim::scenario::Seeds;

use crate::report::Outcome;
use crate::{files, running};

/// What to compare.
#[derive(clap::Args)]
pub struct Options {
    /// A scenario (name or file), or a folder or `results.json` of an earlier run.
    a: String,
    /// The same.
    b: String,
    /// The seeds for scenarios; by default those of the first.
    #[arg(long)]
    seeds: Option<Seeds>,
    /// Sets a value in both.
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

pub fn compare(options: &Options) -> anyhow::Result<Outcome> {
    let a = results(&options.a, &options.set, options)?;
    let both: Vec<String> = options.set.iter().chain(&options.set_b).cloned().collect();
    let b = results(&options.b, &both, options)?;
    let (variants_a, variants_b) = (a.variants(), b.variants());
    let ([one], [other]) = (&variants_a[..], &variants_b[..]) else {
        bail!("each side must be one variant, not a sweep; compare the runs you mean");
    };
    let comparisons = compare_variants(one, other);
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&comparisons)?),
        false => println!("A: {}\nB: {}\n{}", a.scenario(), b.scenario(), table::comparison(&comparisons)),
    }
    Ok(Outcome::Good)
}

fn results(name: &str, set: &[String], options: &Options) -> anyhow::Result<Results> {
    let path = Path::new(name);
    let file = if path.is_dir() { path.join("results.json") } else { path.to_owned() };
    if file.extension().is_some_and(|extension| extension == "json") {
        return Results::read(&file).with_context(|| format!("can't read {}", file.display()));
    }
    let (path, scenario) = files::scenario(name, set, options.seeds.as_ref())?;
    let batch = running::batch(&path, &[Variation::none(scenario)], options.quiet)?;
    for (_, seed, error) in &batch.failed {
        eprintln!("FAILED seed {seed}: {error}");
    }
    Ok(batch.results)
}
