//! Why a topology cannot be made.
//!
//! Invariant: every error says what is wrong and what is allowed.

use crate::link::LinkError;

/// A topology cannot be made as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A parameter is outside its range.
    #[error("`{key}` is {found}; allowed is {allowed}")]
    OutOfRange {
        /// The key in the file.
        key: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        allowed: &'static str,
    },
    /// There would be too many of something.
    #[error("{found} {what} are too many; at most {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many are allowed.
        max: u32,
    },
    /// Places were drawn again and again, and never reached each other.
    #[error(
        "in {tries} draws not all nodes reached each other; allow a longer `range_m`, or connect by `shortest_links`"
    )]
    NeverConnected {
        /// How often they were drawn.
        tries: u32,
    },
    /// Two nodes have one name.
    #[error("two nodes have the name \"{name}\"")]
    NameTwice {
        /// The name.
        name: String,
    },
    /// A link does not fit the rest.
    #[error("link {link} is wrong: {problem}")]
    BadLink {
        /// Its number.
        link: u32,
        /// What is wrong.
        problem: &'static str,
    },
    /// A topology is in a file that nobody read.
    #[error("the topology's file {path} was not read")]
    NotRead {
        /// Where it lies.
        path: String,
    },
    /// What a link is like is wrong.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl TopologyError {
    pub(super) fn out_of_range(key: &'static str, found: impl ToString, allowed: &'static str) -> Self {
        Self::OutOfRange { key, found: found.to_string(), allowed }
    }
}
