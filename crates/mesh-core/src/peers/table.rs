//! The peers by name, and sorted by what may have to be done about them, so that nothing that happens costs more the more
//! peers are known.
//!
//! Invariant: the sorted views follow from the peers alone. Every change of a peer goes through `in_step`, which
//! takes it out of its places and puts it into those it has then; so none of them can go stale. Only figures that no view
//! depends on are noted without (`note`).

use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::{NodeId, Timestamp};

use super::agenda::Agenda;
use super::{Dealings, Peer};

/// The table. See the module.
#[derive(Debug, Default)]
pub(super) struct Table {
    peers: BTreeMap<NodeId, Peer>,
    own: Option<NodeId>,
    views: Views,
    /// Peers looked at one after another: what must not happen on every input.
    #[cfg(test)]
    pub(super) walked: std::cell::Cell<usize>,
}

/// What follows from the peers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Views {
    connected: BTreeSet<NodeId>,
    dialled: usize,
    wanted: Agenda<(Timestamp, NodeId)>,
    spare: Agenda<(Timestamp, NodeId)>,
    needed: Agenda<(Timestamp, NodeId)>,
    remembered: BTreeSet<NodeId>,
    anchors: usize,
    silent_anchors: Agenda<NodeId>,
    candidates: BTreeSet<NodeId>,
}

/// A peer's places in the views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    connected: bool,
    dialled: bool,
    wanted: Option<Timestamp>,
    spare: Option<Timestamp>,
    needed: Option<Timestamp>,
    remembered: bool,
    anchor: bool,
    silent_anchor: bool,
    candidate: bool,
}

impl Places {
    fn of(peer: &Peer, is_own: bool) -> Self {
        let dial = (peer.is_dialable() && !is_own).then_some(peer.not_before);
        Self {
            connected: peer.is_connected(),
            dialled: peer.dealings().connections.iter().any(|standing| standing.dialled),
            wanted: dial.filter(|_| peer.is_wanted()),
            spare: dial.filter(|_| !peer.is_wanted()),
            needed: (peer.needed_until > Timestamp::ZERO).then_some(peer.needed_until),
            remembered: peer.remembered,
            anchor: peer.anchor,
            silent_anchor: peer.anchor && peer.is_silent(),
            candidate: peer.remembered && !peer.anchor && !peer.is_silent(),
        }
    }
}

impl Views {
    fn add(&mut self, node: NodeId, places: Places) {
        let mark = |set: &mut BTreeSet<NodeId>, is_in: bool| _ = is_in && set.insert(node);
        let sort = |agenda: &mut Agenda<_>, at: Option<Timestamp>| _ = at.map(|at| agenda.insert((at, node)));
        mark(&mut self.connected, places.connected);
        mark(&mut self.remembered, places.remembered);
        mark(&mut self.candidates, places.candidate);
        _ = places.silent_anchor.then(|| self.silent_anchors.insert(node));
        sort(&mut self.wanted, places.wanted);
        sort(&mut self.spare, places.spare);
        sort(&mut self.needed, places.needed);
        self.dialled += usize::from(places.dialled);
        self.anchors += usize::from(places.anchor);
    }

    fn remove(&mut self, node: NodeId, places: Places) {
        let unmark = |set: &mut BTreeSet<NodeId>, is_in: bool| _ = is_in && set.remove(&node);
        let unsort = |agenda: &mut Agenda<_>, at: Option<Timestamp>| _ = at.map(|at| agenda.remove((at, node)));
        unmark(&mut self.connected, places.connected);
        unmark(&mut self.remembered, places.remembered);
        unmark(&mut self.candidates, places.candidate);
        _ = places.silent_anchor.then(|| self.silent_anchors.remove(node));
        unsort(&mut self.wanted, places.wanted);
        unsort(&mut self.spare, places.spare);
        unsort(&mut self.needed, places.needed);
        self.dialled -= usize::from(places.dialled);
        self.anchors -= usize::from(places.anchor);
    }
}

impl Table {
    /// Who we are: never dialled.
    pub(super) fn set_own(&mut self, own: NodeId) {
        if self.own == Some(own) {
            return;
        }
        let before = self.own.replace(own);
        #[cfg(test)]
        self.walked.set(self.walked.get() + self.peers.len());
        for (node, peer) in &self.peers {
            self.views.remove(*node, Places::of(peer, before == Some(*node)));
            self.views.add(*node, Places::of(peer, *node == own));
        }
    }

    /// One peer.
    pub(super) fn find(&self, node: NodeId) -> Option<&Peer> {
        self.peers.get(&node)
    }

    /// All of them: for people only, as it costs the more the more there are.
    pub(super) fn all(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        #[cfg(test)]
        self.walked.set(self.walked.get() + self.peers.len());
        self.peers.iter().map(|(node, peer)| (*node, peer))
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Changes a peer, if it is known.
    pub(super) fn change<T>(&mut self, node: NodeId, change: impl FnOnce(&mut Peer) -> T) -> Option<T> {
        let peer = self.peers.get_mut(&node)?;
        Some(in_step(&mut self.views, node, self.own == Some(node), peer, change))
    }

    /// Notes a figure of a peer that no view depends on, if it is known.
    pub(super) fn note(&mut self, node: NodeId, note: impl FnOnce(&mut Dealings)) -> Option<&Peer> {
        let peer = self.peers.get_mut(&node)?;
        let before = cfg!(debug_assertions).then(|| Places::of(peer, false));
        note(peer.dealings_mut());
        debug_assert!(before.is_none_or(|before| before == Places::of(peer, false)), "views depend on it");
        Some(peer)
    }

    /// Changes a peer, known until now or not.
    pub(super) fn change_or_add<T>(&mut self, node: NodeId, change: impl FnOnce(&mut Peer) -> T) -> T {
        // Of whom nothing is known has no place in any view.
        let peer = self.peers.entry(node).or_default();
        in_step(&mut self.views, node, self.own == Some(node), peer, change)
    }

    /// Those that were needed until now are so no longer.
    pub(super) fn end_needs(&mut self, now: Timestamp) {
        while let Some((_, node)) = self.views.needed.first().filter(|(until, _)| *until <= now) {
            self.change(node, |peer| peer.needed_until = Timestamp::ZERO);
        }
    }

    /// Peers with a connection.
    pub(super) fn connected(&self) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        self.views.connected.iter().copied()
    }

    /// How many peers have a connection that we opened.
    pub(super) fn dialled(&self) -> usize {
        self.views.dialled
    }

    /// Of those that are wanted whatever the number of connections, who is to be dialled next, and when.
    pub(super) fn next_wanted(&self) -> Option<(Timestamp, NodeId)> {
        self.views.wanted.first()
    }

    /// Of the others, who is to be dialled next if there is room, and when.
    pub(super) fn next_spare(&self) -> Option<(Timestamp, NodeId)> {
        self.views.spare.first()
    }

    /// Peers remembered across restarts.
    pub(super) fn remembered(&self) -> &BTreeSet<NodeId> {
        &self.views.remembered
    }

    /// How many anchors there are.
    pub(super) fn anchors(&self) -> usize {
        self.views.anchors
    }

    /// An anchor that has not answered for long.
    pub(super) fn silent_anchor(&self) -> Option<NodeId> {
        self.views.silent_anchors.first()
    }

    /// Those that may become anchors.
    pub(super) fn candidates(&self) -> &BTreeSet<NodeId> {
        &self.views.candidates
    }
}

/// Changes a peer and keeps the views in step.
fn in_step<T>(
    views: &mut Views,
    node: NodeId,
    is_own: bool,
    peer: &mut Peer,
    change: impl FnOnce(&mut Peer) -> T,
) -> T {
    let before = Places::of(peer, is_own);
    let result = change(peer);
    let after = Places::of(peer, is_own);
    if before != after {
        views.remove(node, before);
        views.add(node, after);
    }
    result
}

#[cfg(test)]
mod tests {
    use mesh_proto::ConnectionId;
    use mesh_proto::port::net::LinkClass;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::Connection;
    use super::*;

    /// The views as a walk over all peers finds them.
    fn walked(table: &Table) -> Views {
        let mut views = Views::default();
        for (node, peer) in &table.peers {
            views.add(*node, Places::of(peer, table.own == Some(*node)));
        }
        views
    }

    fn disturb(peer: &mut Peer, what: u8, at: Timestamp) {
        let connection = |dialled| Connection {
            id: ConnectionId(at.0),
            address: String::new(),
            class: LinkClass::SameSegment,
            dialled,
            since: at,
        };
        match what {
            0 => peer.dealings_mut().connections.push(connection(true)),
            1 => peer.dealings_mut().connections.push(connection(false)),
            2 => _ = peer.dealings_mut().connections.pop(),
            3 => peer.not_before = at,
            4 => peer.needed_until = at,
            5 => peer.dialling = !peer.dialling,
            6 => peer.remembered = !peer.remembered,
            7 => peer.anchor = !peer.anchor,
            8 => peer.failures = u32::try_from(at.0).unwrap_or(0),
            9 => peer.tries = u8::from(at.0.is_multiple_of(2)),
            10 => peer.named = !peer.named,
            _ => _ = peer.addresses.add(&at.0.to_string()),
        }
    }

    proptest! {
        #[test]
        fn the_views_are_what_a_walk_finds(steps in vec((0..6_u8, 0..14_u8, 0..12_u64), 1..80)) {
            let mut table = Table::default();
            for (node, what, at) in steps {
                let (node, at) = (NodeId([node; 32]), Timestamp(at));
                match what {
                    12 => table.set_own(node),
                    13 => table.end_needs(at),
                    _ if at.0 % 2 == 0 => table.change_or_add(node, |peer| disturb(peer, what, at)),
                    _ => _ = table.change(node, |peer| disturb(peer, what, at)),
                }
                prop_assert_eq!(&table.views, &walked(&table));
            }
        }
    }
}
