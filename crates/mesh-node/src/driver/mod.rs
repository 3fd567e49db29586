//! The loop that owns the brain: feeds it what happened, carries out what it asks for, and wakes it in time.
//!
//! One task owns everything; what it hears from others comes through queues:
//!
//! | from | queue | at its limit |
//! |---|---|---|
//! | network | [`NET_INPUTS_MAX`] | the network waits, and so do its peers |
//! | store | answers: one per command, so bounded by what the brain asks; progress: [`queue::STORE_PROGRESS_MAX`] | progress is dropped and counted |
//! | keys | one answer per command | – |
//! | people and programs | [`REQUESTS_MAX`] | who asks waits |
//!
//! Invariants: every output of one input is carried out before the next input is fed; timestamps never go back; the
//! first inputs are the keys, the clock, and what the store held. Policy has no place here.

mod clock;
mod keys;
mod queue;
mod run;
mod wiring;

use std::sync::atomic::{AtomicU64, Ordering};

use mesh_proto::port::{UserCommand, UserReply};
use tokio::sync::oneshot;

pub(crate) use queue::{StoreInputs, store_queue};
pub(crate) use run::{Driver, stopped_reply};
pub(crate) use wiring::{Parts, Progress, Published};

/// Network inputs waiting; more hold the network up.
pub(crate) const NET_INPUTS_MAX: usize = 1024;
/// Requests of people and programs waiting; more wait outside.
pub(crate) const REQUESTS_MAX: usize = 256;
/// Events kept for a listener that is slow; a slower one is told how many it missed.
pub(crate) const EVENTS_MAX: usize = 1024;

/// One request and where its answer goes.
pub(crate) struct UserRequest {
    pub(crate) command: UserCommand,
    pub(crate) reply: oneshot::Sender<UserReply>,
}

/// What the driver counts, shared with whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    wakes: AtomicU64,
    inputs: AtomicU64,
    outputs: AtomicU64,
    ticks: AtomicU64,
    ticks_early: AtomicU64,
    store_progress_dropped: AtomicU64,
    replies_unclaimed: AtomicU64,
}

/// What the driver has counted since the node began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DriverCounts {
    /// Times the loop woke up.
    pub wakes: u64,
    /// Inputs fed to the brain.
    pub inputs: u64,
    /// Outputs carried out.
    pub outputs: u64,
    /// Timeouts that were due.
    pub ticks: u64,
    /// Ticks after which the brain at once wanted another: each was held back a millisecond.
    pub ticks_early: u64,
    /// Progress reports of the store that were dropped because too many waited.
    pub store_progress_dropped: u64,
    /// Replies to somebody who no longer waits.
    pub replies_unclaimed: u64,
}

impl Counters {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> DriverCounts {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DriverCounts {
            wakes: value(&self.wakes),
            inputs: value(&self.inputs),
            outputs: value(&self.outputs),
            ticks: value(&self.ticks),
            ticks_early: value(&self.ticks_early),
            store_progress_dropped: value(&self.store_progress_dropped),
            replies_unclaimed: value(&self.replies_unclaimed),
        }
    }
}
