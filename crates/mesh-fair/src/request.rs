//! What goes into the scheduler and comes out of it.
//!
//! Invariant: plain values, nothing here decides.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use mesh_proto::bulk::TrafficClass;
use mesh_proto::{ByteRate, NodeId};

use crate::drr::{MemberKey, RequestKey};

/// Who decides whose turn it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Discipline {
    /// Fair to members.
    #[default]
    DeficitRoundRobin,
    /// Fair to nobody; to compare with.
    FirstComeFirstServed,
}

/// A text that names no discipline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no discipline is called `{0}`; there are `deficit-round-robin` and `first-come`")]
pub struct ParseDisciplineError(pub String);

impl FromStr for Discipline {
    type Err = ParseDisciplineError;
    fn from_str(text: &str) -> Result<Self, ParseDisciplineError> {
        match text {
            "deficit-round-robin" => Ok(Self::DeficitRoundRobin),
            "first-come" => Ok(Self::FirstComeFirstServed),
            _ => Err(ParseDisciplineError(text.to_owned())),
        }
    }
}

impl fmt::Display for Discipline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DeficitRoundRobin => "deficit-round-robin",
            Self::FirstComeFirstServed => "first-come",
        })
    }
}

/// What a peer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The caller's name for it.
    pub key: RequestKey,
    /// On whose account.
    pub member: MemberKey,
    /// Where to.
    pub node: NodeId,
    /// Tells apart the node's transfers, which take turns; requests of one flow are served in order.
    pub flow: u64,
    /// Its class.
    pub class: TrafficClass,
    /// Within the class, 255 first.
    pub priority: u8,
    /// How much.
    pub bytes: u64,
}

/// Why a request was not taken. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// A limit of this file is reached: answer "busy".
    #[error("too many requests, flows or peers wait already")]
    Full,
    /// The key is in use.
    #[error("a request of this key is known already")]
    Duplicate,
    /// It asks for no bytes.
    #[error("a request of no bytes")]
    Empty,
}

/// Permission to send so many bytes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Of which request.
    pub request: RequestKey,
    /// Where to.
    pub node: NodeId,
    /// How many; never 0.
    pub bytes: u64,
}

/// What one member has got and waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberView {
    /// Bytes receipted, while it had requests here without a break.
    pub receipted_bytes: u64,
    /// Requests waiting for grants.
    pub requests_waiting: usize,
    /// Bytes waiting for grants.
    pub waiting_bytes: u64,
}

/// The scheduler at a glance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchedulerView {
    /// Everybody known, `None` = guest.
    pub members: BTreeMap<MemberKey, MemberView>,
    /// Requests waiting for grants.
    pub requests_waiting: usize,
    /// Bytes granted and not receipted.
    pub outstanding_bytes: u64,
    /// The uplink's window.
    pub window_bytes: u64,
    /// The uplink's rate, if measured.
    pub rate: Option<ByteRate>,
    /// The limit in force.
    pub limit: Option<ByteRate>,
}
