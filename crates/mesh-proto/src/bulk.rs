//! How payload travels: requests and receipts one way, slices the other, on a stream of their own.
//!
//! The getter opens the stream. Each frame starts with `u16 LE length`, then the header's encoding. A
//! [`SourceFrame::Slice`] is followed by `payload_bytes` raw bytes, never inside a vector. Slices of several requests
//! may interleave; those of one request arrive in order. Payload flows one way per stream, and the first bulk stream
//! fixes a connection's direction.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::chunk_set::ChunkRange;
use crate::codec::{self, DecodeError};
use crate::extensions::Extensions;
use crate::id::{ContentId, MemberId};
use crate::limits::{BULK_HEADER_BYTES_MAX, SLICE_BYTES_MAX, SPAN_BYTES_MAX};

/// The payload protocol's name.
pub const BULK_PROTOCOL: &str = "/mesh/bulk/1";

/// What a transfer is for; each class has its own queue within a member's share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficClass {
    /// Somebody waits for it now.
    Interactive,
    /// Somebody fetches it.
    #[default]
    Public,
    /// It can wait: replication, updates over night.
    Bulk,
}

/// One span asked of a source.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct SpanRequest {
    /// The getter's number for it, unique on this stream.
    pub request: u64,
    /// Of which content.
    pub content: ContentId,
    /// Which chunks.
    pub chunks: ChunkRange,
    /// Bytes of the first chunk the getter already has; less than that chunk's length.
    pub skip_bytes: u32,
    /// The bytes that are to be sent: the chunks' lengths less `skip_bytes`. A source sends no more.
    pub payload_bytes: u64,
    /// Its class.
    pub class: TrafficClass,
    /// Within its class, 255 first.
    pub priority: u8,
    /// Milliseconds from now after which it is no longer wanted; 0 = none.
    pub deadline_ms: u32,
    /// On whose account it is served; `None` = the asking node's own member.
    pub for_member: Option<MemberId>,
    /// Room for later.
    pub extensions: Extensions,
}

/// What a getter writes on a bulk stream.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub enum GetterFrame {
    /// Asks for a span.
    Request(SpanRequest),
    /// Bytes that reached the getter's program so far, over all of this request's slices. Sent at least per span.
    Receipt {
        /// Which request.
        request: u64,
        /// Cumulative bytes.
        drained_bytes: u64,
    },
    /// No longer wanted; slices under way are still read and receipted.
    Cancel {
        /// Which request.
        request: u64,
    },
}

/// How a slice's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize)]
pub enum Packing {
    /// As they are.
    Raw,
    /// One zstd frame, no longer than what it unpacks to.
    Zstd,
}

/// Why a source does not (or no longer) serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseReason {
    /// It has not (all of) these chunks, or no longer.
    NotHeld,
    /// The asker may not have them.
    NotAllowed,
    /// Too many requests wait already; ask again later.
    Busy,
    /// The file behind them changed or can't be read.
    Changed,
    /// The request makes no sense.
    Invalid,
    /// The node stops.
    Stopping,
}

/// What a source writes on a bulk stream.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub enum SourceFrame {
    /// `payload_bytes` follow, which unpack to `content_bytes` of the request's span, in order.
    Slice {
        /// Which request.
        request: u64,
        /// How they are packed.
        packing: Packing,
        /// Bytes on the wire behind this header.
        payload_bytes: u32,
        /// Bytes of content they stand for.
        content_bytes: u32,
    },
    /// Everything asked for was sent.
    End {
        /// Which request.
        request: u64,
    },
    /// Nothing more will come.
    Refused {
        /// Which request.
        request: u64,
        /// Why.
        reason: RefuseReason,
    },
}

impl GetterFrame {
    /// The header's bytes, without the length in front.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a header nobody vouches for.
    ///
    /// # Errors
    /// [`DecodeError`] if it is malformed or breaks a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let frame = codec::decode::<Self, { BULK_HEADER_BYTES_MAX * 4 }>(bytes)?;
        if let Self::Request(request) = &frame {
            if request.payload_bytes == 0 || request.payload_bytes > SPAN_BYTES_MAX || request.chunks.count == 0 {
                return Err(DecodeError::Rule("the span is empty or too long"));
            }
            if request.chunks.start.checked_add(request.chunks.count).is_none() {
                return Err(DecodeError::Rule("the span passes the last chunk there can be"));
            }
            request.extensions.check()?;
        }
        Ok(frame)
    }
}

impl SourceFrame {
    /// The header's bytes, without the length in front.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a header nobody vouches for.
    ///
    /// # Errors
    /// [`DecodeError`] if it is malformed or breaks a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let frame = codec::decode::<Self, BULK_HEADER_BYTES_MAX>(bytes)?;
        if let Self::Slice { payload_bytes, content_bytes, packing, .. } = frame {
            let too_long = payload_bytes as usize > SLICE_BYTES_MAX || content_bytes as usize > SLICE_BYTES_MAX;
            // Packed bytes that are more than their content could bring any amount that was not asked for.
            let untrue = match packing {
                Packing::Raw => payload_bytes != content_bytes,
                Packing::Zstd => payload_bytes > content_bytes,
            };
            if too_long || untrue || payload_bytes == 0 || content_bytes == 0 {
                return Err(DecodeError::Rule("a slice's lengths make no sense"));
            }
        }
        Ok(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_brings_no_more_than_it_stands_for() {
        let decodes = |packing, payload_bytes, content_bytes| {
            let slice = SourceFrame::Slice { request: 1, packing, payload_bytes, content_bytes };
            SourceFrame::decode(&slice.encode()).is_ok()
        };
        assert!(decodes(Packing::Raw, 5, 5));
        assert!(!decodes(Packing::Raw, 4, 5));
        assert!(decodes(Packing::Zstd, 4, 5));
        assert!(decodes(Packing::Zstd, 5, 5));
        assert!(!decodes(Packing::Zstd, 6, 5));
        assert!(!decodes(Packing::Zstd, 0, 5));
        assert!(!decodes(Packing::Raw, SLICE_BYTES_MAX as u32 + 1, SLICE_BYTES_MAX as u32 + 1));
    }
}
