//! Records between brains: listings that spread, members and communities, who may fetch what, and revocation.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::Event;
use mesh_proto::port::user::{ErrorKind, UserCommand, UserReply};
use mesh_proto::port::view::{CatalogueView, MemberView};
use mesh_proto::record::Access;
use mesh_proto::{CommunityId, MemberId};
use world::World;

const RATE: u64 = 2_500_000;

fn share(world: &mut World, host: usize, listed: bool, access: Access) -> String {
    let command = UserCommand::Share {
        path: "/data/maps of the hills-40".to_owned(),
        name: None,
        listed: Some(listed),
        tags: Some(vec!["osm".to_owned()]),
        access: Some(access),
    };
    match world.reply(host, command) {
        UserReply::Shared(view) => view.ticket,
        other => panic!("not shared: {other:?}"),
    }
}

fn search(world: &mut World, host: usize, text: &str) -> Vec<CatalogueView> {
    match world.reply(host, UserCommand::Search { text: text.to_owned() }) {
        UserReply::Catalogue(views) => views,
        other => panic!("no catalogue: {other:?}"),
    }
}

fn own_member(world: &mut World, host: usize) -> MemberId {
    match world.reply(host, UserCommand::MemberList) {
        UserReply::Members(views) => {
            let own: Vec<MemberView> = views.into_iter().filter(|view| view.own).collect();
            own.first().expect("this node has a member").member
        }
        other => panic!("no members: {other:?}"),
    }
}

fn new_member(world: &mut World, host: usize, name: &str) -> MemberId {
    let reply = world.reply(host, UserCommand::MemberNew { name: name.to_owned() });
    assert_eq!(reply, UserReply::Done);
    own_member(world, host)
}

fn arrives(world: &mut World, host: usize, ticket: &str) -> bool {
    let command = UserCommand::Get {
        ticket: ticket.to_owned(),
        target: "/home/ada/maps".to_owned(),
        seed_seconds: None,
        class: TrafficClass::Public,
        priority: 0,
    };
    let reply = world.reply(host, command);
    assert!(matches!(reply, UserReply::Getting(_)), "{reply:?}");
    world.run_until(Duration::from_secs(60), |world| {
        !world.seen(host, |event| matches!(event, Event::TransferComplete { .. }).then_some(())).is_empty()
    })
}

#[test]
fn a_listing_spreads_over_a_line_of_nodes_and_is_taken_back() {
    let mut world = World::new();
    for index in 0..6usize {
        let seeds: Vec<usize> = index.checked_sub(1).into_iter().collect();
        world.add(RATE, &seeds);
    }
    world.settle(30);
    share(&mut world, 0, true, Access::Public);
    world.settle(30);
    let found = search(&mut world, 5, "HILLS osm");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].publisher, world.hosts[0].id);
    assert!(search(&mut world, 5, "hills sea").is_empty());
    assert!(arrives(&mut world, 5, &found[0].ticket));
    let content = found[0].content_id;
    assert_eq!(world.reply(0, UserCommand::Remove { content, delete_files: false }), UserReply::Done);
    world.settle(60);
    assert!(search(&mut world, 3, "hills").is_empty());
}

#[test]
fn a_community_shares_among_its_own_until_a_member_is_revoked() {
    let mut world = World::new();
    let (founder, friend, stranger) = (world.add(RATE, &[]), world.add(RATE, &[0]), world.add(RATE, &[0]));
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let member = new_member(&mut world, friend, "Ben");
    let _ = new_member(&mut world, stranger, "Cleo");
    assert_eq!(world.reply(founder, UserCommand::CommunityNew { name: "Hill".to_owned() }), UserReply::Done);
    let invited = world.reply(founder, UserCommand::CommunityInvite { community: None, member });
    let UserReply::Invitation(invite) = invited else { panic!("{invited:?}") };
    let community: CommunityId = invite.community;
    let refused = world.reply(stranger, UserCommand::CommunityJoin { invitation: invite.invitation.clone() });
    assert!(matches!(refused, UserReply::Failed(_)), "an invitation is for its member only: {refused:?}");
    let joined = world.reply(friend, UserCommand::CommunityJoin { invitation: invite.invitation });
    assert_eq!(joined, UserReply::Done);
    world.settle(60);
    let ticket = share(&mut world, founder, false, Access::Community(community));
    assert!(arrives(&mut world, friend, &ticket), "a member gets it");
    assert!(!arrives(&mut world, stranger, &ticket), "a stranger does not, from either");

    let subject = member.to_string();
    let reason = "moved away".to_owned();
    assert_eq!(world.reply(founder, UserCommand::MemberRevoke { subject, reason }), UserReply::Done);
    world.settle(60);
    let UserReply::Communities(views) = world.reply(friend, UserCommand::CommunityList) else { panic!("a list") };
    assert!(views.iter().all(|view| !view.belongs), "{views:?}");
}

#[test]
fn a_forged_invitation_is_refused_and_a_good_one_counts_at_once() {
    let mut world = World::new();
    let (founder, friend) = (world.add(RATE, &[]), world.add(RATE, &[]));
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let member = new_member(&mut world, friend, "Ben");
    assert_eq!(world.reply(founder, UserCommand::CommunityNew { name: "Hill".to_owned() }), UserReply::Done);
    let invited = world.reply(founder, UserCommand::CommunityInvite { community: None, member });
    let UserReply::Invitation(invite) = invited else { panic!("{invited:?}") };
    let belongs = |world: &mut World| match world.reply(friend, UserCommand::CommunityList) {
        UserReply::Communities(views) => views.iter().any(|view| view.belongs),
        other => panic!("no list: {other:?}"),
    };
    // The signature stands at the end; one wrong digit in it makes it another's.
    let last = if invite.invitation.ends_with('1') { '2' } else { '1' };
    let forged = format!("{}{last}", &invite.invitation[..invite.invitation.len() - 1]);
    match world.reply(friend, UserCommand::CommunityJoin { invitation: forged }) {
        UserReply::Failed(error) => {
            assert_eq!(error.kind, ErrorKind::Mismatch);
            assert!(error.message.contains("signature") && !error.cure.is_empty(), "{error:?}");
        }
        other => panic!("a forged invitation was taken: {other:?}"),
    }
    assert!(!belongs(&mut world));
    let join = UserCommand::CommunityJoin { invitation: invite.invitation };
    assert_eq!(world.reply(friend, join.clone()), UserReply::Done);
    assert!(belongs(&mut world), "what is answered is so");
    assert_eq!(world.reply(friend, join), UserReply::Done, "twice is as good as once");
}

#[test]
fn a_members_second_node_is_as_its_first() {
    let mut world = World::new();
    let (first, second) = (world.add(RATE, &[]), world.add(RATE, &[0]));
    world.settle(5);
    let member = new_member(&mut world, first, "Ada");
    let node = world.hosts[second].id;
    assert_eq!(world.reply(first, UserCommand::MemberAddNode { node }), UserReply::Done);
    world.settle(30);
    assert_eq!(own_member(&mut world, second), member);
    let ticket = share(&mut world, first, false, Access::Members(vec![member]));
    assert!(arrives(&mut world, second, &ticket));
}

#[test]
fn who_may_not_have_what_is_listed_is_told_so() {
    let mut world = World::new();
    let (source, getter) = (world.add(RATE, &[]), world.add(RATE, &[0]));
    world.settle(5);
    assert_eq!(world.reply(source, UserCommand::MemberNew { name: "Ada".to_owned() }), UserReply::Done);
    let ticket = share(&mut world, source, true, Access::Members(vec![MemberId([9; 32])]));
    world.settle(30);
    assert!(!arrives(&mut world, getter, &ticket));
    let why = world.seen(getter, |event| match event {
        Event::TransferWaiting { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.iter().any(|why| why.contains("does not belong to")), "{why:?}");
}
