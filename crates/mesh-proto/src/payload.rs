//! The path payload takes round the brain: the network reads from a [`PayloadSource`] and writes to a [`PayloadSink`].
//!
//! Both are implemented by the store. They block (they touch the disk), so the network calls them off its event loop.
//! Verification happens behind them: a source hands out only bytes it has just verified, a sink shows only bytes that
//! hash to what the manifest says.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::chunk_set::ChunkRange;
use crate::id::ContentId;

/// Where a span's bytes come from or go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SpanAddress {
    /// Of which content.
    pub content: ContentId,
    /// Which chunks.
    pub chunks: ChunkRange,
    /// Bytes of the first chunk to leave out.
    pub skip_bytes: u32,
}

/// Why a source can't give bytes. What was given before stays valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SourceError {
    /// Not (all of) these chunks are here.
    #[error("these chunks are not held")]
    NotHeld,
    /// The shared file is no longer what it was when shared.
    #[error("the shared file changed: {path}")]
    Changed {
        /// Which file.
        path: String,
    },
    /// The disk said no.
    #[error("reading {path} failed: {why}")]
    Io {
        /// Which file.
        path: String,
        /// The system's words.
        why: String,
    },
}

/// Why a sink did not take bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Encode, Decode, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SinkError {
    /// A chunk does not hash to its name. Nothing of it was kept; chunks before it were.
    #[error("chunk {chunk} is not what the manifest says")]
    Mismatch {
        /// The chunk's position.
        chunk: u32,
    },
    /// More bytes than the span has.
    #[error("more bytes than were asked for")]
    TooMany,
    /// The content is not being received, or its manifest does not reach so far yet.
    #[error("this content is not being received")]
    NotOpen,
    /// The disk is full: the transfer pauses, nothing is lost.
    #[error("no space left for {path}")]
    NoSpace {
        /// Which file.
        path: String,
    },
    /// The disk said no.
    #[error("writing {path} failed: {why}")]
    Io {
        /// Which file.
        path: String,
        /// The system's words.
        why: String,
    },
}

/// What a sink has made of the bytes so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SinkProgress {
    /// Chunks of the span verified and written, from its first on.
    pub chunks_verified: u32,
    /// Content bytes of those chunks, counting what was skipped of the first.
    pub bytes_verified: u64,
}

/// Gives the verified bytes of one span, in order.
pub trait PayloadSource: Send {
    /// Puts the next bytes of the span into `buffer`, from its start, and says how many; 0 = the span is at its end.
    ///
    /// # Errors
    /// [`SourceError`] if the bytes can't be had or are no longer what they were.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError>;
}

/// Takes the bytes of one span, in order.
pub trait PayloadSink: Send {
    /// Takes the next bytes: verifies each chunk that is complete and writes it to its place.
    ///
    /// # Errors
    /// [`SinkError`]; after [`SinkError::Mismatch`] the sink takes nothing more.
    fn write(&mut self, bytes: &[u8]) -> Result<SinkProgress, SinkError>;

    /// The connection ended early: keeps the bytes of an unfinished chunk aside, so that a later request can skip them;
    /// says how many.
    fn set_aside(self: Box<Self>) -> u32;
}

/// Opens both for the network.
pub trait PayloadStore: Send + Sync + 'static {
    /// A source for the span.
    ///
    /// # Errors
    /// [`SourceError::NotHeld`] if a chunk of it is missing here.
    fn open_source(&self, span: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError>;

    /// A sink for the span. `skip_bytes` must be what the store said is kept aside of the first chunk, or 0.
    ///
    /// # Errors
    /// [`SinkError::NotOpen`] if the content is not being received.
    fn open_sink(&self, span: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError>;
}
