//! What a simulated node keeps its contents in: the real store over a faulty disk, or a model of it without bytes.
//!
//! Both answer the same commands and take the same payload; `tests/stores.rs` holds them to the same promises. Crash
//! scenarios run the real one, large ones the model.

mod library;
mod model;
mod real;

use mesh_proto::payload::{SinkError, SinkProgress, SourceError, SpanAddress};
use mesh_proto::port::store::{StoreCommand, StoreInput};
use mesh_proto::{ChunkSet, ContentId};
use serde::{Deserialize, Serialize};

pub use library::{Library, SharedLibrary};
pub use model::ModelStore;
pub use real::RealStore;

/// The payload of one slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slice {
    /// So many bytes of the span, as the modelled store gives them; the first wrong one, if any is.
    Counted {
        /// How many.
        bytes: u64,
        /// The offset of a wrong byte.
        wrong_at: Option<u64>,
    },
    /// The bytes themselves.
    Bytes(Vec<u8>),
}

impl Slice {
    /// How many bytes it carries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Counted { bytes, .. } => *bytes,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Makes one byte of it wrong.
    pub fn corrupt(&mut self, at: u64) {
        let last = self.bytes().saturating_sub(1);
        match self {
            Self::Counted { wrong_at, .. } => *wrong_at = Some(wrong_at.unwrap_or(u64::MAX).min(at.min(last))),
            Self::Bytes(bytes) => {
                if let Some(byte) = bytes.get_mut(at.min(last) as usize) {
                    *byte ^= 0x40;
                }
            }
        }
    }
}

/// What the nodes of a world keep their contents in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A model without bytes: for many nodes and large contents.
    #[default]
    Model,
    /// The real store over a faulty disk in memory: for crashes.
    Real,
}

/// How a store ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// In order: what was received is kept.
    Closed,
    /// The process is killed; what it wrote stays in the system's cache.
    Killed,
    /// The whole machine goes down, but all it wrote reaches the disk.
    MachineOff,
    /// The power goes: what was not synced is lost, by lot.
    PowerCut {
        /// The lot.
        seed: u64,
    },
    /// The disk is gone, with all on it.
    DiskLost,
}

/// What can be wrong with a disk while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskTrouble {
    /// No space is left.
    Full,
    /// Nothing can be written.
    ReadOnly,
    /// The device is gone.
    Removed,
    /// Syncs fail.
    SyncFails,
}

/// A bit of truth about a content that a node shows as its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Defect {
    /// Bytes that are not what the manifest says stand where others can see them.
    WrongBytesVisible(String),
    /// What was synced and noted as kept is gone.
    KeptLost(String),
}

/// A store as the world drives it.
pub trait NodeStore {
    /// Starts it, after it was made or after an ending. The first answer is `Opened`.
    ///
    /// # Errors
    /// Why it can't be opened.
    fn open(&mut self) -> Result<Vec<StoreInput>, String>;

    /// Ends it.
    fn end(&mut self, ending: Ending);

    /// Carries out a command; what is told on the way comes with the answer.
    fn carry_out(&mut self, command: StoreCommand) -> Vec<StoreInput>;

    /// Puts a person's file on the disk, its bytes a function of `seed`.
    fn put_file(&mut self, path: &str, bytes: u64, seed: u64);

    /// The next bytes of a span that a peer asked for.
    ///
    /// # Errors
    /// [`SourceError`] if they can't be had.
    fn read(&mut self, serve: u64, span: SpanAddress, given: u64, bytes: u64) -> Result<Slice, SourceError>;

    /// Nothing more is read for this request.
    fn end_read(&mut self, serve: u64);

    /// The next bytes of a span that was asked for.
    ///
    /// # Errors
    /// [`SinkError`] if they are wrong or can't be written.
    fn write(&mut self, fetch: u64, span: SpanAddress, slice: &Slice) -> Result<SinkProgress, SinkError>;

    /// Nothing more is written for this request. Returns how many bytes of an unfinished chunk were kept aside.
    fn end_write(&mut self, fetch: u64, keeps_aside: bool) -> u32;

    /// What was told outside of commands since the last call.
    fn take_news(&mut self) -> Vec<StoreInput>;

    /// Syncs what was received and notes it as kept.
    fn checkpoint(&mut self);

    /// Something is wrong with the disk from now on, or no longer.
    fn set_trouble(&mut self, trouble: DiskTrouble, on: bool);

    /// Whether these chunks of a content are here. A store that can't tell says yes.
    fn holds(&self, content: ContentId, chunks: &ChunkSet) -> bool;

    /// What is wrong with what it shows, compared with the truth that only the world knows.
    fn audit(&mut self) -> Vec<Defect>;
}
