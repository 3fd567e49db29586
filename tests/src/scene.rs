//! What most tests begin with: sources that share one file, and a getter that wants it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::folder::Folder;
use crate::node::{TestNode, bare_ticket};
use crate::process::{Outcome, Running};
use crate::{files, json};

/// Sources that share one file, and a getter. Fields end in their order: the nodes before the folder they work in.
#[derive(Debug)]
pub struct Scene {
    /// Who shares the file; all run.
    pub sources: Vec<TestNode>,
    /// Who wants it; it runs.
    pub getter: TestNode,
    /// The folder that holds everything.
    pub folder: Folder,
    /// The file.
    pub file: PathBuf,
    /// The ticket that the last source gave.
    pub ticket: String,
}

impl Scene {
    /// Starts the sources, lets each share a file of so many random bytes, then starts the getter.
    ///
    /// # Panics
    /// If there is no source, or a node does not start.
    #[must_use]
    pub fn new(folder: Folder, mut sources: Vec<TestNode>, mut getter: TestNode, bytes: u64) -> Self {
        let file = folder.random_file("file", bytes);
        let mut ticket = None;
        for source in &mut sources {
            source.up();
            // The same bytes are the same content, whoever shares them.
            ticket = Some(source.share(&file));
        }
        getter.up();
        Self { sources, getter, folder, file, ticket: ticket.expect("a scene has a source") }
    }

    /// One source and a getter on this machine, on the loopback interface.
    #[must_use]
    pub fn on_loopback(bytes: u64) -> Self {
        let folder = Folder::new();
        let source = TestNode::on_loopback(&folder.path("source"));
        let getter = TestNode::on_loopback(&folder.path("getter"));
        Self::new(folder, vec![source], getter, bytes)
    }

    /// The same, with a source that sends at most so fast, like `1MiB/s`.
    #[must_use]
    pub fn slow_on_loopback(bytes: u64, rate: &str) -> Self {
        let scene = Self::on_loopback(bytes);
        let _ = scene.source().run(&["limit", "--up", rate]);
        scene
    }

    /// The only source, or the first.
    #[must_use]
    pub fn source(&self) -> &TestNode {
        &self.sources[0]
    }

    /// The content's id.
    ///
    /// # Panics
    /// If the ticket is not one.
    #[must_use]
    pub fn id(&self) -> String {
        let bare = bare_ticket(&self.ticket);
        bare.strip_prefix("mesh:").expect("a ticket begins so").to_owned()
    }

    /// Where the file will lie at the getter.
    #[must_use]
    pub fn copy(&self) -> PathBuf {
        self.folder.path("copy")
    }

    /// Waits until the getter sees all sources, fetches by the content's id alone, and compares; the report.
    ///
    /// # Panics
    /// If the sources are not found within `discovery`, or the copy is not the file.
    #[must_use]
    pub fn find_and_fetch(&self, discovery: Duration) -> Value {
        self.getter.wait_for_peers(self.sources.len() as u64, discovery);
        let report = self.getter.fetch(&bare_ticket(&self.ticket), &self.copy());
        self.assert_fetched();
        report
    }

    /// Fetches with the whole ticket, and compares; the report.
    ///
    /// # Panics
    /// If it fails, or the copy is not the file.
    #[must_use]
    pub fn fetch(&self) -> Value {
        let report = self.getter.fetch(&self.ticket, &self.copy());
        self.assert_fetched();
        report
    }

    /// Starts to fetch with the whole ticket; the process prints events.
    #[must_use]
    pub fn start_fetch(&self) -> Running {
        self.getter.start_fetch(&self.ticket, &self.copy())
    }

    /// Starts to fetch, and waits until some bytes are here.
    #[must_use]
    pub fn begin_fetch(&self) -> Running {
        let mut fetch = self.start_fetch();
        let _ = fetch.wait_for_bytes(1, Duration::from_secs(20));
        fetch
    }

    /// Tries to fetch a ticket to a path; how that ended.
    #[must_use]
    pub fn try_get(&self, ticket: &str, target: &str) -> Outcome {
        self.getter.try_run(&["get", ticket, "-o", target])
    }

    /// What the getter's `ls` says of the content; `None` if it is not there.
    #[must_use]
    pub fn at_getter(&self) -> Option<Value> {
        self.getter.content(&self.id())
    }

    /// # Panics
    /// If the copy is not the file.
    pub fn assert_fetched(&self) {
        files::assert_same_file(&self.file, &self.copy());
    }

    /// Stops all nodes, and replays what their brains did.
    ///
    /// # Panics
    /// If a node ends with an error, or does not replay.
    pub fn stop_and_replay(self) {
        self.sources.into_iter().for_each(TestNode::stop_and_replay);
        self.getter.stop_and_replay();
    }
}

/// Verified bytes by source, from a report.
///
/// # Panics
/// If it is no report.
#[must_use]
pub fn given(report: &Value) -> Vec<u64> {
    sources(report).iter().map(|source| json::number(source, "bytes")).collect()
}

/// The sources of a report.
///
/// # Panics
/// If it is no report.
#[must_use]
pub fn sources(report: &Value) -> &[Value] {
    json::find(report, "sources").and_then(Value::as_array).expect("a report names its sources")
}
