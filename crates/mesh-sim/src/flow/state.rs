//! What is known of one flow and of one resource.
//!
//! Invariant: `left` is what was left at `since`; with the rate since then it gives what is left at any later time.

use std::collections::VecDeque;

use mesh_proto::Timestamp;

use super::ramp::Ramp;
use super::{PathQuality, free_rate_bytes_per_s};

#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) carried: f64,
    pub(super) used: f64,
    /// Bytes of control messages that displace payload and have not yet; below zero, what goes at once after a rest.
    pub(super) owed: f64,
    pub(super) burst: f64,
    pub(super) owed_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) generation: u32,
    pub(super) open: bool,
    pub(super) quality: PathQuality,
    /// What loss would let it have on an endless path, and lets it have of its share.
    pub(super) free: f64,
    pub(super) slowed: f64,
    /// Its share of each resource on its path, in their order, if loss limits it.
    pub(super) offered: Vec<(u32, f64)>,
    pub(super) ramp: Ramp,
    pub(super) idle_since: Option<Timestamp>,
    pub(super) items: VecDeque<Item>,
    pub(super) backlog: u64,
    /// What is left of the first item, and of what delays it, at `since`; and its rate since then.
    pub(super) left: f64,
    pub(super) since: Timestamp,
    pub(super) rate: f64,
    pub(super) finish: Option<Timestamp>,
    /// Bytes of the first item that its path was charged for.
    pub(super) charged: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) token: u64,
    pub(super) bytes: u64,
}

impl Flow {
    pub(super) fn new(generation: u32, quality: PathQuality) -> Self {
        Self {
            generation,
            open: false,
            quality,
            free: free_rate_bytes_per_s(quality),
            slowed: free_rate_bytes_per_s(quality),
            offered: Vec::new(),
            ramp: Ramp::new(quality),
            idle_since: None,
            items: VecDeque::new(),
            backlog: 0,
            left: 0.0,
            since: Timestamp::ZERO,
            rate: 0.0,
            finish: None,
            charged: 0,
        }
    }

    pub(super) fn left_at(&self, now: Timestamp) -> f64 {
        (self.left - self.rate * seconds(self.since, now)).max(0.0)
    }

    /// Whole bytes of the first item that have left when the flow was settled.
    pub(super) fn sent(&self) -> u64 {
        self.sent_at(self.since)
    }

    pub(super) fn sent_at(&self, now: Timestamp) -> u64 {
        let Some(item) = self.items.front() else { return 0 };
        ((item.bytes as f64 - self.left_at(now)).max(0.0) as u64).max(self.charged)
    }

    /// When what is left at `since` has left; `None` if never.
    pub(super) fn finish_from(&self, since: Timestamp) -> Option<Timestamp> {
        if self.left <= 0.0 {
            return Some(since);
        }
        let nanos = (self.left / self.rate * 1e9).ceil();
        (nanos < u64::MAX as f64).then(|| Timestamp(since.0.saturating_add(nanos as u64)))
    }
}

/// Seconds from one time to a later one; 0 if it is not later.
pub(super) fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.0.saturating_sub(from.0) as f64 / 1e9
}
