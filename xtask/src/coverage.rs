//! `cargo xtask coverage`: which lines the tests reach.
//!
//! The toolchain brings no llvm-tools; Debian's llvm-19 reads the profiles of this compiler, older ones do not.

use std::env;
use std::path::Path;

use anyhow::bail;
use clap::Args;

use crate::step;

#[derive(Args)]
pub struct Options {
    /// Writes pages for a browser instead of a table.
    #[arg(long)]
    html: bool,
    /// Measures one package only.
    #[arg(long, short)]
    package: Option<String>,
}

const TOOLS: [(&str, &str); 2] = [("LLVM_COV", "/usr/bin/llvm-cov-19"), ("LLVM_PROFDATA", "/usr/bin/llvm-profdata-19")];

pub fn run(options: &Options) -> anyhow::Result<()> {
    if !step::has_cargo_command("llvm-cov") {
        bail!("cargo-llvm-cov is not installed: cargo install cargo-llvm-cov");
    }
    let runner: &[&str] = if step::has_cargo_command("nextest") { &["llvm-cov", "nextest"] } else { &["llvm-cov"] };
    let selection = match &options.package {
        Some(package) => vec!["--package", package],
        None => vec!["--workspace"],
    };
    let form: &[&str] = if options.html { &["--html"] } else { &[] };
    let mut command = step::cargo(&[runner, &selection, form].concat());
    for (variable, path) in TOOLS {
        if env::var_os(variable).is_some() {
            continue;
        }
        if !Path::new(path).exists() {
            bail!("{path} is missing: apt-get install llvm-19, or say in {variable} where your own is");
        }
        command.env(variable, path);
    }
    step::run(command)
}
