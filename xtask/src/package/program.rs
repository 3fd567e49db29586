//! The program that is packaged, and what it writes about itself.
//!
//! Invariant: no path of the machine it was built on is in it, so that the same sources give the same bytes elsewhere.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::step;

/// Shells whose completions are packaged, each with the name of the file that shell looks for.
pub const SHELLS: [(&str, &str); 3] = [("bash", "mesh-node"), ("zsh", "_mesh-node"), ("fish", "mesh-node.fish")];

/// Where the program finds the libraries of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linking {
    /// In the system it runs on.
    Dynamic,
    /// In itself, at whatever address it is loaded (static-pie).
    Static,
}

/// Builds it for release, in a folder of its own: its flags differ from those of other builds.
///
/// # Errors
/// If it does not build.
pub fn build(linking: Linking, scratch: &Path) -> anyhow::Result<PathBuf> {
    let mut command = match linking {
        Linking::Dynamic => step::cargo(&["build"]),
        // The flag goes to the last step alone: how libraries of the system are linked is decided there, so that
        // everything else is built once for both.
        Linking::Static => step::cargo(&["rustc"]),
    };
    command.args(["--locked", "--release", "-p", "mesh-node", "--bin", "mesh-node", "--target-dir"]).arg(scratch);
    if linking == Linking::Static {
        command.args(["--", "-C", "target-feature=+crt-static"]);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", flags(scratch)?.join("\x1f"));
    step::run(command)?;
    Ok(scratch.join("release").join("mesh-node"))
}

/// The flags somebody asked for, and those that take this machine's paths out.
fn flags(scratch: &Path) -> anyhow::Result<Vec<String>> {
    let asked = match (env::var("CARGO_ENCODED_RUSTFLAGS"), env::var("RUSTFLAGS")) {
        (Ok(encoded), _) => encoded.split('\x1f').map(ToOwned::to_owned).collect(),
        (_, Ok(words)) => words.split_whitespace().map(ToOwned::to_owned).collect(),
        _ => Vec::new(),
    };
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let home = home.context("where cargo keeps its sources is unknown: set HOME or CARGO_HOME")?;
    let workspace = env::current_dir().context("finding the workspace failed")?;
    // Of those that fit, the last one counts.
    let places = [(home.join("registry/src"), "/cargo"), (workspace, "/mesh"), (scratch.to_owned(), "/mesh/target")];
    let hidden = places.map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()));
    Ok(asked.into_iter().chain(hidden).collect())
}

/// Lets it write its manual pages and completions into folders of these names.
///
/// # Errors
/// If the program fails, or the folders can't be written.
pub fn describe(program: &Path, folder: &Path) -> anyhow::Result<()> {
    let pages = folder.join("man");
    let mut command = Command::new(program);
    command.arg("man").arg(&pages);
    step::read(command)?;
    for (shell, file) in SHELLS {
        let text = step::read(step::program(program, ["completions", shell]))?;
        let path = folder.join("completions").join(shell).join(file);
        write(&path, &text)?;
    }
    Ok(())
}

/// Writes a file, making the folders above it.
///
/// # Errors
/// If that fails.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, text));
    written.with_context(|| format!("writing {} failed", path.display()))
}
