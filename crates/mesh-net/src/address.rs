//! Addresses and names as libp2p has them, and as the rest of the program has them.
//!
//! Invariant: an address that leaves this crate has no `/p2p/…` at its end; the node stands beside it.

use std::net::IpAddr;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use mesh_proto::NodeId;

/// Identity multihash of 36 bytes, holding a protobuf: key type 1 (Ed25519), 32 bytes of key.
const PEER_ID_HEAD: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// Why a text is not an address this program can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is not a multiaddr at all.
    #[error("{text} is not an address like /ip4/192.168.1.2/tcp/4001: {why}")]
    Syntax {
        /// What was given.
        text: String,
        /// The parser's words.
        why: String,
    },
    /// It is one, but names a transport this program does not speak.
    #[error("{text} does not name an IP address and a TCP port, which is all that is understood here")]
    Unsupported {
        /// What was given.
        text: String,
    },
    /// It names a node that can't be one of ours.
    #[error("the node in {text} has no Ed25519 key")]
    Node {
        /// What was given.
        text: String,
    },
}

/// The node behind a libp2p peer id; `None` if its key is not Ed25519.
#[must_use]
pub fn node_id_of(peer: &PeerId) -> Option<NodeId> {
    let bytes = peer.to_bytes();
    let key = bytes.strip_prefix(&PEER_ID_HEAD)?;
    Some(NodeId(key.try_into().ok()?))
}

/// The libp2p peer id of a node.
///
/// # Panics
/// Never: the bytes are put together as the multihash format demands.
#[must_use]
pub fn peer_id_of(node: &NodeId) -> PeerId {
    let mut bytes = PEER_ID_HEAD.to_vec();
    bytes.extend_from_slice(&node.0);
    PeerId::from_bytes(&bytes).expect("an identity multihash of 36 bytes is a peer id")
}

/// Checks an address that a person wrote, for listening or dialling.
///
/// # Errors
/// [`AddressError`] if the network could do nothing with it.
pub fn check_address(text: &str) -> Result<(), AddressError> {
    parse(text).map(|_| ())
}

/// An address taken apart: where, and whom to expect there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: Multiaddr,
    pub(crate) peer: Option<PeerId>,
}

/// Reads an address with or without `/p2p/…`.
pub(crate) fn parse(text: &str) -> Result<Target, AddressError> {
    let syntax = |why: String| AddressError::Syntax { text: text.to_owned(), why };
    // Its old name. All else here looks for the new one, and would take the node for another.
    if text.contains("/ipfs/") {
        return Err(syntax("a node is named by /p2p/".to_owned()));
    }
    let mut address: Multiaddr = text.parse().map_err(|error: libp2p::multiaddr::Error| syntax(error.to_string()))?;
    let peer = strip_peer(&mut address);
    if peer.is_some_and(|peer| node_id_of(&peer).is_none()) {
        return Err(AddressError::Node { text: text.to_owned() });
    }
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    match parts.as_slice() {
        [Protocol::Ip4(_) | Protocol::Ip6(_), Protocol::Tcp(_)] => Ok(Target { address, peer }),
        _ => Err(AddressError::Unsupported { text: text.to_owned() }),
    }
}

/// Takes the peer off the end of an address.
pub(crate) fn strip_peer(address: &mut Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => {
            address.pop();
            Some(peer)
        }
        _ => None,
    }
}

/// The address as the rest of the program writes it.
pub(crate) fn text_of(address: &Multiaddr) -> String {
    let mut address = address.clone();
    strip_peer(&mut address);
    address.to_string()
}

/// The IP address an address starts with.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)),
        _ => None,
    }
}

/// The TCP port of an address.
pub(crate) fn port_of(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) => Some(port),
        _ => None,
    })
}

/// Whether an address means something only together with an interface's name, which a multiaddr does not carry.
pub(crate) fn is_link_local_v6(address: &Multiaddr) -> bool {
    matches!(ip_of(address), Some(IpAddr::V6(ip)) if ip.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_and_its_peer_id_are_the_same_thing() {
        let key = libp2p::identity::Keypair::ed25519_from_bytes([7u8; 32]).unwrap();
        let peer = key.public().to_peer_id();
        let node = node_id_of(&peer).unwrap();
        assert_eq!(node.0, key.public().try_into_ed25519().unwrap().to_bytes());
        assert_eq!(peer_id_of(&node), peer);
    }

    #[test]
    fn the_words_crate_and_libp2p_write_the_same_address() {
        let node =
            NodeId(libp2p::identity::Keypair::generate_ed25519().public().try_into_ed25519().unwrap().to_bytes());
        let text = mesh_proto::address::with_node("/ip4/127.0.0.1/tcp/4001", node);
        let target = parse(&text).unwrap();
        assert_eq!(target.peer, Some(peer_id_of(&node)));
        assert_eq!(text_of(&target.address), "/ip4/127.0.0.1/tcp/4001");
    }

    #[test]
    fn only_ip_and_tcp_is_understood() {
        assert!(check_address("/ip4/10.0.0.1/tcp/4001").is_ok());
        assert!(check_address("/ip6/::1/tcp/0").is_ok());
        assert!(matches!(check_address("10.0.0.1:4001"), Err(AddressError::Syntax { .. })));
        assert!(matches!(check_address("/dns4/example.org/tcp/1"), Err(AddressError::Unsupported { .. })));
        assert!(matches!(check_address("/ip4/10.0.0.1/udp/4001/quic-v1"), Err(AddressError::Unsupported { .. })));
        assert!(matches!(check_address(""), Err(AddressError::Unsupported { .. })));
        let named = mesh_proto::address::with_node("/ip4/10.0.0.1/tcp/1", NodeId([1; 32]));
        assert!(check_address(&named).is_ok());
        assert!(matches!(check_address(&named.replace("p2p", "ipfs")), Err(AddressError::Syntax { .. })));
    }
}
