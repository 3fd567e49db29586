//! A crowd that nobody knows comes to one node: how many get in, and who is let in all the same.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::limits::{CONNECTIONS_FROM_STRANGERS_MAX, CONNECTIONS_GREETING_MAX};
use mesh_proto::port::Event;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::record::Access;
use world::World;

const RATE: u64 = 2_500_000;
const CROWD: usize = 60;

fn crowd(world: &mut World, host: usize) {
    for _ in 0..CROWD {
        world.add(RATE, &[host]);
    }
}

#[test]
fn a_crowd_of_strangers_takes_no_more_than_its_places() {
    let mut world = World::new();
    let host = world.add(RATE, &[]);
    crowd(&mut world, host);
    let mut most = 0;
    for _ in 0..1200 {
        world.run_until(Duration::from_millis(100), |_| false);
        let knocking = world.opened_to(host).len();
        if knocking > CONNECTIONS_FROM_STRANGERS_MAX + CONNECTIONS_GREETING_MAX {
            // Several knocked at this very moment: a round trip later they are answered.
            world.run_until(Duration::from_millis(3), |_| false);
        }
        most = most.max(world.opened_to(host).len());
    }
    assert!(most > CONNECTIONS_FROM_STRANGERS_MAX, "newcomers are greeted");
    assert!(most <= CONNECTIONS_FROM_STRANGERS_MAX + CONNECTIONS_GREETING_MAX, "{most}");
    assert!(world.opened_to(host).len() >= CONNECTIONS_FROM_STRANGERS_MAX);
    let closed = world.closed.iter().filter(|(by, _)| *by == host).count() as u64;
    assert!(closed >= (CROWD - CONNECTIONS_FROM_STRANGERS_MAX) as u64);
    assert!(world.closed.iter().all(|(_, why)| why.contains("try again later")), "{:?}", world.closed[0]);
    assert_eq!(world.counted(host, "limit_connections"), closed);
    // Who is refused tries ever less often: in ten minutes not once a second.
    let before = world.closed.len();
    world.settle(600);
    let tries = world.closed.len() - before;
    assert!(tries < (CROWD - CONNECTIONS_FROM_STRANGERS_MAX) * 60, "{tries} tries in ten minutes");
    assert!(world.opened_to(host).len() <= CONNECTIONS_FROM_STRANGERS_MAX + CONNECTIONS_GREETING_MAX);
}

#[test]
fn a_community_s_own_are_let_in_past_a_crowd() {
    let mut world = World::new();
    let (host, friend) = (world.add(RATE, &[]), world.add(RATE, &[0]));
    world.settle(5);
    for (index, name) in [(host, "Ada"), (friend, "Ben")] {
        let made = world.reply(index, UserCommand::MemberNew { name: name.to_owned() });
        assert!(matches!(made, UserReply::Member(_)), "{made:?}");
    }
    let UserReply::Members(members) = world.reply(friend, UserCommand::MemberList) else { panic!("a list") };
    let member = members.iter().find(|view| view.own).expect("its own").member;
    let made = world.reply(host, UserCommand::CommunityNew { name: "Hill".to_owned() });
    assert!(matches!(made, UserReply::Community(_)), "{made:?}");
    let invited = world.reply(host, UserCommand::CommunityInvite { community: None, member });
    let UserReply::Invitation(invite) = invited else { panic!("{invited:?}") };
    let joined = world.reply(friend, UserCommand::CommunityJoin { invitation: invite.invitation });
    assert_eq!(joined, UserReply::Done);
    world.settle(30);
    world.kill(friend);
    // Somebody with a certificate of its own making is a stranger all the same.
    let selfmade = world.add(RATE, &[]);
    let made = world.reply(selfmade, UserCommand::MemberNew { name: "Eve".to_owned() });
    assert!(matches!(made, UserReply::Member(_)), "{made:?}");
    world.kill(selfmade);
    crowd(&mut world, host);
    world.settle(60);
    world.restart(friend, &[host]);
    world.restart(selfmade, &[host]);
    world.settle(60);
    let strangers = world.opened_to(host).iter().filter(|index| **index != friend).count();
    assert!(strangers <= CONNECTIONS_FROM_STRANGERS_MAX + CONNECTIONS_GREETING_MAX, "{strangers}");
    let ten_seconds = Duration::from_secs(10);
    assert!(!world.run_until(ten_seconds, |world| !world.is_connected(host, friend)), "a friend is let in and stays");
    assert!(world.run_until(ten_seconds, |world| !world.is_connected(host, selfmade)), "a stranger may only say hello");
}

/// A community costs nothing, and may count in whom it likes.
#[test]
fn who_calls_us_of_his_community_is_as_unknown_as_before() {
    let mut world = World::new();
    let (host, thief) = (world.add(RATE, &[]), world.add(RATE, &[0]));
    world.settle(5);
    for (index, name) in [(host, "Ada"), (thief, "Eve")] {
        let made = world.reply(index, UserCommand::MemberNew { name: name.to_owned() });
        assert!(matches!(made, UserReply::Member(_)), "{made:?}");
    }
    let UserReply::Members(members) = world.reply(host, UserCommand::MemberList) else { panic!("a list") };
    let member = members.iter().find(|view| view.own).expect("its own").member;
    let made = world.reply(thief, UserCommand::CommunityNew { name: "Trap".to_owned() });
    assert!(matches!(made, UserReply::Community(_)), "{made:?}");
    let invited = world.reply(thief, UserCommand::CommunityInvite { community: None, member });
    assert!(matches!(invited, UserReply::Invitation(_)), "{invited:?}");
    world.settle(30);
    let UserReply::Communities(known) = world.reply(host, UserCommand::CommunityList) else { panic!("a list") };
    assert!(known.iter().any(|view| view.belongs), "it is counted in: {known:?}");
    world.kill(thief);
    crowd(&mut world, host);
    world.settle(60);
    world.restart(thief, &[host]);
    world.settle(60);
    let ten_seconds = Duration::from_secs(10);
    assert!(world.run_until(ten_seconds, |world| !world.is_connected(host, thief)), "a stranger may only say hello");
    assert!(world.opened_to(host).len() <= CONNECTIONS_FROM_STRANGERS_MAX + CONNECTIONS_GREETING_MAX);
}

#[test]
fn a_source_is_let_in_past_a_crowd() {
    let mut world = World::new();
    let (host, source) = (world.add(RATE, &[]), world.add(RATE, &[]));
    let shared = world.share(source, "/data/file-50", Access::Ticket);
    world.kill(source);
    world.get(host, &shared.ticket);
    crowd(&mut world, host);
    world.settle(60);
    world.restart(source, &[host]);
    let complete = |world: &World| {
        !world.seen(host, |event| matches!(event, Event::TransferComplete { .. }).then_some(())).is_empty()
    };
    assert!(world.run_until(Duration::from_secs(60), complete));
}

#[test]
fn static_and_remembered_peers_are_dialled_whatever_a_crowd_says() {
    let mut world = World::new();
    let friend = world.add(RATE, &[]);
    let host = world.add(RATE, &[friend]);
    world.settle(5);
    assert!(world.is_connected(host, friend));
    world.kill(friend);
    crowd(&mut world, host);
    world.settle(60);
    world.restart(friend, &[]);
    let two_minutes = Duration::from_secs(120);
    assert!(world.run_until(two_minutes, |world| world.is_connected(host, friend)), "a static peer");
    // Without its seed, and with the crowd still knocking, it knows by itself whom to look for.
    world.kill(host);
    world.settle(5);
    world.restart(host, &[]);
    assert!(world.run_until(two_minutes, |world| world.opened_to(friend).contains(&host)), "a remembered peer");
}
