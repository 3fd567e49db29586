//! The ports between the brain and its drivers: everything that can happen to a node, and everything it can ask for.
//!
//! Each command carries a [`CommandId`](crate::CommandId) and gets exactly one answer, refusal included. All of it encodes, so that a
//! node can journal its inputs and outputs and a fresh brain can be shown to do the same again.

pub mod event;
pub mod keys;
pub mod net;
pub mod store;
pub mod user;
pub mod view;

use bincode::{Decode, Encode};

use crate::time::UnixMs;

pub use event::Event;
pub use keys::{KeyRole, KeysCommand, KeysInput};
pub use net::{NetCommand, NetInput};
pub use store::{StoreCommand, StoreInput};
pub use user::{UserCommand, UserReply, UserRequestId};

/// Everything that can happen to a node.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[allow(missing_docs, reason = "each variant is the type it names")]
pub enum Input {
    Net(NetInput),
    Store(StoreInput),
    Keys(KeysInput),
    /// A person or program asks for something.
    User {
        request: UserRequestId,
        command: UserCommand,
    },
    /// Civil time, at start and whenever it jumps; `trusted` if the system says it is synchronised.
    Clock {
        unix: UnixMs,
        trusted: bool,
    },
    /// A timeout is due.
    Tick,
    /// The node shall end: what is only in memory is to be written down. Answered by [`Output::Stopped`]; begins nothing
    /// new from then on.
    Stop,
}

/// Everything a node asks for.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
#[allow(missing_docs, reason = "each variant is the type it names")]
pub enum Output {
    Net(NetCommand),
    Store(StoreCommand),
    Keys(KeysCommand),
    /// Answers a [`Input::User`].
    Reply {
        request: UserRequestId,
        reply: UserReply,
    },
    /// Tells whoever listens; derives metrics and analytics.
    Report(Event),
    /// Answers [`Input::Stop`]: the store confirmed what was written, or said why not.
    Stopped,
}

/// Why a command was not carried out: words for people, and whether trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// What failed and why.
    pub why: String,
    /// Whether the same command may work later without anybody's help.
    pub may_pass: bool,
}

impl Failure {
    /// A failure that time may cure.
    #[must_use]
    pub fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_pass: true }
    }

    /// A failure that only a person can cure.
    #[must_use]
    pub fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_pass: false }
    }
}
