//! What one person gives to another: tickets, addresses.

use mesh_net::check_address;
use mesh_proto::address::{bare, node_of, with_node};
use mesh_proto::limits::{ADDRESS_BYTES_MAX, ADDRESSES_PER_NODE_MAX, NAME_BYTES_MAX, TICKET_BYTES_MAX};
use mesh_proto::{ContentId, NodeId, Ticket};

use crate::memory::within;
use crate::{Seed, Target, input};

pub const TICKET: Target =
    Target { name: "ticket", input_bytes_max: TICKET_BYTES_MAX + 16, check: check_ticket, seeds: tickets };
pub const ADDRESS: Target =
    Target { name: "address", input_bytes_max: 512, check: check_one_address, seeds: addresses };

fn check_ticket(bytes: &[u8]) {
    let text = input::text(bytes);
    // Letters that must be escaped take three each when it is printed, in a text that grows by doubling.
    let Ok(ticket) = within(16 * text.len() + 1024, || text.parse::<Ticket>()) else { return };
    assert!(text.trim().len() <= TICKET_BYTES_MAX);
    assert!(ticket.peers.len() <= ADDRESSES_PER_NODE_MAX && ticket.mirrors.len() <= ADDRESSES_PER_NODE_MAX);
    assert!(ticket.peers.iter().all(|peer| peer.len() <= ADDRESS_BYTES_MAX));
    assert!(ticket.name.as_ref().is_none_or(|name| name.len() <= NAME_BYTES_MAX));
    assert_eq!(ticket.to_string().parse().as_ref(), Ok(&ticket), "what is printed reads back");
}

/// The words' own reading of an address and libp2p's must find the same node, or a node would be known twice.
fn check_one_address(bytes: &[u8]) {
    let text = input::text(bytes);
    assert_eq!(bare(bare(&text)), bare(&text));
    if check_address(&text).is_err() {
        return;
    }
    let peer = text.contains("/p2p/") || text.contains("/ipfs/");
    assert_eq!(node_of(&text).is_some(), peer, "{text} names a node for one and not for the other");
    assert!(check_address(bare(&text)).is_ok(), "without its node {text} is none");
    let named = NodeId([7; 32]);
    let address = with_node(&text, named);
    assert!(check_address(&address).is_ok() && node_of(&address) == Some(named));
}

fn tickets() -> Vec<Seed> {
    let bare = Ticket::new(ContentId([0xab; 32]));
    let mut full = bare.clone();
    full.name = Some("maps & photos é".to_owned());
    full.size_bytes = Some(1 << 40);
    full.peers = vec![with_node("/ip4/10.0.0.1/tcp/4340", NodeId([1; 32])), "/ip6/::1/tcp/1".to_owned()];
    (full.line, full.by, full.key) = (Some("aa".to_owned()), Some("bb".to_owned()), Some("cc".to_owned()));
    full.mirrors = vec!["http://example.org/x?y=1".to_owned()];
    vec![Seed::new("bare", bare.to_string()), Seed::new("full", full.to_string())]
}

fn addresses() -> Vec<Seed> {
    let node = NodeId([3; 32]);
    let all = [
        "/ip4/10.0.0.1/tcp/4340".to_owned(),
        with_node("/ip4/10.0.0.1/tcp/4340", node),
        with_node("/ip6/fe80::1/tcp/0", node),
        with_node("/ip4/1.2.3.4/tcp/1", node).replace("/p2p/", "/ipfs/"),
        "/dns4/example.org/tcp/1".to_owned(),
        "/ip4/1.2.3.4/udp/1/quic-v1".to_owned(),
    ];
    all.into_iter().enumerate().map(|(number, text)| Seed::new(number.to_string(), text)).collect()
}
