//! `mesh-sim COMMAND`, or `cargo xtask sim COMMAND`: runs scenarios of the simulator and shows what came of them.
//!
//! Invariant: what is asked for is checked before the first run begins; what was run before Ctrl-C is kept.

#![allow(clippy::disallowed_methods, reason = "the program shows how long it takes; the worlds it runs never ask")]

mod compare;
mod docs;
mod files;
mod hunting;
mod list;
mod looking;
#[cfg(feature = "planted")]
mod planting;
mod progress;
mod report;
mod running;
mod saying;
mod snapshots;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The simulator: whole networks of the real node in virtual time, the same run for the same seed.
#[derive(Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the scenarios, and what can be measured.
    List(list::Options),
    /// Runs a scenario over its seeds; prints a table, and writes results, plots and data.
    Run(running::RunOptions),
    /// Runs a scenario over all combinations of some values.
    Sweep(running::SweepOptions),
    /// Runs two scenarios, or reads two results, and compares them seed by seed.
    Compare(compare::Options),
    /// Looks for failing runs: random scenarios and faults until time is up; each failure is saved with its seed.
    Hunt(hunting::HuntOptions),
    /// Makes a failure smaller: the fewest faults, nodes and seconds that still fail.
    Shrink(hunting::ShrinkOptions),
    /// Shows the events of a run: filtered by time, node, kind, message and content; or writes them as Parquet.
    Trace(looking::TraceOptions),
    /// Writes how the network stands, again and again in a run: NetJSON and GraphML with every node, link and connection.
    Snapshots(snapshots::Options),
    /// Runs scenarios and writes their figures into docs/simulation.md.
    Docs(docs::Options),
    /// Runs a run twice: shows the first event that differs, if one does, and why it fails, by what the hunt asks.
    Replay(looking::ReplayOptions),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::List(options) => list::list(&options),
        Command::Run(options) => running::run(&options),
        Command::Sweep(options) => running::sweep(&options),
        Command::Compare(options) => compare::compare(&options),
        Command::Hunt(options) => hunting::hunt(&options),
        Command::Shrink(options) => hunting::shrink(&options),
        Command::Docs(options) => docs::docs(&options),
        Command::Trace(options) => looking::trace(&options),
        Command::Snapshots(options) => snapshots::snapshots(&options),
        Command::Replay(options) => looking::replay(&options),
    };
    match done {
        Ok(report::Outcome::Good) => ExitCode::SUCCESS,
        Ok(report::Outcome::Bad) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
