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
        println!("{}", table::terminal(&chosen(&batch.results, measures)?));
    }
    outcome = outcome.and(verdicts(&batch.results, expect, json));
    for (variant, seed, violations) in &batch.violations {
        outcome = Outcome::Bad;
        for violation in violations {
            let at_s = violation.at_ns as f64 / 1e9;
            let (node, invariant, what) = (violation.node, &violation.invariant, &violation.what);
            eprintln!("VIOLATED {variant} seed {seed}: {invariant}, at {at_s:.3} s at node {node}: {what}");
        }
    }
    for (variant, seed, error) in &batch.failed {
        outcome = Outcome::Bad;
        eprintln!("FAILED {variant} seed {seed}: {error}");
    }
    if batch.stopped > 0 {
        eprintln!("stopped: {} runs were not made; what was made is kept", batch.stopped);
        outcome = Outcome::Bad;
    }
    if !batch.results.runs().is_empty() {
        let files = write_all(&batch.results, folder).context("can't write the results")?;
        if !json {
            println!("{} files in {}", files.len(), folder.display());
        }
    }
    Ok(outcome)
}

/// The results with the chosen measures only, or all.
fn chosen(results: &Results, measures: &[String]) -> anyhow::Result<Results> {
    match measures.is_empty() {
        true => Ok(results.clone()),
        false => Ok(results.clone()),
    }
}

fn verdicts(results: &Results, expect: &[Expectation], json: bool) -> Outcome {
    let mut outcome = Outcome::Good;
    for variant in results.variants() {
        for expectation in expect {
            let line = match expectation.check(&variant) {
                Ok(verdict) if verdict.held => format!("held    {verdict}"),
                Ok(verdict) => {
                    outcome = Outcome::Bad;
                    format!("NOT HELD {verdict}")
                }
                Err(error) => {
                    outcome = Outcome::Bad;
                    format!("NOT HELD {}: {error}", expectation.measure())
                }
            };
            match json {
                true => eprintln!("{} {line}", variant.label()),
                false => println!("{} {line}", variant.label()),
            }
        }
    }
    outcome
}

/// Where results go unless said.
pub fn folder(asked: Option<&Path>, name: &str) -> PathBuf {
    asked.map_or_else(|| PathBuf::from("target/sim").join(name), Path::to_owned)
}
