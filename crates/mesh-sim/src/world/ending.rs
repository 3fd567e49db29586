//! How connections end: on purpose, by a process that dies, or by silence.
//!
//! Invariant: an end's `Disconnected` is the last thing it hears; everything under way over it is answered before.

use std::borrow::Cow;

use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{Input, NetInput};
use mesh_proto::{ConnectionId, NodeId, Timestamp};

use super::connection::EndId;
use super::happening::Happening;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;

/// How long what was sent before an end on purpose gets to arrive.
const LAST_WORDS_NS: u64 = 1_000_000_000;

impl NodeWorld {
    /// A brain closes all connections to a peer.
    pub(super) fn disconnect(&mut self, stage: &mut NodeStage, member: Member, node: NodeId, why: &str) {
        let Some(peer) = self.member_of(node) else { return };
        let all = self.node(member).connections.get(&peer).cloned().unwrap_or_default();
        all.into_iter().for_each(|connection| self.close(stage, member, connection, why));
    }

    /// A brain closes a connection: it ends once what was sent before has arrived.
    pub(super) fn close(&mut self, stage: &mut NodeStage, member: Member, connection: ConnectionId, why: &str) {
        let Some(end) = self.connections.end_of(connection, member) else { return };
        let now = stage.now();
        let Some(own) = self.connections.end_mut(end).filter(|own| !own.closing) else { return };
        own.closing = true;
        let there = own.way.as_ref().map(|way| own.last_arrival.max(Timestamp(now.0 + way.delay_ns)));
        let back_ns = self.connections.end(end.other()).and_then(|other| other.way.as_ref()).map(|way| way.delay_ns);
        let latest = Timestamp(now.0 + LAST_WORDS_NS);
        let here = there.zip(back_ns).map_or(latest, |(there, back_ns)| Timestamp(there.0 + back_ns).min(latest));
        if let Some(there) = there {
            stage.happen(there, Happening::Ended(end.other(), Cow::Borrowed("the peer closed its control stream")));
        }
        stage.happen(here, Happening::Ended(end, Cow::Owned(why.to_owned())));
    }

    /// A node's process dies: its ends are gone without a word; the others' systems are told, if its machine still runs.
    pub(super) fn drop_ends(&mut self, stage: &mut NodeStage, member: Member, tells: bool) {
        let all: Vec<ConnectionId> = self.node(member).connections.values().flatten().copied().collect();
        for connection in all {
            let Some(end) = self.connections.end_of(connection, member) else { continue };
            let way_ns = self.connections.end(end).and_then(|own| own.way.as_ref()).map(|way| way.delay_ns);
            if let Some(way_ns) = way_ns.filter(|_| tells) {
                let at = Timestamp(stage.now().0 + way_ns);
                stage.happen(at, Happening::Ended(end.other(), Cow::Borrowed("reset by the peer")));
            }
            self.forget_serves_of(end);
            self.lose_end(stage, end);
        }
        self.node_mut(member).connections.clear();
    }

    /// An end learns that its connection is over.
    pub(super) fn end_learns(&mut self, stage: &mut NodeStage, end: EndId, why: &str) {
        let Some(own) = self.connections.end(end) else { return };
        let (member, other) = (own.member, self.other_member(end));
        self.end_fetches_over(stage, end, FetchOutcome::Disconnected);
        self.withdraw_serves_over(stage, end);
        self.lose_end(stage, end);
        if let Some(all) = self.node_mut(member).connections.get_mut(&other) {
            all.retain(|connection| *connection != end.connection);
            if all.is_empty() {
                self.node_mut(member).connections.remove(&other);
            }
        }
        let input =
            NetInput::Disconnected { connection: end.connection, node: self.node(other).id, why: why.to_owned() };
        stage.deliver(stage.now(), member, Input::Net(input));
    }

    /// Whose the other end is.
    pub(super) fn other_member(&self, end: EndId) -> Member {
        let connection = self.connections.find(end.connection).expect("an end of it stands");
        connection.ends[usize::from(end.other().end)].member
    }

    fn lose_end(&mut self, stage: &mut NodeStage, end: EndId) {
        let Some(own) = self.connections.end_mut(end) else { return };
        own.open = false;
        own.held.clear();
        let flow = own.flow;
        // What this end had sent is still on its way; what it had not is gone.
        let unsent = self.wires.flows.close(stage.now(), flow);
        self.drop_slices(unsent);
        self.arm_flows(stage);
        if self.connections.end(end.other()).is_none() {
            self.connections.forget(end.connection);
        }
    }
}
