//! What a node tells whoever listens: the CLI's progress bars, the API's event stream, metrics.
//!
//! Events name members and contents only inside the node; nothing here leaves the machine by itself.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::user::UserError;
use super::view::{GetReport, TransferView};
use crate::id::{ContentId, NodeId};

/// Something happened.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The node is ready: its store is open.
    Ready {
        /// Who it is.
        node: NodeId,
        /// Contents here.
        contents: u64,
    },
    /// It can be reached here.
    Listening {
        /// Multiaddr text without `/p2p/…`.
        address: String,
    },
    /// A peer is connected.
    PeerConnected {
        /// Who.
        node: NodeId,
        /// Where.
        address: String,
    },
    /// A peer is gone.
    PeerDisconnected {
        /// Who.
        node: NodeId,
        /// Why.
        why: String,
    },
    /// A share goes on.
    ShareProgress {
        /// What is read.
        path: String,
        /// Bytes read.
        done_bytes: u64,
        /// Of so many; 0 = not known.
        total_bytes: u64,
    },
    /// A transfer goes on; at most five times a second.
    TransferProgress {
        /// How it stands.
        transfer: TransferView,
    },
    /// A transfer is complete, verified and under its final name.
    TransferComplete {
        /// How it went.
        report: GetReport,
    },
    /// A transfer can't go on by itself.
    TransferFailed {
        /// Which.
        content: ContentId,
        /// Why, and what to do.
        error: UserError,
    },
    /// A transfer waits for something: no peers, no space.
    TransferWaiting {
        /// Which.
        content: ContentId,
        /// For what.
        why: String,
    },
    /// A peer sent wrong bytes and is banned for the content.
    PeerBanned {
        /// Who.
        node: NodeId,
        /// For which.
        content: ContentId,
        /// What was wrong.
        why: String,
    },
    /// A shared content changed on disk and is no longer served.
    ContentChanged {
        /// Which.
        content: ContentId,
        /// What was noticed.
        why: String,
    },
    /// Something a person should look at.
    Warning {
        /// What, and what to do.
        message: String,
    },
}
