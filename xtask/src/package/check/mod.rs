//! `cargo xtask package --check`: whether the package is what it should be, from its bytes to its running services.
//!
//! | what | file |
//! |---|---|
//! | the program is linked as asked, and knows no path of this machine | `linking` |
//! | everything is in the archive, with owners, modes and dependencies | `contents` |
//! | made again, it has the same bytes | `again` |
//! | lintian, and what systemd says of the services | `lint` |
//! | its services start and stop under a real systemd, in their sandboxes | `boot`, and inside the container `installed` |
//! | where no container can be booted, each service's command says that it is ready, and stops | `command` |
//!
//! Invariant: what can't be checked here is said, and a check that can be done is never skipped.

mod again;
mod boot;
mod command;
mod contents;
pub mod installed;
mod linking;
mod lint;
mod unit;

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context as _;

use super::Package;

/// Set where a container is known to boot: then a check that can't be done is one that failed.
const REQUIRE_BOOT: &str = "MESH_REQUIRE_BOOT";

pub fn run(package: &Package) -> anyhow::Result<()> {
    linking::check(package)?;
    contents::check(package)?;
    again::check(package)?;
    lint::check(package)?;
    match boot::obstacle(package)? {
        None => boot::check(package),
        Some(obstacle) => {
            anyhow::ensure!(std::env::var_os(REQUIRE_BOOT).is_none(), "no container was booted: {obstacle}");
            eprintln!("SKIPPED: the package installed, and its services in their sandboxes: {obstacle}");
            command::check(package)
        }
    }
}

/// An empty folder for one check.
fn folder(package: &Package, name: &str) -> anyhow::Result<PathBuf> {
    let path = package.scratch.join("check").join(name);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {} failed", path.display()));
        }
        _ => {}
    }
    fs::create_dir_all(&path).with_context(|| format!("making {} failed", path.display()))?;
    path.canonicalize().with_context(|| format!("finding {} failed", path.display()))
}

/// A path as a word of a command.
fn word(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
