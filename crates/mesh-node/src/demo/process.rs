//! One node of the demo: this very program in a process of its own, driven through its API.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mesh_node::api::outcome::Outcome;
use mesh_node::api::{Client, EventReader};
use mesh_proto::NodeId;
use mesh_proto::address::with_node;
use mesh_proto::port::view::StatusView;
use mesh_proto::port::{UserCommand, UserReply};

use crate::cli::fault::Fault;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_DELAY: Duration = Duration::from_millis(50);
/// Lines of a node's log that are shown if it fails.
const LOG_LINES: usize = 12;
/// Tells a node to send wrong bytes, for the test that a source which does is banned.
const CORRUPT_VARIABLE: &str = "MESH_TEST_CORRUPT";

/// A node that runs. It ends with this value at the latest.
pub struct Process {
    /// Its name in the demo.
    pub name: &'static str,
    child: Child,
    log: PathBuf,
    client: Client,
    status: StatusView,
}

/// How a node is run.
pub struct Setting<'a> {
    /// Its name in the demo.
    pub name: &'static str,
    /// The demo's folder.
    pub root: &'a Path,
    /// Whom it knows.
    pub peers: Vec<String>,
    /// Whether it sends wrong bytes.
    pub corrupt: bool,
}

impl Process {
    /// Starts it and waits until it can be reached.
    ///
    /// # Errors
    /// A [`Fault`] with the end of its log.
    pub async fn start(setting: Setting<'_>) -> Result<Self, Fault> {
        let data = setting.root.join(format!("{}-data", setting.name));
        let log = setting.root.join(format!("{}.log", setting.name));
        let mut child = spawn(&setting, &data, &log)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(failed(setting.name, &format!("ended at once ({status})"), &log));
            }
            if let Some((client, status)) = reached(&data).await {
                return Ok(Self { name: setting.name, child, log, client, status });
            }
            if Instant::now() >= deadline {
                end(&mut child);
                return Err(failed(setting.name, "does not answer", &log));
            }
            tokio::time::sleep(POLL_DELAY).await;
        }
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.status.node
    }

    /// Where it can be reached.
    pub fn addresses(&self) -> Vec<String> {
        self.status.listening.iter().map(|address| with_node(address, self.status.node)).collect()
    }

    /// Asks it for something.
    ///
    /// # Errors
    /// A [`Fault`] that names the node.
    pub async fn ask(&self, command: UserCommand) -> Result<UserReply, Fault> {
        match self.client.request(&command).await {
            Ok(UserReply::Failed(error)) => {
                let fault = Fault::from(error);
                Err(Fault { message: format!("{}: {}", self.name, fault.message), ..fault })
            }
            Ok(reply) => Ok(reply),
            Err(error) => Err(failed(self.name, &error.to_string(), &self.log)),
        }
    }

    /// Hears what happens there.
    ///
    /// # Errors
    /// A [`Fault`] that names the node.
    pub async fn events(&self) -> Result<EventReader, Fault> {
        self.client.events().await.map_err(|error| failed(self.name, &error.to_string(), &self.log))
    }

    /// Says what went wrong there, with the end of its log.
    pub fn fault(&self, what: &str) -> Fault {
        failed(self.name, what, &self.log)
    }

    /// Stops it cleanly, or at once if it does not listen.
    pub async fn stop(mut self) {
        if self.client.stop().await.is_ok() {
            let deadline = Instant::now() + STOP_TIMEOUT;
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                tokio::time::sleep(POLL_DELAY).await;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself: then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
}

fn spawn(setting: &Setting<'_>, data: &Path, log: &Path) -> Result<Child, Fault> {
    let failed = |error| Fault::from_io(&format!("starting the node {}", setting.name), &error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("--data").arg(data).args(["up", "--no-mdns", "--stop-with-stdin"]);
    command.args(["--listen", "/ip4/127.0.0.1/tcp/0"]);
    for peer in &setting.peers {
        command.args(["--peer", peer]);
    }
    if setting.corrupt {
        command.env(CORRUPT_VARIABLE, "1");
    }
    // The pipe to its standard input closes when this process ends, however it ends: then the node stops, too.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(log).map_err(failed)?);
    command.spawn().map_err(failed)
}

async fn reached(data: &Path) -> Option<(Client, StatusView)> {
    let client = Client::find(data).await?;
    match client.request(&UserCommand::Status).await {
        Ok(UserReply::Status(status)) if !status.listening.is_empty() => Some((client, *status)),
        _ => None,
    }
}

fn failed(name: &str, what: &str, log: &Path) -> Fault {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    let cure = if last.is_empty() { String::new() } else { format!("The end of its log:\n{last}") };
    Fault::new(Outcome::Internal, format!("{name}'s node {what}"), cure)
}
