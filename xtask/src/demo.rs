//! `cargo xtask demo`: the main job on one machine, start to end.

use clap::Args;

use crate::step;

#[derive(Args)]
pub struct Options {
    /// What to share; something made up if it is left out.
    path: Option<String>,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut command = step::cargo(&["run", "--release", "-p", "mesh-node", "--", "demo"]);
    command.args(&options.path);
    step::run(command)
}
