//! What every part of the brain gets along with its input: the time, the outbox, command ids and randomness.

use std::collections::VecDeque;

use mesh_analytics::EventKind;
use mesh_proto::message::Message;
use mesh_proto::planted::Planted;
use mesh_proto::port::{Event, KeysCommand, NetCommand, Output, StoreCommand, UserReply, UserRequestId};
use mesh_proto::{CommandId, NodeId, Timestamp, UnixMs};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// Outputs for which room is kept between inputs.
const OUTBOX_KEPT: usize = 16;

/// Handed down the parts of a [`Node`](crate::Node) while one input is handled.
#[derive(Debug)]
pub struct Context {
    /// The time of the input.
    pub now: Timestamp,
    /// This node.
    pub node: NodeId,
    /// What is broken in it, on purpose.
    pub planted: Planted,
    clock: Option<(UnixMs, Timestamp)>,
    clock_trusted: bool,
    outbox: VecDeque<Output>,
    next_command: u64,
    random: ChaCha8Rng,
    /// Few kinds at a time, and kept from input to input.
    counts: Vec<(EventKind, u64)>,
}

impl Context {
    /// A context for a new process of a node.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            now: Timestamp::ZERO,
            node: NodeId([0; 32]),
            planted: Planted::default(),
            clock: None,
            clock_trusted: false,
            outbox: VecDeque::new(),
            next_command: 1,
            random: ChaCha8Rng::from_seed(seed),
            counts: Vec::new(),
        }
    }

    /// A command id never given before in this process.
    pub fn command_id(&mut self) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        id
    }

    /// Asks the network for something.
    pub fn net(&mut self, command: NetCommand) {
        self.outbox.push_back(Output::Net(command));
    }

    /// Sends a control message to a connected peer.
    pub fn send(&mut self, node: NodeId, message: Message) {
        self.net(NetCommand::Send { node, message });
    }

    /// Asks the store for something.
    pub fn store(&mut self, command: StoreCommand) {
        self.outbox.push_back(Output::Store(command));
    }

    /// Asks the keys for something.
    pub fn keys(&mut self, command: KeysCommand) {
        self.outbox.push_back(Output::Keys(command));
    }

    /// Answers a person or program.
    pub fn reply(&mut self, request: UserRequestId, reply: UserReply) {
        self.outbox.push_back(Output::Reply { request, reply });
    }

    /// Tells whoever listens.
    pub fn report(&mut self, event: Event) {
        self.outbox.push_back(Output::Report(event));
    }

    /// Says that all there was to write is written.
    pub fn stopped(&mut self) {
        self.outbox.push_back(Output::Stopped);
    }

    /// Counts something that happened.
    pub fn count(&mut self, kind: EventKind) {
        self.count_many(kind, 1);
    }

    /// Counts something that happened several times.
    pub fn count_many(&mut self, kind: EventKind, times: u64) {
        if times == 0 {
            return;
        }
        match self.counts.iter_mut().find(|(counted, _)| *counted == kind) {
            Some((_, sum)) => *sum += times,
            None => self.counts.push((kind, times)),
        }
    }

    /// What was counted since the last call, each kind once.
    pub fn take_counts(&mut self) -> impl ExactSizeIterator<Item = (EventKind, u64)> + '_ {
        self.counts.drain(..)
    }

    /// Sets civil time.
    pub fn set_clock(&mut self, unix: UnixMs, trusted: bool) {
        self.clock = Some((unix, self.now));
        self.clock_trusted = trusted;
    }

    /// Civil time now, by this machine's clock; zero before it was told.
    #[must_use]
    pub fn unix(&self) -> UnixMs {
        match self.clock {
            Some((unix, at)) => unix.after(self.now.since(at)),
            None => UnixMs(0),
        }
    }

    /// Whether the system says its clock is synchronised.
    #[must_use]
    pub fn clock_trusted(&self) -> bool {
        self.clock_trusted
    }

    /// A uniform random number below `bound` (0 if `bound` is 0).
    pub fn random_below(&mut self, bound: u64) -> u64 {
        match bound {
            0 => 0,
            _ => ((u128::from(self.random.next_u64()) * u128::from(bound)) >> 64) as u64,
        }
    }

    /// The next output, in order.
    pub fn pop(&mut self) -> Option<Output> {
        let next = self.outbox.pop_front();
        if next.is_none() && self.outbox.capacity() > OUTBOX_KEPT {
            // A burst is over; hardly any input leads to so much.
            self.outbox.shrink_to(0);
        }
        next
    }

    /// Whether all outputs were drained.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.outbox.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_no_room_behind() {
        let mut ctx = Context::new([0; 32]);
        (0..1000).for_each(|_| ctx.stopped());
        assert_eq!(std::iter::from_fn(|| ctx.pop()).count(), 1000);
        assert!(ctx.outbox.capacity() <= OUTBOX_KEPT);
    }
}
