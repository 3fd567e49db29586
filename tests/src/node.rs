//! A node under test: a data folder, a place, and the process that runs on them.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::http::{self, Answer};
use crate::place::Place;
use crate::process::{Outcome, Running};
use crate::{journal, json, program, wait};

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const COMMAND_LIMIT: Duration = Duration::from_secs(300);

/// A node with its data folder, running or not.
#[derive(Debug)]
pub struct TestNode {
    place: Place,
    data: PathBuf,
    options: Vec<String>,
    variables: Vec<(String, String)>,
    up: Option<Running>,
}

impl TestNode {
    /// A node that does not run yet.
    #[must_use]
    pub fn new(place: Place, data: &Path) -> Self {
        fs::create_dir_all(data).expect("the data folder can be made");
        if let Place::User(user) = place {
            chown(data, Some(user), Some(user)).expect("root may give a folder away");
        }
        Self { place, data: data.to_owned(), options: Vec::new(), variables: Vec::new(), up: None }
    }

    /// A node on this machine that listens on the loopback interface only and finds nobody by itself.
    #[must_use]
    pub fn on_loopback(data: &Path) -> Self {
        Self::new(Place::Here, data).loopback_only()
    }

    /// Listens on the loopback interface only and finds nobody by itself.
    #[must_use]
    pub fn loopback_only(self) -> Self {
        self.with_options(&["--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"])
    }

    /// Adds options for every process that runs a node on this data folder.
    #[must_use]
    pub fn with_options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// The same as people run it: without the journal, which is for tests and for support.
    #[must_use]
    pub fn without_journal(self) -> Self {
        self.with_variable("MESH_JOURNAL", "0")
    }

    /// Sets an environment variable for every process on this data folder.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Writes its configuration; to be done before it runs.
    ///
    /// # Panics
    /// If the disk refuses.
    pub fn configure(&self, toml: &str) {
        fs::write(self.data.join("mesh.toml"), toml).expect("the disk takes the configuration");
    }

    /// A command of the program on this data folder. Journals are kept, and nothing of the person's home is touched.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.place.command(program::path());
        command.arg("--data").arg(&self.data).args(words);
        command.env("MESH_JOURNAL", "1").env("HOME", &self.data).env("NO_COLOR", "1");
        command.env_remove("XDG_DATA_HOME").env_remove("MESH_DATA").env_remove("NOTIFY_SOCKET");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The same, for a command that runs a node by itself: with the node's options.
    pub fn node_command(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command.args(&self.options);
        command
    }

    /// Runs `up` and waits until the node answers.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub fn up(&mut self) {
        // A crash leaves it. Who asks there, or before there is one, finds nobody, runs a node itself for as long as that
        // takes, and is in the way.
        let address = self.data.join("api.address");
        let _ = fs::remove_file(&address);
        let mut up = Running::start(self.node_command(&["up"]));
        wait::until("a node that answers", START_LIMIT, || {
            assert!(up.runs(), "the node ended: {}", up.log());
            let answers = address.exists() && self.try_run(&["status", "--json"]).code == Some(0);
            answers.then_some(())
        });
        self.up = Some(up);
    }

    /// The running node's process.
    ///
    /// # Panics
    /// If it does not run.
    pub fn process(&mut self) -> &mut Running {
        self.up.as_mut().expect("the node runs")
    }

    /// Stops the node as Ctrl-C does and checks that it ends well.
    ///
    /// # Panics
    /// If it does not run, or ends with an error.
    pub fn stop(&mut self) {
        let mut up = self.up.take().expect("the node runs");
        up.interrupt();
        let _ = up.wait(STOP_LIMIT).success();
    }

    /// Stops the node as a service manager does and checks that it ends well.
    ///
    /// # Panics
    /// If it does not run, or ends with an error.
    pub fn terminate(&mut self) {
        let mut up = self.up.take().expect("the node runs");
        up.signal("TERM");
        let _ = up.wait(STOP_LIMIT).success();
    }

    /// Ends the node as a crash would.
    ///
    /// # Panics
    /// If it does not run.
    pub fn crash(&mut self) {
        let _ = self.up.take().expect("the node runs").kill();
    }

    /// Stops the node, and replays what its brain did.
    ///
    /// # Panics
    /// If there is no journal, or it does not replay.
    pub fn stop_and_replay(mut self) {
        if self.up.is_some() {
            self.stop();
        }
        assert!(journal::replay_all(&self.data) > 0, "the node kept no journal in {}", self.data.display());
    }

    /// Runs a command to its end, whatever that is.
    #[must_use]
    pub fn try_run(&self, words: &[&str]) -> Outcome {
        Running::start(self.command(words)).wait(COMMAND_LIMIT)
    }

    /// Runs a command that must succeed and gives back its JSON.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Value {
        self.try_run(&[words, &["--json"]].concat()).success().json()
    }

    /// Shares a path with the running node; the ticket.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn share(&self, path: &Path) -> String {
        json::text(&self.run(&["share", &path.to_string_lossy()]), "ticket").to_owned()
    }

    /// Fetches with the running node, to the end; the report.
    ///
    /// # Panics
    /// If it fails.
    #[must_use]
    pub fn fetch(&self, ticket: &str, target: &Path) -> Value {
        self.run(&["get", ticket, "-o", &target.to_string_lossy()])
    }

    /// Starts to fetch with the running node; the process prints events.
    #[must_use]
    pub fn start_fetch(&self, ticket: &str, target: &Path) -> Running {
        Running::start(self.command(&["get", ticket, "-o", &target.to_string_lossy(), "--events"]))
    }

    /// What `status` says.
    #[must_use]
    pub fn status(&self) -> Value {
        self.run(&["status"])
    }

    /// What `ls` says of a content; `None` if it is not there.
    ///
    /// # Panics
    /// If the node does not answer.
    #[must_use]
    pub fn content(&self, id: &str) -> Option<Value> {
        let list = self.run(&["ls"]);
        let contents = list.as_array().cloned().or_else(|| json::find(&list, "contents")?.as_array().cloned());
        contents.expect("ls gives a list").into_iter().find(|content| content["content_id"] == id)
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        json::text(&self.status(), "node").to_owned()
    }

    /// Where it listens, with its name at the end, for a node on this machine.
    ///
    /// # Panics
    /// If it listens nowhere within a few seconds.
    #[must_use]
    pub fn address(&self) -> String {
        wait::until("an address the node listens on", START_LIMIT, || {
            let status = self.status();
            let listening = json::find(&status, "listening")?.as_array()?.first()?.as_str()?.to_owned();
            (!listening.contains("/tcp/0")).then_some(listening)
        })
    }

    /// Waits until this many peers are connected.
    pub fn wait_for_peers(&self, count: u64, limit: Duration) {
        wait::until(&format!("{count} connected peers"), limit, || {
            (json::number(&self.status(), "peers_connected") >= count).then_some(())
        });
    }

    /// Where its control API listens, and its token.
    ///
    /// # Panics
    /// If the node does not run.
    #[must_use]
    pub fn api(&self) -> (String, String) {
        let read = |name: &str| {
            let text = fs::read_to_string(self.data.join(name)).unwrap_or_else(|_| panic!("{name} is there"));
            text.trim().trim_start_matches("http://").trim_end_matches('/').to_owned()
        };
        (read("api.address"), read("api.token"))
    }

    /// One of the numbers that the control API shows a monitoring system; also of a node on a host.
    ///
    /// # Panics
    /// If the node does not run, or has no such number.
    #[must_use]
    pub fn metric(&self, name: &str) -> u64 {
        const ASK: &str = "exec 3<>/dev/tcp/${0%:*}/${0##*:} && printf 'GET /metrics HTTP/1.1\r\nHost: %s\r\n\
                           Authorization: Bearer %s\r\nConnection: close\r\n\r\n' \"$0\" \"$1\" >&3 && cat <&3";
        let (address, token) = self.api();
        let mut command = self.place.command("bash");
        command.args(["-c", ASK, &address, &token]);
        let page = Running::start(command).wait(START_LIMIT).success().stdout;
        let mut lines = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        lines.next().and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
    }

    /// Asks the control API of a node on this machine, with its token.
    #[must_use]
    pub fn api_request(&self, method: &str, path: &str, body: &str) -> Answer {
        let (address, token) = self.api();
        let token = format!("Bearer {token}");
        let headers = [("Host", address.as_str()), ("Authorization", &token), ("Content-Type", "application/json")];
        http::request(&address, method, path, &headers, body)
    }
}

/// The ticket without hints: only the content's id.
#[must_use]
pub fn bare_ticket(ticket: &str) -> String {
    ticket.split('?').next().unwrap_or(ticket).to_owned()
}
