//! `cargo xtask package`: the Debian package, from the commit to the checked file.
//!
//! Debian's own debhelper makes the package; what is here builds the program, lets it write its pages, lays out the
//! tree that debhelper reads, and looks at what came of it.
//!
//! | step | file |
//! |---|---|
//! | which version, and of what time | `revision` |
//! | the program, linked dynamically or not, without the paths of this machine | `program` |
//! | the tree that debhelper reads | `source` |
//! | the licences of what is linked in | `licences` |
//! | the archive | `archive` |
//! | whether all that is right | `check` |

mod archive;
mod check;
mod licences;
mod program;
mod revision;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

pub use check::installed::{Options as InstalledOptions, run as check_installed};
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
    /// Looks at the package with lintian, makes it twice, installs it and starts its services.
    #[arg(long)]
    check: bool,
}

/// What was made, and what of.
pub struct Package {
    /// The archive.
    file: PathBuf,
    /// The tree it was made of.
    source: PathBuf,
    /// How its program is linked.
    linking: Linking,
    /// A folder that is ours to use.
    scratch: PathBuf,
    /// When what it holds was made, in seconds of Unix time.
    epoch: u64,
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
    match options.check {
        true => check::run(&Package { file, source: tree, linking, scratch, epoch: revision.epoch }),
        false => Ok(()),
    }
}
