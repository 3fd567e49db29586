//! Records a run. Encoding happens in the driver's loop, writing on a thread of its own.
//!
//! A thread that can't follow holds the loop up (a step left out would make the rest worthless); [`QUEUE_STEPS_MAX`]
//! steps may wait. A journal that can't be written is given up with a warning; the node goes on.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use mesh_core::BrainConfig;
use mesh_proto::Timestamp;
use mesh_proto::codec;
use mesh_proto::port::{Input, Output};

use super::{FORMAT, JOURNAL_BYTES_MAX, JOURNALS_MAX, JournalHeader, MAGIC, build, frame};
use crate::system;

/// Steps encoded and not yet handed to the system.
const QUEUE_STEPS_MAX: usize = 256;
const SUFFIX: &str = ".meshjournal";

/// A journal being written.
pub(crate) struct JournalWriter {
    path: PathBuf,
    queue: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    left_bytes: u64,
    /// The step under way: time and input are encoded before the brain takes the input.
    step: Vec<u8>,
}

impl JournalWriter {
    /// Begins a journal in `folder`, removing the oldest ones there.
    pub(crate) fn start(folder: &Path, config: &BrainConfig, seed: [u8; 32]) -> io::Result<Self> {
        system::create_private_folder(folder)?;
        remove_oldest(folder)?;
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let path = (0..)
            .map(|number| folder.join(format!("{unix_ms:015}-{number}{SUFFIX}")))
            .find(|path| !path.exists())
            .ok_or(io::ErrorKind::AlreadyExists)?;
        let mut file = system::create_private(&path)?;
        let header = JournalHeader { format: FORMAT, build: build(), redacted: false, config: config.clone(), seed };
        file.write_all(MAGIC)?;
        file.write_all(&frame(&codec::encode(&header)).ok_or(io::ErrorKind::FileTooLarge)?)?;
        let (queue, steps) = sync_channel(QUEUE_STEPS_MAX);
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || write_all(file, &steps))?;
        Ok(Self { path, queue: Some(queue), thread: Some(thread), left_bytes: JOURNAL_BYTES_MAX, step: Vec::new() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a step.
    pub(crate) fn input(&mut self, at: Timestamp, input: &Input) {
        if self.queue.is_some() {
            // A tuple is encoded as its parts in order: the same bytes as a `JournalStep`'s first fields.
            self.step = codec::encode(&(at, input));
        }
    }

    /// Ends the step with all it led to. `Some` once, if the journal ends here: why.
    pub(crate) fn outputs(&mut self, outputs: &Vec<Output>) -> Option<String> {
        let queue = self.queue.as_ref()?;
        self.step.extend_from_slice(&codec::encode(outputs));
        let frame = frame(&self.step).filter(|frame| frame.len() as u64 <= self.left_bytes);
        let why = match frame {
            None => format!("the journal {} is full and records no further", self.path.display()),
            Some(frame) => {
                self.left_bytes -= frame.len() as u64;
                match queue.send(frame) {
                    Ok(()) => return None,
                    Err(_) => format!("the journal {} can't be written and records no further", self.path.display()),
                }
            }
        };
        self.queue = None;
        Some(why)
    }

    /// Ends the journal, durably. Blocks on the disk.
    pub(crate) fn close(mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread failed");
        }
    }
}

fn write_all(mut file: fs::File, steps: &Receiver<Vec<u8>>) {
    while let Ok(frame) = steps.recv() {
        if let Err(error) = file.write_all(&frame) {
            tracing::warn!(%error, "the journal can't be written");
            return;
        }
    }
    if let Err(error) = file.sync_all() {
        tracing::warn!(%error, "the journal can't be synced");
    }
}

/// The journals in a folder, the oldest first: names begin with the time, so they sort by age.
///
/// # Errors
/// The system's.
pub fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            journals.push(path);
        }
    }
    journals.sort_unstable();
    Ok(journals)
}

/// Leaves room for one more within [`JOURNALS_MAX`].
fn remove_oldest(folder: &Path) -> io::Result<()> {
    let journals = list(folder)?;
    let extra = (journals.len() + 1).saturating_sub(JOURNALS_MAX);
    journals.iter().take(extra).try_for_each(fs::remove_file)
}
