//! Records that somebody tampered with, brought back, or wrote twice; and any order of delivery.

#[allow(dead_code, reason = "each test file uses its part of the world")]
mod world;

use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Message, Records};
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::record::{NodeCertificate, NodeRecord, Record, Revocation, Signed};
use mesh_proto::{ContentId, MemberId, NodeId, UnixMs};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use world::{World, address, signed};

const RATE: u64 = 2_500_000;
/// Keys of nodes and members that are not of the world.
const ABSENT: [u8; 32] = [0x91; 32];
const MEMBER: [u8; 32] = [0x92; 32];

fn entry(content: u8, version: u64, withdrawn: bool, name: &str) -> Record {
    world::entry(ContentId([content; 32]), version, withdrawn, name)
}

fn node_record(node: [u8; 32], version: u64, address: &str) -> Record {
    Record::Node(NodeRecord {
        node: NodeId(node),
        version,
        addresses: vec![address.to_owned()],
        name: String::new(),
        agent: String::new(),
        written: UnixMs(0),
        extensions: Extensions::default(),
    })
}

fn certificate(node: NodeId, version: u64) -> Record {
    Record::NodeCertificate(NodeCertificate {
        member: MemberId(MEMBER),
        node,
        version,
        member_name: "Ada".to_owned(),
        issued: UnixMs(version),
        expires: UnixMs(0),
        extensions: Extensions::default(),
    })
}

fn revocation(node: NodeId, reason: &str) -> Record {
    let (reason, extensions) = (reason.to_owned(), Extensions::default());
    Record::Revocation(Revocation { subject: node.0, issued: UnixMs(0), reason, extensions })
}

/// A record of `record`'s form with the signature of another one.
fn forged(signer: [u8; 32], record: &Record, other: &Record) -> Signed {
    Signed { signature: signed(signer, other).signature, ..signed(signer, record) }
}

fn send(world: &mut World, host: usize, from: usize, records: Vec<Signed>) {
    world.inject(
        host,
        from,
        Message::Records(Records {
            records: records.into_iter().map(Into::into).collect(),
            extensions: Extensions::default(),
        }),
    );
}

/// Nodes in a line, each connected to its neighbours.
fn line(hosts: usize) -> World {
    let mut world = World::new();
    for index in 0..hosts {
        let seeds: Vec<usize> = index.checked_sub(1).into_iter().collect();
        world.add(RATE, &seeds);
    }
    world.settle(30);
    world
}

fn names(world: &mut World, host: usize) -> Vec<String> {
    match world.reply(host, UserCommand::Browse) {
        UserReply::Catalogue(views) => views.into_iter().map(|view| view.name).collect(),
        other => panic!("no catalogue: {other:?}"),
    }
}

#[test]
fn a_forged_record_is_neither_kept_nor_passed_on_and_its_bringer_soon_ignored() {
    let mut world = line(3);
    let before = world.hosts[1].store.records();
    let good = entry(1, 1, false, "good");
    for version in 2..10 {
        let lie = forged(ABSENT, &entry(1, version, false, "forged"), &good);
        send(&mut world, 1, 0, vec![lie]);
    }
    // Another's name over a good signature is no better.
    let mut stolen = signed(MEMBER, &good);
    stolen.signer = ABSENT;
    send(&mut world, 1, 0, vec![stolen]);
    world.settle(60);
    for host in 0..3 {
        assert!(names(&mut world, host).is_empty());
    }
    assert_eq!(world.hosts[1].store.records(), before);
    assert!(world.counted(1, "signature_refused") >= 8);
    assert_eq!(world.counted(2, "signature_refused"), 0, "a forgery goes no further");
    send(&mut world, 1, 0, vec![signed(ABSENT, &good)]);
    world.settle(5);
    assert!(names(&mut world, 1).is_empty(), "who lied so often is not listened to on this connection");
    send(&mut world, 1, 2, vec![signed(ABSENT, &good)]);
    world.settle(5);
    assert_eq!(names(&mut world, 1), ["good"], "others are");
}

#[test]
fn an_older_version_brought_back_changes_nothing() {
    let mut world = line(3);
    let old = signed(ABSENT, &entry(1, 1, false, "old"));
    send(&mut world, 0, 1, vec![old.clone(), signed(ABSENT, &entry(2, 4, false, "taken back"))]);
    world.settle(30);
    let newer = vec![signed(ABSENT, &entry(1, 2, false, "new")), signed(ABSENT, &entry(2, 5, true, "taken back"))];
    send(&mut world, 0, 1, newer);
    world.settle(30);
    let state = world.hosts[2].store.records();
    for host in 0..3 {
        let from = if host == 0 { 1 } else { host - 1 };
        send(&mut world, host, from, vec![old.clone(), signed(ABSENT, &entry(2, 4, false, "taken back"))]);
    }
    let before = world.frames;
    world.settle(1);
    assert!(world.frames - before < 6, "what is old is not passed on");
    world.settle(60);
    for host in 0..3 {
        assert_eq!(names(&mut world, host), ["new"]);
        assert_eq!(world.hosts[host].store.records(), state);
    }
    // Nor after a restart: what was seen is kept.
    world.kill(2);
    world.restart(2, &[1]);
    world.settle(10);
    send(&mut world, 2, 1, vec![old]);
    world.settle(10);
    assert_eq!(names(&mut world, 2), ["new"]);
}

#[test]
fn of_two_records_with_one_version_all_keep_the_same() {
    let mut world = line(4);
    let pair = ["maps", "charts"].map(|name| signed(ABSENT, &entry(1, 3, false, name)));
    let [one, other] = pair.clone();
    send(&mut world, 0, 1, vec![one]);
    send(&mut world, 3, 2, vec![other]);
    world.settle(60);
    let greater = pair.iter().max_by_key(|signed| signed.body.clone()).expect("two");
    for host in 0..4 {
        assert!(world.hosts[host].store.records().values().any(|kept| kept == greater));
        assert_eq!(names(&mut world, host).len(), 1);
    }
}

#[test]
fn a_stolen_node_is_not_certified_again_by_a_greater_version() {
    let mut world = line(3);
    let stolen = world.hosts[2].id;
    let owner_of = |world: &mut World, host: usize| {
        let UserReply::Peers(peers) = world.reply(host, UserCommand::Peers) else { panic!("a list") };
        peers.iter().find(|view| view.node == stolen).and_then(|view| view.member)
    };
    assert_eq!(world.reply(2, UserCommand::MemberAccept { member: MemberId(MEMBER) }), UserReply::Done);
    send(&mut world, 0, 1, vec![signed(MEMBER, &certificate(stolen, 1))]);
    world.settle(30);
    assert_eq!(owner_of(&mut world, 1), Some(MemberId(MEMBER)));
    send(&mut world, 0, 1, vec![signed(MEMBER, &revocation(stolen, "stolen"))]);
    world.settle(30);
    // Somebody else's revocation means nothing, and the owner's can't be outdone.
    for version in [2, u64::MAX] {
        send(&mut world, 1, 2, vec![signed(MEMBER, &certificate(stolen, version))]);
        world.settle(30);
        assert_eq!(owner_of(&mut world, 0), None);
        assert_eq!(owner_of(&mut world, 1), None);
    }
    let other = world.hosts[0].id;
    send(&mut world, 1, 2, vec![signed(MEMBER, &certificate(other, 1)), signed(ABSENT, &revocation(other, "spite"))]);
    world.settle(30);
    let UserReply::Members(members) = world.reply(1, UserCommand::MemberList) else { panic!("a list") };
    assert!(members.iter().any(|view| view.member == MemberId(MEMBER) && view.not_accepted == [other]), "{members:?}");
}

#[test]
fn a_node_that_lost_its_disk_outdoes_what_it_once_said() {
    let mut world = line(2);
    let own = world.hosts[1].id.0;
    let once = vec![
        signed(own, &node_record(own, 9, "/ip4/10.9.9.9/tcp/1")),
        signed(own, &entry(5, 7, false, "long gone")),
        signed(own, &entry(6, u64::MAX, false, "at the end of numbers")),
    ];
    send(&mut world, 0, 1, once);
    world.settle(120);
    let addresses = |world: &World, host: usize| {
        let records = world.hosts[host].store.records();
        let own_record = records.values().filter(|kept| kept.signer == own).find_map(|kept| match kept.record() {
            Ok(Record::Node(record)) => Some((record.version, record.addresses)),
            _ => None,
        });
        own_record.expect("its record")
    };
    for host in 0..2 {
        assert_eq!(addresses(&world, host), (10, vec![address(1)]), "where it is now");
        assert!(!names(&mut world, host).contains(&"long gone".to_owned()));
    }
}

fn any_record() -> impl Strategy<Value = Signed> {
    (0..4_u8, 0..2_u8, 1..4_u64, 0..3_u8).prop_map(|(kind, number, version, variant)| {
        let key = [0xa0 + number; 32];
        let node = NodeId([0xb0 + number; 32]);
        match kind {
            0 => signed(key, &node_record(key, version, &format!("/ip4/10.8.0.{variant}/tcp/1"))),
            1 => signed(key, &entry(number, version, variant == 0, &format!("entry {variant}"))),
            2 => signed(MEMBER, &certificate(node, version)),
            _ => signed(MEMBER, &revocation(node, &format!("reason {variant}"))),
        }
    })
}

/// Records, each with the hosts at which it comes in first, in any order.
fn any_deliveries() -> impl Strategy<Value = Vec<(Signed, usize)>> {
    let records = vec((any_record(), vec(0..3_usize, 1..3)), 1..16);
    records.prop_flat_map(|records| {
        let each =
            records.into_iter().flat_map(|(record, hosts)| hosts.into_iter().map(move |at| (record.clone(), at)));
        Just(each.collect::<Vec<_>>()).prop_shuffle()
    })
}

/// What everybody knows in the end, their own three records left out: those say when they were written.
fn outcome(deliveries: &[(Signed, usize)]) -> Vec<Vec<Signed>> {
    let mut world = line(3);
    for (record, host) in deliveries {
        let from = if *host == 0 { 1 } else { host - 1 };
        send(&mut world, *host, from, vec![record.clone()]);
    }
    world.settle(120);
    let own: Vec<[u8; 32]> = world.hosts.iter().map(|host| host.id.0).collect();
    let foreign = |record: &Signed| !own.contains(&record.signer);
    world.hosts.iter().map(|host| host.store.records().into_values().filter(foreign).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_delivery_ends_in_the_same_records(
        (first, second) in any_deliveries().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let (one, other) = (outcome(&first), outcome(&second));
        prop_assert!(one.iter().all(|known| *known == one[0]), "they differ: {one:#?}");
        prop_assert_eq!(one, other);
    }
}
