//! The table of peers: its indexes against a slow walk, and what it dials when.

use mesh_proto::port::Output;
use mesh_proto::port::net::LinkClass;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn node(number: u16) -> NodeId {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&number.to_be_bytes());
    NodeId(id)
}

fn context() -> Context {
    let mut ctx = Context::new([1; 32]);
    ctx.node = node(500);
    ctx
}

fn connection(ctx: &Context, dialled: bool) -> Connection {
    let (id, class) = (ConnectionId(ctx.now.0), LinkClass::SameSegment);
    Connection { id, address: "/ip4/10.0.0.1/tcp/1".to_owned(), class, dialled, since: ctx.now }
}

/// Carries out all dials at once: each peer whose number is odd answers.
fn answer(ctx: &mut Context, peers: &mut Peers) -> usize {
    let outputs: Vec<Output> = std::iter::from_fn(|| ctx.pop()).collect();
    let dials = outputs.into_iter().filter_map(|output| match output {
        Output::Net(NetCommand::Dial { command, node: Some(node), .. }) => Some((command, node)),
        _ => None,
    });
    dials
        .map(|(command, peer)| {
            let result = if peer.0[1] % 2 == 1 { Ok(peer) } else { Err(Failure::passing("nobody answers")) };
            if result.is_ok() {
                let connection = connection(ctx, true);
                peers.on_connected(ctx, peer, connection);
            }
            peers.on_dialled(ctx, command, &result);
        })
        .count()
}

#[test]
fn what_happens_to_one_peer_costs_the_same_however_many_are_known() {
    let (mut ctx, mut peers) = (context(), Peers::default());
    for number in 0..1000 {
        peers.learn(node(number), &[format!("/ip4/10.0.{number}.1/tcp/1")], FoundBy::Gossip);
    }
    for _ in 0..2000 {
        peers.run(&mut ctx);
        answer(&mut ctx, &mut peers);
        ctx.now = peers.deadline().map_or(ctx.now, |(at, _)| at).max(ctx.now.after(Duration::from_millis(1)));
    }
    assert_eq!(peers.connected().len(), CONNECTIONS_WANTED);
    let before = peers.table.walked.get();
    for number in 0..1000 {
        peers.on_rtt(node(number), 1000);
        peers.run(&mut ctx);
        assert_eq!(peers.deadline(), None);
    }
    assert_eq!(peers.table.walked.get(), before, "nothing looks at one peer after another");
    assert!(std::iter::from_fn(|| ctx.pop()).next().is_none(), "there is nothing to do");
}

#[test]
fn wanted_peers_are_dialled_before_those_that_only_fill_the_room() {
    let (mut ctx, mut peers) = (context(), Peers::default());
    ctx.now = Timestamp(1_000_000_000);
    for number in 0..100 {
        peers.learn(node(number), &["/ip4/10.0.0.1/tcp/1".to_owned()], FoundBy::Gossip);
    }
    peers.need(&ctx, node(77));
    peers.run(&mut ctx);
    let first = ctx.pop();
    assert!(matches!(first, Some(Output::Net(NetCommand::Dial { node: Some(first), .. })) if first == node(77)));
}

/// Whether a peer is to be dialled now or later, as the rules say it.
fn dial_at(peers: &Peers, ctx: &Context, room: usize, (node, peer): (NodeId, &Peer)) -> Option<Timestamp> {
    let wanted = peer.is_needed(ctx.now) || peer.anchor || peer.tries > 0;
    let dialable = peer.is_dialable() && node != ctx.node && peers.dials.len() < DIALS_MAX;
    (dialable && (wanted || room > 0)).then_some(peer.not_before)
}

proptest! {
    #[test]
    fn what_is_due_is_what_a_walk_over_all_peers_finds(steps in vec((0..9_u8, 0..40_u16, 0..9_000_u64), 1..200)) {
        let (mut ctx, mut peers) = (context(), Peers::default());
        ctx.node = node(7);
        for (what, number, passed_ms) in steps {
            ctx.now = ctx.now.after(Duration::from_millis(passed_ms / 8));
            let peer = node(number);
            match what {
                0 | 1 => peers.learn(peer, &[format!("/ip4/10.0.0.{number}/tcp/{}", passed_ms % 3)], FoundBy::Gossip),
                2 => peers.need(&ctx, peer),
                3 => peers.try_soon(peer),
                4 => {
                    let connection = connection(&ctx, passed_ms % 2 == 0);
                    peers.on_connected(&mut ctx, peer, connection);
                }
                5 | 6 => {
                    if let Some(id) = peers.peer(peer).and_then(|peer| Some(peer.dealings().connections.first()?.id)) {
                        peers.on_disconnected(&ctx, peer, id);
                    }
                }
                7 => peers.be_polite(&ctx, peer),
                _ => _ = answer(&mut ctx, &mut peers),
            }
            peers.run(&mut ctx);
            let connected = peers.all().filter(|(_, peer)| peer.is_connected());
            let dialled = peers.all().filter(|(_, peer)| peer.dealings().connections.iter().any(|one| one.dialled));
            let room = CONNECTIONS_WANTED
                .saturating_sub(connected.count())
                .max(CONNECTIONS_DIALLED_MIN.saturating_sub(dialled.count()))
                .saturating_sub(peers.dials.len());
            prop_assert_eq!(peers.room(), room);
            let due = peers.all().filter_map(|entry| dial_at(&peers, &ctx, room, entry)).min();
            prop_assert_eq!(peers.deadline().map(|(at, _)| at), due);
            prop_assert!(due.is_none_or(|at| at > ctx.now), "what was due was dialled");
        }
    }
}
