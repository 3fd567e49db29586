//! How a value out of range is refused: where it stands, what it is, and what would be allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// A value that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} is {value}; allowed: {allowed}")]
pub struct Refused {
    /// Where it stands, such as `faults[3].duration_s.mean`.
    pub place: String,
    /// What it is.
    pub value: String,
    /// What would be allowed.
    pub allowed: String,
}

impl Refused {
    /// A value that is not allowed.
    #[must_use]
    pub fn new(place: &str, value: impl Display, allowed: impl Into<String>) -> Self {
        Self { place: place.to_owned(), value: value.to_string(), allowed: allowed.into() }
    }

    /// The same, seen from around the place.
    #[must_use]
    pub fn inside(self, outer: &str) -> Self {
        Self { place: format!("{outer}.{}", self.place), ..self }
    }
}

/// Refuses a number out of a range; what is not a number is out of every range.
///
/// # Errors
/// [`Refused`], with the place and the range.
pub fn check<T: PartialOrd + Display>(place: &str, value: T, allowed: RangeInclusive<T>) -> Result<(), Refused> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(Refused::new(place, value, format!("{} to {}", allowed.start(), allowed.end())))
}
