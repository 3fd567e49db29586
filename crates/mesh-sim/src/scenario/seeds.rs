//! Lists of seeds, written as `1..20` (both ends included), `7` or `1,5,9..12`.

use serde::{Deserialize, Serialize};

/// The most seeds of one experiment.
pub const SEEDS_MAX: usize = 100_000;

/// Why a text is no list of seeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedsError {
    /// Not numbers and ranges of numbers.
    #[error("`{0}` is no list of seeds: write 1..20, 7 or 1,5,9..12")]
    Text(String),
    /// More than may be.
    #[error("more than {SEEDS_MAX} seeds")]
    TooMany,
}

/// Seeds, ascending and each once. By default 1 to 20.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seeds(Vec<u64>);

impl Default for Seeds {
    fn default() -> Self {
        Self((1..=20).collect())
    }
}

impl Seeds {
    /// The seeds.
    #[must_use]
    pub fn all(&self) -> &[u64] {
        &self.0
    }

    /// The first so many.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self(self.0.iter().take(count).copied().collect())
    }

    fn ascending(mut seeds: Vec<u64>) -> Self {
        seeds.sort_unstable();
        seeds.dedup();
        Self(seeds)
    }
}

impl FromIterator<u64> for Seeds {
    fn from_iter<I: IntoIterator<Item = u64>>(seeds: I) -> Self {
        Self::ascending(seeds.into_iter().collect())
    }
}

impl std::str::FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let wrong = || SeedsError::Text(text.to_owned());
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let mut seeds = Vec::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once("..") {
                Some((first, last)) => (number(first)?, number(last.trim_start_matches('='))?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(wrong());
            }
            if last - first >= (SEEDS_MAX - seeds.len().min(SEEDS_MAX)) as u64 {
                return Err(SeedsError::TooMany);
            }
            seeds.extend(first..=last);
        }
        Ok(Self::ascending(seeds))
    }
}

impl TryFrom<String> for Seeds {
    type Error = SeedsError;

    fn try_from(text: String) -> Result<Self, SeedsError> {
        text.parse()
    }
}

impl std::fmt::Display for Seeds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = &self.0[..];
        let mut separator = "";
        while let [first, ..] = rest {
            let run =
                rest.iter().zip(0u64..).take_while(|(seed, after)| first.checked_add(*after) == Some(**seed)).count();
            match run {
                1 => write!(formatter, "{separator}{first}")?,
                _ => write!(formatter, "{separator}{first}..{}", rest[run - 1])?,
            }
            (rest, separator) = (&rest[run..], ",");
        }
        Ok(())
    }
}

impl From<Seeds> for String {
    fn from(seeds: Seeds) -> Self {
        seeds.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_and_written() {
        let read = |text: &str| text.parse::<Seeds>();
        assert_eq!(read("1..3").expect("reads").all(), [1, 2, 3]);
        assert_eq!(read("1, 5,9..=11, 5").expect("reads").all(), [1, 5, 9, 10, 11]);
        for text in ["1..20", "7", "1,5,9..12", "0,18446744073709551615"] {
            assert_eq!(read(text).expect("reads").to_string(), text);
        }
        assert_eq!([5, 1, 2, 5].into_iter().collect::<Seeds>().to_string(), "1..2,5");
        for text in ["", "a", "3..1", "1..", "1;2", "-1"] {
            assert!(matches!(read(text), Err(SeedsError::Text(_))), "{text}");
        }
        assert_eq!(read("0..18446744073709551615"), Err(SeedsError::TooMany));
        assert_eq!(read("1..100000").map(|seeds| seeds.all().len()), Ok(100_000));
        assert_eq!(read("1..100001"), Err(SeedsError::TooMany));
    }
}
