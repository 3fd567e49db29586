//! `list`: what there is to run and to measure.

use mesh_sim::experiment::MEASURES;

use crate::files;
use crate::report::Outcome;
use crate::saying::say;

/// What to list.
#[derive(clap::Args)]
pub struct Options {
    /// Lists what can be measured instead.
    #[arg(long)]
    measures: bool,
    /// Prints data instead of text.
    #[arg(long)]
    json: bool,
}

pub fn list(options: &Options) -> anyhow::Result<Outcome> {
    if options.measures {
        list_measures(options.json);
        return Ok(Outcome::Good);
    }
    let all = files::all()?;
    if options.json {
        let entry = |(path, scenario): &(std::path::PathBuf, mesh_sim::scenario::Scenario)| {
            serde_json::json!({
                "name": scenario.name, "question": scenario.question,
                "duration_s": scenario.duration_s, "seeds": scenario.seeds.to_string(), "file": path,
            })
        };
        say!("{}", serde_json::Value::Array(all.iter().map(entry).collect()));
        return Ok(Outcome::Good);
    }
    let width = all.iter().map(|(_, scenario)| scenario.name.len()).max().unwrap_or(0);
    for (_, scenario) in &all {
        say!("{:width$}  {}", scenario.name, scenario.question);
    }
    say!("\nRun one with: cargo xtask sim run NAME");
    Ok(Outcome::Good)
}

fn list_measures(json: bool) {
    if json {
        let entry = |measure: &mesh_sim::experiment::MeasureInfo| serde_json::json!({ "name": measure.name, "unit": measure.unit, "says": measure.says });
        say!("{}", serde_json::Value::Array(MEASURES.iter().map(entry).collect()));
        return;
    }
    let width = MEASURES.iter().map(|measure| measure.name.len()).max().unwrap_or(0);
    for measure in MEASURES {
        say!("{:width$}  {:>8}  {}", measure.name, measure.unit, measure.says);
    }
}
