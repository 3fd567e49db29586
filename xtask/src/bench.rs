//! `cargo xtask bench`: runs a measurement of `benches/` with everything built for release.

use clap::{Args, ValueEnum};

use crate::step;

#[derive(Args)]
pub struct Options {
    /// Which measurement.
    measurement: Measurement,
    /// Its own options; `-- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measurement {
    /// Seven experiments on real nodes and in the simulator; needs root.
    Fidelity,
    /// One source and one getter over a 100 Mbit/s link, beside iperf3; needs root.
    Lan,
    /// One source and one getter on this machine, beside other programs.
    Loopback,
    /// A node with many shared files comes back.
    Restart,
    /// The simulator's kernel, beside its bare event queue.
    Sim,
    /// The simulator with the product's nodes.
    SimNodes,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let binary = match options.measurement {
        Measurement::Fidelity => "bench-fidelity",
        Measurement::Lan => "bench-lan",
        Measurement::Loopback => "bench-loopback",
        Measurement::Restart => "bench-restart",
        Measurement::Sim => "bench-sim",
        Measurement::SimNodes => "bench-sim-nodes",
    };
    // One build of all, so that the node lies beside the measurement.
    step::run(step::cargo(&["build", "--release", "-p", "mesh-node", "-p", "mesh-benches", "--bins"]))?;
    let metadata = crate::tidy::metadata()?;
    let folder = metadata["target_directory"].as_str().unwrap_or("target").to_owned();
    let mut command = std::process::Command::new(format!("{folder}/release/{binary}"));
    command.env("MESH_NODE_BIN", format!("{folder}/release/mesh-node"));
    command.args(options.words.iter().filter(|word| *word != "--"));
    step::run(command)
}
