//! Signed records: what they say of themselves, and whether their signature holds.

use mesh_node::keys::{KeyRing, parse_export, verify};
use mesh_proto::limits::{COMMUNITIES_PER_NODE_MAX, RECORD_BYTES_MAX};
use mesh_proto::port::KeyRole;
use mesh_proto::record::{NodeRecord, Record, Signed};
use mesh_proto::{CommunityId, MemberId, SharedRecord, codec};

use crate::memory::within;
use crate::{Seed, Target};

/// The specimens that the golden bytes of the wire are made of: what is new on the wire is fuzzed without another list.
#[path = "../../../crates/mesh-proto/tests/specimens/mod.rs"]
pub mod specimens;

/// What is read of a record outside a message: a row of the store, an invitation.
const DECODED_BYTES_MAX: usize = 16 * 1024;

pub const RECORD: Target = Target { name: "record", input_bytes_max: 4 * 1024, check, seeds };

fn check(bytes: &[u8]) {
    let besides = 4 * RECORD_BYTES_MAX + 1024;
    let decoded = within(DECODED_BYTES_MAX + besides, || codec::decode::<SharedRecord, DECODED_BYTES_MAX>(bytes));
    let Ok(shared) = decoded else { return };
    assert!(codec::encode(&shared).len() <= bytes.len());
    match (shared.record(), shared.outline()) {
        (Ok(record), Some(outline)) => {
            assert_eq!(*outline.name(), record.name(shared.signer));
            assert_eq!((outline.version, outline.name().kind), (record.version(), shared.kind));
            check_body(&shared, &record);
        }
        (Err(_), None) => {}
        (record, outline) => panic!("{record:?} and {outline:?} disagree"),
    }
    check_signature(&shared);
}

fn check_body(signed: &Signed, record: &Record) {
    let body = record.encode_body();
    assert!(body.len() <= signed.body.len() && body.len() <= RECORD_BYTES_MAX);
    let again = Signed { body, ..signed.clone() };
    assert_eq!(again.record().ok().as_ref(), Some(record));
    if let Record::Node(record) = record {
        let said = NodeRecord::belonging(record.member(), record.communities());
        let same = NodeRecord { extensions: said, ..record.clone() };
        assert_eq!(same.member(), record.member());
        assert!(
            same.communities().eq(record.communities()) && record.communities().count() <= COMMUNITIES_PER_NODE_MAX
        );
    }
}

/// A signature that holds, holds for these bytes of this kind and for no others.
fn check_signature(signed: &Signed) {
    if !verify(signed) {
        return;
    }
    let mut other = signed.clone();
    other.body.push(0);
    assert!(!verify(&other), "a longer body passes");
    other.body.truncate(signed.body.len().saturating_sub(1));
    assert!(signed.body.is_empty() || !verify(&other), "a shorter body passes");
    let kinds = specimens::records().into_iter().map(|record| record.kind()).filter(|kind| *kind != signed.kind);
    for kind in kinds {
        assert!(!verify(&Signed { kind, ..signed.clone() }), "it passes as a {kind:?}");
    }
}

/// A node's keys, the same everywhere.
pub fn key_ring() -> KeyRing {
    parse_export(&format!("mesh-identity 1\nnode {}\nmember {}\n", "01".repeat(32), "02".repeat(32)))
        .unwrap_or_else(|line| panic!("line {line} of the keys is wrong"))
}

/// A record whose signature holds.
pub fn signed_node_record() -> Signed {
    let ring = key_ring();
    let record = Record::Node(NodeRecord {
        node: ring.node_id(),
        version: 3,
        addresses: vec!["/ip4/10.0.0.1/tcp/4340".to_owned()],
        name: "attic".to_owned(),
        agent: "mesh/0.1.0".to_owned(),
        written: mesh_proto::UnixMs(1_700_000_000_000),
        extensions: NodeRecord::belonging(Some(MemberId([2; 32])), [CommunityId([3; 32])]),
    });
    ring.sign(KeyRole::Node, record.kind(), record.encode_body()).expect("the node's key is there")
}

fn seeds() -> Vec<Seed> {
    let unsigned = specimens::records().into_iter().map(|record| {
        let (kind, body) = (record.kind(), record.encode_body());
        let signed = Signed { kind, signer: [1; 32], body, signature: [[4; 32], [5; 32]] };
        Seed::new(format!("{kind:?}"), codec::encode(&signed))
    });
    unsigned.chain([Seed::new("signed", codec::encode(&signed_node_record()))]).collect()
}
