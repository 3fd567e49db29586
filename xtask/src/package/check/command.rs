//! Where no container can be booted: each service's own command, out of the extracted package, says that it is ready and
//! stops when it is asked to. Its sandbox is not part of this.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::super::Package;
use super::{folder, unit, word};
use crate::step;

/// How long a node may take to be ready, or to stop, on a machine with other things to do.
const WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

pub fn check(package: &Package) -> anyhow::Result<()> {
    let root = folder(package, "command")?;
    step::read(step::program("dpkg-deb", ["--extract", word(&package.file)?, word(&root)?]))?;
    for places in [unit::SYSTEM, unit::USER] {
        let file = unit::find(&root, places)?;
        let text = fs::read_to_string(&file).with_context(|| format!("reading {} failed", file.display()))?;
        start_and_stop(&root, &text).with_context(|| format!("the command of {}", places[0]))?;
    }
    Ok(())
}

fn start_and_stop(root: &Path, unit: &str) -> anyhow::Result<()> {
    let line = unit::values(unit, "ExecStart").next().context("no ExecStart")?;
    eprintln!("=== check: {line} says that it is ready, and stops");
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty ExecStart")?;
    let socket = root.join("notify");
    let _ = fs::remove_file(&socket);
    let manager = UnixDatagram::bind(&socket).with_context(|| format!("listening on {} failed", socket.display()))?;
    manager.set_read_timeout(Some(LOOK))?;
    let mut command = Command::new(root.join(program.trim_start_matches('/')));
    command.args(words).env("NOTIFY_SOCKET", &socket).env("HOME", root.join("home")).env_remove("MESH_DATA");
    command.env_remove("XDG_DATA_HOME");
    for value in unit::values(unit, "Environment") {
        let (name, value) = value.split_once('=').context("an Environment without a value")?;
        // What is a folder of the system there is one of ours here.
        command.env(name, root.join(value.trim_start_matches('/')));
    }
    let mut node = Node(command.spawn().with_context(|| format!("starting {program} failed"))?);
    wait_for(&manager, "READY=1", &mut node)?;
    step::read(step::program("kill", ["-TERM", &node.0.id().to_string()]))?;
    let status = node.end()?;
    ensure!(status.success(), "asked to stop, it ended with {status}");
    Ok(())
}

fn wait_for(manager: &UnixDatagram, word: &str, node: &mut Node) -> anyhow::Result<()> {
    let deadline = Instant::now() + WAIT;
    let mut buffer = [0; 4096];
    while Instant::now() < deadline {
        match manager.recv(&mut buffer) {
            Ok(length) if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == word) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if let Some(status) = node.0.try_wait()? {
                    bail!("it ended with {status} and never said {word}");
                }
            }
            Err(error) => return Err(error).context("listening to it failed"),
        }
    }
    bail!("it did not say {word} in {} s", WAIT.as_secs())
}

/// A started node, which ends with this value.
struct Node(Child);

impl Node {
    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + WAIT;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(LOOK);
        }
        bail!("asked to stop, it still ran after {} s", WAIT.as_secs())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
