//! One specimen of every message, frame and record. A number on the wire that has none here has no frozen bytes, and is not
//! where fuzzing begins.

use mesh_proto::bulk::{GetterFrame, Packing, RefuseReason, SourceFrame, SpanRequest, TrafficClass};
use mesh_proto::extensions::{Extension, Extensions};
use mesh_proto::message::{
    Bye, DialMe, Find, Found, Have, HaveMore, HaveRequest, Hello, Holding, Holdings, Message, PageReply, PageRequest,
    ParcelOffer, RecordList, Records, RecordsWanted, Split, Summary, Uninterested, Unsupported, Want,
};
use mesh_proto::record::{
    Access, CatalogueEntry, ContentKind, Membership, NodeCertificate, NodeRecord, Record, RecordKind, RecordName,
    Revocation, Signed, Subject, VersionRecord,
};
use mesh_proto::{ChunkRange, ChunkSet, CommunityId, ContentId, LineId, MemberId, NodeId, PageId, UnixMs};

pub fn none() -> Extensions {
    Extensions::default()
}

pub fn content() -> ContentId {
    ContentId([0xc0; 32])
}

pub fn signed() -> Signed {
    Signed { kind: RecordKind::Revocation, signer: [1; 32], body: vec![1, 2, 3], signature: [[4; 32], [5; 32]] }
}

pub fn name() -> RecordName {
    RecordName { kind: RecordKind::Node, signer: [1; 32], subject: [2; 32] }
}

pub fn messages() -> Vec<Message> {
    let chunks: ChunkSet =
        [ChunkRange { start: 3, count: 4 }, ChunkRange { start: 300, count: 1 }].into_iter().collect();
    let future = Extensions(vec![Extension { number: 2, body: vec![9] }]);
    vec![
        Message::Hello(Hello {
            agent: "mesh/0.1.0".into(),
            name: "attic".into(),
            credentials: vec![signed().into()],
            clock: UnixMs(1_700_000_000_000),
            extensions: future,
        }),
        Message::Summary(Summary { buckets: (0..64).collect(), extensions: none() }),
        Message::RecordList(RecordList {
            buckets: vec![1, 2],
            known: vec![(name(), 7)],
            answer: true,
            extensions: none(),
        }),
        Message::RecordsWanted(RecordsWanted { names: vec![name()], extensions: none() }),
        Message::Records(Records { records: vec![signed().into()], extensions: none() }),
        Message::Holdings(Holdings { added: vec![1, 1 << 60], removed: vec![2], full: false, extensions: none() }),
        Message::HaveRequest(HaveRequest { content: content(), extensions: none() }),
        Message::Have(Have {
            content: content(),
            holding: Holding::Partial(chunks),
            access: Access::Members(vec![MemberId([8; 32])]),
            others: vec![NodeId([7; 32])],
            extensions: none(),
        }),
        Message::Uninterested(Uninterested { content: content(), extensions: none() }),
        Message::PageRequest(PageRequest { content: content(), page: PageId([0xaa; 32]), extensions: none() }),
        Message::PageReply(PageReply {
            content: content(),
            page: PageId([0xaa; 32]),
            bytes: Some(vec![1, 2]),
            extensions: none(),
        }),
        Message::DialMe(DialMe { addresses: vec!["/ip4/10.0.0.1/tcp/4340".into()], extensions: none() }),
        Message::Bye(Bye { reason: "stopping".into(), extensions: none() }),
        Message::Unsupported(Unsupported { message: 31, extension: Some(5), extensions: none() }),
        Message::Find(Find { key: content().discovery_key(), extensions: none() }),
        Message::Found(Found { key: content().discovery_key(), extensions: none() }),
        Message::Split(Split { path: vec![3, 63], sums: (0..64).collect(), extensions: none() }),
        Message::HaveMore(HaveMore {
            content: content(),
            added: [ChunkRange { start: 7, count: 1 }].into_iter().collect(),
            given: [ChunkRange { start: 300, count: 2 }].into_iter().collect(),
            extensions: none(),
        }),
        Message::Want(Want {
            content: content(),
            chunks: vec![ChunkRange { start: 0, count: 9 }],
            for_member: Some(MemberId([8; 32])),
            priority: 200,
            deadline: UnixMs(5),
            hops_left: 3,
            extensions: none(),
        }),
        Message::ParcelOffer(ParcelOffer {
            content: content(),
            to_member: MemberId([8; 32]),
            size_bytes: 300,
            expires: UnixMs(5),
            extensions: none(),
        }),
    ]
}

pub fn records() -> Vec<Record> {
    vec![
        Record::Node(NodeRecord {
            node: NodeId([1; 32]),
            version: 2,
            addresses: vec!["/ip6/fe80::1/tcp/4340".into()],
            name: "attic".into(),
            agent: "mesh/0.1.0".into(),
            written: UnixMs(3),
            extensions: none(),
        }),
        Record::Catalogue(CatalogueEntry {
            subject: Subject::Content(content()),
            version: 1,
            withdrawn: false,
            name: "maps".into(),
            size_bytes: 1 << 33,
            kind: ContentKind::Tree,
            tags: vec!["osm".into()],
            access: Access::Community(CommunityId([6; 32])),
            priority: 1,
            replicas_wanted: 2,
            expires: UnixMs(0),
            extensions: none(),
        }),
        Record::NodeCertificate(NodeCertificate {
            member: MemberId([1; 32]),
            node: NodeId([2; 32]),
            version: 1,
            member_name: "Ada".into(),
            issued: UnixMs(4),
            expires: UnixMs(0),
            extensions: none(),
        }),
        Record::Membership(Membership {
            community: CommunityId([1; 32]),
            community_name: "Hill".into(),
            member: MemberId([3; 32]),
            version: 1,
            issued: UnixMs(4),
            expires: UnixMs(0),
            extensions: none(),
        }),
        Record::Revocation(Revocation {
            subject: [2; 32],
            issued: UnixMs(4),
            reason: "lost".into(),
            extensions: none(),
        }),
        Record::Version(VersionRecord {
            line: LineId([1; 32]),
            number: 2,
            parents: vec![[5; 32]],
            content: content(),
            metadata: None,
            written: UnixMs(4),
            extensions: none(),
        }),
    ]
}

pub fn getter_frames() -> Vec<GetterFrame> {
    vec![
        GetterFrame::Request(SpanRequest {
            request: 5,
            content: content(),
            chunks: ChunkRange { start: 10, count: 4 },
            skip_bytes: 100,
            payload_bytes: 260_000,
            class: TrafficClass::Interactive,
            priority: 7,
            deadline_ms: 0,
            for_member: None,
            extensions: none(),
        }),
        GetterFrame::Receipt { request: 5, drained_bytes: 65_536 },
        GetterFrame::Cancel { request: 5 },
    ]
}

pub fn source_frames() -> Vec<SourceFrame> {
    vec![
        SourceFrame::Slice { request: 5, packing: Packing::Zstd, payload_bytes: 100, content_bytes: 65_536 },
        SourceFrame::End { request: 5 },
        SourceFrame::Refused { request: 5, reason: RefuseReason::Busy },
    ]
}
