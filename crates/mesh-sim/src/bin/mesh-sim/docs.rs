//! `docs`: runs scenarios and writes their figures into `docs/simulation.md`.
//!
//! Invariant: sections of scenarios that were not run stay as they are; a run that was stopped changes nothing, and the
//! document is never half written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use mesh_sim::experiment::Variation;
use mesh_sim::result::{table, write_text};
use mesh_sim::scenario::Seeds;

use crate::report::{self, Outcome};
use crate::{files, running};

/// What stands between these is written by this command.
const BEGIN: &str = "<!-- Figures, written by `cargo xtask sim docs`. -->\n";
const END: &str = "<!-- The end of what it writes. -->\n";
/// What a scenario's section begins with.
const HEAD: &str = "### ";

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
    let path = options.output.clone().unwrap_or_else(own);
    let names = match options.scenarios.is_empty() {
        true => files::all()?.into_iter().map(|(_, scenario)| scenario.name).collect(),
        false => options.scenarios.clone(),
    };
    read(&path)?;
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
        // Read anew each time: it takes long, and somebody may have written meanwhile.
        let text = with_section(&read(&path)?, name, &section).context("the document has a place for figures")?;
        let (folder, file_name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
        write_text(folder, &file_name.to_string_lossy(), &text)?;
    }
    Ok(outcome)
}

/// The document. One without a place for figures is refused.
fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    if !text.split_once(BEGIN).is_some_and(|(_, rest)| rest.contains(END)) {
        bail!("{} has no place for figures: no line `{}`", path.display(), BEGIN.trim());
    }
    Ok(text)
}

/// The document with this section in its place, in order of names.
fn with_section(text: &str, name: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (figures, after) = rest.split_once(END)?;
    let mut sections: BTreeMap<&str, &str> = figures
        .split(HEAD)
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, section)| (name.trim(), section.trim()))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    sections.insert(name, section.trim());
    let written: String = sections.iter().map(|(name, section)| format!("{HEAD}{name}\n\n{section}\n\n")).collect();
    Some(format!("{before}{BEGIN}\n{written}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_put_in_its_place_and_replaces_an_older_one() {
        let empty = format!("# Title\n\n{BEGIN}{END}\nMore.\n");
        let one = with_section(&empty, "b", "of b\n").unwrap();
        let two = with_section(&one, "a", "of a").unwrap();
        let three = with_section(&two, "b", "newer").unwrap();
        assert_eq!(three, format!("# Title\n\n{BEGIN}\n### a\n\nof a\n\n### b\n\nnewer\n\n{END}\nMore.\n"));
        assert_eq!(with_section("no place", "a", "of a"), None);
    }
}
