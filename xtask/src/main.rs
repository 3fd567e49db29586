//! `cargo xtask COMMAND`: what is done to this workspace, each as one command.
//!
//! Invariant: nothing here installs anything, and nothing is skipped without a word. Each command lives in a file of
//! its own name; start with `ci`, which calls the others.

mod bench;
mod ci;
mod coverage;
mod demo;
mod fuzz;
mod package;
mod sim;
mod step;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and measures Mesh.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs all tests: with cargo-nextest if it is installed, else with cargo test; documentation tests, too.
    ///
    /// The tests between network namespaces are part of it. They need root, ip, tc and nft; without these they are
    /// skipped, and that is said at the start and at the end.
    Test(test::Options),
    /// Runs the tests whose names end with `_soak`, each for minutes: crashes, damage, full disks by the hundred.
    Soak(test::Options),
    /// Runs what a change must pass: format, lints, documentation, tidy, dependency policy, tests.
    Ci(ci::Options),
    /// Checks what the compiler does not: layers, file heads, file lengths, glob imports, bans, generated documents.
    Tidy,
    /// Measures which lines the tests reach, with cargo-llvm-cov and Debian's llvm-19.
    Coverage(coverage::Options),
    /// Measures speed: `lan` over a shaped network, `loopback` beside other programs.
    Bench(bench::Options),
    /// Runs the demonstration: three nodes on this machine.
    Demo(demo::Options),
    /// Tries decoders on bytes nobody thought of, with libFuzzer.
    Fuzz(fuzz::Options),
    /// Builds the Debian package, with manual pages, completions and services; `--check` installs and starts it.
    Package(package::Options),
    /// What `package --check` does inside the container it boots.
    #[command(hide = true)]
    PackageInstalled(package::InstalledOptions),
    /// Runs scenarios in the simulator: whole networks in virtual time.
    Sim(sim::Options),
    /// Shows that the simulator finds defects that are planted on purpose: a table of all of them.
    SimPlanted(sim::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    // Where this runs, the workspace need not be.
    if let Command::PackageInstalled(options) = command {
        return package::check_installed(&options);
    }
    step::enter_workspace()?;
    match command {
        Command::Test(options) => test::run(&options),
        Command::Soak(options) => test::run_soak(&options),
        Command::Ci(options) => ci::run(&options),
        Command::Tidy => tidy::run(),
        Command::Coverage(options) => coverage::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Package(options) => package::run(&options),
        Command::PackageInstalled(options) => package::check_installed(&options),
        Command::Sim(options) => sim::run(&options),
        Command::SimPlanted(options) => sim::run_planted(&options),
    }
}
