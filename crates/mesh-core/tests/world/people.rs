//! What people do with members and communities, for tests about them.

use std::time::Duration;

use mesh_proto::port::Event;
use mesh_proto::port::user::{ErrorKind, UserCommand, UserReply};
use mesh_proto::port::view::{CatalogueView, MemberView};
use mesh_proto::record::Access;
use mesh_proto::{CommunityId, MemberId};

use super::World;

const RATE: u64 = 2_500_000;

pub fn share(world: &mut World, host: usize, listed: bool, access: Access) -> String {
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

pub fn search(world: &mut World, host: usize, text: &str) -> Vec<CatalogueView> {
    match world.reply(host, UserCommand::Search { text: text.to_owned() }) {
        UserReply::Catalogue(views) => views,
        other => panic!("no catalogue: {other:?}"),
    }
}

pub fn own_member(world: &mut World, host: usize) -> MemberId {
    match world.reply(host, UserCommand::MemberList) {
        UserReply::Members(views) => {
            let own: Vec<MemberView> = views.into_iter().filter(|view| view.own).collect();
            own.first().expect("this node has a member").member
        }
        other => panic!("no members: {other:?}"),
    }
}

pub fn new_member(world: &mut World, host: usize, name: &str) -> MemberId {
    let reply = world.reply(host, UserCommand::MemberNew { name: name.to_owned() });
    let UserReply::Member(view) = reply else { panic!("{reply:?}") };
    assert_eq!((view.name.as_str(), view.own), (name, true));
    assert_eq!(own_member(world, host), view.member, "it is told which it is");
    view.member
}

pub fn new_community(world: &mut World, host: usize, name: &str) -> CommunityId {
    let reply = world.reply(host, UserCommand::CommunityNew { name: name.to_owned() });
    let UserReply::Community(view) = reply else { panic!("{reply:?}") };
    assert_eq!((view.name.as_str(), view.founded_here, view.belongs), (name, true, true));
    view.community
}

/// A world of one host, whose member founded a community.
pub fn founded() -> (World, usize, CommunityId) {
    let mut world = World::new();
    let founder = world.add(RATE, &[]);
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let community = new_community(&mut world, founder, "Hill");
    (world, founder, community)
}

pub fn invite(world: &mut World, host: usize, community: CommunityId, member: MemberId) -> UserReply {
    world.reply(host, UserCommand::CommunityInvite { community: Some(community), member })
}

pub fn revoke(world: &mut World, host: usize, subject: &str, force: bool) -> UserReply {
    let (subject, reason) = (subject.to_owned(), "moved away".to_owned());
    world.reply(host, UserCommand::MemberRevoke { subject, reason, community: None, force })
}

/// Why it was refused, if it was, and what to do.
pub fn refusal(reply: UserReply) -> (ErrorKind, String) {
    match reply {
        UserReply::Failed(error) => (error.kind, format!("{} {}", error.message, error.cure)),
        other => panic!("not refused: {other:?}"),
    }
}

pub fn arrives(world: &mut World, host: usize, ticket: &str) -> bool {
    world.get(host, ticket);
    world.run_until(Duration::from_secs(60), |world| {
        !world.seen(host, |event| matches!(event, Event::TransferComplete { .. }).then_some(())).is_empty()
    })
}
