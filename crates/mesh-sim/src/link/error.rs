//! Why a description of a link is refused.
//!
//! Invariant: every error names the key, what was found, and what is allowed.

/// A description of a link does not hold together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A value is outside its range.
    #[error("`{key}` is {found}; allowed is {allowed}")]
    OutOfRange {
        /// The key in the file.
        key: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        allowed: &'static str,
    },
    /// Without a preset a link needs at least these.
    #[error("`{key}` is missing; a link has a `preset`, or at least `latency` and `rate`")]
    Missing {
        /// The key that is missing.
        key: &'static str,
    },
    /// Two keys say the same thing.
    #[error("`{first}` and `{second}` say the same thing; write one of them")]
    Both {
        /// One key.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A key stands where it means nothing.
    #[error("`{key}` does not belong here")]
    Misplaced {
        /// The key.
        key: &'static str,
    },
}

impl LinkError {
    pub(super) fn out_of_range(key: &'static str, found: String, allowed: &'static str) -> Self {
        Self::OutOfRange { key, found, allowed }
    }
}
