//! Why a file is refused, and where.
//!
//! Invariant: what is quoted from the file is short, however long it was.

use std::fmt;

use super::super::error::TopologyError;
use super::IMPORT_BYTES_MAX;
use crate::link::LinkError;

/// A file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ImportError {
    /// Where.
    pub place: Place,
    /// Why.
    pub problem: Problem,
}

/// Where in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Nowhere in particular.
    File,
    /// At a line and column, both from 1.
    Line {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// At a byte; [`read`](super::read) says line and column instead.
    Offset(usize),
    /// At a node, by its place among the nodes, from 0.
    Node(usize),
    /// At a link, by its place among the links, from 0.
    Link(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => formatter.write_str("the file"),
            Self::Line { line, column } => write!(formatter, "line {line}, column {column}"),
            Self::Offset(offset) => write!(formatter, "byte {offset}"),
            Self::Node(index) => write!(formatter, "node {index} (from 0)"),
            Self::Link(index) => write!(formatter, "link {index} (from 0)"),
        }
    }
}

impl Place {
    /// The line and column of a byte.
    fn of_offset(bytes: &[u8], offset: usize) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line_at = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Self::Line { line, column: before.len() - line_at + 1 }
    }
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Too many bytes.
    #[error("{bytes} bytes are too long; at most {IMPORT_BYTES_MAX} are read")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// Not text.
    #[error("not UTF-8")]
    NotUtf8,
    /// Not what the format allows.
    #[error("{0}")]
    Syntax(String),
    /// A value that the key cannot have.
    #[error("`{key}` is {found}; allowed is {allowed}")]
    Value {
        /// The key.
        key: String,
        /// What it says, cut where it is long.
        found: String,
        /// What it may say.
        allowed: &'static str,
    },
    /// Two nodes have one id.
    #[error("another node has the id \"{0}\" too")]
    NodeTwice(String),
    /// A link's end is no node.
    #[error("there is no node with the id \"{0}\"")]
    NoSuchNode(String),
    /// A link that our own export wrote is wrong.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The network as a whole is wrong.
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

/// Longest quotation, in characters.
const QUOTED_MAX: usize = 60;

/// The beginning of a text, to quote.
pub(super) fn quoted(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(QUOTED_MAX).collect();
    if characters.next().is_some() { format!("{start}…") } else { start }
}

impl ImportError {
    pub(super) fn new(place: Place, problem: Problem) -> Self {
        Self { place, problem }
    }

    /// The same, with line and column of a byte.
    pub(super) fn located(self, bytes: &[u8]) -> Self {
        let place = match self.place {
            Place::Offset(offset) => Place::of_offset(bytes, offset),
            place => place,
        };
        Self { place, ..self }
    }
}
