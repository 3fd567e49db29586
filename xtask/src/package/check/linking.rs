//! How the packaged program is linked, as its ELF headers say it, and that it does its job.

use anyhow::{bail, ensure};

use super::super::{Linking, Package};
use super::word;
use crate::step;

pub fn check(package: &Package) -> anyhow::Result<()> {
    eprintln!("=== check: linked as asked");
    let program = package.source.join("mesh-node");
    let program = word(&program)?;
    let header = step::read(step::program("readelf", ["--file-header", "--program-headers", "--dynamic", program]))?;
    let needed: Vec<&str> = header.lines().filter(|line| line.contains("(NEEDED)")).map(str::trim).collect();
    let loader = header.contains("INTERP");
    ensure!(header.contains("DYN (Position-Independent Executable file)"), "the program is not position-independent");
    match package.linking {
        Linking::Dynamic => ensure!(loader && !needed.is_empty(), "a dynamic program needs a loader and libraries"),
        Linking::Static => {
            ensure!(!loader && needed.is_empty(), "the program is not static: {}", needed.join(", "));
            // Also that no library of the system is loaded while it runs.
            step::run(step::program(program, ["demo"]))?;
        }
    }
    without_our_paths(program)
}

/// Looks for the folders that the compiler saw.
fn without_our_paths(program: &str) -> anyhow::Result<()> {
    let bytes = std::fs::read(program)?;
    let here = std::env::current_dir()?;
    let home = std::env::home_dir().map(|home| home.join(".cargo"));
    for path in [Some(here), home].into_iter().flatten() {
        let path = path.to_string_lossy().into_owned();
        if bytes.windows(path.len()).any(|window| window == path.as_bytes()) {
            bail!("the program has {path} in it, a folder of the machine it was built on");
        }
    }
    Ok(())
}
