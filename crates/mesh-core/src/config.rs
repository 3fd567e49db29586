//! What a node's brain is told once, at its construction.

use bincode::{Decode, Encode};

/// Settings of the brain. The driver makes them from the person's configuration; a journal begins with them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BrainConfig {
    /// The node's name for people; may be empty.
    pub node_name: String,
    /// Program and version.
    pub agent: String,
    /// Static peers, as multiaddr texts, with or without `/p2p/…`.
    pub seeds: Vec<String>,
    /// Limit on sending payload; 0 = none. A limit set at run time and kept beats it.
    pub limit_up_bytes_per_s: u64,
    /// Limit on receiving payload; 0 = none. A limit set at run time and kept beats it.
    pub limit_down_bytes_per_s: u64,
    /// What received contents may take on disk; 0 = no limit. A quota set at run time and kept beats it.
    pub quota_bytes: u64,
    /// How the uplink is shared: `deficit-round-robin` or, for comparison, `first-come`.
    pub discipline: String,
    /// How often connections are probed, in milliseconds; 0 = never.
    pub ping_interval_ms: u64,
    /// Whether nodes are found by multicast DNS.
    pub mdns: bool,
    /// Whether the wider lookup is used.
    pub kademlia: bool,
    /// How often records are compared with a random peer, in milliseconds.
    pub gossip_interval_ms: u64,
}

impl Default for BrainConfig {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            agent: concat!("mesh/", env!("CARGO_PKG_VERSION")).to_owned(),
            seeds: Vec::new(),
            limit_up_bytes_per_s: 0,
            limit_down_bytes_per_s: 0,
            quota_bytes: 0,
            discipline: "deficit-round-robin".to_owned(),
            ping_interval_ms: 30_000,
            mdns: true,
            kademlia: false,
            gossip_interval_ms: 20_000,
        }
    }
}
