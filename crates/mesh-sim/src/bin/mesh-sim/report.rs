//! What is shown and written of a batch.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mesh_sim::experiment::{Batch, told};
use mesh_sim::result::{Expectation, Results, table, write_all};

use crate::saying::say;

/// Whether everything held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Good,
    /// Something expected or invariant did not hold, or a run failed.
    Bad,
}

impl Outcome {
    /// Both.
    pub fn and(self, other: Self) -> Self {
        if self == Self::Good { other } else { Self::Bad }
    }
}

/// Prints results, verdicts and violations, and writes everything into a folder.
pub fn show(
    batch: &Batch,
    expect: &[Expectation],
    measures: &[String],
    folder: &Path,
    json: bool,
) -> anyhow::Result<Outcome> {
    if json {
        say!("{}", batch.results.to_json());
    } else {
        say!("{}", table::terminal(&batch.results.only(measures)));
    }
    let outcome = judge("", batch, expect, json);
    if !batch.results.runs().is_empty() {
        let files = write_all(&batch.results, folder).context("can't write the results")?;
        if !json {
            say!("{} files in {}", files.len(), folder.display());
        }
    }
    Ok(outcome)
}

/// Prints verdicts and troubles, each behind the same words. Whether all was well.
pub fn judge(words: &str, batch: &Batch, expect: &[Expectation], json: bool) -> Outcome {
    let mut outcome = Outcome::Good;
    for (held, line) in verdicts(&batch.results, expect) {
        outcome = outcome.and(if held { Outcome::Good } else { Outcome::Bad });
        match json {
            true => eprintln!("{words}{line}"),
            false => say!("{words}{line}"),
        }
    }
    for trouble in troubles(batch) {
        outcome = Outcome::Bad;
        eprintln!("{words}{trouble}");
    }
    outcome
}

/// What came of each expectation in each variant, and whether it held.
pub fn verdicts(results: &Results, expect: &[Expectation]) -> Vec<(bool, String)> {
    let variants = results.variants();
    let both = variants.iter().flat_map(|variant| expect.iter().map(move |expectation| (variant, expectation)));
    let said = both.map(|(variant, expectation)| {
        let (held, what) = match expectation.check(variant) {
            Ok(verdict) => (verdict.held, verdict.to_string()),
            Err(error) => (false, format!("not held: {}: {error}", expectation.measure())),
        };
        let label = if variant.label().is_empty() { String::new() } else { format!("{}: ", variant.label()) };
        (held, format!("{label}{what}"))
    });
    said.collect()
}

/// What no run should bring: broken invariants, failed runs, runs not made.
pub fn troubles(batch: &Batch) -> Vec<String> {
    let run = |variant: &str, seed: &u64| format!("{variant} seed {seed}").trim_start().to_owned();
    let violated = batch.violations.iter().flat_map(|(variant, seed, violations)| {
        told(violations).into_iter().map(move |line| format!("VIOLATED {}: {line}", run(variant, seed)))
    });
    let failed = batch.failed.iter().map(|(variant, seed, error)| format!("FAILED {}: {error}", run(variant, seed)));
    let stopped = (batch.stopped > 0).then(|| format!("stopped: {} runs were not made", batch.stopped));
    violated.chain(failed).chain(stopped).collect()
}

/// Where results go unless said.
pub fn folder(asked: Option<&Path>, name: &str) -> PathBuf {
    asked.map_or_else(|| PathBuf::from("target/sim").join(name), Path::to_owned)
}
