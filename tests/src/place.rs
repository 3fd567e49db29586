//! Where a process runs: on this machine as it is or for another user, or on a host of a test network.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::process::{Command, Output, Stdio};

use crate::program;

/// A place for processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// This machine.
    Here,
    /// A network namespace.
    Namespace(String),
    /// This machine as it is, for a user by number who owns nothing here.
    User(u32),
}

/// A user nobody is.
const STRANGER: u32 = 54_321;

/// Whether this process may do anything.
#[must_use]
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).and_then(|ids| ids.split_whitespace().nth(1));
    user == Some("0")
}

impl Place {
    /// This machine for a user whom permissions stop; `None`, with the reason printed, if there can't be one.
    #[must_use]
    pub fn stranger() -> Option<Self> {
        let place = Self::User(STRANGER);
        let mut probe = place.command(program::path());
        let runs = probe.arg("--version").output().is_ok_and(|output| output.status.success());
        if !is_root() || !runs {
            eprintln!("SKIPPED: running the program as another user needs root, setpriv, and a program he may run");
            return None;
        }
        Some(place)
    }

    /// A command that will run there. Its process id is that of the program: `ip netns exec` and `setpriv` become it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Here => Command::new(program),
            Self::Namespace(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
            Self::User(user) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={user}")]).arg("--clear-groups").arg(program);
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
