//! The record of a run: all that went into the brain and all that came out, so that the run can be done again.
//!
//! | to find | look in |
//! |---|---|
//! | how a run is recorded | `write` |
//! | how it is read back, whole or cut short | [`read`] |
//! | how it is done again and compared, bit for bit | [`replay`](replay()) |
//! | how names are taken out before a journal is given away | [`export_redacted`] |
//!
//! A file is `MESHJRNL`, then frames: length (u32, little-endian), the first 4 bytes of the BLAKE3 hash of the body,
//! the body. The first body is a [`JournalHeader`]; each further one is a step: when, one input, and every output it
//! led to. A step is one frame, so a run that was killed leaves whole steps and at most one torn frame, which ends the
//! journal. What the store held enters as the input `Opened`, so a journal begins with its process.
//!
//! Invariant: a journal never outgrows [`JOURNAL_BYTES_MAX`] (at the limit recording stops, and says so), and at most
//! [`JOURNALS_MAX`] runs are kept. It is valid for the one build that wrote it.

pub mod read;
mod redact;
mod replay;
mod write;

use bincode::{Decode, Encode};
use mesh_core::BrainConfig;
use mesh_proto::Timestamp;
use mesh_proto::port::{Input, Output};

pub use read::{JournalError, JournalReader};
pub use redact::export_redacted;
pub use replay::{Difference, ReplayReport, replay, replay_read, replay_with};
pub(crate) use write::JournalWriter;
pub use write::list;

/// What one run may take on disk.
pub const JOURNAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Runs whose journals are kept; the oldest go first.
pub const JOURNALS_MAX: usize = 4;

const MAGIC: &[u8; 8] = b"MESHJRNL";
const FORMAT: u16 = 1;
const FRAME_HEAD_BYTES: usize = 8;
/// Memory one decoded frame may take.
const FRAME_DECODED_BYTES_MAX: usize = 1 << 30;
const _: () = assert!(size_of::<Output>() <= mesh_proto::codec::ELEMENT_BYTES_MAX);

/// With what a run began.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct JournalHeader {
    /// The format of the file.
    pub format: u16,
    /// The build that wrote it, see [`build`].
    pub build: String,
    /// Whether names were taken out; hashes in the outputs may then differ from the run's.
    pub redacted: bool,
    /// What the brain was told.
    pub config: BrainConfig,
    /// Its randomness.
    pub seed: [u8; 32],
}

/// One thing that happened to the brain, and what it asked for.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct JournalStep {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub input: Input,
    /// What it asked for, in order.
    pub outputs: Vec<Output>,
}

/// Names the build: a journal is replayed by the build that wrote it.
#[must_use]
pub fn build() -> String {
    let revision = option_env!("MESH_BUILD").unwrap_or("unnamed");
    format!("{} {revision}", env!("CARGO_PKG_VERSION"))
}

/// The frame that holds a body.
fn frame(body: &[u8]) -> Option<Vec<u8>> {
    let len = u32::try_from(body.len()).ok()?;
    let mut frame = Vec::with_capacity(FRAME_HEAD_BYTES + body.len());
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&checksum(body));
    frame.extend_from_slice(body);
    Some(frame)
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let hash = blake3::hash(body);
    let mut sum = [0; 4];
    sum.copy_from_slice(&hash.as_bytes()[..4]);
    sum
}

#[cfg(test)]
mod tests;
