//! One uplink: whose turn it is, how much may be under way, and how fast the owner allows, put together.
//!
//! The driver's loop: [`enqueue`](UplinkScheduler::enqueue) what peers ask for; call
//! [`poll_grant`](UplinkScheduler::poll_grant) until it returns `None`, after every other call and at
//! [`poll_timeout`](UplinkScheduler::poll_timeout); send each grant's bytes; report with
//! [`on_sent`](UplinkScheduler::on_sent) or [`on_finished`](UplinkScheduler::on_finished) only if fewer were sent than
//! granted or the request ends early; pass on each receipt.
//!
//! Receipts must come at least per slice or every 25 ms while bytes arrive: a peer that receipts only a span far larger
//! than its window would stop itself, and nobody else.
//!
//! Invariants: outstanding bytes ≤ window after each grant, for the peer and, of those that may still be in it, for the
//! uplink; the grants of a request, less what was given back, never exceed its bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use mesh_proto::limits::{SLICE_BYTES_MAX, SLICE_BYTES_MIN};
use mesh_proto::{ByteRate, NodeId, Timestamp};

use crate::drr::{FlowKey, MemberKey, RequestKey};
use crate::entry::{Entry, OpenGrant};
use crate::order::Order;
use crate::overdue::Overdue;
use crate::probe::Probe;
use crate::request::{Discipline, EnqueueError, Grant, Request, SchedulerView};
use crate::token_bucket::TokenBucket;
use crate::window::{ReceiptSample, SendWindow, WindowConfig};

/// Requests known at once, those awaiting receipts included.
pub const REQUESTS_MAX: usize = 65_536;
/// Peers known at once.
pub const PEERS_MAX: usize = 1024;

/// The queue a peer's own path may build.
const PEER_QUEUE: Duration = Duration::from_millis(50);
/// The queue the uplink may build: less than a peer's, so that a shared bottleneck fills the uplink's window before any
/// peer's, and the discipline decides who gets what instead of who had more before.
const UPLINK_QUEUE: Duration = Duration::from_millis(35);
/// A peer whose receipts come with less queue than this is not held back by its own path.
const PEER_HEADROOM_BELOW: Duration = Duration::from_millis(35);
/// The longest round trip for which all paths are emptied.
const DRAIN_RTT_MAX: Duration = Duration::from_secs(1);
/// What a round over all flows takes of the uplink.
const FLOW_ROUND: Duration = Duration::from_millis(500);
/// What one slice takes of its path.
const SLICE_TIME: Duration = Duration::from_millis(20);
/// A slice while no rate is known: at 2 kbit/s it takes 16 s, and whoever waits for it should not take that for silence.
const FIRST_SLICE_BYTES: u64 = 4 * 1024;
/// What the limit's bucket lets through at once.
const LIMIT_BURST: Duration = Duration::from_millis(20);

/// Decides who sends what, when.
#[derive(Debug, Clone)]
pub struct UplinkScheduler {
    order: Order,
    uplink: SendWindow,
    uplink_rtt_ns: u128,
    peers: BTreeMap<NodeId, SendWindow>,
    requests: BTreeMap<RequestKey, Entry>,
    receipted: BTreeMap<MemberKey, u64>,
    bucket: Option<TokenBucket>,
    tokens_at: Option<Timestamp>,
    drain_until: Option<Timestamp>,
    /// Until then no round trip of a peer with bytes outstanding is too old.
    fresh_until: Timestamp,
    overdue: Overdue,
    probe: Probe,
    /// Peers that get nothing more until they give a sign of life.
    missed: BTreeSet<NodeId>,
    silent_at: Option<Timestamp>,
}

impl UplinkScheduler {
    /// An idle uplink of which nothing is known.
    #[must_use]
    pub fn new(now: Timestamp, discipline: Discipline) -> Self {
        Self {
            order: Order::new(discipline),
            uplink: SendWindow::new(now, WindowConfig { queue_target: UPLINK_QUEUE, headroom_below: Duration::ZERO }),
            uplink_rtt_ns: 0,
            peers: BTreeMap::new(),
            requests: BTreeMap::new(),
            receipted: BTreeMap::new(),
            bucket: None,
            tokens_at: None,
            drain_until: None,
            fresh_until: Timestamp::ZERO,
            overdue: Overdue::new(now),
            probe: Probe::new(now, UPLINK_QUEUE),
            missed: BTreeSet::new(),
            silent_at: None,
        }
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// [`EnqueueError`] if it can't wait here.
    pub fn enqueue(&mut self, now: Timestamp, request: Request) -> Result<(), EnqueueError> {
        if request.bytes == 0 {
            return Err(EnqueueError::Empty);
        }
        if self.requests.contains_key(&request.key) {
            return Err(EnqueueError::Duplicate);
        }
        let Request { member, class, priority, node, flow, .. } = request;
        let flow = FlowKey { member, class, priority, node, flow };
        let peer_fits = self.peers.contains_key(&node) || self.peers.len() < PEERS_MAX;
        if self.requests.len() >= REQUESTS_MAX || !peer_fits || !self.order.has_room_for(&flow) {
            return Err(EnqueueError::Full);
        }
        self.peers.entry(node).or_insert_with(|| new_peer(now));
        let entry = Entry { flow, remaining_bytes: request.bytes, finished: false, open: VecDeque::new() };
        self.requests.insert(request.key, entry);
        self.order.insert(request.key, flow);
        self.receipted.entry(member).or_default();
        Ok(())
    }

    /// Grants nothing more of a request; its receipts are still expected. Says whether it was known.
    pub fn cancel(&mut self, request: RequestKey) -> bool {
        let Some(entry) = self.requests.get_mut(&request) else { return false };
        entry.finished = true;
        entry.remaining_bytes = 0;
        self.order.remove(request);
        self.drop_if_done(request);
        true
    }

    /// The next permission, if there is one now.
    pub fn poll_grant(&mut self, now: Timestamp) -> Option<Grant> {
        self.tokens_at = None;
        self.tend_drain(now);
        if self.silent_at.take().is_some() {
            self.let_go_of_overdue(now);
        }
        self.uplink.wake(now);
        let quantum_bytes = self.uplink_slice_bytes();
        let shared_queue = self.uplink.standing_queue();
        let with_others = self.probe.hears_several(now);
        loop {
            let key = self.order.pick(quantum_bytes)?;
            let entry = self.requests.get(&key)?;
            let (node, remaining_bytes) = (entry.flow.node, entry.remaining_bytes);
            let peer = self.peers.get_mut(&node)?;
            peer.wake(now);
            peer.set_shared_queue(shared_queue, with_others);
            let slice_bytes = slice_bytes(peer).min(quantum_bytes);
            let wanted = slice_bytes.min(remaining_bytes);
            let enough = wanted.min((slice_bytes / 4).max(SLICE_BYTES_MIN as u64));
            if self.uplink.room() < enough {
                self.uplink.note_blocked();
                self.probe.note_blocked();
                self.silent_at = Some(self.overdue.silent_at(&self.uplink));
                return None;
            }
            if peer.room() < enough {
                peer.note_blocked();
                self.order.park(node);
                continue;
            }
            let mut bytes = wanted.min(self.uplink.room()).min(peer.room());
            if let Some(bucket) = &mut self.bucket {
                let there = bucket.available(now);
                let enough = enough.min(bucket.burst_bytes());
                if there < enough {
                    self.tokens_at = bucket.available_at(now, enough);
                    return None;
                }
                bytes = bucket.take(now, bytes);
            }
            return Some(self.grant(now, key, bytes));
        }
    }

    fn grant(&mut self, now: Timestamp, key: RequestKey, bytes: u64) -> Grant {
        let entry = self.requests.get_mut(&key).expect("only known requests are in the order");
        let node = entry.flow.node;
        let peer = self.peers.get_mut(&node).expect("a known request's peer is known");
        if self.uplink.outstanding_bytes() == 0 {
            self.overdue.moves(now);
        }
        let (peer_mark, uplink_mark) = (peer.on_grant(now, bytes), self.uplink.on_grant(now, bytes));
        self.fresh_until = self.fresh_until.min(peer.rtt_fresh_until());
        entry.remaining_bytes -= bytes;
        entry.open.push_back(OpenGrant { bytes, peer_mark, uplink_mark, in_uplink: true });
        self.order.charge(key, bytes);
        if entry.remaining_bytes == 0 {
            self.order.remove(key);
        }
        Grant { request: key, node, bytes }
    }

    /// Of a grant of `granted` bytes only `sent` were sent, and the request goes on: the rest is waited for again.
    pub fn on_sent(&mut self, request: RequestKey, granted: u64, sent: u64) {
        let unsent = self.give_back(request, granted.saturating_sub(sent));
        let Some(entry) = self.requests.get_mut(&request) else { return };
        if unsent == 0 || entry.finished {
            return self.drop_if_done(request);
        }
        if entry.remaining_bytes == 0 {
            self.order.insert(request, entry.flow);
        }
        entry.remaining_bytes += unsent;
    }

    /// A request ended with `unsent_bytes` of its grants not sent. Receipts of what was sent are still expected.
    pub fn on_finished(&mut self, request: RequestKey, unsent_bytes: u64) {
        self.give_back(request, unsent_bytes);
        self.cancel(request);
    }

    /// No receipt of a request comes any more (it was withdrawn, its stream ended): what is outstanding is forgotten.
    /// The owner's limit gets nothing back, for the bytes were sent.
    pub fn abandon(&mut self, request: RequestKey) {
        let Some(entry) = self.requests.remove(&request) else { return };
        self.order.remove(request);
        self.uplink.forget(entry.open_bytes_in_uplink());
        if let Some(peer) = self.peers.get_mut(&entry.flow.node) {
            peer.forget(entry.open_bytes());
        }
        self.on_heard(entry.flow.node);
        self.forget_member_if_idle(entry.flow.member);
    }

    /// `bytes` more of a request arrived at its peer. Says how many of them were outstanding; the others are ignored.
    pub fn on_receipt(&mut self, now: Timestamp, node: NodeId, request: RequestKey, bytes: u64) -> u64 {
        let Some(entry) = self.requests.get_mut(&request).filter(|entry| entry.flow.node == node) else { return 0 };
        let Some(peer) = self.peers.get_mut(&node) else { return 0 };
        let mut left = bytes;
        while left > 0 {
            let Some(open) = entry.open.front_mut() else { break };
            let part = left.min(open.bytes);
            let OpenGrant { peer_mark, uplink_mark, in_uplink, .. } = *open;
            open.bytes -= part;
            left -= part;
            if open.bytes == 0 {
                entry.open.pop_front();
            }
            peer.on_receipt(now, ReceiptSample { bytes: part, mark: peer_mark, path_rtt: None });
            if self.drain_until.is_none() {
                peer.end_drain_if_seen(now);
            }
            self.overdue.on_receipt(now, uplink_mark.at);
            if !in_uplink {
                continue;
            }
            let path_rtt = peer.rtt().unwrap_or_default();
            if self.uplink.is_settled() {
                self.probe.on_receipt(now, node, part, now.since(uplink_mark.at).saturating_sub(path_rtt));
                self.uplink.set_lift(self.probe.lift());
            } else {
                self.probe.skip_round(now);
            }
            // The uplink's round trip is its peers', weighted by bytes over about a window.
            let weight = u128::from(part);
            let window = u128::from(self.uplink.window_bytes()).max(weight);
            let mean = self.uplink_rtt_ns * (window - weight) + path_rtt.as_nanos() * weight;
            self.uplink_rtt_ns = mean.div_ceil(window);
            self.uplink.replace_rtt(now, nanos(self.uplink_rtt_ns));
            self.uplink.on_receipt(now, ReceiptSample { bytes: part, mark: uplink_mark, path_rtt: Some(path_rtt) });
        }
        let counted = self.receipted.entry(entry.flow.member).or_default();
        *counted = counted.saturating_add(bytes - left);
        self.on_heard(node);
        self.drop_if_done(request);
        bytes - left
    }

    /// A peer is gone: its requests are dropped and its outstanding bytes forgotten.
    pub fn on_disconnected(&mut self, node: NodeId) {
        let gone: Vec<RequestKey> =
            self.requests.iter().filter(|(_, entry)| entry.flow.node == node).map(|(key, _)| *key).collect();
        for key in gone {
            self.order.remove(key);
            if let Some(entry) = self.requests.remove(&key) {
                self.uplink.forget(entry.open_bytes_in_uplink());
                self.forget_member_if_idle(entry.flow.member);
            }
        }
        self.peers.remove(&node);
        self.missed.remove(&node);
    }

    fn unpark_unless_missed(&mut self, node: NodeId) {
        if !self.missed.contains(&node) {
            self.order.unpark(&node);
        }
    }

    /// A peer gave a sign of life.
    fn on_heard(&mut self, node: NodeId) {
        self.missed.remove(&node);
        self.order.unpark(&node);
    }

    /// The owner's limit on sending; `None` = none.
    pub fn set_limit(&mut self, now: Timestamp, limit: Option<ByteRate>) {
        self.tokens_at = None;
        self.bucket = limit.map(|rate| {
            let burst = rate.bytes_in(LIMIT_BURST).clamp(SLICE_BYTES_MIN as u64, SLICE_BYTES_MAX as u64);
            TokenBucket::new(now, rate, burst)
        });
    }

    /// A ping measured a peer's round trip.
    pub fn set_rtt(&mut self, now: Timestamp, node: NodeId, rtt: Duration) {
        if !self.peers.contains_key(&node) && self.peers.len() >= PEERS_MAX {
            return;
        }
        self.peers.entry(node).or_insert_with(|| new_peer(now)).set_rtt(now, rtt);
        if self.uplink.rtt().is_none() {
            self.uplink_rtt_ns = rtt.as_nanos();
            self.uplink.set_rtt(now, rtt);
        }
        self.on_heard(node);
    }

    /// When to call [`poll_grant`](Self::poll_grant) again though nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        [self.tokens_at, self.drain_until, self.silent_at].into_iter().flatten().min()
    }

    /// Bytes granted and not receipted.
    #[must_use]
    pub fn outstanding_bytes(&self) -> u64 {
        self.peers.values().map(SendWindow::outstanding_bytes).sum()
    }

    /// Those of them that may still be in the uplink: what its window counts.
    #[must_use]
    pub fn uplink_bytes(&self) -> u64 {
        self.uplink.outstanding_bytes()
    }

    /// The uplink's window.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        self.uplink.window_bytes()
    }

    /// A peer's window, if it is known.
    #[must_use]
    pub fn peer_window(&self, node: &NodeId) -> Option<&SendWindow> {
        self.peers.get(node)
    }

    /// Bytes of a request not granted yet; `None` if it is not known (any more).
    #[must_use]
    pub fn remaining_bytes(&self, request: RequestKey) -> Option<u64> {
        self.requests.get(&request).map(|entry| entry.remaining_bytes)
    }

    /// Everything for status. Looks at all requests.
    #[must_use]
    pub fn view(&self) -> SchedulerView {
        let mut view = SchedulerView {
            outstanding_bytes: self.outstanding_bytes(),
            window_bytes: self.uplink.window_bytes(),
            rate: self.uplink.rate(),
            limit: self.bucket.as_ref().map(TokenBucket::rate),
            ..SchedulerView::default()
        };
        for (member, receipted_bytes) in &self.receipted {
            view.members.entry(*member).or_default().receipted_bytes = *receipted_bytes;
        }
        for entry in self.requests.values().filter(|entry| entry.remaining_bytes > 0) {
            let member = view.members.entry(entry.flow.member).or_default();
            member.requests_waiting += 1;
            member.waiting_bytes = member.waiting_bytes.saturating_add(entry.remaining_bytes);
            view.requests_waiting += 1;
        }
        view
    }

    fn uplink_slice_bytes(&self) -> u64 {
        let slice = slice_bytes(&self.uplink);
        let limited = self.bucket.as_ref().map_or(slice, |bucket| slice.min(bucket.burst_bytes()));
        let rate = self.bucket.as_ref().map(TokenBucket::rate).or(self.uplink.rate());
        let flows = self.order.flow_count().max(1) as u64;
        // However many flows wait, a round over all of them stays short.
        let by_round = rate.map_or(limited, |rate| rate.bytes_in(FLOW_ROUND) / flows);
        limited.min(by_round).max(SLICE_BYTES_MIN as u64)
    }

    /// Takes back up to `unsent` bytes from the newest grants of a request.
    fn give_back(&mut self, request: RequestKey, unsent: u64) -> u64 {
        let Some(entry) = self.requests.get_mut(&request) else { return 0 };
        let (mut left, mut in_uplink) = (unsent, 0);
        while left > 0 {
            let Some(open) = entry.open.back_mut() else { break };
            let part = left.min(open.bytes);
            open.bytes -= part;
            left -= part;
            in_uplink += if open.in_uplink { part } else { 0 };
            if open.bytes == 0 {
                entry.open.pop_back();
            }
        }
        let (back, node) = (unsent - left, entry.flow.node);
        self.uplink.forget(in_uplink);
        if let Some(bucket) = &mut self.bucket {
            bucket.give_back(back);
        }
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.forget(back);
            if peer.outstanding_bytes() == 0 {
                self.missed.remove(&node);
            }
        }
        self.unpark_unless_missed(node);
        back
    }

    /// Takes out of the uplink's window what must have left the uplink though no receipt came.
    fn let_go_of_overdue(&mut self, now: Timestamp) {
        let is_silent = now >= self.overdue.silent_at(&self.uplink);
        if !self.overdue.looks(now) && !is_silent {
            return;
        }
        for entry in self.requests.values_mut() {
            let node = entry.flow.node;
            let peer = self.peers.get(&node);
            for grant in entry.open.iter_mut().filter(|grant| grant.in_uplink) {
                let is_overtaken =
                    |peer| self.overdue.is_overtaken(grant.uplink_mark.at, peer, PEER_QUEUE + UPLINK_QUEUE);
                if is_silent || peer.is_some_and(is_overtaken) {
                    grant.in_uplink = false;
                    self.uplink.forget(grant.bytes);
                    self.missed.insert(node);
                    self.order.park(node);
                }
            }
        }
    }

    fn drop_if_done(&mut self, request: RequestKey) {
        let done = |entry: &Entry| entry.remaining_bytes == 0 && entry.open.is_empty();
        if self.requests.get(&request).is_some_and(done)
            && let Some(entry) = self.requests.remove(&request)
        {
            self.forget_member_if_idle(entry.flow.member);
        }
    }

    /// Counts are kept only for members with requests, as many as the limit allows beyond.
    fn forget_member_if_idle(&mut self, member: MemberKey) {
        if self.receipted.len() > PEERS_MAX && !self.requests.values().any(|entry| entry.flow.member == member) {
            self.receipted.remove(&member);
        }
    }

    /// Empties the path for a moment when somebody's round trip is too old to be believed: all at once, because a queue
    /// that others keep would be taken for the path.
    fn tend_drain(&mut self, now: Timestamp) {
        if let Some(until) = self.drain_until {
            if now < until {
                return;
            }
            self.drain_until = None;
            self.uplink.end_drain(now);
            self.peers.values_mut().for_each(|peer| _ = peer.end_drain_if_seen(now));
            for node in self.peers.keys().copied().collect::<Vec<_>>() {
                self.unpark_unless_missed(node);
            }
            return;
        }
        // Asked at every input: peers are looked at only when one may be stale.
        if now <= self.fresh_until || self.requests.is_empty() || self.uplink.is_starting() {
            return;
        }
        let busy = || self.peers.values().filter(|peer| peer.outstanding_bytes() > 0);
        if !busy().any(|peer| peer.is_rtt_stale(now)) {
            self.fresh_until = busy().map(SendWindow::rtt_fresh_until).min().unwrap_or(Timestamp(u64::MAX));
            return;
        }
        // What a peer's first bytes took says little, and it is not emptied.
        let rtts = busy().filter(|peer| !peer.is_starting()).filter_map(SendWindow::rtt);
        let longest = rtts.max().unwrap_or_default().min(DRAIN_RTT_MAX);
        let time = PEER_QUEUE + longest * 3 / 2 + Duration::from_millis(30);
        let until = now.after(time);
        self.drain_until = Some(until);
        self.uplink.start_drain(now, until);
        for peer in self.peers.values_mut() {
            peer.start_drain(now, until);
        }
    }
}

fn new_peer(now: Timestamp) -> SendWindow {
    SendWindow::new(now, WindowConfig { queue_target: PEER_QUEUE, headroom_below: PEER_HEADROOM_BELOW })
}

/// What drains in [`SLICE_TIME`], and at most a quarter of the window, so that several are under way.
fn slice_bytes(window: &SendWindow) -> u64 {
    let by_window = window.window_bytes() / 4;
    let by_rate = window.rate().map_or(FIRST_SLICE_BYTES, |rate| rate.bytes_in(SLICE_TIME));
    by_rate.min(by_window).clamp(SLICE_BYTES_MIN as u64, SLICE_BYTES_MAX as u64)
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
