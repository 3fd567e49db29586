//! What an experiment needs of the world it is done in, whether that is real or simulated.
//!
//! Invariant: an experiment knows nothing else of its world, so what differs is the world.

use std::time::Duration;

/// A host's link to the switch that joins all.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Both ways.
    pub bits_per_s: u64,
    /// Of what arrives at the host, in per cent.
    pub lost_percent: u32,
}

impl Link {
    /// A link that loses nothing.
    pub fn mbit(rate: u64) -> Self {
        Self { bits_per_s: rate * 1_000_000, lost_percent: 0 }
    }

    /// Bytes that may wait before it: as many as it carries in 50 ms beside a burst.
    pub fn waiting_bytes_max(self) -> u64 {
        self.bits_per_s / 8 / 20 + self.burst_bytes()
    }

    /// Bytes that go at once: some 20 packets, or one on links that need long for it.
    pub fn burst_bytes(self) -> u64 {
        if self.bits_per_s >= 1_000_000 { 32 << 10 } else { 1600 }
    }
}

/// A content being fetched, by the order in which they were begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch(pub usize);

/// Hosts on a switch, a node on each; all see each other.
pub trait Lab {
    /// Puts a file of so many bytes on a host and shares it; the ticket. The same number is the same file.
    fn share(&mut self, host: usize, bytes: u64, number: u64) -> String;
    /// Begins to fetch.
    fn begin(&mut self, host: usize, ticket: &str) -> Fetch;
    /// Waits until all of these are done; how long it took since the first of them was begun.
    fn finish(&mut self, fetches: &[Fetch]) -> Duration;
    /// Whether one is not done yet.
    fn is_under_way(&mut self, fetch: Fetch) -> bool;
    /// Lets time pass.
    fn pass(&mut self, time: Duration);
    /// Cuts a host's link, or joins it again.
    fn set_plugged(&mut self, host: usize, plugged: bool);
    /// Makes these hosts' nodes one member's.
    fn make_member(&mut self, hosts: &[usize]);
    /// Payload bytes that a host gave each host so far.
    fn given_bytes(&mut self, host: usize) -> Vec<u64>;
}
