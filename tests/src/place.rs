//! Where a process runs: on this machine as it is, or on a host of a test network.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Output, Stdio};

/// A place for processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// This machine.
    Here,
    /// A network namespace.
    Namespace(String),
}

impl Place {
    /// A command that will run there. Its process id is that of the program: `ip netns exec` becomes it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Here => Command::new(program),
            Self::Namespace(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        }
    }
}

/// Runs a system tool; its words as one line.
///
/// # Panics
/// If it fails; the message holds what it said.
pub fn system(line: &str) -> String {
    let output = run(line).unwrap_or_else(|error| panic!("starting `{line}` failed: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "`{line}` failed: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a system tool and says whether it is there and succeeded.
#[must_use]
pub fn try_system(line: &str) -> bool {
    run(line).is_ok_and(|output| output.status.success())
}

fn run(line: &str) -> io::Result<Output> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a line names a program"));
    command.args(words).stdin(Stdio::null()).output()
}
