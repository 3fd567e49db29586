//! The wider lookup: announces what we hold and finds who holds what, when it is switched on.
//!
//! Invariant: each look-up asked for is answered once, with nobody when the lookup is off.

use std::collections::{BTreeSet, HashMap};

use libp2p::core::Endpoint;
use libp2p::kad::store::{MemoryStore, RecordStore as _};
use libp2p::kad::{self, GetProvidersOk, InboundRequest, ProviderRecord, QueryId, QueryResult, RecordKey};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{ConnectionId, NetworkBehaviour as _};
use libp2p::{Multiaddr, PeerId};
use mesh_proto::limits::{
    ADDRESSES_PER_NODE_MAX, LOOKUP_ADDRESS_BYTES_MAX, LOOKUP_ADDRESSES_KEPT_MAX, LOOKUP_KEYS_MAX, LOOKUP_PROVIDERS_MAX,
};
use mesh_proto::port::NetInput;
use mesh_proto::port::net::DiscoveredBy;
use mesh_proto::{CommandId, NodeId};

use crate::address::{node_id_of, strip_peer, text_of};

/// Look-ups under way; more are answered at once with nobody.
const LOOKUPS_MAX: usize = 256;
/// Every key of ours is a hash.
const DISCOVERY_KEY_BYTES: usize = 32;

type Behaviour = Toggle<kad::Behaviour<MemoryStore>>;

/// What is announced and looked for.
#[derive(Default)]
pub(crate) struct Lookup {
    provided: BTreeSet<[u8; 32]>,
    searches: HashMap<QueryId, Search>,
}

struct Search {
    command: CommandId,
    nodes: BTreeSet<NodeId>,
}

impl Search {
    fn answer(self) -> NetInput {
        NetInput::ProvidersFound { command: self.command, nodes: self.nodes.into_iter().collect() }
    }
}

impl Lookup {
    /// Announces these discovery keys and no others.
    pub(crate) fn provide(&mut self, behaviour: &mut Behaviour, keys: Vec<[u8; 32]>) {
        let Some(behaviour) = behaviour.as_mut() else {
            return;
        };
        let wanted: BTreeSet<[u8; 32]> = keys.into_iter().take(LOOKUP_KEYS_MAX).collect();
        for key in self.provided.difference(&wanted) {
            behaviour.stop_providing(&RecordKey::new(key));
        }
        for key in wanted.difference(&self.provided) {
            if let Err(error) = behaviour.start_providing(RecordKey::new(key)) {
                tracing::warn!(%error, "a content can't be announced");
            }
        }
        self.provided = wanted;
    }

    /// Looks for providers; `Some` is the answer if there is nothing to look in.
    pub(crate) fn find(&mut self, behaviour: &mut Behaviour, command: CommandId, key: [u8; 32]) -> Option<NetInput> {
        let search = Search { command, nodes: BTreeSet::new() };
        match behaviour.as_mut() {
            Some(behaviour) if self.searches.len() < LOOKUPS_MAX => {
                self.searches.insert(behaviour.get_providers(RecordKey::new(&key)), search);
                None
            }
            _ => Some(search.answer()),
        }
    }

    /// What an event of the lookup means to the brain, in order.
    pub(crate) fn handle(&mut self, behaviour: &mut Behaviour, event: kad::Event) -> Vec<NetInput> {
        match event {
            kad::Event::OutboundQueryProgressed { id, result: QueryResult::GetProviders(result), step, .. } => {
                let mut inputs = Vec::new();
                if let (Ok(GetProvidersOk::FoundProviders { key, providers }), Some(search)) =
                    (&result, self.searches.get_mut(&id))
                {
                    let room = LOOKUP_PROVIDERS_MAX.saturating_sub(search.nodes.len());
                    for peer in providers.iter().take(room) {
                        let Some(node) = node_id_of(peer) else { continue };
                        if search.nodes.insert(node) {
                            inputs.extend(discovered(node, &addresses_of(behaviour, key, *peer)));
                        }
                    }
                }
                if step.last {
                    inputs.extend(self.searches.remove(&id).map(Search::answer));
                }
                inputs
            }
            kad::Event::RoutingUpdated { peer, addresses, .. } => {
                let addresses: Vec<Multiaddr> = addresses.iter().cloned().collect();
                node_id_of(&peer).and_then(|node| discovered(node, &addresses)).into_iter().collect()
            }
            kad::Event::InboundRequest { request: InboundRequest::AddProvider { record: Some(record) } } => {
                keep(behaviour, record);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

/// Keeps for others who provides what: of what a stranger leaves here, only as much as they can use.
fn keep(behaviour: &mut Behaviour, mut record: ProviderRecord) {
    let Some(behaviour) = behaviour.as_mut() else { return };
    if record.key.as_ref().len() != DISCOVERY_KEY_BYTES {
        return;
    }
    record.addresses.retain(|address| address.len() <= LOOKUP_ADDRESS_BYTES_MAX);
    record.addresses.truncate(LOOKUP_ADDRESSES_KEPT_MAX);
    record.addresses.shrink_to_fit();
    if let Err(error) = behaviour.store_mut().add_provider(record) {
        tracing::debug!(%error, "a provider was not kept");
    }
}

fn discovered(node: NodeId, addresses: &[Multiaddr]) -> Option<NetInput> {
    let texts = |address: &Multiaddr| {
        let mut address = address.clone();
        strip_peer(&mut address);
        text_of(&address)
    };
    let addresses: Vec<String> = addresses.iter().take(ADDRESSES_PER_NODE_MAX).map(texts).collect();
    (!addresses.is_empty()).then_some(NetInput::Discovered { node, addresses, by: DiscoveredBy::Kademlia })
}

/// Where a provider may be reached. The event that names it does not say; the running query, the table and the records
/// kept for others do, and the first two speak only through what libp2p asks before it dials.
fn addresses_of(behaviour: &mut Behaviour, key: &RecordKey, peer: PeerId) -> Vec<Multiaddr> {
    let Some(behaviour) = behaviour.as_mut() else { return Vec::new() };
    let dial = ConnectionId::new_unchecked(0);
    let known = behaviour.handle_pending_outbound_connection(dial, Some(peer), &[], Endpoint::Dialer);
    let kept = behaviour.store_mut().providers(key).into_iter().filter(|record| record.provider == peer);
    let kept: Vec<Multiaddr> = kept.flat_map(|record| record.addresses).collect();
    let mut addresses = known.unwrap_or_default();
    addresses.extend(kept);
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::build_lookup;

    fn record(key: &[u8], addresses: Vec<Multiaddr>) -> kad::Event {
        let record = ProviderRecord { key: RecordKey::new(&key), provider: PeerId::random(), expires: None, addresses };
        kad::Event::InboundRequest { request: InboundRequest::AddProvider { record: Some(record) } }
    }

    #[test]
    fn little_is_kept_of_what_strangers_leave_for_the_lookup() {
        let mut behaviour: Behaviour = Some(build_lookup(PeerId::random())).into();
        let mut lookup = Lookup::default();
        let good: Vec<Multiaddr> = (1..100).map(|port| format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()).collect();
        let long: Multiaddr = format!("/dns4/{}/tcp/1", "a".repeat(10_000)).parse().unwrap();
        lookup.handle(&mut behaviour, record(&[1; 33], good.clone()));
        lookup.handle(&mut behaviour, record(&[2; 32], [vec![long], good.clone()].concat()));
        let store = behaviour.as_mut().unwrap().store_mut();
        assert!(store.providers(&RecordKey::new(&[1; 33])).is_empty());
        let kept = store.providers(&RecordKey::new(&[2; 32]));
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].addresses, good[..LOOKUP_ADDRESSES_KEPT_MAX]);
        assert!(store.put(kad::Record::new(vec![3; 32], vec![1])).is_err(), "no values at all");
    }
}
