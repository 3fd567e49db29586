//! Addresses as text: multiaddrs, whose last part `/p2p/…` may name the node expected there.
//!
//! The name is libp2p's peer id: base58 of an identity multihash over the node's Ed25519 key. The network checks the
//! rest of an address; here only its end is read, so that a ticket's peers and known nodes are one and the same.

use crate::id::NodeId;

const MARK: &str = "/p2p/";
const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Identity multihash of 36 bytes, holding a protobuf: key type 1 (Ed25519), 32 bytes of key.
const HEAD: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
/// A peer id has 52 digits; anything much longer is not one.
const DIGITS_MAX: usize = 64;

/// The address without the node's name.
#[must_use]
pub fn bare(address: &str) -> &str {
    address.split_once(MARK).map_or(address, |(head, _)| head)
}

/// The address without its port and what follows: one machine, or the network it is behind.
#[must_use]
pub fn host(address: &str) -> &str {
    address.split_once("/tcp/").map_or(address, |(head, _)| head)
}

/// The node an address names, if it names one we can read.
#[must_use]
pub fn node_of(address: &str) -> Option<NodeId> {
    let digits = address.split_once(MARK)?.1;
    let bytes = base58_decode(digits)?;
    let key = bytes.strip_prefix(&HEAD)?;
    Some(NodeId(key.try_into().ok()?))
}

/// The address with the node's name at its end.
#[must_use]
pub fn with_node(address: &str, node: NodeId) -> String {
    let mut bytes = HEAD.to_vec();
    bytes.extend_from_slice(&node.0);
    format!("{}{MARK}{}", bare(address), base58_encode(&bytes))
}

fn base58_encode(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let leading = std::iter::repeat_n(0, zeros);
    leading.chain(digits.into_iter().rev()).map(|digit| char::from(ALPHABET[usize::from(digit)])).collect()
}

fn base58_decode(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > DIGITS_MAX {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::new();
    for digit in text.bytes() {
        let mut carry = u32::try_from(ALPHABET.iter().position(|known| *known == digit)?).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push((carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    let zeros = text.bytes().take_while(|digit| *digit == ALPHABET[0]).count();
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_look_like_peer_ids() {
        let address = with_node("/ip4/10.0.0.1/tcp/4340", NodeId([7; 32]));
        assert!(address.starts_with("/ip4/10.0.0.1/tcp/4340/p2p/12D3KooW"), "{address}");
        assert_eq!(bare(&address), "/ip4/10.0.0.1/tcp/4340");
        assert_eq!(node_of("/ip4/10.0.0.1/tcp/4340"), None);
        assert_eq!(node_of("/ip4/10.0.0.1/p2p/0OIl"), None);
    }

    proptest! {
        #[test]
        fn a_node_reads_back(key in any::<[u8; 32]>()) {
            prop_assert_eq!(node_of(&with_node("/ip6/::1/tcp/1", NodeId(key))), Some(NodeId(key)));
        }

        #[test]
        fn no_text_panics(text in "/p2p/[ -~]{0,80}") {
            let _ = node_of(&text);
        }
    }
}
