//! The libp2p behaviours of a node, put together, and the swarm around them.

use std::convert::Infallible;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, ListenerId};
use libp2p::core::{ConnectedPoint, upgrade};
use libp2p::identity::Keypair;
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::behaviour::{FromSwarm, NewListenAddr};
use libp2p::swarm::{self, NetworkBehaviour};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, Transport, connection_limits, identify, kad, mdns, noise, tcp, yamux,
};
use mesh_proto::limits::{
    CONNECTIONS_MAX, LOOKUP_KEYS_KEPT_MAX, LOOKUP_PROVIDERS_KEPT_MAX, STREAMS_PER_CONNECTION_MAX,
};

use crate::config::{NetConfig, StartError};
use crate::doorway::Doorway;
use crate::interfaces::own_address_towards;
use crate::keepalive::Keepalive;
use crate::read_ahead::ReadAhead;
use crate::streams;

/// The name nodes identify themselves under.
pub(crate) const IDENTIFY_PROTOCOL: &str = "/mesh/1";
/// The wider lookup's own name, so that no other network's table leaks in.
pub(crate) const LOOKUP_PROTOCOL: StreamProtocol = StreamProtocol::new("/mesh/kad/1");

/// Connections to one peer: one per direction of payload, and up to four for a bad link.
const CONNECTIONS_PER_PEER_MAX: u32 = 8;
/// Connections of ours being set up at once.
const CONNECTIONS_DIALLED_AT_ONCE_MAX: u32 = 64;
/// Connections of others being set up at once; one more costs another its place ([`Doorway`]).
const CONNECTIONS_ARRIVING_AT_ONCE_MAX: usize = 64;
/// How long a provider is remembered by others.
const PROVIDER_TTL: Duration = Duration::from_secs(30 * 60);
/// How often we say again that we provide.
const PROVIDER_REPUBLISH: Duration = Duration::from_secs(10 * 60);
/// How long one look-up may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(15);
/// How often identify repeats itself; addresses and versions rarely change.
const IDENTIFY_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// How long a multicast announcement counts, and how often we ask.
const MDNS_TTL: Duration = Duration::from_secs(6 * 60);
const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(60);

/// All behaviours. Limits come first, so that a connection too many is refused before anything is set up for it.
#[derive(NetworkBehaviour)]
pub(crate) struct MeshBehaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    /// libp2p's speaks one family of addresses each. Over IPv6 each address of an interface asks and answers, so it runs
    /// only where there is no IPv4 when the node starts: a quiet node on a segment of twenty woke four times as often.
    mdns_v4: Toggle<mdns::tokio::Behaviour>,
    mdns_v6: Toggle<mdns::tokio::Behaviour>,
    pub(crate) lookup: Toggle<kad::Behaviour<MemoryStore>>,
    pub(crate) streams: streams::Behaviour,
}

/// Builds the swarm; nothing listens yet.
pub(crate) fn build_swarm(config: &NetConfig, keypair: Keypair) -> Result<Swarm<MeshBehaviour>, StartError> {
    let connect_timeout = Duration::from_millis(config.connect_timeout_ms.max(1));
    let idle_timeout = Duration::from_millis(config.idle_timeout_ms.max(1));
    let transport = transport(&keypair, Keepalive::of(config), connect_timeout)
        .map_err(|error| StartError::Transport { why: error.to_string() })?;
    let behaviour = build_behaviour(config, &keypair);
    let swarm = swarm::Config::with_tokio_executor().with_idle_connection_timeout(idle_timeout);
    Ok(Swarm::new(transport, behaviour, keypair.public().to_peer_id(), swarm))
}

/// TCP watched over by the kernel and read in large pieces, Noise, Yamux.
fn transport(
    keypair: &Keypair,
    keepalive: Option<Keepalive>,
    connect_timeout: Duration,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let watched = move |stream: tcp::tokio::TcpStream, _: ConnectedPoint| {
        if let Some(keepalive) = keepalive {
            keepalive.watch(&stream.0);
        }
        ReadAhead::new(stream)
    };
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true)).map(watched);
    let secured = tcp.upgrade(upgrade::Version::V1Lazy).authenticate(noise::Config::new(keypair)?);
    let muxed = secured.multiplex(yamux_config()).timeout(connect_timeout);
    let boxed = muxed.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer))).boxed();
    Ok(Doorway::new(boxed, CONNECTIONS_ARRIVING_AT_ONCE_MAX).boxed())
}

pub(crate) fn yamux_config() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_PER_CONNECTION_MAX);
    config
}

fn build_behaviour(config: &NetConfig, keypair: &Keypair) -> MeshBehaviour {
    let peer = keypair.public().to_peer_id();
    let connections_max = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(connections_max))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
        .with_max_pending_outgoing(Some(CONNECTIONS_DIALLED_AT_ONCE_MAX));
    let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), keypair.public())
        .with_agent_version(config.agent.clone())
        .with_interval(IDENTIFY_INTERVAL)
        .with_cache_size(0);
    MeshBehaviour {
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(identify),
        mdns_v4: config.mdns.then(|| build_mdns_v4(peer)).flatten().into(),
        mdns_v6: config.mdns.then(|| build_mdns_v6(peer)).flatten().into(),
        lookup: config.kademlia.then(|| build_lookup(peer)).into(),
        streams: streams::Behaviour::default(),
    }
}

/// Whether multicast over IPv4 would leave this machine.
fn has_ipv4() -> bool {
    own_address_towards(mdns::IPV4_MDNS_MULTICAST_ADDRESS.into()).is_some_and(|own| !own.is_loopback())
}

impl MeshBehaviour {
    /// How many addresses are kept that were announced by multicast.
    pub(crate) fn announced(&self) -> usize {
        let both = [&self.mdns_v4, &self.mdns_v6].into_iter().filter_map(Toggle::as_ref);
        both.map(|mdns| mdns.discovered_nodes().len()).sum()
    }

    /// Forgets them, and neither hears nor says anything by multicast.
    pub(crate) fn stop_multicast(&mut self) {
        (self.mdns_v4, self.mdns_v6) = (None.into(), None.into());
    }

    /// Begins anew.
    pub(crate) fn start_multicast(&mut self, peer: PeerId, listening: &[Multiaddr]) {
        (self.mdns_v4, self.mdns_v6) = (build_mdns_v4(peer).into(), build_mdns_v6(peer).into());
        // What the swarm told before it is told once only.
        for addr in listening {
            let address = || FromSwarm::NewListenAddr(NewListenAddr { listener_id: ListenerId::next(), addr });
            self.mdns_v4.on_swarm_event(address());
            self.mdns_v6.on_swarm_event(address());
        }
    }
}

fn build_mdns_v4(peer: PeerId) -> Option<mdns::tokio::Behaviour> {
    build_mdns(peer, false)
}

fn build_mdns_v6(peer: PeerId) -> Option<mdns::tokio::Behaviour> {
    (!has_ipv4()).then(|| build_mdns(peer, true)).flatten()
}

fn build_mdns(peer: PeerId, enable_ipv6: bool) -> Option<mdns::tokio::Behaviour> {
    let config = mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY_INTERVAL, enable_ipv6 };
    mdns::tokio::Behaviour::new(config, peer)
        .inspect_err(|error| tracing::warn!(%error, ipv6 = enable_ipv6, "multicast discovery is off"))
        .ok()
}

/// Server mode from the start: without the internet nobody would confirm an address, and a table of clients is empty.
pub(crate) fn build_lookup(peer: PeerId) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(LOOKUP_PROTOCOL);
    config
        .set_query_timeout(LOOKUP_TIMEOUT)
        .set_provider_record_ttl(Some(PROVIDER_TTL))
        .set_provider_publication_interval(Some(PROVIDER_REPUBLISH))
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None);
    // Only who provides what is looked up here: values are not taken, and providers only by `Lookup`, which cuts them.
    let store = MemoryStoreConfig {
        max_records: 0,
        max_value_bytes: 0,
        max_provided_keys: LOOKUP_KEYS_KEPT_MAX,
        max_providers_per_key: LOOKUP_PROVIDERS_KEPT_MAX,
    };
    let mut lookup = kad::Behaviour::with_config(peer, MemoryStore::with_config(peer, store), config);
    lookup.set_mode(Some(kad::Mode::Server));
    lookup
}

/// An event that can't be.
pub(crate) fn never(never: Infallible) -> ! {
    match never {}
}
