//! Chunks: whom to ask for which, what came of it, whom to ban, what to take from the slow for the fast.

use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::bulk::{RefuseReason, SpanRequest};
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{HaveRequest, Holding, Message};
use mesh_proto::payload::SinkError;
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{Event, Failure, NetCommand};
use mesh_proto::{ChunkRange, ChunkSet, CommandId, ContentId, NodeId, Timestamp};

use super::plan::{extend_span, pick_start};
use super::source::Fetch;
use super::state::Transfer;
use super::{Around, Purpose, Transfers};
use crate::Context;

/// Spans asked of one source at once: less than the source accepts per connection.
const FETCHES_PER_SOURCE_MAX: usize = 48;
/// A span is taken back from a slow source only if another would be done in less than a third of the time.
const STEAL_FACTOR: u32 = 3;
/// A span just asked for is left where it is, so that two sources do not take it from each other in turn.
const STEAL_AGE_MIN: Duration = Duration::from_millis(500);

/// How a fetch ended, as the network tells it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How.
    pub outcome: FetchOutcome,
    /// Content bytes received.
    pub received_bytes: u64,
    /// Chunks verified, from the first on.
    pub chunks_verified: u32,
    /// Bytes kept aside of the chunk behind those.
    pub aside_bytes: u32,
}

impl Transfers {
    /// Keeps every usable source busy.
    pub(super) fn ask_for_chunks(&mut self, ctx: &mut Context, content: ContentId, around: &Around<'_>) {
        let Some(transfer) = self.transfers.get(&content) else { return };
        // The cheapest link first: what the same segment gives need not come from far away.
        let mut nodes: Vec<(u64, NodeId)> = transfer
            .sources
            .iter()
            .filter(|(node, source)| source.is_usable(ctx.now) && around.peers.is_connected(**node))
            .map(|(node, _)| (around.peers.peer(*node).and_then(|peer| peer.cost_ms_per_mib()).unwrap_or(0), *node))
            .collect();
        nodes.sort_unstable();
        for (_, node) in &nodes {
            let rtt_us = around.peers.peer(*node).and_then(|peer| peer.dealings().rtt_us).unwrap_or(1000);
            while self.ask_source(ctx, content, *node, rtt_us) {}
        }
        for (_, node) in &nodes {
            self.steal_for(ctx, content, *node);
        }
    }

    /// Asks one source for one span. Returns whether it did.
    fn ask_source(&mut self, ctx: &mut Context, content: ContentId, node: NodeId, rtt_us: u64) -> bool {
        let Some(transfer) = self.transfers.get(&content) else { return false };
        let Some(source) = transfer.sources.get(&node) else { return false };
        let room = source.ahead_bytes(rtt_us).saturating_sub(source.in_flight_bytes());
        if source.fetches.len() >= FETCHES_PER_SOURCE_MAX || room == 0 {
            return false;
        }
        let candidates = source.held_of(&transfer.candidates());
        let Some((chunks, bytes)) = choose_span(ctx, transfer, &candidates, node) else { return false };
        if !self.limit_permits(ctx, bytes) {
            return false;
        }
        self.send_fetch(ctx, content, node, chunks, bytes);
        true
    }

    fn limit_permits(&mut self, ctx: &Context, bytes: u64) -> bool {
        let Some(bucket) = &mut self.limit else { return true };
        // A span larger than the bucket (one large chunk) is let go when the bucket is full.
        let bytes = bytes.min(bucket.burst_bytes());
        let fits = bucket.available(ctx.now) >= bytes;
        self.limit_wait = if fits { None } else { bucket.available_at(ctx.now, bytes) };
        if fits {
            bucket.take(ctx.now, bytes);
        }
        fits
    }

    fn send_fetch(&mut self, ctx: &mut Context, content: ContentId, node: NodeId, chunks: ChunkRange, bytes: u64) {
        let command = self.expect(ctx, content, Purpose::Fetch(node));
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let skip_bytes = transfer.aside.get(&chunks.start).copied().unwrap_or(0);
        let payload_bytes = bytes - u64::from(skip_bytes);
        transfer.open.remove(chunks);
        let (class, priority) = (transfer.order.class, transfer.order.priority);
        let Some(source) = transfer.sources.get_mut(&node) else { return };
        source.next_chunk = Some(chunks.end());
        let stall_ms_max = source.stall_ms();
        source.fetches.insert(
            command,
            Fetch {
                chunks,
                skip_bytes,
                payload_bytes,
                received_bytes: 0,
                asked: ctx.now,
                cancelled: false,
                stale: false,
            },
        );
        let request = SpanRequest {
            request: 0,
            content,
            chunks,
            skip_bytes,
            payload_bytes,
            class,
            priority,
            deadline_ms: 0,
            for_member: None,
            extensions: Extensions::default(),
        };
        ctx.count(EventKind::SpanRequested);
        ctx.net(NetCommand::Fetch { command, node, request, stall_ms_max });
    }

    /// When nothing is open for an idle source, takes the last span of the slowest source that would take much longer.
    fn steal_for(&mut self, ctx: &mut Context, content: ContentId, thief: NodeId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let Some(source) = transfer.sources.get(&thief) else { return };
        if !source.fetches.is_empty() || source.rate_bytes_per_s() == 0 {
            return;
        }
        let (rate, now) = (source.rate_bytes_per_s(), ctx.now);
        let held = match &source.holding {
            Some(Holding::Partial(chunks)) => Some(chunks.clone()),
            Some(Holding::Complete) => None,
            _ => return,
        };
        let victim = transfer
            .sources
            .iter()
            .filter(|(node, _)| **node != thief)
            .filter_map(|(node, source)| {
                let last = source.fetches.iter().rev().find(|(_, fetch)| {
                    let settled = now.since(fetch.asked) >= STEAL_AGE_MIN;
                    let held = held.as_ref().is_none_or(|held| held.contains_range(fetch.chunks));
                    settled && held && !fetch.cancelled
                });
                last.map(|(command, fetch)| (source.eta(), *node, *command, fetch.payload_bytes))
            })
            .max();
        let Some((eta, node, command, bytes)) = victim else { return };
        let own_ms = (bytes.saturating_mul(1000) / rate).max(50);
        if eta.as_millis() <= u128::from(own_ms) * u128::from(STEAL_FACTOR) {
            return;
        }
        let fetch = transfer.sources.get_mut(&node).and_then(|source| source.fetches.get_mut(&command));
        if let Some(fetch) = fetch {
            fetch.cancelled = true;
            ctx.count(EventKind::SpanStolen);
            ctx.net(NetCommand::CancelFetch { fetch: command });
        }
    }

    /// Bytes of a fetch arrived.
    pub fn on_fetch_progress(&mut self, ctx: &mut Context, command: CommandId, received_bytes: u64) {
        let Some((content, Purpose::Fetch(node))) = self.purposes.get(&command).cloned() else { return };
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        transfer.note_bytes(ctx.now, node, command, received_bytes);
        self.tell(ctx, content);
    }

    /// A fetch ended. Returns the transfer's content if there is one still.
    pub fn on_fetched(&mut self, ctx: &mut Context, command: CommandId, ended: &Ended) -> Option<ContentId> {
        let (content, purpose) = self.purposes.remove(&command)?;
        let Purpose::Fetch(node) = purpose else { return None };
        self.received.push((node, ended.received_bytes));
        let transfer = self.transfers.get_mut(&content)?;
        transfer.note_bytes(ctx.now, node, command, ended.received_bytes);
        let fetch = transfer.sources.get_mut(&node)?.fetches.remove(&command)?;
        ctx.count_many(EventKind::ChunkVerified, u64::from(ended.chunks_verified.min(fetch.chunks.count)));
        transfer.settle(node, &fetch, ended);
        self.judge(ctx, content, node, &fetch, &ended.outcome);
        Some(content)
    }

    /// What a fetch's end says about its source.
    fn judge(&mut self, ctx: &mut Context, content: ContentId, node: NodeId, fetch: &Fetch, outcome: &FetchOutcome) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let Some(source) = transfer.sources.get_mut(&node) else { return };
        match outcome {
            FetchOutcome::Complete | FetchOutcome::Cancelled => {}
            FetchOutcome::Disconnected => source.back_off_once(ctx.now),
            FetchOutcome::Stalled => {
                ctx.count(EventKind::SpanStalled);
                source.back_off_once(ctx.now);
            }
            FetchOutcome::Refused(RefuseReason::Busy | RefuseReason::Stopping) => source.back_off(ctx.now),
            FetchOutcome::Refused(RefuseReason::NotAllowed) => source.denied = true,
            FetchOutcome::Refused(RefuseReason::NotHeld) => {
                if let Some(Holding::Partial(held)) = &mut source.holding {
                    held.remove(fetch.chunks);
                }
                source.back_off(ctx.now);
                let request = HaveRequest { content, extensions: Extensions::default() };
                ctx.send(node, Message::HaveRequest(request));
            }
            FetchOutcome::Refused(RefuseReason::Changed) => {
                source.holding = Some(Holding::None);
                if !std::mem::replace(&mut source.changed, true) {
                    transfer.tell_changed(ctx, node);
                }
            }
            FetchOutcome::Refused(RefuseReason::Invalid) => {
                self.ban(ctx, content, node, "it calls a valid request invalid".to_owned());
            }
            FetchOutcome::Protocol(why) => self.ban(ctx, content, node, why.clone()),
            // The chunk began with bytes kept aside from an earlier, perhaps another's, span: nobody knows whose are
            // wrong. They are dropped, the chunk is asked for whole, and a liar shows itself then.
            FetchOutcome::Sink(SinkError::Mismatch { chunk })
                if *chunk == fetch.chunks.start && fetch.skip_bytes > 0 =>
            {
                ctx.count(EventKind::ChunkMismatch);
            }
            FetchOutcome::Sink(SinkError::Mismatch { chunk }) => {
                ctx.count(EventKind::ChunkMismatch);
                self.ban(ctx, content, node, format!("chunk {chunk} it sent is not what the manifest says"));
            }
            FetchOutcome::Sink(SinkError::TooMany) => {
                self.ban(ctx, content, node, "it sent more than was asked for".to_owned());
            }
            FetchOutcome::Sink(SinkError::NoSpace { path }) => {
                ctx.count(EventKind::LimitDisk);
                self.on_store_failure(ctx, content, &Failure::passing(format!("no space left on the disk for {path}")));
            }
            FetchOutcome::Sink(SinkError::NotOpen) if fetch.stale => {}
            FetchOutcome::Sink(SinkError::NotOpen) => source.back_off_once(ctx.now),
            FetchOutcome::Sink(error) => {
                self.on_store_failure(ctx, content, &Failure::passing(error.to_string()));
            }
        }
    }

    /// Takes nothing more of this content from a peer, and says why.
    pub(super) fn ban(&mut self, ctx: &mut Context, content: ContentId, node: NodeId, why: String) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let source = transfer.sources.entry(node).or_default();
        if source.banned {
            return;
        }
        source.banned = true;
        ctx.count(EventKind::PeerBanned);
        for fetch in source.fetches.keys() {
            ctx.net(NetCommand::CancelFetch { fetch: *fetch });
        }
        ctx.report(Event::PeerBanned { node, content, why });
    }
}

fn choose_span(
    ctx: &mut Context,
    transfer: &Transfer,
    candidates: &ChunkSet,
    node: NodeId,
) -> Option<(ChunkRange, u64)> {
    let layout = transfer.layout.as_ref()?;
    let source = transfer.sources.get(&node)?;
    let partial: Vec<&ChunkSet> = transfer
        .sources
        .iter()
        .filter(|(other, source)| **other != node && !source.banned)
        .filter_map(|(_, source)| match &source.holding {
            Some(Holding::Partial(chunks)) => Some(chunks),
            _ => None,
        })
        .collect();
    let alone = transfer.others.is_empty();
    // A chunk of which bytes are kept aside comes first: it is nearly here.
    let begun = transfer.aside.keys().copied().find(|chunk| candidates.contains(*chunk));
    let near = begun.or(source.next_chunk);
    let start = pick_start(candidates, near, &partial, alone, |bound| ctx.random_below(bound))?;
    extend_span(candidates, start, source.span_bytes(), |chunk| layout.length(chunk))
}

impl Transfer {
    /// A source's file changed since it was shared: people are told, if nobody else has it as it was.
    fn tell_changed(&mut self, ctx: &mut Context, node: NodeId) {
        if self.sources.values().any(|source| source.holds_something() && !source.banned) {
            return;
        }
        self.told_waiting = true;
        let why = format!(
            "the file was changed at node {} after it was shared; it goes on by itself when a peer has it as it was",
            node.short()
        );
        ctx.report(Event::TransferWaiting { content: self.content, why });
    }

    fn note_bytes(&mut self, now: Timestamp, node: NodeId, command: CommandId, received_bytes: u64) {
        let Some(source) = self.sources.get_mut(&node) else { return };
        let Some(fetch) = source.fetches.get_mut(&command) else { return };
        let fresh = received_bytes.saturating_sub(fetch.received_bytes);
        fetch.received_bytes = received_bytes;
        source.on_bytes(now, fresh);
        self.rate.add(now, fresh);
    }

    /// Books what a fetch brought: chunks here, chunks open again, bytes by what became of them.
    fn settle(&mut self, node: NodeId, fetch: &Fetch, ended: &Ended) {
        let verified = ChunkRange { start: fetch.chunks.start, count: ended.chunks_verified.min(fetch.chunks.count) };
        let rest = ChunkRange { start: verified.end(), count: fetch.chunks.count - verified.count };
        let layout_bytes = self.layout.as_ref().and_then(|layout| layout.bytes_of(verified)).unwrap_or(0);
        let skipped = if verified.count > 0 { u64::from(fetch.skip_bytes) } else { 0 };
        let useful = layout_bytes.saturating_sub(skipped);
        let mut aside_fresh = 0;
        if !fetch.stale {
            self.add_verified(verified);
            self.open.insert(rest);
        }
        if rest.count > 0 && !fetch.stale {
            let before = if verified.count == 0 { fetch.skip_bytes } else { 0 };
            // What a liar left of a chunk is not worth going on with.
            let banned = self.sources.get(&node).is_some_and(|source| source.banned);
            let aside_bytes = if banned { 0 } else { ended.aside_bytes };
            aside_fresh = u64::from(aside_bytes.saturating_sub(before));
            match aside_bytes {
                0 => self.aside.remove(&rest.start),
                bytes => self.aside.insert(rest.start, bytes),
            };
        }
        let totals = &mut self.order.totals;
        totals.received_bytes += ended.received_bytes;
        let wasted = ended.received_bytes.saturating_sub(useful + aside_fresh);
        match ended.outcome {
            FetchOutcome::Sink(SinkError::Mismatch { .. }) => totals.rejected_bytes += wasted,
            _ => totals.duplicate_bytes += wasted,
        }
        if let Some(source) = self.sources.get_mut(&node) {
            source.verified_bytes += useful + aside_fresh;
            source.wasted_bytes += wasted;
            if source.fetches.is_empty() {
                source.on_idle();
            }
        }
    }
}
