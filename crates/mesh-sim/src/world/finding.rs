//! How nodes hear of each other without being told: multicast on a segment, and a model of the wider lookup.

use std::collections::BTreeMap;

use mesh_proto::limits::LOOKUP_PROVIDERS_MAX;
use mesh_proto::port::net::DiscoveredBy;
use mesh_proto::port::{Input, NetInput};
use mesh_proto::{CommandId, Timestamp};

use super::dialling::listens_at;
use super::happening::Happening;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;

/// Answers to a multicast question come within this time, spread so that they don't collide (RFC 6762, section 6).
const ANSWERS_WITHIN_NS: u64 = 120_000_000;
const ANSWERS_AFTER_NS: u64 = 20_000_000;
/// How often a node asks again.
const ASK_EVERY_NS: u64 = 300_000_000_000;
/// Round trips of a lookup.
const LOOKUP_ROUND_TRIPS: u64 = 4;

/// Who announced which keys.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    by_node: BTreeMap<Member, Vec<[u8; 32]>>,
}

impl Lookup {
    pub(super) fn provide(&mut self, member: Member, keys: Vec<[u8; 32]>) {
        self.by_node.insert(member, keys);
    }

    pub(super) fn forget(&mut self, member: Member) {
        self.by_node.remove(&member);
    }

    fn holders(&self, key: &[u8; 32]) -> Vec<Member> {
        let holds = |(_, keys): &(&Member, &Vec<[u8; 32]>)| keys.contains(key);
        self.by_node.iter().filter(holds).map(|(member, _)| *member).take(LOOKUP_PROVIDERS_MAX).collect()
    }
}

impl NodeWorld {
    /// A node asks its segment who is there; it is told of those it did not know.
    pub(super) fn ask_by_multicast(&mut self, stage: &mut NodeStage, member: Member, starts: u64) {
        if self.node(member).starts != starts || !self.answers(member) {
            return;
        }
        if self.multicast {
            let near = self.wires.segment_of(member);
            let is_heard =
                |peer: &Member| *peer != member && self.answers(*peer) && !self.wires.are_parted(member, *peer);
            let here: Vec<Member> = near.into_iter().filter(is_heard).collect();
            let known = &mut self.nodes[member.0 as usize].found_by_multicast;
            // Who no longer answers is found anew when it comes back.
            known.retain(|peer| here.binary_search(peer).is_ok());
            let fresh: Vec<Member> = here.into_iter().filter(|peer| known.insert(*peer)).collect();
            for peer in fresh {
                let within = ANSWERS_AFTER_NS + self.luck.below(ANSWERS_WITHIN_NS - ANSWERS_AFTER_NS);
                let (node, addresses) = (self.node(peer).id, vec![listens_at(peer)]);
                let input = NetInput::Discovered { node, addresses, by: DiscoveredBy::Mdns };
                stage.deliver(Timestamp(stage.now().0 + within), member, Input::Net(input));
            }
        }
        stage.happen(Timestamp(stage.now().0 + ASK_EVERY_NS), Happening::Multicast(member, starts));
    }

    fn answers(&self, member: Member) -> bool {
        self.is_on(member) && self.node(member).options.config.mdns
    }

    pub(super) fn find_providers(&mut self, stage: &mut NodeStage, member: Member, command: CommandId, key: [u8; 32]) {
        let found: Vec<Member> =
            self.lookup.holders(&key).into_iter().filter(|holder| *holder != member && self.is_on(*holder)).collect();
        let farthest = found.iter().filter_map(|holder| self.wires.way(member, *holder)).map(|way| way.delay_ns).max();
        let at = Timestamp(stage.now().0 + 2 * LOOKUP_ROUND_TRIPS * farthest.unwrap_or(ANSWERS_WITHIN_NS));
        for holder in &found {
            let (node, addresses) = (self.node(*holder).id, vec![listens_at(*holder)]);
            let input = NetInput::Discovered { node, addresses, by: DiscoveredBy::Kademlia };
            stage.deliver(at, member, Input::Net(input));
        }
        let nodes = found.iter().map(|holder| self.node(*holder).id).collect();
        stage.deliver(at, member, Input::Net(NetInput::ProvidersFound { command, nodes }));
    }
}
