//! What a node was seen to do, counted by the world and not by the node.

use std::collections::BTreeMap;

use mesh_proto::{ContentId, Timestamp};
use serde::Serialize;

/// A content that a node got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// Which.
    pub content: ContentId,
    /// Its length.
    pub bytes: u64,
    /// When it was asked for.
    pub asked: Timestamp,
    /// When it was complete.
    pub done: Timestamp,
}

/// See the module. Bytes of payload are content bytes; those of frames are as they are on the wire.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Payload sent.
    pub payload_sent_bytes: u64,
    /// Payload received.
    pub payload_received_bytes: u64,
    /// Payload received and thrown away: cancelled, wrong, or cut off.
    pub payload_wasted_bytes: u64,
    /// Frames of control messages sent.
    pub control_frames: u64,
    /// Their bytes.
    pub control_bytes: u64,
    /// Bytes of requests, receipts and cancellations sent.
    pub receipt_bytes: u64,
    /// Bytes of probes and of setting up connections.
    pub upkeep_bytes: u64,
    /// Times it woke by its own timeout.
    pub wakes: u64,
    /// Inputs it was given.
    pub inputs: u64,
    /// Connections it opened.
    pub dials: u64,
    /// What it was asked to get and has not got, and since when.
    pub asked: BTreeMap<ContentId, Timestamp>,
    /// Contents it got.
    pub completions: Vec<Completion>,
    /// Transfers that ended without success.
    pub failures: u64,
    /// Peers it banned.
    pub bans: u64,
    /// Warnings for its person.
    pub warnings: u64,
    /// Requests it refused.
    pub refusals: u64,
    /// Payload sent over metered links.
    pub metered_bytes: u64,
}
