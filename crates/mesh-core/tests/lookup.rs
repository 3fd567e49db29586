//! The wider lookup: who is asked for it and when, what is announced, and what its answers are worth.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::ContentId;
use mesh_proto::port::Event;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::record::Access;
use world::World;

const RATE: u64 = 2_500_000;

fn is_complete(world: &World, host: usize) -> bool {
    !world.seen(host, |event| matches!(event, Event::TransferComplete { .. }).then_some(())).is_empty()
}

/// A source and a getter that only the lookup can bring together: each knows one other node, and those two nobody.
fn strangers(kademlia: bool) -> (World, usize, usize) {
    let mut world = World::new();
    world.kademlia = kademlia;
    let (first, second) = (world.add(RATE, &[]), world.add(RATE, &[]));
    let (source, getter) = (world.add(RATE, &[first]), world.add(RATE, &[second]));
    (world, source, getter)
}

#[test]
fn a_source_nobody_near_knows_is_found_by_the_wider_lookup() {
    let (mut world, source, getter) = strangers(true);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    world.settle(10);
    assert_eq!(world.announced[&source], vec![shared.content_id.discovery_key()], "the key, not the id");
    world.get(getter, &format!("mesh:{}", shared.content_id));
    assert!(world.run_until(Duration::from_secs(60), |world| is_complete(world, getter)));
    world.settle(60);
    assert_eq!(world.lookups.len(), 1, "once it is here nobody is looked for: {:?}", world.lookups);
}

#[test]
fn the_lookup_is_left_alone_when_it_is_off_or_not_needed() {
    let (mut world, source, getter) = strangers(false);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    world.get(getter, &format!("mesh:{}", shared.content_id));
    world.settle(120);
    assert!(!is_complete(&world, getter));
    assert!(world.announced.is_empty() && world.lookups.is_empty());

    let mut world = World::new();
    world.kademlia = true;
    let source = world.add(RATE, &[]);
    let getter = world.add(RATE, &[source]);
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    world.get(getter, &format!("mesh:{}", shared.content_id));
    assert!(world.run_until(Duration::from_secs(60), |world| is_complete(world, getter)));
    assert!(world.lookups.is_empty(), "a neighbour had it");
}

#[test]
fn looking_in_vain_is_done_ever_less_often() {
    let (mut world, _, getter) = strangers(true);
    for lost in 0..6 {
        world.get(getter, &format!("mesh:{}", ContentId([0xa0 + lost; 32])));
    }
    world.settle(3600);
    let lost = ContentId([0xa0; 32]).discovery_key();
    let mut times: Vec<u64> = world.lookups.iter().filter(|(_, _, key)| *key == lost).map(|one| one.0).collect();
    times.dedup();
    assert!((8..=14).contains(&times.len()), "{} look-ups for one content in an hour", times.len());
    let gaps: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000_000).collect();
    assert!(gaps.windows(2).all(|pair| pair[1] + 6 >= pair[0]), "{gaps:?}");
    let UserReply::Peers(peers) = world.reply(getter, UserCommand::Peers) else { panic!("a list") };
    assert_eq!(peers.len(), 1, "a name without an address is worth nothing: {peers:?}");
}

#[test]
fn only_what_strangers_may_fetch_is_announced_and_only_while_it_is_here() {
    let (mut world, source, _) = strangers(true);
    let shared = world.share(source, "/data/file-50", Access::Members(Vec::new()));
    world.settle(60);
    assert_eq!(world.announced.get(&source), None);
    let shared_again = world.share(source, "/data/file-50", Access::Public);
    assert_eq!(shared.content_id, shared_again.content_id);
    world.settle(60);
    assert_eq!(world.announced[&source].len(), 1);
    let content = shared.content_id;
    assert_eq!(world.reply(source, UserCommand::Remove { content, delete_files: false }), UserReply::Done);
    world.settle(60);
    assert!(world.announced[&source].is_empty());
}

#[test]
fn what_was_announced_is_announced_anew_after_solitude() {
    let (mut world, source, _) = strangers(true);
    world.share(source, "/data/file-50", Access::Ticket);
    world.settle(10);
    assert_eq!(world.announced[&source].len(), 1);
    world.kill(0);
    world.settle(5);
    assert!(world.announced[&source].is_empty());
    world.restart(0, &[]);
    world.settle(60);
    assert_eq!(world.announced[&source].len(), 1);
}
