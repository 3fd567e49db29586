//! One node of the world, besides its brain: its disk, its keys, where it is, and what it was seen to do.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::BrainConfig;
use mesh_proto::port::UserRequestId;
use mesh_proto::port::user::UserReply;
use mesh_proto::{ConnectionId, NodeId};

use super::signing::KeyRing;
use super::store::NodeStore;
use super::tally::Tally;
use super::watch::Watch;
use crate::kernel::Member;

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    On,
    /// Its machine runs, its process does not: what is sent to it is refused.
    ProcessDown,
    /// Its machine is off: nobody answers.
    Off,
}

/// How a node is to be.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// What its brain is told.
    pub config: BrainConfig,
    /// How far its civil clock is off at its start, in milliseconds.
    pub clock_off_ms: i64,
    /// How many nanoseconds per second its monotonic clock gains.
    pub drift_ppb: i32,
    /// Whether its system says that its civil clock is synchronised.
    pub clock_trusted: bool,
    /// What is broken in it.
    #[cfg(feature = "planted")]
    pub planted: Option<mesh_proto::planted::Defect>,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            config: BrainConfig::default(),
            clock_off_ms: 0,
            drift_ppb: 0,
            clock_trusted: true,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }
}

/// See the module.
pub struct SimNode {
    /// Its name.
    pub id: NodeId,
    /// How it is to be at its next start.
    pub options: NodeOptions,
    /// How it stands.
    pub power: Power,
    /// Its disk.
    pub store: Box<dyn NodeStore>,
    /// Its keys.
    pub keys: KeyRing,
    /// How often it was started.
    pub starts: u64,
    /// How many requests people made.
    pub requests: u64,
    /// Answers to what was asked of it that somebody waits for.
    pub replies: BTreeMap<UserRequestId, UserReply>,
    /// Requests whose answers somebody waits for.
    pub awaited: BTreeSet<UserRequestId>,
    /// What it was seen to do.
    pub tally: Tally,
    /// Connections to each peer, oldest first.
    pub connections: BTreeMap<Member, Vec<ConnectionId>>,
    /// Whom it found by multicast in this life.
    pub found_by_multicast: BTreeSet<Member>,
    /// How often it probes connections, in nanoseconds; 0 = never.
    pub probe_interval_ns: u64,
    /// Whether a checkpoint is due.
    pub checkpoint_due: bool,
    /// Whether its brain said that it has stopped.
    pub stopped: bool,
    /// Whether it was asked to stop in this life.
    pub leaving: bool,
    /// What is watched of it.
    pub watch: Watch,
}
