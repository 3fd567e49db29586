//! The counters: bytes by where, what for and which way; events by kind.
//!
//! Invariant: every key is an enum variant with a stable name; what is encoded carries those names' positions, new ones
//! are only ever added at the end, and a file of a newer version is refused instead of misread.

use bincode::{Decode, Encode};
use mesh_proto::codec;
use mesh_proto::port::net::LinkClass;
use serde::{Deserialize, Serialize};

/// The version of the encoding.
pub const VERSION: u16 = 1;
/// Memory that decoding may take.
pub const DECODED_BYTES_MAX: usize = 16 * 1024;

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// All of them, in their stable order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

named_enum! {
    /// Where bytes came from or went to.
    SourceClass {
        /// Held here already: nothing was sent.
        OwnDisk = "own_disk",
        /// The same machine or network segment.
        SameSegment = "same_segment",
        /// Further hops away.
        Farther = "farther",
        /// A link somebody pays for by the byte.
        Metered = "metered",
    }
}

named_enum! {
    /// What bytes were for.
    Purpose {
        /// Content.
        Payload = "payload",
        /// Content that was thrown away: sent twice, or wrong.
        Wasted = "wasted",
        /// Manifest pages and listings.
        Manifest = "manifest",
        /// Questions, answers, receipts.
        Control = "control",
        /// Records and digests spread without being asked for.
        Gossip = "gossip",
        /// Finding peers and measuring paths.
        Discovery = "discovery",
    }
}

named_enum! {
    /// Which way.
    Direction {
        /// To us.
        Received = "received",
        /// From us.
        Sent = "sent",
    }
}

named_enum! {
    /// What can happen. The last word of each says what was counted; `limit_…` names a limit that was hit.
    EventKind {
        /// A transfer began.
        TransferStarted = "transfer_started",
        /// A transfer has everything, verified.
        TransferFinished = "transfer_finished",
        /// A transfer was given up.
        TransferFailed = "transfer_failed",
        /// A transfer was stopped by its person.
        TransferCancelled = "transfer_cancelled",
        /// A chunk hashed to its name.
        ChunkVerified = "chunk_verified",
        /// A chunk did not.
        ChunkMismatch = "chunk_mismatch",
        /// A span was asked of a source.
        SpanRequested = "span_requested",
        /// A span was taken from a slow source and asked elsewhere.
        SpanStolen = "span_stolen",
        /// A source made no progress in time.
        SpanStalled = "span_stalled",
        /// A peer was banned for a content.
        PeerBanned = "peer_banned",
        /// A grant was given.
        Granted = "granted",
        /// A request of a peer was refused.
        RequestRefused = "request_refused",
        /// A connection came to stand.
        ConnectionOpened = "connection_opened",
        /// A connection ended.
        ConnectionClosed = "connection_closed",
        /// A dial failed.
        DialFailed = "dial_failed",
        /// A message was malformed or against a rule.
        MessageRefused = "message_refused",
        /// A record's signature was wrong.
        SignatureRefused = "signature_refused",
        /// The store failed.
        StoreFailed = "store_failed",
        /// More connections than allowed.
        LimitConnections = "limit_connections",
        /// More span requests than may wait.
        LimitRequests = "limit_requests",
        /// More records than are kept.
        LimitRecords = "limit_records",
        /// More transfers than run at once; one waits.
        LimitTransfers = "limit_transfers",
        /// The quota of received contents is used up.
        LimitQuota = "limit_quota",
        /// The disk is full.
        LimitDisk = "limit_disk",
        /// A queue was full and its oldest entry dropped.
        LimitQueue = "limit_queue",
    }
}

impl From<LinkClass> for SourceClass {
    fn from(class: LinkClass) -> Self {
        match class {
            LinkClass::Loopback | LinkClass::SameSegment => Self::SameSegment,
            LinkClass::Farther => Self::Farther,
            LinkClass::Metered => Self::Metered,
        }
    }
}

const BYTE_SLOTS: usize = SourceClass::ALL.len() * Purpose::ALL.len() * Direction::ALL.len();

/// Why kept counters can't be read. Start from zero and say so, or, for a newer version, leave the file alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeCountersError {
    /// They were written by a newer program.
    #[error("the counters have version {version}, this program knows {VERSION}")]
    Newer {
        /// Their version.
        version: u16,
    },
    /// They are damaged.
    #[error("the counters are damaged")]
    Damaged(#[source] codec::DecodeError),
}

#[derive(Encode, Decode)]
struct Kept {
    /// How many purposes and directions there were, so that later additions find the old places.
    purposes: u16,
    bytes: Vec<u64>,
    events: Vec<u64>,
}

/// All counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    bytes: [u64; BYTE_SLOTS],
    events: [u64; EventKind::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self { bytes: [0; BYTE_SLOTS], events: [0; EventKind::ALL.len()] }
    }
}

fn byte_slot(class: SourceClass, purpose: Purpose, direction: Direction) -> usize {
    (class as usize * Purpose::ALL.len() + purpose as usize) * Direction::ALL.len() + direction as usize
}

impl Counters {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts bytes.
    pub fn add_bytes(&mut self, class: SourceClass, purpose: Purpose, direction: Direction, bytes: u64) {
        let slot = &mut self.bytes[byte_slot(class, purpose, direction)];
        *slot = slot.saturating_add(bytes);
    }

    /// Counts `count` events.
    pub fn add_events(&mut self, kind: EventKind, count: u64) {
        let slot = &mut self.events[kind as usize];
        *slot = slot.saturating_add(count);
    }

    /// Bytes counted.
    #[must_use]
    pub fn bytes(&self, class: SourceClass, purpose: Purpose, direction: Direction) -> u64 {
        self.bytes[byte_slot(class, purpose, direction)]
    }

    /// Events counted.
    #[must_use]
    pub fn events(&self, kind: EventKind) -> u64 {
        self.events[kind as usize]
    }

    /// Every byte counter with its keys, in a stable order.
    pub fn iter_bytes(&self) -> impl Iterator<Item = (SourceClass, Purpose, Direction, u64)> + '_ {
        SourceClass::ALL.iter().flat_map(move |class| {
            Purpose::ALL.iter().flat_map(move |purpose| {
                Direction::ALL
                    .iter()
                    .map(move |direction| (*class, *purpose, *direction, self.bytes(*class, *purpose, *direction)))
            })
        })
    }

    /// Every event counter with its key, in a stable order.
    pub fn iter_events(&self) -> impl Iterator<Item = (EventKind, u64)> + '_ {
        EventKind::ALL.iter().map(|kind| (*kind, self.events(*kind)))
    }

    /// Adds another's counts to these.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in self.bytes.iter_mut().zip(&other.bytes) {
            *mine = mine.saturating_add(*others);
        }
        for (mine, others) in self.events.iter_mut().zip(&other.events) {
            *mine = mine.saturating_add(*others);
        }
    }

    /// The bytes to keep: the version as u16 little-endian, then the counts.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kept =
            Kept { purposes: Purpose::ALL.len() as u16, bytes: self.bytes.to_vec(), events: self.events.to_vec() };
        let mut encoded = VERSION.to_le_bytes().to_vec();
        encoded.extend(codec::encode(&kept));
        encoded
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// [`DecodeCountersError`] if it is of a newer version or damaged.
    pub fn decode(encoded: &[u8]) -> Result<Self, DecodeCountersError> {
        let damaged = |why| DecodeCountersError::Damaged(codec::DecodeError::Rule(why));
        let Some((version, rest)) = encoded.split_first_chunk::<2>() else {
            return Err(damaged("too short to hold a version"));
        };
        let version = u16::from_le_bytes(*version);
        if version > VERSION {
            return Err(DecodeCountersError::Newer { version });
        }
        if version == 0 {
            return Err(damaged("there is no version 0"));
        }
        let kept = codec::decode::<Kept, DECODED_BYTES_MAX>(rest).map_err(DecodeCountersError::Damaged)?;
        let per_class = usize::from(kept.purposes) * Direction::ALL.len();
        let fits = usize::from(kept.purposes) <= Purpose::ALL.len()
            && per_class > 0
            && kept.bytes.len().is_multiple_of(per_class)
            && kept.bytes.len() / per_class <= SourceClass::ALL.len()
            && kept.events.len() <= EventKind::ALL.len();
        if !fits {
            return Err(damaged("more counters than this program has"));
        }
        let mut counters = Self::new();
        for (class, counts) in kept.bytes.chunks_exact(per_class).enumerate() {
            let start = class * Purpose::ALL.len() * Direction::ALL.len();
            counters.bytes[start..start + per_class].copy_from_slice(counts);
        }
        counters.events[..kept.events.len()].copy_from_slice(&kept.events);
        Ok(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some() -> Counters {
        let mut counters = Counters::new();
        counters.add_bytes(SourceClass::Metered, Purpose::Gossip, Direction::Sent, 7);
        counters.add_bytes(SourceClass::OwnDisk, Purpose::Payload, Direction::Received, u64::MAX);
        counters.add_events(EventKind::LimitQueue, 3);
        counters
    }

    #[test]
    fn counts_survive_a_restart() {
        assert_eq!(Counters::decode(&some().encode()).unwrap(), some());
        let full = Counters { bytes: [u64::MAX; BYTE_SLOTS], events: [u64::MAX; EventKind::ALL.len()] };
        assert_eq!(Counters::decode(&full.encode()).unwrap(), full);
    }

    #[test]
    fn a_newer_file_is_refused_and_a_shorter_one_read() {
        let mut encoded = some().encode();
        encoded[0] = 2;
        assert!(matches!(Counters::decode(&encoded), Err(DecodeCountersError::Newer { version: 2 })));
        let old = Kept { purposes: 1, bytes: vec![1, 2, 3, 4], events: vec![9] };
        let mut encoded = VERSION.to_le_bytes().to_vec();
        encoded.extend(codec::encode(&old));
        let counters = Counters::decode(&encoded).unwrap();
        assert_eq!(counters.bytes(SourceClass::SameSegment, Purpose::Payload, Direction::Sent), 4);
        assert_eq!(counters.events(EventKind::TransferStarted), 9);
    }

    #[test]
    fn counters_saturate() {
        let mut counters = some();
        counters.merge(&some());
        counters.add_bytes(SourceClass::OwnDisk, Purpose::Payload, Direction::Received, 1);
        assert_eq!(counters.bytes(SourceClass::OwnDisk, Purpose::Payload, Direction::Received), u64::MAX);
        assert_eq!(counters.events(EventKind::LimitQueue), 6);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Counters::decode(&bytes);
            let mut versioned = VERSION.to_le_bytes().to_vec();
            versioned.extend(bytes);
            let _ = Counters::decode(&versioned);
        }
    }
}
