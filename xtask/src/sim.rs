//! `cargo xtask sim`: the simulator's own program, built with optimisations, with whatever is said behind `sim`.

use clap::Args;

use crate::step;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// `list`, `run`, `sweep`, `compare`, `hunt`, `shrink`, `trace`, `snapshots`, `replay`, `docs`; `--help` tells more
    /// of each.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut command = step::cargo(&["run", "--quiet", "--release", "-p", "mesh-sim", "--bin", "mesh-sim", "--"]);
    command.args(&options.arguments);
    step::hand_over(command)
}

/// `cargo xtask sim-planted`: hunts for each planted defect, with nodes that no product has.
pub fn run_planted(options: &Options) -> anyhow::Result<()> {
    let program = ["run", "--quiet", "--release", "-p", "mesh-sim", "--features", "planted", "--bin", "mesh-sim", "--"];
    let mut command = step::cargo(&program);
    command.args(["hunt", "--plant", "all", "-o", "target/sim/planted"]).args(&options.arguments);
    step::hand_over(command)
}
