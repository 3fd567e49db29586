//! What the counters mean, for a person's status view.
//!
//! Invariant: derived from [`Counters`] alone; shares are integers in parts per million.

use serde::{Deserialize, Serialize};

use crate::counters::{Counters, Direction, EventKind, Purpose, SourceClass};

/// Bytes of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassBytes {
    /// Where from or to.
    pub source: SourceClass,
    /// All bytes to us.
    pub received_bytes: u64,
    /// All bytes from us.
    pub sent_bytes: u64,
}

/// Bytes of one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurposeBytes {
    /// What for.
    pub purpose: Purpose,
    /// All bytes to us.
    pub received_bytes: u64,
    /// All bytes from us.
    pub sent_bytes: u64,
}

/// The counters at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// By where from or to, in the classes' order.
    pub by_class: Vec<ClassBytes>,
    /// By what for, in the purposes' order.
    pub by_purpose: Vec<PurposeBytes>,
    /// Payload received over the network or found on the own disk.
    pub payload_bytes: u64,
    /// Of that, from the own disk or the same segment: what did not cross a thin or paid link.
    pub near_payload_ppm: u32,
    /// Of all bytes sent and received over the network, those that were not payload.
    pub overhead_ppm: u32,
    /// Transfers that ended with everything verified.
    pub transfers_finished: u64,
    /// Transfers given up.
    pub transfers_failed: u64,
    /// Chunks that were not what their name says.
    pub chunk_mismatches: u64,
}

impl Summary {
    /// Sums the counters up.
    #[must_use]
    pub fn of(counters: &Counters) -> Self {
        let sum = |wanted: &dyn Fn(SourceClass, Purpose, Direction) -> bool| {
            let counts = counters.iter_bytes().filter(|(class, purpose, way, _)| wanted(*class, *purpose, *way));
            counts.fold(0u64, |sum, (.., bytes)| sum.saturating_add(bytes))
        };
        let by_class = SourceClass::ALL.iter().map(|source| ClassBytes {
            source: *source,
            received_bytes: sum(&|class, _, way| class == *source && way == Direction::Received),
            sent_bytes: sum(&|class, _, way| class == *source && way == Direction::Sent),
        });
        let by_purpose = Purpose::ALL.iter().map(|purpose| PurposeBytes {
            purpose: *purpose,
            received_bytes: sum(&|_, found, way| found == *purpose && way == Direction::Received),
            sent_bytes: sum(&|_, found, way| found == *purpose && way == Direction::Sent),
        });
        let is_near = |class| matches!(class, SourceClass::OwnDisk | SourceClass::SameSegment);
        let payload_bytes = sum(&|_, purpose, way| purpose == Purpose::Payload && way == Direction::Received);
        let near_bytes =
            sum(&|class, purpose, way| is_near(class) && purpose == Purpose::Payload && way == Direction::Received);
        let network_bytes = sum(&|class, _, _| class != SourceClass::OwnDisk);
        let overhead_bytes = sum(&|class, purpose, _| class != SourceClass::OwnDisk && purpose != Purpose::Payload);
        Self {
            by_class: by_class.collect(),
            by_purpose: by_purpose.collect(),
            payload_bytes,
            near_payload_ppm: share_ppm(near_bytes, payload_bytes),
            overhead_ppm: share_ppm(overhead_bytes, network_bytes),
            transfers_finished: counters.events(EventKind::TransferFinished),
            transfers_failed: counters.events(EventKind::TransferFailed),
            chunk_mismatches: counters.events(EventKind::ChunkMismatch),
        }
    }
}

/// `part` of `whole` in parts per million; 0 of nothing.
fn share_ppm(part: u64, whole: u64) -> u32 {
    let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
    u32::try_from(ppm).unwrap_or(1_000_000).min(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_what_crossed_no_thin_link() {
        let mut counters = Counters::new();
        counters.add_bytes(SourceClass::OwnDisk, Purpose::Payload, Direction::Received, 50);
        counters.add_bytes(SourceClass::SameSegment, Purpose::Payload, Direction::Received, 25);
        counters.add_bytes(SourceClass::Metered, Purpose::Payload, Direction::Received, 25);
        counters.add_bytes(SourceClass::Metered, Purpose::Gossip, Direction::Sent, 50);
        let summary = Summary::of(&counters);
        assert_eq!((summary.payload_bytes, summary.near_payload_ppm, summary.overhead_ppm), (100, 750_000, 500_000));
        assert_eq!(summary.by_class[3].sent_bytes, 50);
        assert_eq!(Summary::of(&Counters::new()).near_payload_ppm, 0);
    }
}
