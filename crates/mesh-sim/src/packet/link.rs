//! One direction of a link: a queue per flow, served in turn, and a finite buffer.
//!
//! All packets have one size, so deficit round robin (Shreedhar, Varghese 1995) with that quantum is plain round robin;
//! as in fq_codel (RFC 8290), a new packet that finds the buffer full pushes out the oldest of the longest queue.
//! Invariant: what waits never exceeds the buffer.

use std::collections::VecDeque;

use super::{LinkPlan, Loss};
use crate::Stream;
use crate::flow::SEGMENT_BYTES;

/// A packet under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) flow: u32,
    pub(super) segment: u32,
    /// Which sending of the flow this is; a segment may be sent more than once.
    pub(super) sending: u64,
    /// How many links of its path lie behind it.
    pub(super) hop: u32,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) plan: LinkPlan,
    /// By flow.
    queues: Vec<VecDeque<Packet>>,
    /// Flows that have something queued, the next first.
    turns: VecDeque<u32>,
    waiting: usize,
    sending: Option<Packet>,
    luck: Stream,
    sent: u64,
}

impl Link {
    pub(super) fn new(plan: LinkPlan, flows: usize, luck: Stream) -> Self {
        let queues = vec![VecDeque::new(); flows];
        Self { plan, queues, turns: VecDeque::new(), waiting: 0, sending: None, luck, sent: 0 }
    }

    /// How long a packet takes to send.
    pub(super) fn packet_ns(&self) -> u64 {
        (SEGMENT_BYTES * 1_000_000_000).div_ceil(self.plan.rate_bytes_per_s.max(1))
    }

    /// Takes a packet in. Returns whether the link was idle and begins to send it.
    pub(super) fn take(&mut self, packet: Packet) -> bool {
        if self.sending.is_none() {
            self.sending = Some(packet);
            return true;
        }
        let queue = &mut self.queues[packet.flow as usize];
        queue.push_back(packet);
        if queue.len() == 1 {
            self.turns.push_back(packet.flow);
        }
        self.waiting += 1;
        if self.waiting as u64 * SEGMENT_BYTES > self.plan.buffer_bytes {
            self.push_out();
        }
        false
    }

    /// The packet being sent is out. Returns it, if it is not lost, and whether the next one begins.
    pub(super) fn sent(&mut self) -> (Option<Packet>, bool) {
        self.sent += 1;
        let lost = match self.plan.loss {
            Loss::Independent { ppm } => self.luck.one_in_a_million(ppm),
            Loss::Every { packets } => packets > 0 && self.sent.is_multiple_of(packets),
        };
        let sent = self.sending.take().filter(|_| !lost);
        if let Some(flow) = self.turns.pop_front() {
            let queue = &mut self.queues[flow as usize];
            self.sending = queue.pop_front();
            self.waiting -= 1;
            if !queue.is_empty() {
                self.turns.push_back(flow);
            }
        }
        (sent, self.sending.is_some())
    }

    fn push_out(&mut self) {
        let longest = (0..self.queues.len()).rev().max_by_key(|flow| self.queues[*flow].len());
        let Some(flow) = longest else { return };
        self.queues[flow].pop_front();
        self.waiting -= 1;
        if self.queues[flow].is_empty() {
            self.turns.retain(|turn| *turn as usize != flow);
        }
    }
}
