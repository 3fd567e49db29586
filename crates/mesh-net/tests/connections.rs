//! Connecting, talking, and every command's answer when there is nobody to talk to.

#![allow(clippy::unwrap_used, reason = "a test that can not go on should panic")]

mod support;

use mesh_net::NetConfig;
use mesh_proto::bulk::RefuseReason;
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Bye, Message};
use mesh_proto::port::net::{FetchOutcome, LinkClass, ServeId, ServeState};
use mesh_proto::port::{NetCommand, NetInput};
use mesh_proto::{CommandId, NodeId};
use support::{TestNode, content, deaf, loopback, pair, span};

fn bye(reason: &str) -> Message {
    Message::Bye(Bye { reason: reason.to_owned(), extensions: Extensions::default() })
}

fn received(input: &NetInput) -> Option<(NodeId, Message)> {
    match input {
        NetInput::Received { node, message, .. } => Some((*node, message.clone())),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_connect_and_talk_both_ways() {
    let (a, b) = pair().await;
    let connected = |input: &NetInput| match input {
        NetInput::Connected { node, dialled, class, .. } => Some((*node, *dialled, *class)),
        _ => None,
    };
    assert_eq!(a.take(connected), Some((b.id, true, LinkClass::Loopback)), "Connected comes before Dialled");
    assert_eq!(b.wait_for("connection", connected).await, (a.id, false, LinkClass::Loopback));
    for number in 0..100 {
        a.command(NetCommand::Send { node: b.id, message: bye(&format!("a{number}")) });
        b.command(NetCommand::Send { node: a.id, message: bye(&format!("b{number}")) });
    }
    for number in 0..100 {
        assert_eq!(b.wait_for("message", received).await, (a.id, bye(&format!("a{number}"))));
        assert_eq!(a.wait_for("message", received).await, (b.id, bye(&format!("b{number}"))));
    }
    let rtt = |input: &NetInput| match input {
        NetInput::Rtt { rtt_us, .. } => Some(*rtt_us),
        _ => None,
    };
    assert!(a.wait_for("round trip", rtt).await < 5_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_disconnect_arrives() {
    let (a, b) = pair().await;
    (0..50).for_each(|_| a.command(NetCommand::Send { node: b.id, message: bye("so long") }));
    a.command(NetCommand::Disconnect { node: b.id, why: "enough".to_owned() });
    for _ in 0..50 {
        b.wait_for("message", received).await;
    }
    let disconnected = |input: &NetInput| match input {
        NetInput::Disconnected { why, .. } => Some(why.clone()),
        _ => None,
    };
    assert_eq!(a.wait_for("end", disconnected).await, "enough");
    b.wait_for("end", disconnected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_is_answered_whatever_happens() {
    let (a, b) = (TestNode::start(loopback(), 1), TestNode::start(loopback(), 2));
    let address = b.address().await;
    let dial = |node: Option<NodeId>, addresses: Vec<String>| {
        let command = a.new_command();
        a.command(NetCommand::Dial { command, node, addresses });
        command
    };
    let nobody = dial(None, vec!["/ip4/127.0.0.1/tcp/1".to_owned()]);
    assert!(a.wait_dialled(nobody).await.unwrap_err().may_pass);
    let nonsense = dial(None, vec!["nonsense".to_owned(), "/dns4/example.org/tcp/1".to_owned()]);
    assert!(!a.wait_dialled(nonsense).await.unwrap_err().may_pass);
    let nowhere = dial(None, Vec::new());
    assert!(a.wait_dialled(nowhere).await.is_err());
    let wrong = dial(Some(NodeId(a.id.0)), vec![address.clone()]);
    assert!(a.wait_dialled(wrong).await.is_err());
    let second = dial(None, vec!["/ip4/127.0.0.1/tcp/1".to_owned(), address.clone()]);
    assert_eq!(a.wait_dialled(second).await, Ok(b.id));
    let again = dial(None, vec![mesh_proto::address::with_node(&address, b.id)]);
    assert_eq!(a.wait_dialled(again).await, Ok(b.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_for_strangers_are_answered_at_once() {
    let a = TestNode::start(loopback(), 1);
    let node = NodeId([9; 32]);
    a.command(NetCommand::Send { node, message: bye("nobody hears this") });
    let request = span(content(1), ChunkRange { start: 0, count: 1 }, 0);
    a.command(NetCommand::Fetch { command: CommandId(1), node, request, stall_ms_max: 1000 });
    assert_eq!(a.wait_fetched(CommandId(1)).await.outcome, FetchOutcome::Disconnected);
    a.command(NetCommand::Grant { command: CommandId(2), serve: ServeId(77), bytes: 1 });
    a.wait_for("answer to a grant", |input| match input {
        NetInput::Granted { command: CommandId(2), sent_bytes: 0, state: ServeState::Gone, .. } => Some(()),
        _ => None,
    })
    .await;
    a.command(NetCommand::Refuse { serve: ServeId(77), reason: RefuseReason::Busy });
    a.command(NetCommand::CancelFetch { fetch: CommandId(1) });
    a.command(NetCommand::FindProviders { command: CommandId(3), key: content(1).discovery_key() });
    a.wait_for("nobody", |input| match input {
        NetInput::ProvidersFound { command: CommandId(3), nodes } if nodes.is_empty() => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_reported() {
    let a = TestNode::start(loopback(), 1);
    let address = a.address().await;
    let b = TestNode::start(NetConfig { listen: vec![address.clone(), "nonsense".to_owned()], ..deaf() }, 2);
    for _ in 0..2 {
        b.wait_for("failure to listen", |input| match input {
            NetInput::ListenFailed { why, .. } if !why.is_empty() => Some(()),
            _ => None,
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_families_of_addresses_are_listened_on() {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned(), "/ip6/::1/tcp/0".to_owned()];
    let b = TestNode::start(NetConfig { listen, ..loopback() }, 2);
    let a = TestNode::start(deaf(), 1);
    for _ in 0..2 {
        let told = |input: &NetInput| match input {
            NetInput::Listening { address } => Some(Some(address.clone())),
            NetInput::ListenFailed { .. } => Some(None),
            _ => None,
        };
        if let Some(address) = b.wait_for("listening", told).await {
            a.dial(&b, address).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_disconnects() {
    let (a, b) = pair().await;
    a.stop().await;
    b.wait_for("end", |input| matches!(input, NetInput::Disconnected { .. }).then_some(())).await;
    a.wait_for("end", |input| matches!(input, NetInput::Disconnected { .. }).then_some(())).await;
}

/// Who provides the first content, as a node is told that asks the wider lookup.
async fn providers(node: &TestNode) -> Vec<NodeId> {
    let command = node.new_command();
    node.command(NetCommand::FindProviders { command, key: content(1).discovery_key() });
    node.wait_for("providers", |input| match input {
        NetInput::ProvidersFound { command: of, nodes } if *of == command => Some(nodes.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wider_lookup_finds_who_provides() {
    let config = NetConfig { kademlia: true, ..loopback() };
    let (a, b) = (TestNode::start(config.clone(), 1), TestNode::start(config, 2));
    a.dial(&b, b.address().await).await;
    // Each learns where the other listens by itself.
    a.wait_for("place in the table", |input| matches!(input, NetInput::Discovered { .. }).then_some(())).await;
    b.wait_for("place in the table", |input| matches!(input, NetInput::Discovered { .. }).then_some(())).await;
    b.command(NetCommand::Provide { keys: vec![content(1).discovery_key()] });
    loop {
        if providers(&a).await == [b.id] {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_is_found_with_its_address_through_a_third_node() {
    let config = NetConfig { kademlia: true, ..loopback() };
    let seeds = [1, 2, 3];
    let [a, b, c] = seeds.map(|seed| TestNode::start(config.clone(), seed));
    let (meeting_point, address) = (b.address().await, c.address().await);
    for node in [&a, &c] {
        node.dial(&b, meeting_point.clone()).await;
        node.wait_for("place in the table", |input| matches!(input, NetInput::Discovered { .. }).then_some(())).await;
    }
    c.command(NetCommand::Provide { keys: vec![content(1).discovery_key()] });
    loop {
        if providers(&a).await == [c.id] {
            let said = a.take(|input| match input {
                NetInput::Discovered { node, addresses, .. } if *node == c.id => Some(addresses.contains(&address)),
                _ => None,
            });
            assert_eq!(said, Some(true), "its address came before");
            break;
        }
    }
}

#[test]
fn without_a_runtime_it_does_not_start() {
    let (inputs, _) = tokio::sync::mpsc::channel(1);
    let store = std::sync::Arc::new(support::SharedStore(std::sync::Arc::default()));
    assert!(matches!(mesh_net::Net::start(loopback(), [1; 32], store, inputs), Err(mesh_net::StartError::NoRuntime)));
}
