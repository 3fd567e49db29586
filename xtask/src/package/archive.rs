//! The archive: debhelper, through dpkg-buildpackage, makes it of the tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::revision::Revision;
use crate::step;

/// Checks that what makes packages is installed.
///
/// # Errors
/// Says what is missing and how to get it.
pub fn require_tools() -> anyhow::Result<()> {
    let missing: Vec<&str> =
        ["dpkg-buildpackage", "dh"].into_iter().filter(|name| step::find_program(name).is_none()).collect();
    if !missing.is_empty() {
        bail!("{} not installed: apt-get install dpkg-dev debhelper", missing.join(", "));
    }
    Ok(())
}

/// Makes it and puts it into `out`.
///
/// # Errors
/// If debhelper is not content.
pub fn make(tree: &Path, revision: &Revision, out: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("mesh-node_{}_{}.deb", revision.debian(), architecture()?);
    let mut command = step::program("dpkg-buildpackage", ["--build=binary", "--no-sign"]);
    // The flags of C and Rust are of no use here, and its jobs are not those of cargo.
    command.current_dir(tree).env("SOURCE_DATE_EPOCH", revision.epoch.to_string()).env_remove("MAKEFLAGS");
    step::run(command)?;
    let made = tree.parent().context("the tree lies in a folder")?.join(&name);
    let file = out.join(&name);
    fs::copy(&made, &file).with_context(|| format!("copying {} to {} failed", made.display(), file.display()))?;
    Ok(file)
}

/// What Debian calls this machine's kind.
fn architecture() -> anyhow::Result<String> {
    Ok(step::read(step::program("dpkg", ["--print-architecture"]))?.trim().to_owned())
}
