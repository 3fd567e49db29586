//! Chunks: whom to ask for which, what came of it, whom to ban, what to take from the slow for the fast.

use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::bulk::{RefuseReason, SpanRequest};
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{HaveRequest, Holding, Message};
use mesh_proto::payload::SinkError;
use mesh_proto::planted::Defect;
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{Event, Failure, NetCommand};
use mesh_proto::{ChunkRange, ChunkSet, CommandId, ContentId, NodeId, Timestamp};

use super::plan::{extend_span, next_in_sequence, rarest};
use super::source::{Fetch, Source};
use super::state::Transfer;
use super::{Purpose, Transfers};
use crate::Context;

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

/// What a fetch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetched {
    /// Of which content.
    pub content: ContentId,
    /// From whom.
    pub node: NodeId,
    /// Chunks that are here now.
    pub chunks: ChunkRange,
}

/// What arrives moves the transfers no more often than this, unless its source can be asked for more.
const PROGRESS_LOOK: Duration = Duration::from_millis(50);

/// What to ask a source for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    chunks: ChunkRange,
    bytes: u64,
    /// Whether it is asked for because nobody else has it or gets it.
    spares: bool,
}

impl Transfers {
    /// Keeps every usable source busy.
    pub(super) fn ask_for_chunks(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get(&content) else { return };
        let in_crowd = transfer.is_in_crowd();
        if in_crowd && !transfer.in_crowd {
            self.join_crowd(ctx, content);
        }
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        transfer.in_crowd = in_crowd;
        match in_crowd {
            true => self.ask_crowd(ctx, content),
            false => self.ask_each(ctx, content),
        }
        self.steal(ctx, content);
    }

    /// Asks each source for as much as it can give: the cheapest link first, for what the same segment gives need not
    /// come from far away.
    fn ask_each(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get(&content) else { return };
        let mut able: Vec<(u64, NodeId)> =
            transfer.able(ctx.now, false).map(|(node, source)| (source.cost_ms_per_mib, node)).collect();
        if able.is_empty() {
            return;
        }
        able.sort_by_key(|(cost, _)| *cost);
        let mut candidates = transfer.candidates();
        for (_, node) in able {
            while self.has_room(content, node, false) && self.ask_source(ctx, content, node, false, &mut candidates) {}
        }
    }

    pub(super) fn has_room(&self, content: ContentId, node: NodeId, in_crowd: bool) -> bool {
        let source = self.transfers.get(&content).and_then(|transfer| transfer.sources.get(&node));
        source.is_some_and(|source| source.room(in_crowd) > 0)
    }

    /// Asks one source for one span. Returns whether it did.
    pub(super) fn ask_source(
        &mut self,
        ctx: &mut Context,
        content: ContentId,
        node: NodeId,
        in_crowd: bool,
        candidates: &mut ChunkSet,
    ) -> bool {
        let Some(transfer) = self.transfers.get_mut(&content) else { return false };
        let Some(span) = transfer.choose_span(ctx, candidates, node, in_crowd) else { return false };
        if !self.limit_permits(ctx, span.bytes) {
            return false;
        }
        candidates.remove(span.chunks);
        self.send_fetch(ctx, content, node, span);
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

    fn send_fetch(&mut self, ctx: &mut Context, content: ContentId, node: NodeId, span: Span) {
        let Span { chunks, bytes, spares } = span;
        let command = self.expect(ctx, content, Purpose::Fetch(node));
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let skip_bytes = transfer.aside.get(&chunks.start).copied().unwrap_or(0);
        let payload_bytes = bytes - u64::from(skip_bytes);
        transfer.open.remove(chunks);
        let (class, priority) = (transfer.order.class, transfer.order.priority);
        let Some(source) = transfer.sources.get_mut(&node) else { return };
        source.next_chunk = Some(chunks.end());
        source.asked_span_at = ctx.now;
        let (stall_ms_max, behind) = (source.stall_ms(), source.fetches.len());
        source.fetches.insert(
            command,
            Fetch {
                chunks,
                skip_bytes,
                payload_bytes,
                received_bytes: 0,
                asked: ctx.now,
                behind,
                cancelled: false,
                taken_for: None,
                spares,
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

    /// Bytes of a fetch arrived. Returns whether transfers have to be looked at: its source can be asked for more, or they
    /// were not looked at for long.
    pub fn on_fetch_progress(&mut self, ctx: &mut Context, command: CommandId, received_bytes: u64) -> bool {
        let Some((content, Purpose::Fetch(node))) = self.purposes.get(&command).cloned() else { return false };
        let Some(transfer) = self.transfers.get_mut(&content) else { return false };
        transfer.note_bytes(ctx.now, node, command, received_bytes);
        let may_give_more = |source: &Source| source.dry != Some(transfer.opened) && source.room(false) > 0;
        let has_room = transfer.in_crowd || transfer.sources.get(&node).is_some_and(may_give_more);
        self.tell(ctx, content);
        has_room || ctx.now.since(self.ran) >= PROGRESS_LOOK
    }

    /// A fetch ended. Returns what came of it if its transfer is still there.
    pub fn on_fetched(&mut self, ctx: &mut Context, command: CommandId, ended: &Ended) -> Option<Fetched> {
        let (content, purpose) = self.purposes.remove(&command)?;
        let Purpose::Fetch(node) = purpose else { return None };
        self.received.push((node, ended.received_bytes));
        let transfer = self.transfers.get_mut(&content)?;
        transfer.note_bytes(ctx.now, node, command, ended.received_bytes);
        let source = transfer.sources.get_mut(&node)?;
        let fetch = source.fetches.remove(&command)?;
        if ended.outcome == FetchOutcome::Complete {
            source.on_complete(ctx.now, &fetch);
        }
        ctx.count_many(EventKind::ChunkVerified, u64::from(ended.chunks_verified.min(fetch.chunks.count)));
        let chunks = transfer.settle(node, &fetch, ended);
        self.judge(ctx, content, node, &fetch, &ended.outcome);
        if let Some(thief) = fetch.taken_for {
            self.hand_over(ctx, content, thief, fetch.chunks);
        }
        Some(Fetched { content, node, chunks })
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
                source.back_off(ctx.now);
                transfer.hold_less(node, fetch.chunks);
                let request = HaveRequest { content, extensions: Extensions::default() };
                ctx.send(node, Message::HaveRequest(request));
            }
            FetchOutcome::Refused(RefuseReason::Changed) => {
                let is_new = !std::mem::replace(&mut source.changed, true);
                transfer.hold(node, Some(Holding::None));
                if is_new {
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
        if !transfer.set_banned(node) {
            return;
        }
        if let Some(source) = transfer.sources.get_mut(&node).filter(|_| ctx.planted.is(Defect::ForgetBan)) {
            source.banned = false;
        }
        ctx.count(EventKind::PeerBanned);
        for fetch in transfer.sources.get(&node).into_iter().flat_map(|source| source.fetches.keys()) {
            ctx.net(NetCommand::CancelFetch { fetch: *fetch });
        }
        ctx.report(Event::PeerBanned { node, content, why });
    }
}

impl Transfer {
    /// Sources that can be asked for something now.
    pub(super) fn able(&self, now: Timestamp, in_crowd: bool) -> impl Iterator<Item = (NodeId, &Source)> {
        let is_able = move |source: &Source| {
            source.dry != Some(self.opened) && source.is_usable(now) && source.room(in_crowd) > 0
        };
        self.sources.iter().filter(move |(_, source)| is_able(source)).map(|(node, source)| (*node, source))
    }

    /// What to ask a source for: of `candidates`, which are wanted and known.
    fn choose_span(&mut self, ctx: &mut Context, candidates: &ChunkSet, node: NodeId, in_crowd: bool) -> Option<Span> {
        let layout = self.layout.as_ref()?;
        let source = self.sources.get_mut(&node)?;
        let held = source.held_of(candidates).into_owned();
        if held.is_empty() {
            source.dry = Some(self.opened);
            return None;
        }
        let length = |chunk| layout.length(chunk);
        // A chunk of which bytes are kept aside comes first: it is nearly here.
        let begun = self.aside.keys().copied().find(|chunk| held.contains(*chunk));
        let (near, span_bytes) = (begun.or(source.next_chunk), source.span_bytes());
        if !in_crowd {
            let start = next_in_sequence(&held, near)?;
            let (chunks, bytes) = extend_span(&held, start, span_bytes, length, |_| true)?;
            return Some(Span { chunks, bytes, spares: false });
        }
        let (rarity, now) = (&self.rarity, ctx.now);
        if source.is_spared(now) {
            let patience = source.patience();
            let fresh = source.given.missing_in(now, patience, &held);
            if let Some(start) = rarest(&fresh, rarity, 0, near, |bound| ctx.random_below(bound)) {
                source.drained_since = None;
                let (chunks, bytes) = extend_span(&fresh, start, span_bytes, length, |chunk| rarity.of(chunk) == 0)?;
                return Some(Span { chunks, bytes, spares: true });
            }
            let since = *source.drained_since.get_or_insert(now);
            if now.since(since) < patience {
                return None;
            }
        }
        let start = rarest(&held, rarity, u16::MAX, near, |bound| ctx.random_below(bound))?;
        let holders = rarity.of(start);
        let (chunks, bytes) = extend_span(&held, start, span_bytes, length, |chunk| rarity.of(chunk) <= holders)?;
        let spares = source.is_complete() && holders == 0 && source.drained_since.is_none();
        Some(Span { chunks, bytes, spares })
    }

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
        self.goodput.on_bytes(now, fresh);
        self.rate.add(now, fresh);
    }

    /// Books what a fetch brought: chunks here, chunks open again, bytes by what became of them.
    fn settle(&mut self, node: NodeId, fetch: &Fetch, ended: &Ended) -> ChunkRange {
        let verified = ChunkRange { start: fetch.chunks.start, count: ended.chunks_verified.min(fetch.chunks.count) };
        let rest = ChunkRange { start: verified.end(), count: fetch.chunks.count - verified.count };
        let layout_bytes = self.layout.as_ref().and_then(|layout| layout.bytes_of(verified)).unwrap_or(0);
        let skipped = if verified.count > 0 { u64::from(fetch.skip_bytes) } else { 0 };
        let useful = layout_bytes.saturating_sub(skipped);
        let mut aside_fresh = 0;
        if !fetch.stale {
            self.add_verified(verified);
            self.open.insert(rest);
            self.opened += u64::from(rest.count > 0);
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
        if fetch.stale { ChunkRange { count: 0, ..verified } } else { verified }
    }
}
