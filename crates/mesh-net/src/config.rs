//! What a person can set about the network, and why it can't start.

/// How the network behaves. Everything else is commanded while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetConfig {
    /// Where to listen, as multiaddr texts; port 0 lets the system choose.
    pub listen: Vec<String>,
    /// Whether to announce this node and find others by multicast DNS.
    pub mdns: bool,
    /// Whether to take part in the wider lookup.
    pub kademlia: bool,
    /// Program and version, told to peers.
    pub agent: String,
    /// How long one attempt to connect may take. Setting a connection up costs some 700 bytes, and a link of 2 kbit/s is
    /// given four times as long as it needs for them, and room for an answer.
    pub connect_timeout_ms: u64,
    /// How long nothing at all may come from a peer before a probe of it counts as lost.
    pub silence_ms_max: u64,
    /// How often a quiet connection is probed; 0 = never. The kernel's probes keep to this one, ours until told otherwise.
    pub ping_interval_ms: u64,
    /// How long a connection without any stream of ours is kept.
    pub idle_timeout_ms: u64,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            listen: vec!["/ip4/0.0.0.0/tcp/0".to_owned(), "/ip6/::/tcp/0".to_owned()],
            mdns: true,
            kademlia: false,
            agent: concat!("mesh/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout_ms: 30_000,
            silence_ms_max: 20_000,
            ping_interval_ms: 30_000,
            idle_timeout_ms: 120_000,
        }
    }
}

/// Why the network did not start. Nothing runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no tokio runtime here.
    #[error("the network needs a tokio runtime")]
    NoRuntime,
    /// The node's key can't be used.
    #[error("the node key is unusable: {why}")]
    Key {
        /// The library's words.
        why: String,
    },
    /// The encrypted transport can't be set up.
    #[error("the transport can't be set up: {why}")]
    Transport {
        /// The library's words.
        why: String,
    },
}
