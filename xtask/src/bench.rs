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
    /// One seed and eight getters on 100 Mbit/s links, beside other programs; needs root.
    Crowd,
    /// A small file over a slow link that is cut again and again; needs root.
    Cut,
    /// One source and one getter far apart, beside iperf3; needs root.
    Far,
    /// Seven experiments on real nodes and in the simulator; needs root.
    Fidelity,
    /// The part of hashing in a transfer as fast as the wire, by perf's samples; needs root.
    Hashing,
    /// Nodes that know each other and have nothing to do; needs root.
    Idle,
    /// A new node among twenty; needs root.
    Join,
    /// A getter and its sources over shaped links, beside iperf3; needs root.
    Lan,
    /// One source and one getter on this machine, beside other programs.
    Loopback,
    /// Both ends of very large files, one of them made up on the way.
    Memory,
    /// What is fetched again after `kill -9`, and after a power cut.
    Refetch,
    /// A node with many shared files comes back.
    Restart,
    /// Sharing a large file, beside b3sum.
    Share,
    /// The simulator's kernel, beside its bare event queue.
    Sim,
    /// The simulator with the product's nodes.
    SimNodes,
    /// A tree of many small files, beside rsync.
    Tree,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let binary = match options.measurement {
        Measurement::Crowd => "bench-crowd",
        Measurement::Cut => "bench-cut",
        Measurement::Far => "bench-far",
        Measurement::Fidelity => "bench-fidelity",
        Measurement::Hashing => "bench-hashing",
        Measurement::Idle => "bench-idle",
        Measurement::Join => "bench-join",
        Measurement::Lan => "bench-lan",
        Measurement::Loopback => "bench-loopback",
        Measurement::Memory => "bench-memory",
        Measurement::Refetch => "bench-refetch",
        Measurement::Restart => "bench-restart",
        Measurement::Share => "bench-share",
        Measurement::Sim => "bench-sim",
        Measurement::SimNodes => "bench-sim-nodes",
        Measurement::Tree => "bench-tree",
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
