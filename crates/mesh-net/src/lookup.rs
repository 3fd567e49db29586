//! The wider lookup: announces what we hold and finds who holds what, when it is switched on.
//!
//! Invariant: each look-up asked for is answered once, with nobody when the lookup is off.

use std::collections::{BTreeSet, HashMap};

use libp2p::kad::store::MemoryStore;
use libp2p::kad::{self, GetProvidersOk, QueryId, QueryResult, RecordKey};
use libp2p::swarm::behaviour::toggle::Toggle;
use mesh_proto::port::NetInput;
use mesh_proto::port::net::DiscoveredBy;
use mesh_proto::{CommandId, ContentId, NodeId};

use crate::address::{node_id_of, text_of};
use crate::behaviour::PROVIDED_MAX;

/// Nodes named in one answer.
const PROVIDERS_MAX: usize = 64;
/// Look-ups under way; more are answered at once with nobody.
const LOOKUPS_MAX: usize = 256;

type Behaviour = Toggle<kad::Behaviour<MemoryStore>>;

/// What is announced and looked for.
#[derive(Default)]
pub(crate) struct Lookup {
    provided: BTreeSet<ContentId>,
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
    /// Announces these contents and no others.
    pub(crate) fn provide(&mut self, behaviour: &mut Behaviour, contents: Vec<ContentId>) {
        let Some(behaviour) = behaviour.as_mut() else {
            return;
        };
        let wanted: BTreeSet<ContentId> = contents.into_iter().take(PROVIDED_MAX).collect();
        for content in self.provided.difference(&wanted) {
            behaviour.stop_providing(&RecordKey::new(&content.0));
        }
        for content in wanted.difference(&self.provided) {
            if let Err(error) = behaviour.start_providing(RecordKey::new(&content.0)) {
                tracing::warn!(%error, "a content can't be announced");
            }
        }
        self.provided = wanted;
    }

    /// Looks for providers; `Some` is the answer if there is nothing to look in.
    pub(crate) fn find(
        &mut self,
        behaviour: &mut Behaviour,
        command: CommandId,
        content: ContentId,
    ) -> Option<NetInput> {
        let search = Search { command, nodes: BTreeSet::new() };
        match behaviour.as_mut() {
            Some(behaviour) if self.searches.len() < LOOKUPS_MAX => {
                self.searches.insert(behaviour.get_providers(RecordKey::new(&content.0)), search);
                None
            }
            _ => Some(search.answer()),
        }
    }

    /// What an event of the lookup means to the brain.
    pub(crate) fn handle(&mut self, event: kad::Event) -> Option<NetInput> {
        match event {
            kad::Event::OutboundQueryProgressed { id, result: QueryResult::GetProviders(result), step, .. } => {
                if let (Ok(GetProvidersOk::FoundProviders { providers, .. }), Some(search)) =
                    (&result, self.searches.get_mut(&id))
                {
                    let room = PROVIDERS_MAX.saturating_sub(search.nodes.len());
                    search.nodes.extend(providers.iter().filter_map(node_id_of).take(room));
                }
                match step.last {
                    true => self.searches.remove(&id).map(Search::answer),
                    false => None,
                }
            }
            kad::Event::RoutingUpdated { peer, addresses, .. } => Some(NetInput::Discovered {
                node: node_id_of(&peer)?,
                addresses: addresses.iter().map(text_of).collect(),
                by: DiscoveredBy::Kademlia,
            }),
            _ => None,
        }
    }
}
