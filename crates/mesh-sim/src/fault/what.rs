//! The kinds of faults, and their parameters.
//!
//! Invariant: a fault says what happens, not how a world does it. Two faults of a kind on one node or link may overlap:
//! each holds until its own end, and the worst of them counts.

use serde::{Deserialize, Serialize};

use crate::draw::{Distribution, Refused, SECONDS_MAX, check};
use crate::select::{LISTED_MAX, Population};

/// All of something, in parts of a million.
const MILLION: u32 = 1_000_000;
/// The longest delay that a fault may add, in microseconds: an hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;
/// The furthest that civil time may jump, in seconds: a century.
const JUMP_S_MAX: i64 = 3_155_760_000;
/// The most that a clock may gain or lose, in parts of a million.
const DRIFT_PPM_MAX: i32 = 500_000;
/// The most names of messages that a fault may list.
const MESSAGES_MAX: usize = 64;

/// What is left on the disk of a node that crashed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskAfter {
    /// Everything written.
    Kept,
    /// What was synced; the rest is lost or torn. The default, as in a power cut.
    #[default]
    UnsyncedLost,
    /// Nothing.
    Lost,
}

/// How a partition divides the selected nodes. Nodes in different groups don't reach each other; nodes that were not
/// selected reach everyone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Into two random groups of the same size, or nearly.
    Halves,
    /// Each node into one of two groups by a coin.
    Coins,
    /// Each selected node is alone, and all others are one group.
    Isolate,
    /// Into these groups, whatever the selector says.
    Groups(Vec<Vec<u32>>),
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// The node's power fails; at the end of the fault it starts again.
    Crash {
        /// What it then finds on its disk.
        #[serde(default)]
        disk: DiskAfter,
    },
    /// The node's brain is frozen; the world goes on, also what its network and its disk have under way for it. At the end it
    /// thaws, and its clock has jumped.
    Pause {},
    /// The node leaves in good order; at the end it returns.
    Leave {},
    /// Groups of nodes don't reach each other.
    Partition {
        /// Which groups.
        how: Split,
        /// Only what goes from an earlier group to a later one is lost.
        #[serde(default)]
        one_way: bool,
    },
    /// Nothing passes the link.
    LinkDown {},
    /// The link is worse than it was.
    LinkDegraded {
        /// What is left of its rate, in parts of a million: all of it unless said.
        #[serde(default = "million")]
        rate_ppm: u32,
        /// What is added to its latency, in microseconds: nothing unless said.
        #[serde(default)]
        latency_us: u64,
        /// What is lost besides, in parts of a million: nothing unless said.
        #[serde(default)]
        loss_ppm: u32,
    },
    /// The gateway's way to the internet is gone; the node itself runs on.
    GatewayOutage {},
    /// Control messages that the nodes send, or that pass the links, are lost.
    MessageLoss {
        /// Which, by name such as `Have`; all unless said.
        #[serde(default)]
        messages: Vec<String>,
        /// How many of a million.
        loss_ppm: u32,
    },
    /// They are late.
    MessageDelay {
        /// Which, by name; all unless said.
        #[serde(default)]
        messages: Vec<String>,
        /// By how much, in milliseconds.
        delay_ms: Distribution,
    },
    /// They arrive twice.
    MessageDuplication {
        /// Which, by name; all unless said.
        #[serde(default)]
        messages: Vec<String>,
        /// How many of a million.
        twice_ppm: u32,
    },
    /// Civil time, as the node knows it, jumps; at the end it jumps back.
    ClockJump {
        /// By how many seconds, up to a century either way.
        by_s: i64,
    },
    /// The node's monotonic clock runs fast, or below zero slow.
    ClockDrift {
        /// By how many millionths.
        drift_ppm: i32,
    },
    /// Writes fail for want of room.
    DiskFull {},
    /// Writes fail.
    DiskReadOnly {},
    /// The disk is gone; at the end it is back with what it held.
    DiskRemoved {},
    /// Each access takes longer.
    DiskSlow {
        /// By how much, in microseconds.
        latency_us: u64,
    },
    /// Syncs fail, and what was written since the last one may be lost.
    DiskSyncFails {},
    /// The node sends payload that is not what was asked for.
    CorruptPayload {
        /// How many slices of a million.
        share_ppm: u32,
    },
    /// It says that it has what it has not.
    LieAboutHoldings {},
    /// It gets and never gives.
    FreeRide {},
    /// It sends messages that nobody asked for.
    Flood {
        /// How many in a second, to each of its peers.
        messages_per_s: u32,
    },
    /// It tells different peers different things.
    Equivocate {},
    /// It does not answer some messages.
    DropSelectively {
        /// Which, by name; all unless said.
        #[serde(default)]
        messages: Vec<String>,
        /// How many of a million.
        drop_ppm: u32,
    },
    /// It shows itself under many names.
    ManyIdentities {
        /// How many.
        count: u32,
    },
}

fn million() -> u32 {
    MILLION
}

macro_rules! kinds {
    ($($name:ident $target:ident),* $(,)?) => {
        /// A kind of fault without its parameters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is that of `What`")]
        pub enum FaultKind {
            $($name,)*
        }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What it happens to.
            #[must_use]
            pub fn target(self) -> Target {
                match self { $(Self::$name => Target::$target,)* }
            }
        }

        impl What {
            /// Its kind.
            #[must_use]
            pub fn kind(&self) -> FaultKind {
                match self { $(Self::$name { .. } => FaultKind::$name,)* }
            }
        }
    };
}

kinds! {
    Crash Nodes,
    Pause Nodes,
    Leave Nodes,
    Partition Nodes,
    LinkDown Links,
    LinkDegraded Links,
    GatewayOutage Nodes,
    MessageLoss Either,
    MessageDelay Either,
    MessageDuplication Either,
    ClockJump Nodes,
    ClockDrift Nodes,
    DiskFull Nodes,
    DiskReadOnly Nodes,
    DiskRemoved Nodes,
    DiskSlow Nodes,
    DiskSyncFails Nodes,
    CorruptPayload Nodes,
    LieAboutHoldings Nodes,
    FreeRide Nodes,
    Flood Nodes,
    Equivocate Nodes,
    DropSelectively Nodes,
    ManyIdentities Nodes,
}

/// What a kind of fault happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nodes.
    Nodes,
    /// Links; of selected nodes all that touch them.
    Links,
    /// Whichever is selected.
    Either,
}

impl What {
    /// Refuses parameters out of range.
    ///
    /// # Errors
    /// [`Refused`] with the field.
    pub fn validate(&self) -> Result<(), Refused> {
        check("number of messages", self.messages().len(), 0..=MESSAGES_MAX)?;
        match self {
            Self::Partition { how: Split::Groups(groups), .. } => validate_groups(groups),
            Self::LinkDegraded { rate_ppm, latency_us, loss_ppm } => {
                check("rate_ppm", *rate_ppm, 1..=MILLION)?;
                check("latency_us", *latency_us, 0..=LATENCY_US_MAX)?;
                check("loss_ppm", *loss_ppm, 0..=MILLION)
            }
            Self::MessageLoss { loss_ppm, .. } => check("loss_ppm", *loss_ppm, 1..=MILLION),
            Self::MessageDelay { delay_ms, .. } => {
                delay_ms.validate().map_err(|refused| refused.inside("delay_ms"))?;
                check("delay_ms.mean", delay_ms.mean(), 0.0..=SECONDS_MAX * 1e3)
            }
            Self::MessageDuplication { twice_ppm, .. } => check("twice_ppm", *twice_ppm, 1..=MILLION),
            Self::ClockJump { by_s } => check("by_s", *by_s, -JUMP_S_MAX..=JUMP_S_MAX),
            Self::ClockDrift { drift_ppm } => check("drift_ppm", *drift_ppm, -DRIFT_PPM_MAX..=DRIFT_PPM_MAX),
            Self::DiskSlow { latency_us } => check("latency_us", *latency_us, 1..=LATENCY_US_MAX),
            Self::CorruptPayload { share_ppm } => check("share_ppm", *share_ppm, 1..=MILLION),
            Self::Flood { messages_per_s } => check("messages_per_s", *messages_per_s, 1..=100_000),
            Self::DropSelectively { drop_ppm, .. } => check("drop_ppm", *drop_ppm, 1..=MILLION),
            Self::ManyIdentities { count } => check("count", *count, 2..=10_000),
            _ => Ok(()),
        }
    }

    /// Refuses names of messages and nodes that this world does not have.
    pub(super) fn validate_in(&self, population: &Population) -> Result<(), Refused> {
        let known = &population.messages;
        if let Some(name) = self.messages().iter().find(|name| !known.is_empty() && !known.contains(name)) {
            return Err(Refused::new("messages", format!("`{name}`"), known.join(", ")));
        }
        let Self::Partition { how: Split::Groups(groups), .. } = self else { return Ok(()) };
        match groups.iter().flatten().find(|node| **node as usize >= population.nodes.len()) {
            Some(node) => Err(Refused::new("groups", node, format!("numbers below {} here", population.nodes.len()))),
            None => Ok(()),
        }
    }

    fn messages(&self) -> &[String] {
        match self {
            Self::MessageLoss { messages, .. }
            | Self::MessageDelay { messages, .. }
            | Self::MessageDuplication { messages, .. }
            | Self::DropSelectively { messages, .. } => messages,
            _ => &[],
        }
    }
}

fn validate_groups(groups: &[Vec<u32>]) -> Result<(), Refused> {
    let mut nodes: Vec<u32> = groups.iter().flatten().copied().collect();
    check("number of groups", groups.len(), 1..=LISTED_MAX)?;
    check("number of nodes in groups", nodes.len(), groups.len()..=LISTED_MAX)?;
    if groups.iter().any(Vec::is_empty) {
        return Err(Refused::new("groups", "an empty one", "at least one node in each"));
    }
    nodes.sort_unstable();
    match nodes.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Refused::new("groups", format!("node {} twice", pair[0]), "each node once")),
        None => Ok(()),
    }
}
