//! Names of things. Every id is a newtype, so that a chunk's name can never be taken for a content's.
//!
//! 32-byte ids print as 64 lower-case hex digits, and parse from them only.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIdError {
    /// The text does not have 64 characters.
    #[error("an id has 64 hex digits, this has {len}")]
    Length {
        /// How many bytes the text had.
        len: usize,
    },
    /// A character is not a hex digit.
    #[error("an id has only the digits 0-9 and a-f")]
    Digit,
}

fn parse_hex_32(text: &str) -> Result<[u8; 32], ParseIdError> {
    if text.len() != 64 {
        return Err(ParseIdError::Length { len: text.len() });
    }
    let mut out = [0u8; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = hex_value(pair[0]).ok_or(ParseIdError::Digit)?;
        let low = hex_value(pair[1]).ok_or(ParseIdError::Digit)?;
        *byte = high << 4 | low;
    }
    Ok(out)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn head(bytes: &[u8; 32]) -> u64 {
    let (head, _) = bytes.split_first_chunk().expect("an id has 32 bytes");
    u64::from_be_bytes(*head)
}

macro_rules! id_32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 32]);

        impl Ord for $name {
            /// The order of their bytes. Ids are as good as random, so the first eight bytes tell nearly all apart, in
            /// one step: maps by id are what a node looks into the most.
            fn cmp(&self, other: &Self) -> Ordering {
                head(&self.0).cmp(&head(&other.0)).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// The first ten hex digits, for people to read.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string()[..10].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex_32(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id_32! {
    /// A content: the BLAKE3 hash of its manifest's root. The same bytes are the same content everywhere.
    ContentId
}
id_32! {
    /// A chunk: the BLAKE3 hash of its bytes.
    ChunkId
}
id_32! {
    /// A manifest page: the BLAKE3 hash of its bytes.
    PageId
}
id_32! {
    /// A node: its Ed25519 public key.
    NodeId
}
id_32! {
    /// A member (a person or household): its Ed25519 public key.
    MemberId
}
id_32! {
    /// A community: its Ed25519 public key.
    CommunityId
}
id_32! {
    /// A line, the named history of versions: the Ed25519 public key that opened it.
    LineId
}

impl ContentId {
    /// What to ask strangers for instead of the id itself: who holds the content knows this, who does not learns
    /// nothing that would let them fetch it.
    #[must_use]
    pub fn discovery_key(&self) -> [u8; 32] {
        blake3::derive_key("mesh 1 content discovery", &self.0)
    }
}

/// Correlates a command of the brain with its one answer. Unique within one process of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// One connection to a peer. Unique within one process of a node, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_what_it_parses() {
        let id = ContentId([0xab; 32]);
        assert_eq!(id.to_string().parse::<ContentId>(), Ok(id));
    }

    proptest::proptest! {
        #[test]
        fn ids_stand_in_the_order_of_their_bytes(one: [u8; 32], other: [u8; 32], same in 0usize..33) {
            let mut near = other;
            near[..same].copy_from_slice(&one[..same]);
            for other in [other, near] {
                proptest::prop_assert_eq!(ContentId(one).cmp(&ContentId(other)), one.cmp(&other));
            }
        }
    }

    #[test]
    fn short_and_foreign_texts_are_refused() {
        assert_eq!("ab".parse::<ContentId>(), Err(ParseIdError::Length { len: 2 }));
        assert_eq!("g".repeat(64).parse::<ContentId>(), Err(ParseIdError::Digit));
        assert_eq!("é".repeat(32).parse::<ContentId>(), Err(ParseIdError::Digit));
    }
}
