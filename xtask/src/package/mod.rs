//! `cargo xtask package`: the Debian package, from the commit to the checked file.
//!
//! Debian's own debhelper makes the package; what is here builds the program, lets it write its pages, and lays out
//! the tree that debhelper reads.
//!
//! | step | file |
//! |---|---|
//! | which version, and of what time | `revision` |
//! | the program, linked dynamically or not, without the paths of this machine | `program` |
//! | the tree that debhelper reads | `source` |
//! | the licences of what is linked in | `licences` |
//! | the archive | `archive` |

mod archive;
mod licences;
mod program;
mod revision;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use program::Linking;
use revision::Revision;

#[derive(Args)]
pub struct Options {
    /// Where the package goes, and the program beside it if it is static; by default `package/` in cargo's target folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Links everything in, so that the program needs no library of the system.
    #[arg(long = "static")]
    statically: bool,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    archive::require_tools()?;
    let linking = if options.statically { Linking::Static } else { Linking::Dynamic };
    let revision = Revision::of_workspace(linking)?;
    let scratch = crate::tidy::metadata()?["target_directory"].as_str().map(Path::new).map(|path| path.join("package"));
    let scratch = scratch.context("cargo metadata names no target directory")?;
    let out = options.out.clone().unwrap_or_else(|| scratch.clone());
    fs::create_dir_all(&out).with_context(|| format!("making {} failed", out.display()))?;

    let program = program::build(linking, &scratch)?;
    let tree = scratch.join("source").join(format!("mesh-node-{}", revision.upstream));
    source::lay_out(&tree, &program, &revision, linking)?;
    let file = archive::make(&tree, &revision, &out)?;
    println!("{}", file.display());
    if linking == Linking::Static {
        let bare = out.join(format!("mesh-node-{}-{}", revision.upstream, std::env::consts::ARCH));
        fs::copy(&program, &bare).with_context(|| format!("copying the program to {} failed", bare.display()))?;
        println!("{}", bare.display());
    }
    Ok(())
}
