//! Payload: requests one way, granted slices the other, receipts back.
//!
//! A request is known to both sides by one number. Invariants: each `Fetch` is answered once; each slice that arrives
//! where its connection stands is receipted, wanted or not; no more is sent of a request than was granted and asked for.

use std::collections::BTreeMap;

use mesh_proto::bulk::{RefuseReason, SpanRequest};
use mesh_proto::limits::SLICE_BYTES_MAX;
use mesh_proto::payload::{SourceError, SpanAddress};
use mesh_proto::port::net::{FetchOutcome, ServeId, ServeState};
use mesh_proto::port::{Input, NetInput};
use mesh_proto::{CommandId, ConnectionId, NodeId, Timestamp};

use super::connection::{Carried, EndId};
use super::frames::{PACKET_BYTES, PACKET_HEADER_BYTES, wire_bytes};
use super::happening::Happening;
use super::store::Slice;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;

/// A request for a span, encoded.
const REQUEST_BYTES: u64 = 90;
/// A receipt, a cancellation, a refusal, an end.
const WORD_BYTES: u64 = 14;
/// Headers of a slice: its own, Yamux, Noise per 64 KiB.
const SLICE_HEADER_BYTES: u64 = 60;

/// What a brain wants to fetch.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) command: CommandId,
    pub(super) request: SpanRequest,
    pub(super) stall_ms_max: u64,
}

/// A request under way.
#[derive(Debug)]
struct Serve {
    getter: EndId,
    getter_member: Member,
    source_member: Member,
    fetch: CommandId,
    span: SpanAddress,
    payload_bytes: u64,
    stall_ns: u64,
    began: Timestamp,
    /// Whether the request reached the source's brain.
    accepted: bool,
    /// Bytes read for the getter.
    given_bytes: u64,
    /// Bytes the brain permitted.
    granted_bytes: u64,
    /// Bytes that arrived.
    drained_bytes: u64,
    chunks_verified: u32,
    /// Slices under way.
    under_way: u32,
    /// Nothing more comes from the source.
    source_done: bool,
    /// The getter's brain has its answer.
    getter_done: bool,
}

/// All requests under way.
#[derive(Debug, Default)]
pub(super) struct Serves {
    next: u64,
    all: BTreeMap<u64, Serve>,
    by_fetch: BTreeMap<(Member, CommandId), u64>,
    /// Slices that wait in or flow through the wires, by token.
    in_flow: BTreeMap<u64, (u64, Slice)>,
    next_token: u64,
}

impl Serves {
    /// Over which connection a request goes.
    pub(super) fn connection_of(&self, serve: ServeId) -> Option<ConnectionId> {
        self.all.get(&serve.0).map(|serve| serve.getter.connection)
    }

    /// A request reached its source. Whether it is still wanted.
    pub(super) fn accept(&mut self, serve: ServeId) -> bool {
        let Some(serve) = self.all.get_mut(&serve.0).filter(|serve| !serve.source_done) else { return false };
        serve.accepted = true;
        true
    }

    /// Requests under way.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    fn over(&self, fits: impl Fn(&Serve) -> bool) -> Vec<u64> {
        self.all.iter().filter(|(_, serve)| fits(serve)).map(|(number, _)| *number).collect()
    }

    fn forget_if_done(&mut self, number: u64) {
        let done = |serve: &Serve| serve.source_done && serve.getter_done && serve.under_way == 0;
        if self.all.get(&number).is_some_and(done) {
            self.all.remove(&number);
        }
    }
}

/// What a slice is on the wire.
fn slice_wire_bytes(bytes: u64) -> u64 {
    let framed = bytes + SLICE_HEADER_BYTES;
    framed + framed.div_ceil(PACKET_BYTES) * PACKET_HEADER_BYTES
}

impl NodeWorld {
    /// Requests under way in the whole world.
    #[must_use]
    pub fn requests_under_way(&self) -> usize {
        self.serves.len()
    }

    /// How many requests that are not over there are of each node.
    #[must_use]
    pub fn requests_by_source(&self) -> BTreeMap<Member, usize> {
        let mut counts = BTreeMap::new();
        for serve in self.serves.all.values() {
            *counts.entry(serve.source_member).or_default() += 1;
        }
        counts
    }

    pub(super) fn fetch(&mut self, stage: &mut NodeStage, member: Member, node: NodeId, fetch: Fetch) {
        let peer = self.member_of(node);
        match peer.and_then(|peer| self.free_connection(member, peer)) {
            Some((end, true)) => self.fetch_over(stage, end, fetch),
            Some((_, false)) => self.dial_for_fetch(stage, member, peer.expect("it has a connection"), fetch),
            None => self.never_began(stage, member, fetch.command, FetchOutcome::Disconnected),
        }
    }

    /// The connection a fetch takes, and whether no payload flows the other way over it.
    fn free_connection(&self, member: Member, peer: Member) -> Option<(EndId, bool)> {
        let connections = self.node(member).connections.get(&peer)?;
        let ends = connections.iter().filter_map(|id| self.connections.end_of(*id, member));
        let open: Vec<EndId> = ends.filter(|end| self.connections.end(*end).is_some_and(|own| !own.closing)).collect();
        let fetches = |end: &EndId| self.connections.end(*end).is_some_and(|own| own.fetches);
        let serves = |end: &EndId| self.connections.end(end.other()).is_some_and(|other| other.fetches);
        let free = open.iter().find(|end| fetches(end) && !serves(end));
        let free = free.or_else(|| open.iter().find(|end| !serves(end) && end.end == 0));
        let free = free.or_else(|| open.iter().find(|end| !serves(end)));
        match free {
            Some(end) => Some((*end, true)),
            None => open.iter().find(|end| fetches(end)).or(open.first()).map(|end| (*end, false)),
        }
    }

    /// Fetches over whatever connection stands, also against the flow.
    pub(super) fn fetch_over_standing(&mut self, stage: &mut NodeStage, member: Member, peer: Member, fetch: Fetch) {
        match self.free_connection(member, peer) {
            Some((end, _)) => self.fetch_over(stage, end, fetch),
            None => self.never_began(stage, member, fetch.command, FetchOutcome::Disconnected),
        }
    }

    fn fetch_over(&mut self, stage: &mut NodeStage, getter: EndId, fetch: Fetch) {
        let Some(own) = self.connections.end_mut(getter) else { return };
        own.fetches = true;
        let (member, source_member) = (own.member, self.other_member(getter));
        let number = self.serves.next;
        self.serves.next += 1;
        let request = SpanRequest { request: number, ..fetch.request };
        let span = SpanAddress { content: request.content, chunks: request.chunks, skip_bytes: request.skip_bytes };
        let serve = Serve {
            getter,
            getter_member: member,
            source_member,
            fetch: fetch.command,
            span,
            payload_bytes: request.payload_bytes,
            stall_ns: fetch.stall_ms_max.saturating_mul(1_000_000),
            began: stage.now(),
            accepted: false,
            given_bytes: 0,
            granted_bytes: 0,
            drained_bytes: 0,
            chunks_verified: 0,
            under_way: 0,
            source_done: false,
            getter_done: false,
        };
        stage.happen(Timestamp(stage.now().0 + serve.stall_ns), Happening::Stall(number));
        self.serves.by_fetch.insert((member, fetch.command), number);
        self.serves.all.insert(number, serve);
        let (connection, node) = (getter.connection, self.node(member).id);
        let input = NetInput::SpanRequested { serve: ServeId(number), connection, node, request };
        self.word(stage, getter, REQUEST_BYTES, Carried::Input(Box::new(Input::Net(input))));
    }

    /// Sends one of the small frames that go with payload.
    fn word(&mut self, stage: &mut NodeStage, from: EndId, bytes: u64, carried: Carried) {
        let bytes = wire_bytes(bytes);
        if let Some(member) = self.connections.end(from).map(|own| own.member) {
            self.node_mut(member).tally.receipt_bytes += self.bytes_from(stage.now(), from, bytes);
        }
        self.transmit(stage, from, bytes, carried);
    }

    pub(super) fn never_began(
        &mut self,
        stage: &mut NodeStage,
        member: Member,
        command: CommandId,
        outcome: FetchOutcome,
    ) {
        let input = NetInput::Fetched { command, outcome, received_bytes: 0, chunks_verified: 0, aside_bytes: 0 };
        stage.deliver(stage.now(), member, Input::Net(input));
    }

    /// A brain lets bytes of a request go.
    pub(super) fn grant(
        &mut self,
        stage: &mut NodeStage,
        member: Member,
        command: CommandId,
        serve: ServeId,
        bytes: u64,
    ) {
        let granted = |sent_bytes, state| Input::Net(NetInput::Granted { command, serve, sent_bytes, state });
        let Some(entry) = self.serves.all.get_mut(&serve.0).filter(|entry| entry.accepted && !entry.source_done) else {
            return stage.deliver(stage.now(), member, granted(0, ServeState::Gone));
        };
        entry.granted_bytes += bytes;
        let left = entry.payload_bytes - entry.given_bytes;
        let wanted = bytes.min(left).min(SLICE_BYTES_MAX as u64);
        if wanted == 0 {
            return stage.deliver(stage.now(), member, granted(0, ServeState::More));
        }
        let (span, given) = (entry.span, entry.given_bytes);
        let read = self.nodes[member.0 as usize].store.read(serve.0, span, given, wanted);
        let mut slice = match read {
            Ok(slice) if slice.bytes() > 0 => slice,
            Ok(_) => return self.fail_serve(stage, member, command, serve, SourceError::NotHeld),
            Err(error) => return self.fail_serve(stage, member, command, serve, error),
        };
        self.deliver_store_news(stage, member);
        let sent = slice.bytes();
        if let Some(wrong_at) = stage.machine_mut(member).and_then(|actor| actor.wrong_byte(sent)) {
            slice.corrupt(wrong_at);
        }
        let entry = self.serves.all.get_mut(&serve.0).expect("it was just there");
        entry.given_bytes += sent;
        entry.under_way += 1;
        let getter = entry.getter_member;
        let (over, metered_end) = (entry.given_bytes > entry.granted_bytes, entry.getter.other());
        let ended = entry.given_bytes >= entry.payload_bytes;
        if over {
            let what = format!("{} of {} granted bytes were sent", entry.given_bytes, entry.granted_bytes);
            self.violated(stage.now(), member, "no byte beyond a grant", what);
        }
        self.watch_slice(stage.now(), member, getter, span.content);
        self.put_in_flow(stage, serve.0, metered_end, slice);
        if ended {
            self.end_at_source(serve.0);
        }
        let state = if ended { ServeState::Ended } else { ServeState::More };
        stage.deliver(stage.now(), member, granted(sent, state));
    }

    fn put_in_flow(&mut self, stage: &mut NodeStage, number: u64, source: EndId, slice: Slice) {
        let Some(own) = self.connections.end(source) else { return };
        let (flow, member) = (own.flow, own.member);
        let metered = own.way.as_ref().is_some_and(|way| way.is_metered);
        let bytes = slice.bytes();
        let tally = &mut self.node_mut(member).tally;
        tally.payload_sent_bytes += bytes;
        tally.metered_bytes += if metered { bytes } else { 0 };
        let token = self.serves.next_token;
        self.serves.next_token += 1;
        self.serves.in_flow.insert(token, (number, slice));
        if let Err(error) = self.wires.flows.send(stage.now(), flow, slice_wire_bytes(bytes), token) {
            self.violated(stage.now(), member, "no queue above its bound", format!("its slices: {error}"));
            self.drop_slices(vec![token]);
        }
        self.arm_flows(stage);
    }

    fn fail_serve(
        &mut self,
        stage: &mut NodeStage,
        member: Member,
        command: CommandId,
        serve: ServeId,
        error: SourceError,
    ) {
        let reason = match error {
            SourceError::NotHeld => RefuseReason::NotHeld,
            _ => RefuseReason::Changed,
        };
        self.deliver_store_news(stage, member);
        self.refuse(stage, member, serve, reason);
        let state = ServeState::Failed(error);
        stage.deliver(stage.now(), member, Input::Net(NetInput::Granted { command, serve, sent_bytes: 0, state }));
    }

    /// A brain ends a request without more bytes.
    pub(super) fn refuse(&mut self, stage: &mut NodeStage, member: Member, serve: ServeId, reason: RefuseReason) {
        let Some(entry) = self.serves.all.get(&serve.0).filter(|entry| !entry.source_done) else { return };
        let source = entry.getter.other();
        self.node_mut(member).tally.refusals += 1;
        self.end_at_source(serve.0);
        self.word(stage, source, WORD_BYTES, Carried::Happening(Happening::Refused(serve.0, reason)));
    }

    /// The source has nothing more to do with a request.
    fn end_at_source(&mut self, number: u64) {
        let Some(entry) = self.serves.all.get_mut(&number).filter(|entry| !entry.source_done) else { return };
        entry.source_done = true;
        let (member, source, counted) = (entry.source_member, entry.getter.other(), entry.accepted);
        if let Some(own) = self.connections.end_mut(source).filter(|_| counted) {
            own.serves_open -= 1;
        }
        self.node_mut(member).store.end_read(number);
        self.serves.forget_if_done(number);
    }

    pub(super) fn refusal_arrives(&mut self, stage: &mut NodeStage, number: u64, reason: RefuseReason) {
        self.end_at_getter(stage, number, FetchOutcome::Refused(reason), false);
    }

    pub(super) fn cancel_fetch(&mut self, stage: &mut NodeStage, member: Member, fetch: CommandId) {
        if self.take_waiting_fetch(member, fetch) {
            return self.never_began(stage, member, fetch, FetchOutcome::Cancelled);
        }
        if let Some(number) = self.serves.by_fetch.get(&(member, fetch)).copied() {
            self.end_at_getter(stage, number, FetchOutcome::Cancelled, true);
        }
    }

    pub(super) fn cancellation_arrives(&mut self, stage: &mut NodeStage, number: u64) {
        let Some(entry) = self.serves.all.get(&number).filter(|entry| !entry.source_done) else { return };
        let (member, told) = (entry.source_member, entry.accepted);
        self.end_at_source(number);
        if told {
            stage.deliver(stage.now(), member, Input::Net(NetInput::SpanWithdrawn { serve: ServeId(number) }));
        }
    }

    /// Nothing came for long.
    pub(super) fn check_stall(&mut self, stage: &mut NodeStage, number: u64) {
        let Some(entry) = self.serves.all.get(&number).filter(|entry| !entry.getter_done) else { return };
        let heard = self.connections.end(entry.getter).map_or(entry.began, |own| own.payload_heard.max(entry.began));
        let due = Timestamp(heard.0 + entry.stall_ns);
        match due <= stage.now() {
            true => self.end_at_getter(stage, number, FetchOutcome::Stalled, true),
            false => stage.happen(due, Happening::Stall(number)),
        }
    }

    /// The getter's brain is answered; what is still under way is read and thrown away.
    fn end_at_getter(&mut self, stage: &mut NodeStage, number: u64, outcome: FetchOutcome, tells_source: bool) {
        let Some(entry) = self.serves.all.get_mut(&number).filter(|entry| !entry.getter_done) else { return };
        entry.getter_done = true;
        let (member, command, getter) = (entry.getter_member, entry.fetch, entry.getter);
        let (received_bytes, chunks_verified) = (entry.drained_bytes, entry.chunks_verified);
        self.serves.by_fetch.remove(&(member, command));
        let keeps_aside = !matches!(outcome, FetchOutcome::Complete | FetchOutcome::Sink(_));
        let aside_bytes = self.node_mut(member).store.end_write(number, keeps_aside);
        let input = NetInput::Fetched { command, outcome, received_bytes, chunks_verified, aside_bytes };
        stage.deliver(stage.now(), member, Input::Net(input));
        if tells_source {
            self.word(stage, getter, WORD_BYTES, Carried::Happening(Happening::Cancelled(number)));
        }
        self.serves.forget_if_done(number);
    }

    /// Payload moved.
    pub(super) fn move_flows(&mut self, stage: &mut NodeStage) {
        // Only the event armed last counts. Of the others each would arm one more.
        if self.flows_armed != Some(stage.now()) {
            return;
        }
        self.flows_armed = None;
        let mut done = Vec::new();
        self.wires.flows.advance(stage.now(), &mut done);
        for left in done {
            let Some((number, slice)) = self.serves.in_flow.remove(&left.token) else { continue };
            let Some(source) = self.serves.all.get(&number).map(|entry| entry.getter.other()) else { continue };
            let way = self.connections.end(source).and_then(|own| own.way.clone());
            let whole = Timestamp(left.at.0.saturating_add(left.repair_ns));
            let arrives = way.map_or(whole, |way| self.wires.slice_arrives(whole, &way));
            let arrives = match self.connections.end_mut(source) {
                Some(own) => {
                    own.last_slice = own.last_slice.max(arrives);
                    own.last_slice
                }
                None => arrives,
            };
            stage.happen(arrives, Happening::Slice(number, Box::new(slice)));
        }
        self.arm_flows(stage);
    }

    /// Slices that had not left when their flow was closed.
    pub(super) fn drop_slices(&mut self, tokens: Vec<u64>) {
        for token in tokens {
            let Some((number, _)) = self.serves.in_flow.remove(&token) else { continue };
            if let Some(entry) = self.serves.all.get_mut(&number) {
                entry.under_way -= 1;
            }
            self.serves.forget_if_done(number);
        }
    }

    pub(super) fn slice_arrives(&mut self, stage: &mut NodeStage, number: u64, slice: Slice) {
        let Some(entry) = self.serves.all.get_mut(&number) else { return };
        entry.under_way -= 1;
        let (getter, member, span) = (entry.getter, entry.getter_member, entry.span);
        let bytes = slice.bytes();
        let Some(own) = self.connections.end_mut(getter) else { return self.serves.forget_if_done(number) };
        (own.heard, own.payload_heard) = (stage.now(), stage.now());
        let entry = self.serves.all.get_mut(&number).expect("it was just there");
        entry.drained_bytes += bytes;
        let (drained_bytes, wanted) = (entry.drained_bytes, !entry.getter_done);
        let ended = entry.drained_bytes >= entry.payload_bytes;
        self.node_mut(member).tally.payload_received_bytes += bytes;
        // A receipt says that the bytes were taken off the wire, whatever became of them.
        let receipt = NetInput::Receipt { serve: ServeId(number), drained_bytes };
        self.word(stage, getter, WORD_BYTES, Carried::Input(Box::new(Input::Net(receipt))));
        self.acknowledge(stage.now(), getter.other(), bytes);
        if wanted {
            self.take_slice(stage, number, member, span, &slice, ended);
        } else {
            self.node_mut(member).tally.payload_wasted_bytes += bytes;
        }
        self.serves.forget_if_done(number);
    }

    fn take_slice(
        &mut self,
        stage: &mut NodeStage,
        number: u64,
        member: Member,
        span: SpanAddress,
        slice: &Slice,
        ended: bool,
    ) {
        let written = self.node_mut(member).store.write(number, span, slice);
        self.deliver_store_news(stage, member);
        match written {
            Ok(progress) => {
                let entry = self.serves.all.get_mut(&number).expect("a slice of it arrives");
                entry.chunks_verified = progress.chunks_verified;
                let (command, received_bytes) = (entry.fetch, entry.drained_bytes);
                let chunks_verified = progress.chunks_verified;
                self.checkpoint_soon(stage, member);
                let input = NetInput::FetchProgress { command, received_bytes, chunks_verified };
                stage.deliver(stage.now(), member, Input::Net(input));
                if ended {
                    self.end_at_getter(stage, number, FetchOutcome::Complete, false);
                }
            }
            Err(error) => {
                self.node_mut(member).tally.payload_wasted_bytes += slice.bytes();
                self.end_at_getter(stage, number, FetchOutcome::Sink(error), !ended);
            }
        }
    }

    /// A connection ended at a getter's end.
    pub(super) fn end_fetches_over(&mut self, stage: &mut NodeStage, end: EndId, outcome: FetchOutcome) {
        for number in self.serves.over(|serve| serve.getter == end && !serve.getter_done) {
            // A request that never reached the source's brain is not ended by it.
            if !self.serves.all[&number].accepted {
                self.end_at_source(number);
            }
            self.end_at_getter(stage, number, outcome.clone(), false);
        }
    }

    /// A connection ended at a source's end.
    pub(super) fn withdraw_serves_over(&mut self, stage: &mut NodeStage, end: EndId) {
        for number in self.serves.over(|serve| serve.getter.other() == end && !serve.source_done) {
            self.cancellation_arrives(stage, number);
        }
    }

    /// A process died with all that was under way in it.
    pub(super) fn forget_serves_of(&mut self, end: EndId) {
        for number in self.serves.over(|serve| serve.getter == end || serve.getter.other() == end) {
            let entry = self.serves.all.get_mut(&number).expect("it was just listed");
            if entry.getter == end {
                entry.getter_done = true;
                let key = (entry.getter_member, entry.fetch);
                self.serves.by_fetch.remove(&key);
                if !self.serves.all[&number].accepted {
                    self.end_at_source(number);
                }
            } else {
                self.end_at_source(number);
            }
            self.serves.forget_if_done(number);
        }
    }
}
