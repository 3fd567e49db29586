//! What people do in a world, as data, and as a lazy, ordered stream of [`Demand`]s.
//!
//! In TOML:
//!
//! ```toml
//! [catalogue]
//! contents = 500
//! size_bytes = { kind = "log_normal", median = 4_000_000, sigma = 1.5 }
//! publishers = { kind = "one", node = 0 }
//!
//! [[activities]]
//! kind = "requests"
//! who = { kind = "role", role = "peer" }
//! exponent = 0.8
//! arrivals = { kind = "poisson", per_hour = 6 }
//!
//! [[activities]]
//! kind = "churn"
//! up_s = "kad_later"
//! down_s = "kad_offline"
//! ```
//!
//! | file | what it describes |
//! |---|---|
//! | `catalogue` | the contents: how many, how large, by whom, listed or not |
//! | `requests` | who asks for what, how often |
//! | `arrivals` | when one node asks, over time |
//! | `gathering` | flash crowds and steady transfers: one content, many getters |
//! | `churn` | sessions and absences |
//! | `sessions` | their lengths, by name as published |
//! | `updates` | new versions of contents |
//! | `community` | communities, who is in them, and what is for them; lists that change |
//! | `trace` | what was recorded elsewhere, from CSV |
//! | `demands` | all of it together, in order |
//!
//! A workload knows nothing of the world's state: a demand of a node that is off, or for what nobody has shared yet, is
//! for the world to count or to forget.
//!
//! Invariant: each node draws from streams of its own for each activity and purpose. A further node changes no demand of
//! the others, save that it may publish what another would have, and that a selector with luck in it may choose it.

mod arrivals;
mod catalogue;
mod churn;
#[cfg(test)]
mod churn_tests;
mod community;
mod demands;
mod gathering;
mod requests;
#[cfg(test)]
mod requests_tests;
mod sessions;
#[cfg(test)]
mod tests;
mod trace;
mod updates;

pub use arrivals::{Arrivals, BURST_REQUESTS_MAX};
pub use catalogue::{CONTENT_BYTES_MAX, Catalogue, Contents, Publishers};
pub use churn::Churn;
pub use community::{Community, Relistings};
pub use demands::{ACTIVITIES_MAX, Activity, Demands, Recorded, SOURCES_MAX, Setting, Workload, WorkloadError};
pub use gathering::{FlashCrowd, Transfers};
pub use requests::{Heavy, Requests};
pub use sessions::{Published, Sessions};
pub use trace::{TRACE_ROWS_MAX, Trace, TraceError};
pub use updates::Updates;

use mesh_proto::Timestamp;

/// Somebody wants something done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// When.
    pub at: Timestamp,
    /// Whose node.
    pub node: u32,
    /// What.
    pub what: Want,
}

/// What somebody wants. Contents are numbered from 0, by popularity: 0 is asked for most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Share a content of this size.
    Share {
        /// Which.
        content: u32,
        /// Its size.
        bytes: u64,
    },
    /// List it in the catalogue, so that others find it.
    Announce {
        /// Which.
        content: u32,
    },
    /// Share a new version, listed under the same name.
    Update {
        /// Which.
        content: u32,
        /// Its version; the first is 1, and what was shared at first is 0.
        version: u32,
        /// The size of the version.
        bytes: u64,
    },
    /// Get a content.
    Get {
        /// Which.
        content: u32,
    },
    /// List it, or take it off the list if it stands there.
    Relist {
        /// Which.
        content: u32,
    },
    /// Found a community.
    Found {
        /// Which, counted from 0.
        community: u32,
    },
    /// Be invited into a community and join it.
    Join {
        /// Which.
        community: u32,
    },
    /// Be taken back by a community.
    BeRevoked {
        /// By which.
        community: u32,
    },
    /// Not be there yet: only at the start of churn, for nodes whose first session begins later.
    Absent,
    /// Leave in good order.
    Leave,
    /// Leave without a word, as by a power cut.
    Crash,
    /// Be back after any of these three.
    Return,
}
