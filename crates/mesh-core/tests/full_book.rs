//! Books that strangers or insiders filled: what is known of those who are near finds room all the same.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{NODES_KNOWN_MAX, VOUCHERS_PER_KIND_MAX};
use mesh_proto::message::{Message, Records};
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::record::{Access, Membership, NodeCertificate, NodeRecord, Record, RecordKind, Revocation, Signed};
use mesh_proto::{CommunityId, MemberId, NodeId, UnixMs};
use world::people::{arrives, invite, new_community, new_member, revoke, share};
use world::{World, signed};

const RATE: u64 = 2_500_000;

/// Records of strangers who vouch for each other, as many of each kind as a book keeps.
fn flood() -> Vec<Signed> {
    let key = |number: usize, first: u8| {
        let mut key = [first; 32];
        key[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        key
    };
    let vouched = (0..VOUCHERS_PER_KIND_MAX).flat_map(|number| {
        let (signer, subject) = (key(number, 0x91), key(number, 0x92));
        let (name, issued, extensions) = (String::new(), UnixMs(1), Extensions::default());
        let records = [
            Record::NodeCertificate(NodeCertificate {
                member: MemberId(signer),
                node: NodeId(subject),
                version: 1,
                member_name: name.clone(),
                issued,
                expires: UnixMs(0),
                extensions: extensions.clone(),
            }),
            Record::Membership(Membership {
                community: CommunityId(signer),
                community_name: name.clone(),
                member: MemberId(subject),
                version: 1,
                issued,
                expires: UnixMs(0),
                extensions: extensions.clone(),
            }),
            Record::Revocation(Revocation { subject, issued, reason: name, extensions }),
        ];
        records.map(|record| signed(signer, &record))
    });
    let nodes = (0..NODES_KNOWN_MAX).map(|number| {
        let node = key(number, 0x93);
        let record = NodeRecord {
            node: NodeId(node),
            version: 1,
            addresses: Vec::new(),
            name: String::new(),
            agent: String::new(),
            written: UnixMs(1),
            extensions: Extensions::default(),
        };
        signed(node, &Record::Node(record))
    });
    vouched.chain(nodes).collect()
}

#[test]
fn strangers_who_fill_the_book_keep_a_founder_s_community_from_nothing() {
    let (mut world, flood) = (World::new(), flood());
    let founder = world.add_with(RATE, &[], &flood);
    let friend = world.add(RATE, &[founder]);
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let community = new_community(&mut world, founder, "Hill");
    let member = new_member(&mut world, friend, "Ben");
    world.settle(60);
    let UserReply::Invitation(invite) = invite(&mut world, founder, community, member) else { panic!("no word") };
    assert_eq!(world.reply(friend, UserCommand::CommunityJoin { invitation: invite.invitation }), UserReply::Done);
    world.settle(60);
    let ticket = share(&mut world, founder, true, Access::Community(community));
    assert!(arrives(&mut world, friend, &ticket), "a member gets it");
    let _ = revoke(&mut world, founder, &member.to_string(), false);
    world.settle(30);
    let other = world.reply(
        founder,
        UserCommand::Share {
            path: "/data/more maps-40".to_owned(),
            name: None,
            listed: None,
            tags: None,
            access: Some(Access::Community(community)),
        },
    );
    let UserReply::Shared(other) = other else { panic!("not shared: {other:?}") };
    world.get(friend, &other.ticket);
    world.settle(30);
    assert!(world.hosts[friend].store.have(other.content_id).is_empty(), "who was thrown out gets nothing more");
    let kept = world.hosts[founder].store.records();
    assert!(kept.len() <= flood.len() + 1, "a stranger's goes for each of ours, on the disk too: {}", kept.len());
}

/// Not the founder's book is full, but that of a member who serves another member.
#[test]
fn strangers_who_fill_the_book_of_who_joined_keep_her_from_nothing() {
    let (mut world, flood) = (World::new(), flood());
    let founder = world.add(RATE, &[]);
    let joined = world.add_with(RATE, &[founder], &flood);
    world.settle(5);
    let _ = new_member(&mut world, founder, "Ada");
    let community = new_community(&mut world, founder, "Hill");
    let join = |world: &mut World, host: usize, name: &str| {
        let member = new_member(world, host, name);
        world.settle(60);
        let UserReply::Invitation(invite) = invite(world, founder, community, member) else { panic!("no word") };
        let join = UserCommand::CommunityJoin { invitation: invite.invitation };
        assert_eq!(world.reply(host, join), UserReply::Done);
        world.settle(60);
    };
    join(&mut world, joined, "Ben");
    let friend = world.add(RATE, &[joined]);
    world.settle(5);
    join(&mut world, friend, "Cid");
    let ticket = share(&mut world, joined, true, Access::Community(community));
    assert!(arrives(&mut world, friend, &ticket), "a member gets it");
}

/// What a member signs counts for less than what the community says of him.
#[test]
fn who_is_thrown_out_does_not_fill_the_book_against_it() {
    let (hill, ben) = ([0x71; 32], [0x72; 32]);
    let membership = |member: MemberId| {
        let (community, community_name) = (CommunityId(hill), "Hill".to_owned());
        let (issued, expires, extensions) = (UnixMs(1), UnixMs(0), Extensions::default());
        let record = Membership { community, community_name, member, version: 1, issued, expires, extensions };
        signed(hill, &Record::Membership(record))
    };
    let revocation = |signer: [u8; 32], subject: [u8; 32]| {
        let (issued, reason, extensions) = (UnixMs(1), String::new(), Extensions::default());
        signed(signer, &Record::Revocation(Revocation { subject, issued, reason, extensions }))
    };
    let made_up = (0..VOUCHERS_PER_KIND_MAX as u64).map(|number| {
        let mut subject = [0x73; 32];
        subject[..8].copy_from_slice(&number.to_le_bytes());
        revocation(ben, subject)
    });
    let flood: Vec<Signed> = made_up.chain([membership(MemberId(ben))]).collect();
    let mut world = World::new();
    let joined = world.add_with(RATE, &[], &flood);
    let other = world.add(RATE, &[joined]);
    world.settle(5);
    let member = new_member(&mut world, joined, "Cara");
    let bytes = mesh_proto::codec::encode(&membership(member));
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let join = UserCommand::CommunityJoin { invitation: format!("mesh-invite:{digits}") };
    assert_eq!(world.reply(joined, join), UserReply::Done);
    let (records, extensions) = (vec![revocation(hill, ben).into()], Extensions::default());
    world.inject(joined, other, Message::Records(Records { records, extensions }));
    world.settle(10);
    let kept = world.hosts[joined].store.records();
    assert!(kept.values().any(|kept| kept.signer == hill && kept.kind == RecordKind::Revocation), "it is noted");
}
