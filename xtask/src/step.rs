//! One step of a command: a program that is run, shown, and must succeed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

/// Moves to the folder of the workspace, so that every path in here is relative to it.
pub fn enter_workspace() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from);
    let folder = folder.context("xtask lies in a folder of the workspace")?;
    env::set_current_dir(&folder).with_context(|| format!("entering {} failed", folder.display()))
}

/// Cargo, as it called us.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Runs a command, showing what it is and how long it took.
pub fn run(mut command: Command) -> anyhow::Result<()> {
    let shown = shown(&command);
    eprintln!("=== {shown}");
    let began = Instant::now();
    let status = command.status().with_context(|| format!("starting `{shown}` failed"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    eprintln!("=== {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Becomes a command, as the last thing that is done: its exit code is ours, and Ctrl-C is for it alone.
pub fn hand_over(mut command: Command) -> anyhow::Result<()> {
    let shown = shown(&command);
    eprintln!("=== {shown}");
    let error = replace_by(&mut command);
    Err(error).with_context(|| format!("starting `{shown}` failed"))
}

/// Comes back only if the command can't be started.
#[cfg(unix)]
fn replace_by(command: &mut Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

/// Comes back only if the command can't be started.
#[cfg(not(unix))]
fn replace_by(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

/// What a command prints; `None` if it can't be run or fails.
pub fn output_of(mut command: Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a command prints; the error says what it said instead.
pub fn read(mut command: Command) -> anyhow::Result<String> {
    let shown = shown(&command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting `{shown}` failed"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program with its arguments.
pub fn program<'a>(name: impl AsRef<std::ffi::OsStr>, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(name);
    command.args(arguments);
    command
}

/// Whether a cargo subcommand is installed.
pub fn has_cargo_command(name: &str) -> bool {
    output_of(cargo(&[name, "--version"])).is_some()
}

/// Where a program lies on the PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
