//! What is shown and written of a batch.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mesh_sim::experiment::Batch;
use mesh_sim::result::{Expectation, Results, table, write_all};

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
    let mut outcome = Outcome::Good;
    if json {
        println!("{}", batch.results.to_json());
    } else {
        println!("{}", table::terminal(&batch.results.only(measures)));
    }
    for (held, line) in verdicts(&batch.results, expect) {
        outcome = outcome.and(if held { Outcome::Good } else { Outcome::Bad });
        match json {
            true => eprintln!("{line}"),
            false => println!("{line}"),
        }
    }
    for trouble in troubles(batch) {
        outcome = Outcome::Bad;
        eprintln!("{trouble}");
    }
    if !batch.results.runs().is_empty() {
        let files = write_all(&batch.results, folder).context("can't write the results")?;
        if !json {
            println!("{} files in {}", files.len(), folder.display());
        }
    }
    Ok(outcome)
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
    let violated = batch.violations.iter().flat_map(|(variant, seed, violations)| {
        violations.iter().map(move |violation| {
            let at_s = violation.at_ns as f64 / 1e9;
            let (node, invariant, what) = (violation.node, &violation.invariant, &violation.what);
            format!("VIOLATED {variant} seed {seed}: {invariant}, at {at_s:.3} s at node {node}: {what}")
        })
    });
    let failed = batch.failed.iter().map(|(variant, seed, error)| format!("FAILED {variant} seed {seed}: {error}"));
    let stopped =
        (batch.stopped > 0).then(|| format!("stopped: {} runs were not made; what was made is kept", batch.stopped));
    violated.chain(failed).chain(stopped).collect()
}

/// Where results go unless said.
pub fn folder(asked: Option<&Path>, name: &str) -> PathBuf {
    asked.map_or_else(|| PathBuf::from("target/sim").join(name), Path::to_owned)
}
