//! Does a recorded run again with a fresh brain and compares what it asks for, bit for bit.

use std::path::Path;

use mesh_core::BrainConfig;
use mesh_proto::codec;
use mesh_proto::port::{Input, Output};
use mesh_proto::{Machine, Timestamp};

use super::build;
use super::read::{JournalError, JournalReader};

/// How a replay went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// Inputs fed.
    pub inputs: u64,
    /// Outputs compared.
    pub outputs: u64,
    /// Whether the journal ends within a frame, as after a kill.
    pub torn: bool,
    /// Whether names were taken out of it, so that hashes in the outputs may differ.
    pub redacted: bool,
    /// Where the brain first did something else; nothing after it was compared.
    pub difference: Option<Difference>,
}

impl ReplayReport {
    /// Whether the brain did the same again.
    #[must_use]
    pub fn same(&self) -> bool {
        self.difference.is_none()
    }
}

/// The first place where a replay differs from its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which input, from 1.
    pub step: u64,
    /// When.
    pub at: Timestamp,
    /// What happened, for people.
    pub input: String,
    /// Which of its outputs, from 0.
    pub output: usize,
    /// What was asked for then, for people; `None` = nothing more.
    pub recorded: Option<String>,
    /// What is asked for now, for people; `None` = nothing more.
    pub replayed: Option<String>,
}

/// Replays a journal with the product's brain.
///
/// # Errors
/// [`JournalError`] if the file is no journal of this build.
pub fn replay(path: &Path) -> Result<ReplayReport, JournalError> {
    replay_with(path, mesh_core::Node::new)
}

/// Replays a journal with any machine.
///
/// # Errors
/// [`JournalError`] if the file is no journal of this build.
pub fn replay_with<M>(path: &Path, make: impl FnOnce(BrainConfig, [u8; 32]) -> M) -> Result<ReplayReport, JournalError>
where
    M: Machine<Input = Input, Output = Output>,
{
    replay_read(JournalReader::open(path)?, make)
}

/// Replays a journal that was opened, and not read from yet, with any machine.
///
/// # Errors
/// [`JournalError`] if it is no journal of this build.
pub fn replay_read<M>(
    mut reader: JournalReader,
    make: impl FnOnce(BrainConfig, [u8; 32]) -> M,
) -> Result<ReplayReport, JournalError>
where
    M: Machine<Input = Input, Output = Output>,
{
    let header = reader.header().clone();
    if header.build != build() {
        return Err(JournalError::OtherBuild { found: header.build });
    }
    let mut brain = make(header.config, header.seed);
    let mut report = ReplayReport { inputs: 0, outputs: 0, torn: false, redacted: header.redacted, difference: None };
    while let Some(step) = reader.next_step()? {
        report.inputs += 1;
        brain.handle(step.at, step.input.clone());
        let replayed: Vec<Output> = std::iter::from_fn(|| brain.poll_output()).collect();
        if let Some(output) = first_difference(&step.outputs, &replayed) {
            report.difference = Some(Difference {
                step: report.inputs,
                at: step.at,
                input: format!("{:?}", step.input),
                output,
                recorded: step.outputs.get(output).map(|output| format!("{output:?}")),
                replayed: replayed.get(output).map(|output| format!("{output:?}")),
            });
            break;
        }
        report.outputs += replayed.len() as u64;
    }
    report.torn = reader.torn();
    Ok(report)
}

/// Compares encodings, not values: a float that is not equal to itself is still the same bits.
fn first_difference(recorded: &[Output], replayed: &[Output]) -> Option<usize> {
    let common = recorded.iter().zip(replayed);
    let differs = common.enumerate().find(|(_, (old, new))| codec::encode(*old) != codec::encode(*new));
    match differs {
        Some((position, _)) => Some(position),
        None if recorded.len() != replayed.len() => Some(recorded.len().min(replayed.len())),
        None => None,
    }
}
