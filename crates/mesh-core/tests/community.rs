//! Records between brains: listings that spread, members and communities, who may fetch what, and revocation.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use std::time::Duration;

use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Have, Holding, Message};
use mesh_proto::port::user::{ErrorKind, UserCommand, UserReply};
use mesh_proto::port::{Event, Failure};
use mesh_proto::record::{Access, RecordKind};
use mesh_proto::{CommunityId, MemberId, Ticket};
use world::World;
use world::people::{arrives, founded, invite, new_community, new_member, own_member, refusal, revoke, search, share};

const RATE: u64 = 2_500_000;

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
    let _ = new_community(&mut world, founder, "Hill");
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

    let revoked = revoke(&mut world, founder, &member.to_string(), false);
    assert!(matches!(revoked, UserReply::Revoked(_)), "{revoked:?}");
    world.settle(60);
    let UserReply::Communities(views) = world.reply(friend, UserCommand::CommunityList) else { panic!("a list") };
    assert!(views.iter().all(|view| !view.belongs), "{views:?}");
}

/// A getter that was told it may not have it hears of it when that changes, by whichever record.
#[test]
fn who_waits_gets_it_when_his_node_becomes_a_member_s() {
    for accepts_last in [true, false] {
        let mut world = World::new();
        let (source, laptop) = (world.add(RATE, &[]), world.add(RATE, &[0]));
        world.settle(5);
        let member = new_member(&mut world, source, "Ada");
        let ticket = share(&mut world, source, false, Access::Members(vec![member]));
        assert!(!arrives(&mut world, laptop, &ticket));
        let node = world.hosts[laptop].id;
        let mut steps = [(source, UserCommand::MemberAddNode { node }), (laptop, UserCommand::MemberAccept { member })];
        if !accepts_last {
            steps.reverse();
        }
        for (host, command) in steps {
            assert_eq!(world.reply(host, command), UserReply::Done);
            world.settle(10);
        }
        let is_complete = |event: &Event| matches!(event, Event::TransferComplete { .. }).then_some(());
        assert!(!world.seen(laptop, is_complete).is_empty(), "accepted last: {accepts_last}");
    }
}

#[test]
fn what_was_joined_outlasts_a_kill() {
    let mut world = World::new();
    let (founder, friend) = (world.add(RATE, &[]), world.add(RATE, &[0]));
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let community = new_community(&mut world, founder, "Hill");
    let member = new_member(&mut world, friend, "Ben");
    let UserReply::Invitation(invite) = invite(&mut world, founder, community, member) else { panic!("no word") };
    let is_joined = |world: &mut World| {
        let UserReply::Communities(views) = world.reply(friend, UserCommand::CommunityList) else { panic!("no list") };
        views.iter().any(|view| view.community == community && view.joined)
    };
    world.settle(10);
    assert!(!is_joined(&mut world), "an invitation alone is no word of hers");
    let join = UserCommand::CommunityJoin { invitation: invite.invitation };
    assert_eq!(world.reply(friend, join), UserReply::Done);
    world.kill(friend);
    world.restart(friend, &[]);
    world.settle(5);
    assert!(is_joined(&mut world));
}

/// Who calls somebody's node his own gets nothing by it.
#[test]
fn a_node_is_nobody_s_by_what_others_say() {
    let mut world = World::new();
    let source = world.add(RATE, &[]);
    let thief = world.add(RATE, &[source]);
    world.settle(5);
    let _ = new_member(&mut world, thief, "Eve");
    let node = world.hosts[source].id;
    assert_eq!(world.reply(thief, UserCommand::MemberAddNode { node }), UserReply::Done);
    world.settle(60);
    let ticket = share(&mut world, source, false, Access::Members(vec![MemberId([0x55; 32])]));
    assert!(!arrives(&mut world, thief, &ticket), "it is for another");
    let UserReply::Members(views) = world.reply(source, UserCommand::MemberList) else { panic!("no members") };
    assert!(views.iter().all(|view| !view.own && !view.nodes.contains(&node)), "{views:?}");
}

/// The certificate issued last used to count: it took a member's access away.
#[test]
fn who_certifies_a_member_s_node_takes_nothing_away() {
    let mut world = World::new();
    let (source, friend) = (world.add(RATE, &[]), world.add(RATE, &[0]));
    let thief = world.add(RATE, &[source, friend]);
    world.settle(5);
    let _ = new_member(&mut world, source, "Ada");
    let member = new_member(&mut world, friend, "Ben");
    let _ = new_member(&mut world, thief, "Eve");
    world.settle(30);
    let node = world.hosts[friend].id;
    assert_eq!(world.reply(thief, UserCommand::MemberAddNode { node }), UserReply::Done);
    world.settle(60);
    let ticket = share(&mut world, source, false, Access::Members(vec![member]));
    assert!(arrives(&mut world, friend, &ticket), "it is for its member");
}

/// Members fetch from each other while none has it whole: with the first bytes they hear for whom it is.
#[test]
fn members_that_fetch_at_the_same_time_give_it_to_no_stranger() {
    let mut world = World::new();
    world.border = Some(1);
    let founder = world.add(RATE / 10, &[]);
    let near = world.add(RATE / 10, &[founder]);
    let far = world.add(RATE, &[near]);
    let stranger = world.add(RATE, &[near, far]);
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let community = new_community(&mut world, founder, "Hill");
    for host in [near, far] {
        let member = new_member(&mut world, host, "Ben");
        world.settle(30);
        let UserReply::Invitation(invite) = invite(&mut world, founder, community, member) else { panic!("no word") };
        let joined = world.reply(host, UserCommand::CommunityJoin { invitation: invite.invitation });
        assert_eq!(joined, UserReply::Done);
    }
    world.settle(60);
    let ticket = share(&mut world, founder, false, Access::Community(community));
    let finished = |world: &World, host| {
        !world.seen(host, |event| matches!(event, Event::TransferComplete { .. }).then_some(())).is_empty()
    };
    let content = ticket.parse::<Ticket>().expect("as it was printed").content;
    world.kill(founder);
    for host in [stranger, far, near] {
        world.get(host, &ticket);
    }
    world.settle(1);
    // Somebody named it to them: they ask, and are told that nothing is there yet.
    for (host, other) in [(far, near), (stranger, far)] {
        let (holding, access, others) = (Holding::None, Access::Ticket, vec![world.hosts[other].id]);
        let have = Have { content, holding, access, others, extensions: Extensions::default() };
        world.inject(host, other, Message::Have(have));
    }
    world.settle(1);
    world.restart(founder, &[near]);
    let both = |world: &World| finished(world, near) && finished(world, far);
    assert!(world.is_connected(far, stranger));
    assert!(world.run_until(Duration::from_secs(60), both), "members get it");
    world.settle(60);
    assert!(world.hosts[stranger].store.have(content).is_empty(), "a stranger gets none of it from any of them");
}

/// Who gave the manifest may lie later: what was said to be for members stays so.
#[test]
fn nobody_opens_what_was_for_members() {
    let mut world = World::new();
    let founder = world.add(RATE / 10, &[]);
    let [friend, stranger] = [(); 2].map(|()| world.add(RATE, &[founder]));
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let community = new_community(&mut world, founder, "Hill");
    let member = new_member(&mut world, friend, "Ben");
    world.settle(30);
    let UserReply::Invitation(invite) = invite(&mut world, founder, community, member) else { panic!("no word") };
    assert_eq!(world.reply(friend, UserCommand::CommunityJoin { invitation: invite.invitation }), UserReply::Done);
    world.settle(60);
    let ticket = share(&mut world, founder, false, Access::Community(community));
    let content = ticket.parse::<Ticket>().expect("as it was printed").content;
    world.get(friend, &ticket);
    world.settle(3);
    let have = Have {
        content,
        holding: Holding::Complete,
        access: Access::Public,
        others: Vec::new(),
        extensions: Extensions::default(),
    };
    world.inject(friend, founder, Message::Have(have));
    world.get(stranger, &ticket);
    let held = world.hosts[friend].store.have(content).len();
    assert!(held > 0 && world.contents_in_flight(friend) > 0, "{held} chunks: it is fetching");
    world.settle(60);
    assert!(world.is_connected(friend, stranger));
    assert!(world.hosts[stranger].store.have(content).is_empty(), "a stranger gets none of it");
}

#[test]
fn a_forged_invitation_is_refused_and_a_good_one_counts_at_once() {
    let mut world = World::new();
    let (founder, friend) = (world.add(RATE, &[]), world.add(RATE, &[]));
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let member = new_member(&mut world, friend, "Ben");
    let _ = new_community(&mut world, founder, "Hill");
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
    let nodes = |world: &mut World| {
        let UserReply::Members(views) = world.reply(first, UserCommand::MemberList) else { panic!("no members") };
        let own = views.into_iter().find(|view| view.own).expect("this node has a member");
        (own.nodes, own.not_accepted)
    };
    let (own, waiting) = nodes(&mut world);
    assert!(!own.contains(&node) && waiting == [node], "it did not say so itself: {own:?}, {waiting:?}");
    assert_eq!(world.reply(second, UserCommand::MemberAccept { member }), UserReply::Done);
    world.settle(30);
    assert_eq!(own_member(&mut world, second), member);
    let (own, waiting) = nodes(&mut world);
    assert!(own.contains(&node) && waiting.is_empty(), "{own:?}, {waiting:?}");
    let ticket = share(&mut world, first, false, Access::Members(vec![member]));
    assert!(arrives(&mut world, second, &ticket));
    world.kill(second);
    world.restart(second, &[0]);
    world.settle(30);
    assert_eq!(own_member(&mut world, second), member, "once is for good");
}

#[test]
fn a_node_with_a_member_of_its_own_accepts_no_other() {
    let mut world = World::new();
    let host = world.add(RATE, &[]);
    world.settle(5);
    let member = new_member(&mut world, host, "Ada");
    assert_eq!(world.reply(host, UserCommand::MemberAccept { member }), UserReply::Done, "it is so");
    let other = UserCommand::MemberAccept { member: MemberId([0x44; 32]) };
    let (kind, said) = refusal(world.reply(host, other));
    assert!(kind == ErrorKind::Exists && said.contains("--data"), "{said}");
}

#[test]
fn who_may_not_have_what_is_listed_is_told_so() {
    let mut world = World::new();
    let (source, getter) = (world.add(RATE, &[]), world.add(RATE, &[0]));
    world.settle(5);
    let _ = new_member(&mut world, source, "Ada");
    let ticket = share(&mut world, source, true, Access::Members(vec![MemberId([9; 32])]));
    world.settle(30);
    assert!(!arrives(&mut world, getter, &ticket));
    let why = world.seen(getter, |event| match event {
        Event::TransferWaiting { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.iter().any(|why| why.contains("does not belong to")), "{why:?}");
}

#[test]
fn a_revocation_takes_back_all_that_stands_and_says_what() {
    let mut world = World::new();
    let founder = world.add(RATE, &[]);
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let member = MemberId([0x77; 32]);
    let communities = ["Hill", "Dale", "Shore"].map(|name| new_community(&mut world, founder, name));
    for community in communities {
        assert!(matches!(invite(&mut world, founder, community, member), UserReply::Invitation(_)));
    }
    let one = UserCommand::MemberRevoke {
        subject: member.to_string(),
        reason: String::new(),
        community: Some(communities[1]),
        force: false,
    };
    let UserReply::Revoked(view) = world.reply(founder, one) else { panic!("it stands") };
    assert_eq!((view.communities, view.certificate, view.own), (vec![communities[1]], false, false));
    let UserReply::Revoked(view) = revoke(&mut world, founder, &member.to_string(), false) else { panic!("two stand") };
    let mut rest = vec![communities[0], communities[2]];
    let mut taken = view.communities;
    rest.sort_unstable();
    taken.sort_unstable();
    assert_eq!(taken, rest);
    let (kind, said) = refusal(revoke(&mut world, founder, &member.to_string(), false));
    assert!(kind == ErrorKind::NotFound && said.contains("nothing of it stands"), "{said}");
    for community in communities {
        let (kind, said) = refusal(invite(&mut world, founder, community, member));
        assert!(kind == ErrorKind::Denied && said.contains("was revoked") && said.contains("new member"), "{said}");
    }
    let (kind, _) = refusal(revoke(&mut world, founder, &"ab".repeat(32), false));
    assert_eq!(kind, ErrorKind::NotFound);
}

#[test]
fn what_the_disk_refused_is_said_and_written_down_later() {
    let (mut world, founder, community) = founded();
    let member = MemberId([0x77; 32]);
    assert!(matches!(invite(&mut world, founder, community, member), UserReply::Invitation(_)));
    world.hosts[founder].store.write_failure = Some(Failure::passing("no space left"));
    let (kind, why) = refusal(revoke(&mut world, founder, &member.to_string(), false));
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(why.contains("no space left") && why.contains("tries again"), "{why}");
    world.settle(30);
    let warnings = world.seen(founder, |event| match event {
        Event::Warning { message } => Some(message.clone()),
        _ => None,
    });
    assert_eq!(warnings.len(), 1, "once, though it was tried again: {warnings:?}");

    let is_kept = |world: &World| {
        let records = world.hosts[founder].store.records();
        records.values().any(|signed| signed.kind == RecordKind::Revocation)
    };
    assert!(!is_kept(&world));
    world.hosts[founder].store.write_failure = None;
    world.settle(15);
    assert!(is_kept(&world));
}

#[test]
fn what_is_answered_outlasts_a_kill() {
    let (mut world, founder, _) = founded();
    world.kill(founder);
    world.restart(founder, &[]);
    world.settle(5);
    let UserReply::Communities(views) = world.reply(founder, UserCommand::CommunityList) else { panic!("no list") };
    assert_eq!(views.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["Hill"]);
}

#[test]
fn nobody_revokes_itself_by_mistake_and_who_means_it_is_told_what_is_left() {
    let mut world = World::new();
    let founder = world.add(RATE, &[]);
    world.settle(5);
    let member = new_member(&mut world, founder, "Ada");
    let community = new_community(&mut world, founder, "Hill");
    let node = world.hosts[founder].id;
    for subject in [node.to_string(), member.to_string()] {
        let (kind, said) = refusal(revoke(&mut world, founder, &subject, false));
        assert!(kind == ErrorKind::Denied && said.contains("--force"), "{said}");
    }
    let UserReply::Communities(views) = world.reply(founder, UserCommand::CommunityList) else { panic!("a list") };
    assert!(views.iter().all(|view| view.belongs), "nothing was taken back: {views:?}");
    let UserReply::Revoked(view) = revoke(&mut world, founder, &member.to_string(), true) else { panic!("meant") };
    assert_eq!((view.own, view.communities), (true, vec![community]));
    let UserReply::Revoked(view) = revoke(&mut world, founder, &node.to_string(), true) else { panic!("meant") };
    assert!(view.own && view.certificate);
    let (kind, said) = refusal(world.reply(founder, UserCommand::MemberNew { name: "Ada".to_owned() }));
    assert!(kind == ErrorKind::Denied && said.contains("--data") && said.contains("identity import"), "{said}");
    let (kind, said) = refusal(world.reply(founder, UserCommand::MemberAddNode { node }));
    assert!(kind == ErrorKind::Denied && said.contains("--data"), "{said}");
}

#[test]
fn a_community_has_a_name_of_its_own() {
    let mut world = World::new();
    let founder = world.add(RATE, &[]);
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let _ = new_community(&mut world, founder, "Hill");
    let found = |world: &mut World, name: &str| {
        refusal(world.reply(founder, UserCommand::CommunityNew { name: name.to_owned() })).0
    };
    assert_eq!(found(&mut world, "Hill"), ErrorKind::Exists);
    assert_eq!(found(&mut world, ""), ErrorKind::Invalid);
    assert_eq!(found(&mut world, " "), ErrorKind::Invalid);
    assert_eq!(found(&mut world, &"x".repeat(300)), ErrorKind::Invalid);
}

/// Its key or its signature may be under way when the node writes down the last: what is confirmed then is written, too.
#[test]
fn what_is_confirmed_while_the_node_stops_is_kept() {
    let mut confirmed = 0;
    for events in 0..8 {
        let mut world = World::new();
        let founder = world.add(RATE, &[]);
        world.settle(5);
        let _ = new_member(&mut world, founder, "Ada");
        world.settle(5);
        let request = world.ask(founder, UserCommand::CommunityNew { name: "valley".to_owned() });
        let mut seen = 0;
        world.run_until(Duration::from_secs(5), |_| {
            seen += 1;
            seen > events
        });
        world.ask_to_stop(founder);
        world.run_until(Duration::from_secs(5), |world| world.hosts[founder].stopped);
        let reply = world.hosts[founder].replies.remove(&request);
        world.kill(founder);
        world.restart(founder, &[]);
        let UserReply::Communities(views) = world.reply(founder, UserCommand::CommunityList) else { panic!("no list") };
        if let Some(UserReply::Community(view)) = reply {
            confirmed += 1;
            let kept = views.iter().any(|known| known.community == view.community && known.belongs);
            assert!(kept, "after {events} events it was confirmed, and forgotten");
        }
    }
    assert!(confirmed > 1, "{confirmed}");
}
