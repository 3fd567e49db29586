//! What a node's brain did, from its journals: replayed, and looked into.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use mesh_node::journal::JournalReader;
use mesh_proto::port::net::{NetCommand, NetInput, ServeState};
use mesh_proto::port::store::StoreInput;
use mesh_proto::port::{Input, Output};
use mesh_proto::{ChunkRange, ChunkSet};

/// Replays every journal in a node's data folder into a fresh brain: the same inputs must give the same outputs, bit for
/// bit. How many there were.
///
/// # Panics
/// If a replay differs from what was recorded.
pub fn replay_all(data: &Path) -> usize {
    let journals = all(data);
    for path in &journals {
        let report = mesh_node::journal::replay(path);
        let report = report.unwrap_or_else(|error| panic!("{} can't be replayed: {error}", path.display()));
        assert!(report.same(), "{} went another way: {:#?}", path.display(), report.difference);
    }
    journals.len()
}

/// The journals of a node, in the order of its runs.
fn all(data: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(data.join("journal")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the journal folder can be read").path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort_by_key(|path| fs::metadata(path).and_then(|file| file.modified()).expect("it has a time"));
    paths
}

/// What one run of a node did for the one content it fetched.
#[derive(Debug, Default)]
pub struct FetchRun {
    /// What was here when it began, if it came so far.
    pub found: Option<ChunkSet>,
    /// What peers were asked for.
    pub asked: ChunkSet,
    /// What arrived and was verified.
    pub verified: ChunkSet,
    /// What peers were asked for though it was here.
    pub asked_again: ChunkSet,
}

/// What the runs of a node did for the one content it fetched, in order.
///
/// # Panics
/// If a journal can't be read.
#[must_use]
pub fn fetch_runs(data: &Path) -> Vec<FetchRun> {
    all(data).iter().map(|path| fetch_run(path)).collect()
}

fn fetch_run(path: &Path) -> FetchRun {
    let mut reader = JournalReader::open(path).expect("a journal");
    let (mut run, mut fetches) = (FetchRun::default(), BTreeMap::new());
    while let Some(step) = reader.next_step().expect("a journal") {
        match step.input {
            Input::Store(StoreInput::Receiving { result: Ok(received), .. }) if run.found.is_none() => {
                run.found = Some(received.have);
            }
            Input::Net(
                NetInput::FetchProgress { command, chunks_verified, .. }
                | NetInput::Fetched { command, chunks_verified, .. },
            ) => {
                if let Some(start) = fetches.get(&command) {
                    run.verified.insert(ChunkRange { start: *start, count: chunks_verified });
                }
            }
            _ => {}
        }
        for output in step.outputs {
            if let Output::Net(NetCommand::Fetch { command, request, .. }) = output {
                run.asked.insert(request.chunks);
                let here = run.found.iter().chain([&run.verified]);
                let asked = ChunkSet::from_iter([request.chunks]);
                let again: Vec<ChunkSet> = here.map(|here| here.intersection(&asked)).collect();
                again.iter().for_each(|again| run.asked_again.union_with(again));
                fetches.insert(command, request.chunks.start);
            }
        }
    }
    run
}

/// The most requests for payload that waited at a node at once, over all its runs.
///
/// # Panics
/// If a journal can't be read.
#[must_use]
pub fn requests_at_once(data: &Path) -> usize {
    all(data).iter().map(|path| requests_in_run(path)).max().unwrap_or(0)
}

fn requests_in_run(path: &Path) -> usize {
    let mut reader = JournalReader::open(path).expect("a journal");
    let (mut open, mut most) = (BTreeSet::new(), 0);
    while let Some(step) = reader.next_step().expect("a journal") {
        match step.input {
            Input::Net(NetInput::SpanRequested { serve, .. }) => drop(open.insert(serve)),
            Input::Net(NetInput::SpanWithdrawn { serve }) => drop(open.remove(&serve)),
            Input::Net(NetInput::Granted {
                serve,
                state: ServeState::Ended | ServeState::Failed(_) | ServeState::Gone,
                ..
            }) => {
                open.remove(&serve);
            }
            _ => {}
        }
        for output in step.outputs {
            if let Output::Net(NetCommand::Refuse { serve, .. }) = output {
                open.remove(&serve);
            }
        }
        most = most.max(open.len());
    }
    most
}
