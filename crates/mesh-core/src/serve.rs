//! Giving: who may have what, and when each peer's next slice may go.
//!
//! A request waits in the scheduler of `mesh-fair` until a grant lets a slice of it go; the slice's receipt makes room
//! for the next. No payload byte leaves without a grant, and access is checked before the first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_fair::{Discipline, Request, RequestKey, TokenBucket, UplinkScheduler};
use mesh_proto::bulk::{RefuseReason, SpanRequest};
use mesh_proto::planted::Defect;
use mesh_proto::port::NetCommand;
use mesh_proto::port::net::{ServeId, ServeState};
use mesh_proto::{
    ByteRate, ChunkRange, ChunkSet, CommandId, ConnectionId, ContentId, MemberId, NodeId, Timestamp, WakeReason,
};

use crate::Context;

/// A bucket that permits `bytes_per_s` and bursts of a quarter of a second.
#[must_use]
pub fn bucket(now: Timestamp, bytes_per_s: u64) -> TokenBucket {
    TokenBucket::new(now, ByteRate(bytes_per_s), (bytes_per_s / 4).max(256 * 1024))
}

/// One request that waits or is served.
#[derive(Debug, Clone)]
struct Serve {
    node: NodeId,
    connection: ConnectionId,
    content: ContentId,
    chunks: ChunkRange,
    asked_bytes: u64,
    sent_bytes: u64,
    receipted_bytes: u64,
    ended: bool,
}

/// Who asks for something.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// Which peer.
    pub node: NodeId,
    /// Over which connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub member: Option<MemberId>,
    /// The last round trip measured with it.
    pub rtt_us: Option<u64>,
}

/// All requests of peers. See the module.
#[derive(Debug)]
pub struct Serving {
    scheduler: UplinkScheduler,
    serves: BTreeMap<ServeId, Serve>,
    grants: BTreeMap<CommandId, (ServeId, u64)>,
    /// Bytes receipted by whom, to be counted by link class.
    pub receipted: Vec<(NodeId, u64)>,
}

impl Serving {
    /// Serves nobody yet.
    #[must_use]
    pub fn new(discipline: Discipline, now: Timestamp) -> Self {
        Self {
            scheduler: UplinkScheduler::new(now, discipline),
            serves: BTreeMap::new(),
            grants: BTreeMap::new(),
            receipted: Vec::new(),
        }
    }

    /// Limits sending; 0 = no limit.
    pub fn set_limit(&mut self, now: Timestamp, bytes_per_s: u64) {
        self.scheduler.set_limit(now, (bytes_per_s > 0).then_some(ByteRate(bytes_per_s)));
    }

    /// A round trip with a peer was measured. The scheduler keeps a window for each peer it knows, so it hears of those
    /// only who ask for something.
    pub fn set_rtt(&mut self, now: Timestamp, node: NodeId, rtt_us: u64) {
        if self.scheduler.peer_window(&node).is_some() {
            self.scheduler.set_rtt(now, node, Duration::from_micros(rtt_us));
        }
    }

    /// A peer asks for a span it may have.
    pub fn enqueue(&mut self, ctx: &mut Context, serve: ServeId, asker: Asker, request: &SpanRequest) {
        let Asker { node, connection, member, rtt_us } = asker;
        let is_new = self.scheduler.peer_window(&node).is_none();
        let wanted = Request {
            key: RequestKey(serve.0),
            member,
            node,
            flow: flow_of(request.content),
            class: request.class,
            priority: request.priority,
            bytes: request.payload_bytes,
        };
        let queued = self.scheduler.enqueue(ctx.now, wanted);
        if queued.is_err() {
            ctx.count(EventKind::LimitRequests);
            self.refuse(ctx, serve, RefuseReason::Busy);
            return;
        }
        if let (true, Some(rtt_us)) = (is_new, rtt_us) {
            self.set_rtt(ctx.now, node, rtt_us);
        }
        let fresh = Serve {
            node,
            connection,
            content: request.content,
            chunks: request.chunks,
            asked_bytes: request.payload_bytes,
            sent_bytes: 0,
            receipted_bytes: 0,
            ended: false,
        };
        self.serves.insert(serve, fresh);
    }

    /// Tells a peer no.
    pub fn refuse(&mut self, ctx: &mut Context, serve: ServeId, reason: RefuseReason) {
        ctx.count(EventKind::RequestRefused);
        ctx.net(NetCommand::Refuse { serve, reason });
    }

    /// The peer no longer wants it, or is gone.
    pub fn on_withdrawn(&mut self, serve: ServeId) {
        if self.serves.remove(&serve).is_some() {
            self.scheduler.abandon(RequestKey(serve.0));
        }
    }

    /// A grant was used. Returns the content whose source failed, if it did.
    pub fn on_granted(&mut self, command: CommandId, sent_bytes: u64, state: &ServeState) -> Option<ContentId> {
        let (id, granted_bytes) = self.grants.remove(&command)?;
        let key = RequestKey(id.0);
        let serve = self.serves.get_mut(&id)?;
        serve.sent_bytes += sent_bytes;
        self.scheduler.on_sent(key, granted_bytes, sent_bytes);
        match state {
            ServeState::More => None,
            ServeState::Ended => {
                serve.ended = true;
                self.scheduler.on_finished(key, 0);
                self.forget_if_done(id);
                None
            }
            ServeState::Failed(_) => {
                let content = serve.content;
                self.on_withdrawn(id);
                Some(content)
            }
            ServeState::Gone => {
                self.on_withdrawn(id);
                None
            }
        }
    }

    /// A peer says what reached it, cumulative per request.
    pub fn on_receipt(&mut self, ctx: &Context, id: ServeId, drained_bytes: u64) {
        let Some(serve) = self.serves.get_mut(&id) else { return };
        // A receipt for what was never sent is not believed.
        let drained_bytes = drained_bytes.min(serve.asked_bytes);
        let before_bytes = if ctx.planted.is(Defect::DoubleCountReceipt) { 0 } else { serve.receipted_bytes };
        let fresh = drained_bytes.saturating_sub(before_bytes);
        if fresh == 0 {
            return;
        }
        serve.receipted_bytes += fresh;
        let node = serve.node;
        self.receipted.push((node, fresh));
        self.scheduler.on_receipt(ctx.now, node, RequestKey(id.0), fresh);
        self.forget_if_done(id);
    }

    fn forget_if_done(&mut self, id: ServeId) {
        let done = self.serves.get(&id).is_some_and(|serve| serve.ended && serve.receipted_bytes >= serve.sent_bytes);
        if done {
            self.on_withdrawn(id);
        }
    }

    /// A connection ended, and perhaps another with this peer stands: what was sent over it is not receipted any more.
    pub fn on_connection_ended(&mut self, connection: ConnectionId) {
        let over = self.serves.iter().filter(|(_, serve)| serve.connection == connection);
        let lost: Vec<ServeId> = over.map(|(id, _)| *id).collect();
        lost.into_iter().for_each(|id| self.on_withdrawn(id));
    }

    /// A peer's last connection ended.
    pub fn on_disconnected(&mut self, node: NodeId) {
        self.serves.retain(|_, serve| serve.node != node);
        self.scheduler.on_disconnected(node);
    }

    /// Contents that are being served.
    #[must_use]
    pub fn contents(&self) -> BTreeSet<ContentId> {
        self.serves.values().map(|serve| serve.content).collect()
    }

    /// Which of these chunks others are being given, or wait for.
    #[must_use]
    pub fn given_to_others(&self, node: NodeId, content: ContentId, chunks: ChunkRange) -> ChunkSet {
        let others = self.serves.values().filter(|serve| serve.content == content && serve.node != node);
        others.filter_map(|serve| serve.chunks.overlap(chunks)).collect()
    }

    /// Requests of whom for what fit.
    #[must_use]
    pub fn find(&self, fits: impl Fn(NodeId, ContentId) -> bool) -> Vec<ServeId> {
        self.serves.iter().filter(|(_, serve)| fits(serve.node, serve.content)).map(|(id, _)| *id).collect()
    }

    /// Ends a request under way and tells the peer why.
    pub fn end(&mut self, ctx: &mut Context, serve: ServeId, reason: RefuseReason) {
        self.on_withdrawn(serve);
        self.refuse(ctx, serve, reason);
    }

    /// Lets go what may go now.
    pub fn run(&mut self, ctx: &mut Context) {
        while let Some(grant) = self.scheduler.poll_grant(ctx.now) {
            let serve = ServeId(grant.request.0);
            let command = ctx.command_id();
            self.grants.insert(command, (serve, grant.bytes));
            ctx.count(EventKind::Granted);
            ctx.net(NetCommand::Grant { command, serve, bytes: grant.bytes });
        }
    }

    /// When something may go next without a receipt.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.scheduler.poll_timeout().map(|at| (at, "send a slice"))
    }

    /// Requests that wait or are served.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.serves.len()
    }

    /// Bytes granted and not receipted.
    #[must_use]
    pub fn unreceipted_bytes(&self) -> u64 {
        self.scheduler.outstanding_bytes()
    }
}

/// Tells a node's transfers apart: they take turns within its share.
fn flow_of(content: ContentId) -> u64 {
    let (head, _) = content.0.split_first_chunk::<8>().expect("an id has 32 bytes");
    u64::from_le_bytes(*head)
}

#[cfg(test)]
mod tests {
    use mesh_proto::bulk::TrafficClass;
    use mesh_proto::extensions::Extensions;
    use mesh_proto::port::Output;

    use super::*;

    fn request(start: u32) -> SpanRequest {
        SpanRequest {
            request: u64::from(start),
            content: ContentId([1; 32]),
            chunks: ChunkRange { start, count: 2 },
            skip_bytes: 0,
            payload_bytes: 64 * 1024,
            class: TrafficClass::Public,
            priority: 0,
            deadline_ms: 0,
            for_member: None,
            extensions: Extensions::default(),
        }
    }

    fn asker(node: NodeId, connection: u64) -> Asker {
        Asker { node, connection: ConnectionId(connection), member: None, rtt_us: None }
    }

    /// Lets all grants go and be used.
    fn run(ctx: &mut Context, serving: &mut Serving) {
        loop {
            serving.run(ctx);
            let grants: Vec<(CommandId, u64)> = std::iter::from_fn(|| ctx.pop())
                .filter_map(|output| match output {
                    Output::Net(NetCommand::Grant { command, bytes, .. }) => Some((command, bytes)),
                    _ => None,
                })
                .collect();
            if grants.is_empty() {
                return;
            }
            for (command, bytes) in grants {
                serving.on_granted(command, bytes, &ServeState::More);
            }
        }
    }

    #[test]
    fn what_went_over_a_connection_that_ended_does_not_fill_the_window() {
        let (mut ctx, node) = (Context::new([0; 32]), NodeId([2; 32]));
        let mut serving = Serving::new(Discipline::DeficitRoundRobin, Timestamp::ZERO);
        for number in 0..2 {
            let from = asker(node, u64::from(number));
            serving.enqueue(&mut ctx, ServeId(u64::from(number)), from, &request(2 * number));
            run(&mut ctx, &mut serving);
        }
        let both = serving.unreceipted_bytes();
        serving.on_connection_ended(ConnectionId(0));
        assert_eq!(serving.waiting(), 1);
        assert!(serving.unreceipted_bytes() < both, "{both} bytes wait for receipts that never come");
    }

    #[test]
    fn what_others_are_given_of_some_chunks_is_known() {
        let mut ctx = Context::new([0; 32]);
        let mut serving = Serving::new(Discipline::DeficitRoundRobin, Timestamp::ZERO);
        for number in 0..3u8 {
            let from = asker(NodeId([number; 32]), u64::from(number));
            serving.enqueue(&mut ctx, ServeId(u64::from(number)), from, &request(4 * u32::from(number)));
        }
        let given = |node, start, count| {
            let chunks = ChunkRange { start, count };
            serving.given_to_others(NodeId([node; 32]), ContentId([1; 32]), chunks).iter().collect::<Vec<u32>>()
        };
        assert_eq!(given(0, 0, 10), [4, 5, 8, 9]);
        assert_eq!(given(1, 4, 2), [0; 0]);
        assert_eq!(given(9, 1, 4), [1, 4]);
    }
}
