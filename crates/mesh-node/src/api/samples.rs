//! One specimen of each view: the document's schemas are read off them, so that they can't drift from the code.
//!
//! Each comes full and with its optional parts missing; what differs between the two is optional in the schema.

use mesh_proto::port::net::LinkClass;
use mesh_proto::port::user::UserReply;
use mesh_proto::port::view::{
    CatalogueView, CommunityView, ContentView, CounterView, DoctorView, Finding, GcView, GetReport, GetView,
    InviteView, LinkView, MemberView, PeerView, RevokeView, ShareView, SourceReport, StatusView, TopologyView,
    TransferView,
};
use mesh_proto::record::{Access, ContentKind};
use mesh_proto::{CommunityId, ContentId, MemberId, NodeId};

const CONTENT: ContentId = ContentId([0xc0; 32]);
const NODE: NodeId = NodeId([0x0d; 32]);
const MEMBER: MemberId = MemberId([0xee; 32]);
const COMMUNITY: CommunityId = CommunityId([0xcc; 32]);

/// Specimens of every reply but errors: full, then sparse.
pub(super) fn replies() -> Vec<UserReply> {
    let mut replies = vec![UserReply::Done, UserReply::Shared(shared()), UserReply::Collected(gc())];
    for full in [true, false] {
        replies.push(UserReply::Getting(getting(full)));
        replies.push(UserReply::Contents(vec![content(full)]));
        replies.push(UserReply::Catalogue(vec![catalogue()]));
        replies.push(UserReply::Status(Box::new(status_view(full))));
        replies.push(UserReply::Peers(vec![peer(full)]));
        replies.push(UserReply::Topology(topology(full)));
    }
    replies.push(UserReply::Doctor(doctor()));
    replies.push(UserReply::Communities(vec![community()]));
    replies.push(UserReply::Invitation(InviteView { invitation: text(), community: COMMUNITY, member: MEMBER }));
    replies.push(UserReply::Members(vec![member()]));
    replies.push(UserReply::Community(community()));
    replies.push(UserReply::Member(member()));
    replies.push(UserReply::Revoked(RevokeView {
        subject: text(),
        certificate: true,
        communities: vec![COMMUNITY],
        own: false,
    }));
    replies
}

/// A full status.
#[cfg(test)]
pub(super) fn status() -> StatusView {
    status_view(true)
}

fn text() -> String {
    "text".to_owned()
}

fn shared() -> ShareView {
    ShareView {
        ticket: text(),
        content_id: CONTENT,
        kind: ContentKind::File,
        name: text(),
        size_bytes: 1,
        chunks: 1,
        blake3: text(),
        listed: false,
    }
}

fn gc() -> GcView {
    GcView { removed: 1, freed_bytes: 1, over_bytes: 0 }
}

fn getting(full: bool) -> GetView {
    let report = full.then(|| report(true));
    GetView { content_id: CONTENT, path: text(), complete: full, report }
}

/// How a complete transfer went.
pub(super) fn report(full: bool) -> GetReport {
    let class = full.then_some(LinkClass::SameSegment);
    GetReport {
        content_id: CONTENT,
        path: text(),
        name: text(),
        size_bytes: 1,
        blake3: text(),
        received_bytes: 1,
        earlier_bytes: 1,
        duplicate_bytes: 0,
        rejected_bytes: 0,
        chunks: 1,
        elapsed_ms: 1,
        sources: vec![SourceReport { node: NODE, class, bytes: 1, wasted_bytes: 0, banned: false }],
        seeding: true,
    }
}

/// How a transfer stands.
pub(super) fn transfer(full: bool) -> TransferView {
    TransferView {
        content_id: CONTENT,
        name: text(),
        state: "fetching".into(),
        done_bytes: 1,
        total_bytes: 2,
        rate_bytes_per_s: 1,
        sources: 1,
        holders: 1,
        left_ms: full.then_some(1000),
        waiting_for: String::new(),
    }
}

fn content(full: bool) -> ContentView {
    let access = if full { Access::Members(vec![MEMBER]) } else { Access::Ticket };
    ContentView {
        content_id: CONTENT,
        name: text(),
        kind: ContentKind::Tree,
        size_bytes: 1,
        path: text(),
        state: "complete".into(),
        have_bytes: 1,
        listed: true,
        pinned: false,
        access,
        ticket: text(),
    }
}

fn catalogue() -> CatalogueView {
    CatalogueView {
        content_id: CONTENT,
        name: text(),
        kind: ContentKind::File,
        size_bytes: 1,
        tags: vec![text()],
        publisher: NODE,
        holders: 1,
        here: false,
        ticket: text(),
    }
}

fn peer(full: bool) -> PeerView {
    PeerView {
        node: NODE,
        name: text(),
        agent: text(),
        member: full.then_some(MEMBER),
        connected: true,
        addresses: vec![text()],
        class: full.then_some(LinkClass::Farther),
        rtt_us: full.then_some(1),
        goodput_bytes_per_s: full.then_some(1),
        cost_ms_per_mib: full.then_some(1),
        sent_bytes: 1,
        received_bytes: 1,
        found_by: text(),
    }
}

fn topology(full: bool) -> TopologyView {
    let link = LinkView {
        source: NODE,
        target: NODE,
        class: LinkClass::Loopback,
        rtt_us: full.then_some(1),
        goodput_bytes_per_s: full.then_some(1),
        cost_ms_per_mib: 1,
    };
    TopologyView { node: NODE, nodes: vec![NODE], links: vec![link] }
}

fn status_view(full: bool) -> StatusView {
    StatusView {
        node: NODE,
        name: text(),
        agent: text(),
        member: full.then_some(MEMBER),
        uptime_ms: 1,
        listening: vec![text()],
        peers_connected: 1,
        nodes_known: 1,
        contents: 1,
        transfers: vec![transfer(full)],
        requests_waiting: 1,
        unreceipted_bytes: 1,
        limit_up_bytes_per_s: 0,
        limit_down_bytes_per_s: 0,
        quota_bytes: 0,
        counters: vec![CounterView { name: text(), labels: vec![(text(), text())], value: 1 }],
    }
}

fn doctor() -> DoctorView {
    let finding = Finding { severity: "ok".into(), subject: text(), message: text(), cure: String::new() };
    DoctorView { findings: vec![finding] }
}

fn community() -> CommunityView {
    CommunityView { community: COMMUNITY, name: text(), founded_here: true, belongs: true, joined: true }
}

fn member() -> MemberView {
    MemberView {
        member: MEMBER,
        name: text(),
        nodes: vec![NODE],
        not_accepted: vec![NODE],
        communities: vec![COMMUNITY],
        own: true,
    }
}
