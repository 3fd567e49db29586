//! Events, paths and receivers.
//!
//! Invariant: events of one time happen in the order in which they were caused.

use mesh_proto::Timestamp;

use super::link::{Link, Packet};
use super::sender::Sender;
use super::{FlowPlan, LinkPlan};
use crate::Stream;
use crate::kernel::queue::{EventQueue as _, Queue};

#[derive(Debug, Clone, Copy)]
enum Event {
    Start(u32),
    /// A link has sent a packet.
    Sent(usize),
    /// A packet is where its next link begins, or at its receiver.
    Arrive(Packet),
    Acknowledge(Packet),
    /// A sender's pace allows the next segment.
    Free(u32),
    Deadline(u32),
}

#[derive(Debug)]
struct Flow {
    plan: FlowPlan,
    sender: Sender,
    received: Vec<bool>,
    missing: u32,
    completed: Option<Timestamp>,
    /// Whether an event of this kind is on its way already.
    waits_free: bool,
    waits_deadline: bool,
}

/// What became of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// When its last missing segment arrived; `None` if it did not.
    pub completed: Option<Timestamp>,
    /// Segments that arrived, each counted once.
    pub segments: u32,
}

struct Network {
    now: Timestamp,
    queue: Queue<Event>,
    links: Vec<Link>,
    flows: Vec<Flow>,
}

/// Runs flows over links until all are done or it is `until`.
///
/// # Panics
/// A path names a link that does not exist, or none.
#[must_use]
pub fn run(links: &[LinkPlan], flows: &[FlowPlan], seed: u64, until: Timestamp) -> Vec<Outcome> {
    let luck = |link| Stream::new(seed, "packet loss", link);
    let mut network = Network {
        now: Timestamp::ZERO,
        queue: Queue::for_pending(usize::MAX),
        links: links.iter().zip(0..).map(|(plan, link)| Link::new(*plan, flows.len(), luck(link))).collect(),
        flows: flows.iter().enumerate().map(|(index, plan)| Flow::new(plan, seed, index as u64)).collect(),
    };
    for (index, plan) in flows.iter().enumerate() {
        assert!(!plan.path.is_empty() && plan.path.iter().all(|link| *link < links.len()), "a path over links");
        network.queue.push(plan.start, Event::Start(index as u32));
    }
    while let Some((now, event)) = network.queue.pop_until(until) {
        network.now = now;
        network.happen(event);
    }
    network.flows.iter().map(Flow::outcome).collect()
}

impl Network {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(flow) => self.pump(flow),
            Event::Sent(link) => self.sent(link),
            Event::Arrive(packet) => self.arrive(packet),
            Event::Acknowledge(packet) => {
                let sender = &mut self.flows[packet.flow as usize].sender;
                sender.acknowledge(self.now, packet.segment, packet.sending);
                self.pump(packet.flow);
            }
            Event::Free(flow) => {
                self.flows[flow as usize].waits_free = false;
                self.pump(flow);
            }
            Event::Deadline(flow) => self.deadline(flow),
        }
    }

    fn sent(&mut self, index: usize) {
        let link = &mut self.links[index];
        let (sent, next) = link.sent();
        let (packet_ns, plan) = (link.packet_ns(), link.plan);
        if next {
            self.queue.push(Timestamp(self.now.0 + packet_ns), Event::Sent(index));
        }
        if let Some(packet) = sent {
            let arrived = Packet { hop: packet.hop + 1, ..packet };
            self.queue.push(Timestamp(self.now.0 + plan.delay_ns), Event::Arrive(arrived));
        }
    }

    fn arrive(&mut self, packet: Packet) {
        let flow = &mut self.flows[packet.flow as usize];
        if let Some(link) = flow.plan.path.get(packet.hop as usize).copied() {
            self.enter(link, packet);
            return;
        }
        if !std::mem::replace(&mut flow.received[packet.segment as usize], true) {
            flow.missing -= 1;
            if flow.missing == 0 {
                flow.completed = Some(self.now);
            }
        }
        self.queue.push(Timestamp(self.now.0 + flow.plan.back_ns), Event::Acknowledge(packet));
    }

    fn enter(&mut self, index: usize, packet: Packet) {
        let link = &mut self.links[index];
        if link.take(packet) {
            self.queue.push(Timestamp(self.now.0 + link.packet_ns()), Event::Sent(index));
        }
    }

    /// Sends what a flow may send now, and sees to it that it is asked again in time.
    fn pump(&mut self, index: u32) {
        while let Some((segment, sending)) = self.flows[index as usize].sender.poll_send(self.now) {
            let link = self.flows[index as usize].plan.path[0];
            self.enter(link, Packet { flow: index, segment, sending, hop: 0 });
        }
        let flow = &mut self.flows[index as usize];
        if flow.sender.is_done() {
            return;
        }
        if flow.sender.free_at() > self.now && !std::mem::replace(&mut flow.waits_free, true) {
            self.queue.push(flow.sender.free_at(), Event::Free(index));
        }
        if !std::mem::replace(&mut flow.waits_deadline, true) {
            self.queue.push(flow.sender.deadline().max(self.now), Event::Deadline(index));
        }
    }

    fn deadline(&mut self, index: u32) {
        let flow = &mut self.flows[index as usize];
        flow.waits_deadline = false;
        let due = !flow.sender.is_done() && flow.sender.deadline() <= self.now;
        if let Some((segment, sending)) = due.then(|| flow.sender.timeout(self.now)).flatten() {
            let link = flow.plan.path[0];
            self.enter(link, Packet { flow: index, segment, sending, hop: 0 });
        }
        self.pump(index);
    }
}

impl Flow {
    fn new(plan: &FlowPlan, seed: u64, index: u64) -> Self {
        let luck = Stream::new(seed, "packet cycle", index).at(0);
        let sender = Sender::new(plan.start, plan.bytes, plan.control, luck);
        let segments = sender.segments();
        Self {
            plan: plan.clone(),
            sender,
            received: vec![false; segments as usize],
            missing: segments,
            completed: None,
            waits_free: false,
            waits_deadline: false,
        }
    }

    fn outcome(&self) -> Outcome {
        Outcome { completed: self.completed, segments: self.sender.segments() - self.missing }
    }
}
