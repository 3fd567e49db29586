//! A running process: what it prints, what it uses, how it ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::{json, place, wait};

/// Linux counts processor time in these, whatever the kernel's own tick.
const TICKS_PER_S: f64 = 100.0;

/// How a process ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it printed as errors and logs.
    pub stderr: String,
}

impl Outcome {
    /// Itself, if the process succeeded.
    ///
    /// # Panics
    /// If it failed; the message holds what it printed.
    #[must_use]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Itself, if the process failed with this exit code and what it said holds all of these words.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        let said = self.all().to_lowercase();
        assert!(!said.contains("panicked"), "{said}");
        for word in words {
            assert!(said.contains(word), "\"{word}\" is not in: {said}");
        }
        self
    }

    /// What it printed, as JSON: all of it, or its last line that is.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn json(&self) -> Value {
        let whole = serde_json::from_str(&self.stdout).ok();
        let last = || self.stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        let found = whole.or_else(last);
        found.unwrap_or_else(|| panic!("no JSON in stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }

    /// Everything it printed.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A process that runs until it ends or this value is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start(command: Command) -> Self {
        Self::start_with_input(command, Stdio::null())
    }

    /// Starts it with something to read.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    pub fn start_with_input(mut command: Command, input: impl Into<Stdio>) -> Self {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?} failed: {error}"));
        let stdout = Lines::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Lines::of(child.stderr.take().expect("stderr is piped"));
        Self { child, stdout, stderr }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The first line of JSON on stdout, from the first one ever printed, that `wanted` says yes to.
    ///
    /// # Panics
    /// If none came within `limit`, or the process ended without one.
    pub fn wait_for_line(&mut self, what: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for_text(what, limit, |line| serde_json::from_str(line).ok().filter(|value| wanted(value)))
    }

    /// All that it printed so far, as one value of JSON, as soon as it is whole.
    ///
    /// # Panics
    /// If it was not within `limit`, or the process ended without it.
    pub fn wait_for_json(&mut self, what: &str, limit: Duration) -> Value {
        wait::until(what, limit, || {
            let over = !self.runs() && self.stdout.ended();
            let found = serde_json::from_str(&self.stdout.all().join("\n")).ok();
            assert!(found.is_some() || !over, "the process ended without: {what}\n{}", self.log());
            found
        })
    }

    /// What `wanted` makes of the first line on stdout it makes something of.
    ///
    /// # Panics
    /// If there was none within `limit`, or the process ended without one.
    pub fn wait_for_text<T>(&mut self, what: &str, limit: Duration, wanted: impl Fn(&str) -> Option<T>) -> T {
        wait::until(what, limit, || {
            let over = !self.runs() && self.stdout.ended();
            let found = self.stdout.all().iter().find_map(|line| wanted(line));
            assert!(found.is_some() || !over, "the process ended without: {what}\n{}", self.log());
            found
        })
    }

    /// The first event of this name.
    ///
    /// # Panics
    /// If none came within `limit`, or the process ended without one.
    pub fn wait_for_event(&mut self, name: &str, limit: Duration) -> Value {
        self.wait_for_line(&format!("the event {name}"), limit, |value| value["event"] == name)
    }

    /// The first event that says that so many bytes of a transfer are here.
    ///
    /// # Panics
    /// If none came within `limit`, or the process ended without one.
    pub fn wait_for_bytes(&mut self, bytes: u64, limit: Duration) -> Value {
        self.wait_for_line(&format!("{bytes} bytes of the transfer"), limit, |event| {
            json::find(event, "done_bytes").and_then(Value::as_u64).is_some_and(|done| done >= bytes)
        })
    }

    /// Whether it printed this line so far.
    #[must_use]
    pub fn printed(&self, line: &str) -> bool {
        self.stdout.all().iter().any(|printed| printed == line)
    }

    /// What it printed so far, as errors and logs.
    #[must_use]
    pub fn log(&self) -> String {
        self.stderr.all().join("\n")
    }

    /// Ends it as a crash would: `kill -9`.
    pub fn kill(mut self) -> Outcome {
        // It may have ended by itself a moment before.
        let _ = self.child.kill();
        self.wait(Duration::from_secs(10))
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&mut self) {
        self.signal("INT");
    }

    /// Sends a signal by name.
    pub fn signal(&mut self, name: &str) {
        let _ = place::try_system(&format!("kill -{name} {}", self.id()));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end within `limit`; it is then killed.
    pub fn wait(mut self, limit: Duration) -> Outcome {
        let status: ExitStatus = wait::until("the end of the process", limit, || self.child.try_wait().ok().flatten());
        Outcome { code: status.code(), stdout: self.stdout.finish(), stderr: self.stderr.finish() }
    }

    /// The most memory it ever had resident (`VmHWM`).
    ///
    /// # Panics
    /// If it no longer runs.
    #[must_use]
    pub fn resident_bytes_max(&self) -> u64 {
        self.told_bytes("status", "VmHWM:")
    }

    /// Bytes of memory it has resident now.
    ///
    /// # Panics
    /// If it no longer runs.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.told_bytes("status", "VmRSS:")
    }

    /// Bytes of memory that are its own, and its part of those that it shares with others.
    ///
    /// # Panics
    /// If it no longer runs.
    #[must_use]
    pub fn proportional_bytes(&self) -> u64 {
        self.told_bytes("smaps_rollup", "Pss:")
    }

    /// A figure of memory in one of the files in which Linux tells of the process.
    fn told_bytes(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.id())).expect("the process runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number of kB");
        kib * 1024
    }

    /// How many files, sockets and the like it has open.
    ///
    /// # Panics
    /// If it no longer runs.
    #[must_use]
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the process runs").count()
    }

    /// How often its threads slept and woke again so far.
    ///
    /// # Panics
    /// If it no longer runs.
    #[must_use]
    pub fn wakeups(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id())).expect("the process runs");
        let of_thread = |folder: std::path::PathBuf| -> Option<u64> {
            // A thread may end meanwhile.
            let status = fs::read_to_string(folder.join("status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
        };
        threads.filter_map(|thread| of_thread(thread.ok()?.path())).sum()
    }

    /// Processor seconds it used so far, user and system.
    ///
    /// # Panics
    /// If it no longer runs.
    #[must_use]
    pub fn processor_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("the process runs");
        let (_, fields) = stat.rsplit_once(')').expect("the program's name stands in parentheses");
        let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().unwrap_or(0.0));
        ticks.sum::<f64>() / TICKS_PER_S
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines read from a process by a thread, so that it never waits for us.
#[derive(Debug)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { lines, reader: Some(reader) }
    }

    fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ended(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.all().into_iter().map(|line| line + "\n").collect()
    }
}
