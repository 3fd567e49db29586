//! The brain's port to the keys, which it never sees.

use bincode::{Decode, Encode};

use super::Failure;
use crate::id::CommandId;
use crate::record::{RecordKind, Signed};
use crate::shared_record::SharedRecord;

/// Which of this node's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum KeyRole {
    /// The node's own.
    Node,
    /// Its member's; absent on a node that was certified elsewhere or never.
    Member,
    /// A community's, by its public key; only on the node that founded it.
    Community([u8; 32]),
}

/// What the keys answer.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum KeysInput {
    /// At start, before anything else: which public keys there are.
    Loaded {
        /// The node's own.
        node: [u8; 32],
        /// Its member's, if here.
        member: Option<[u8; 32]>,
        /// Communities founded here.
        communities: Vec<[u8; 32]>,
    },
    /// Answers [`KeysCommand::Sign`].
    Signed {
        /// Which command.
        command: CommandId,
        /// The record, or why not.
        result: Result<Signed, Failure>,
    },
    /// Answers [`KeysCommand::Verify`].
    Verified {
        /// Which command.
        command: CommandId,
        /// For each record, whether its signature holds (strict Ed25519).
        valid: Vec<bool>,
    },
    /// Answers [`KeysCommand::Create`].
    Created {
        /// Which command.
        command: CommandId,
        /// The public key, or why not.
        result: Result<[u8; 32], Failure>,
    },
}

/// What the brain asks of the keys.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum KeysCommand {
    /// Signs a record.
    Sign {
        /// Answered by [`KeysInput::Signed`].
        command: CommandId,
        /// With which key.
        role: KeyRole,
        /// What it is.
        kind: RecordKind,
        /// Its encoded body.
        body: Vec<u8>,
    },
    /// Checks signatures.
    Verify {
        /// Answered by [`KeysInput::Verified`].
        command: CommandId,
        /// Of which records.
        records: Vec<SharedRecord>,
    },
    /// Makes and keeps a new member key (if none is here) or community key.
    Create {
        /// Answered by [`KeysInput::Created`].
        command: CommandId,
        /// `true` for a community's key, `false` for the member's.
        community: bool,
    },
}
