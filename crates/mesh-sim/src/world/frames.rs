//! Control messages, the small frames of transfers, and probes: what travels one by one.
//!
//! Invariant: frames from one end arrive in the order they were sent. TCP loses none; a loss costs time.

use mesh_proto::bulk::RefuseReason;
use mesh_proto::limits::{CONTROL_OUTBOX_BYTES_MAX, CONTROL_OUTBOX_FRAMES_MAX, SPAN_REQUESTS_PER_CONNECTION_MAX};
use mesh_proto::message::Message;
use mesh_proto::port::{Input, NetCommand, NetInput};
use mesh_proto::{NodeId, Timestamp};

use super::connection::{Carried, EndId};
use super::happening::Happening;
use super::node::Power;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;
use std::borrow::Cow;

/// Headers around a frame: its own length, Yamux, Noise.
const FRAME_HEADER_BYTES: u64 = 34;
/// Headers of a packet: TCP with timestamps, IP, Ethernet.
pub const PACKET_HEADER_BYTES: u64 = 66;
/// Content bytes in a full packet.
pub const PACKET_BYTES: u64 = 1448;
/// What the system takes of a connection's frames before they wait in its outbox.
const SOCKET_BYTES: u64 = 1 << 16;
/// A probe, or its answer.
const PROBE_BYTES: u64 = 32;
/// Nothing at all may come for so long before a probe counts as lost.
const SILENCE_NS: u64 = 20_000_000_000;
/// Lost probes in a row after which the peer counts as gone.
const LOST_MAX: u8 = 2;

/// What so many bytes are on the wire, sent at once.
#[must_use]
pub fn wire_bytes(bytes: u64) -> u64 {
    let framed = bytes + FRAME_HEADER_BYTES;
    framed + framed.div_ceil(PACKET_BYTES) * PACKET_HEADER_BYTES
}

/// The same where packets are full of payload: the frame takes its part of their headers.
fn bytes_in_full_packets(wire_bytes: u64) -> u64 {
    let framed = wire_bytes - wire_bytes.div_ceil(PACKET_BYTES + PACKET_HEADER_BYTES) * PACKET_HEADER_BYTES;
    framed + (framed * PACKET_HEADER_BYTES).div_ceil(PACKET_BYTES)
}

impl NodeWorld {
    /// Carries out what a brain asks of its network.
    pub(super) fn net(&mut self, stage: &mut NodeStage, member: Member, command: NetCommand) {
        match command {
            NetCommand::Dial { command, node, addresses } => self.dial(stage, member, command, node, addresses),
            NetCommand::Disconnect { node, why } => self.disconnect(stage, member, node, &why),
            NetCommand::Close { connection, why } => self.close(stage, member, connection, &why),
            NetCommand::Send { node, message } => self.send(stage, member, node, message),
            NetCommand::Fetch { command, node, request, stall_ms_max } => {
                self.fetch(stage, member, node, super::serving::Fetch { command, request, stall_ms_max });
            }
            NetCommand::CancelFetch { fetch } => self.cancel_fetch(stage, member, fetch),
            NetCommand::Grant { command, serve, bytes } => self.grant(stage, member, command, serve, bytes),
            NetCommand::Refuse { serve, reason } => self.refuse(stage, member, serve, reason),
            NetCommand::Provide { keys } => self.lookup.provide(member, keys),
            NetCommand::FindProviders { command, key } => self.find_providers(stage, member, command, key),
            NetCommand::SetPingInterval { interval_ms } => {
                self.node_mut(member).probe_interval_ns = interval_ms.saturating_mul(1_000_000);
            }
        }
    }

    fn send(&mut self, stage: &mut NodeStage, member: Member, node: NodeId, message: Message) {
        let Some(peer) = self.member_of(node) else { return };
        let Some(end) = self.connection_to(member, peer) else { return };
        let frame = message.encode_frame();
        if let Some(what) = self.longest.unreadable(&message, &frame) {
            self.violated(stage.now(), member, "what is sent can be read", what);
        }
        let bytes = wire_bytes(frame.len() as u64);
        let on_wire = self.bytes_from(stage.now(), end, bytes);
        let tally = &mut self.node_mut(member).tally;
        tally.control_frames += 1;
        tally.control_bytes += on_wire;
        let (connection, node) = (end.connection, self.node(member).id);
        if !self.faults.touch_messages() {
            let input = Input::Net(NetInput::Received { connection, node, message });
            return self.transmit(stage, end, bytes, Carried::Input(Box::new(input)));
        }
        let way = self.connections.end(end).and_then(|own| own.way.as_ref());
        let fate = self.faults.fate(member, way, &message);
        let input = Input::Net(NetInput::Received { connection, node, message });
        if fate.is_doubled {
            self.transmit(stage, end, bytes, Carried::Input(Box::new(input.clone())));
        }
        if fate.late_ns > 0 && !fate.is_lost {
            let at = Timestamp(stage.now().0 + fate.late_ns);
            return stage.happen(at, Happening::SendsLate(end, bytes, Box::new(input)));
        }
        if !fate.is_lost {
            self.transmit(stage, end, bytes, Carried::Input(Box::new(input)));
        }
    }

    /// Sends a frame from one end to the other.
    pub(super) fn transmit(&mut self, stage: &mut NodeStage, from: EndId, bytes: u64, carried: Carried) {
        let now = stage.now();
        let Some(own) = self.connections.end_mut(from) else { return };
        let Some(way) = own.way.clone() else {
            let held: u64 = own.held.iter().map(|(bytes, _)| bytes).sum();
            if held + bytes > CONTROL_OUTBOX_BYTES_MAX as u64 || own.held.len() >= CONTROL_OUTBOX_FRAMES_MAX {
                let why = Cow::Borrowed("too slow: too many messages wait for it");
                return stage.happen(now, Happening::Ended(from, why));
            }
            return own.held.push((bytes, carried));
        };
        // All of a node's outboxes drain over its one link.
        let outboxes = self.nodes[own.member.0 as usize].connections.len().max(1) as u64;
        let by_frames = SOCKET_BYTES + CONTROL_OUTBOX_FRAMES_MAX as u64 * bytes;
        if self.wires.waiting_bytes(now, &way) > by_frames.min(CONTROL_OUTBOX_BYTES_MAX as u64) * outboxes {
            let why = Cow::Borrowed("too slow: too many messages wait for it");
            return stage.happen(now, Happening::Ended(from, why));
        }
        let bytes = self.bytes_from(now, from, bytes);
        let arrives = self.wires.carry(now, &way, bytes);
        if !self.is_filling_packets(now, from) {
            self.acknowledge(now, from, bytes);
        }
        let own = self.connections.end_mut(from).expect("it was just there");
        let arrives = arrives.max(own.last_arrival);
        own.last_arrival = arrives;
        let to = from.other();
        let target = self.other_member(from);
        if self.connections.end(to).is_none() {
            return self.answer_with_reset(stage, from, target, arrives);
        }
        match carried {
            Carried::Input(input) => stage.deliver(arrives, target, *input),
            Carried::Happening(happening) => stage.happen(arrives, happening),
        }
    }

    /// What came from an end is acknowledged; in packets of its own, unless payload of the other end fills some.
    pub(super) fn acknowledge(&mut self, now: Timestamp, from: EndId, bytes: u64) {
        if self.is_filling_packets(now, from.other()) {
            return;
        }
        if let Some(way) = self.connections.end(from).and_then(|own| own.way.as_ref()) {
            self.wires.acknowledge(now, way, bytes);
        }
    }

    /// What a frame that would take so many bytes on an idle wire takes when an end sends it now.
    pub(super) fn bytes_from(&self, now: Timestamp, end: EndId, wire_bytes: u64) -> u64 {
        match self.is_filling_packets(now, end) {
            true => bytes_in_full_packets(wire_bytes),
            false => wire_bytes,
        }
    }

    fn is_filling_packets(&self, now: Timestamp, from: EndId) -> bool {
        let Some(own) = self.connections.end(from) else { return false };
        own.way.as_ref().is_some_and(|way| self.wires.is_filling_packets(now, way, own.flow))
    }

    /// The other end is gone: its system says so, if it runs.
    fn answer_with_reset(&mut self, stage: &mut NodeStage, from: EndId, target: Member, arrives: Timestamp) {
        if self.node(target).power == Power::Off {
            return;
        }
        let own = self.connections.end(from).expect("it sends");
        let back_ns = own.way.as_ref().map_or(0, |way| way.delay_ns);
        let at = Timestamp(arrives.0 + back_ns);
        stage.happen(at, Happening::Ended(from, Cow::Borrowed("reset by the peer")));
    }

    /// Whether an input still concerns the node it reaches; notes the sign of life.
    pub(super) fn hears(&mut self, stage: &mut NodeStage, member: Member, input: &NetInput) -> bool {
        let connection = match input {
            NetInput::Received { connection, .. }
            | NetInput::SpanRequested { connection, .. }
            | NetInput::Rtt { connection, .. } => *connection,
            // A receipt for a request that both sides are done with still opens the source's window.
            NetInput::Receipt { serve, .. } => match self.serves.connection_of(*serve) {
                Some(connection) => connection,
                None => return true,
            },
            _ => return true,
        };
        let Some(end) = self.connections.end_of(connection, member) else { return false };
        let Some(own) = self.connections.end_mut(end) else { return false };
        own.heard = stage.now();
        let NetInput::SpanRequested { serve, .. } = input else { return true };
        if own.serves_open >= SPAN_REQUESTS_PER_CONNECTION_MAX {
            self.refuse(stage, member, *serve, RefuseReason::Busy);
            return false;
        }
        let is_wanted = self.serves.accept(*serve);
        own.serves_open += usize::from(is_wanted);
        is_wanted
    }

    /// An end measures the round trip to the other, and whether it is still there.
    pub(super) fn probe(&mut self, stage: &mut NodeStage, end: EndId) {
        let now = stage.now();
        let Some(own) = self.connections.end(end) else { return };
        let member = own.member;
        let interval_ns = self.node(member).probe_interval_ns;
        if interval_ns == 0 {
            return;
        }
        self.node_mut(member).tally.upkeep_bytes += 2 * wire_bytes(PROBE_BYTES);
        // An answer that comes too late is none.
        let in_time = |back: &Timestamp| back.0 - now.0 <= SILENCE_NS;
        let Some(back) = self.round_trip(stage, end).filter(in_time) else {
            return stage.happen(Timestamp(now.0 + SILENCE_NS), Happening::ProbeDue(end, now));
        };
        let own = self.connections.end_mut(end).expect("it was just there");
        (own.probes_lost, own.heard) = (0, back);
        let rtt_us = (back.0 - now.0) / 1000;
        let other = self.other_member(end);
        let (connection, node) = (end.connection, self.node(other).id);
        stage.deliver(back, member, Input::Net(NetInput::Rtt { connection, node, rtt_us }));
        stage.happen(Timestamp(back.0 + interval_ns), Happening::Probe(end));
    }

    /// When a probe's answer is back, if one comes.
    fn round_trip(&mut self, stage: &NodeStage, end: EndId) -> Option<Timestamp> {
        let now = stage.now();
        let other = self.connections.end(end.other())?.member;
        if !self.answers_probes(stage, other) {
            return None;
        }
        let over = self.connections.end(end)?.way.clone()?;
        let back = self.connections.end(end.other())?.way.clone()?;
        let bytes = wire_bytes(PROBE_BYTES);
        let [asks, answers] = [end, end.other()].map(|end| self.bytes_from(now, end, bytes));
        let there = self.wires.carry(now, &over, asks);
        let answered = self.wires.carry_ahead(now, there, &back, answers);
        // The answer acknowledges the question.
        self.acknowledge(now, end.other(), answers);
        Some(answered)
    }

    /// A probe was not answered in time.
    pub(super) fn probe_due(&mut self, stage: &mut NodeStage, end: EndId, sent: Timestamp) {
        let now = stage.now();
        let Some(own) = self.connections.end_mut(end) else { return };
        own.probes_lost = if own.heard > sent { 0 } else { own.probes_lost + 1 };
        let (lost, member) = (own.probes_lost, own.member);
        if lost >= LOST_MAX {
            return self.end_learns(stage, end, "no sign of life");
        }
        let target = self.other_member(end);
        let reachable = self.connections.end(end).is_some_and(|own| own.way.is_some());
        if reachable && self.connections.end(end.other()).is_none() && self.node(target).power != Power::Off {
            return self.end_learns(stage, end, "reset by the peer");
        }
        let interval_ns = self.node(member).probe_interval_ns.max(1);
        stage.happen(Timestamp(now.0 + interval_ns), Happening::Probe(end));
    }
}
