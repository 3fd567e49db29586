//! Completions and manual pages, made from the definitions of the command line.

use std::path::Path;

use clap::CommandFactory as _;

use super::args::Cli;
use super::fault::Fault;
use super::output;

/// Prints completions.
///
/// # Errors
/// A [`Fault`] if they can't be written.
pub fn completions(shell: clap_complete::Shell) -> Result<(), Fault> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mesh-node", &mut text);
    output::say(String::from_utf8_lossy(&text).trim_end())
}

/// Writes manual pages into a folder, making it.
///
/// # Errors
/// A [`Fault`] if it can't be written.
pub fn man(folder: &Path) -> Result<(), Fault> {
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|error| Fault::from_io(&format!("writing manual pages into {}", folder.display()), &error))
}
