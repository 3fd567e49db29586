//! What a node shows of itself: plain data, stable in JSON, read back by the CLI and by other programs.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::net::LinkClass;
use crate::id::{CommunityId, ContentId, MemberId, NodeId};
use crate::record::{Access, ContentKind};

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
            pub struct $name { $($(#[$field_doc])* pub $field: $kind,)* }
        )*
    };
}

views! {
    /// A content was shared.
    ShareView {
        /// The text to give to others.
        ticket: String,
        /// Its id.
        content_id: ContentId,
        /// File or tree.
        kind: ContentKind,
        /// Its name for others.
        name: String,
        /// Its size, a tree's listing included.
        size_bytes: u64,
        /// Its chunks.
        chunks: u32,
        /// BLAKE3 of a file's bytes, as hex; `b3sum` prints the same.
        blake3: String,
        /// Whether others can find it in the catalogue.
        listed: bool,
    }

    /// A transfer was accepted.
    GetView {
        /// What is fetched.
        content_id: ContentId,
        /// Where it will lie.
        path: String,
        /// Whether all of it is here already.
        complete: bool,
        /// The report, if it is.
        report: Option<GetReport>,
    }

    /// What came from one source.
    SourceReport {
        /// Who.
        node: NodeId,
        /// Over what path.
        class: Option<LinkClass>,
        /// Content bytes received from it that were verified.
        bytes: u64,
        /// Bytes received from it that had to be thrown away.
        wasted_bytes: u64,
        /// Whether it sent wrong bytes and was banned for this content.
        banned: bool,
    }

    /// How a complete transfer went.
    GetReport {
        /// Which.
        content_id: ContentId,
        /// Where it lies.
        path: String,
        /// Its name.
        name: String,
        /// Its size.
        size_bytes: u64,
        /// BLAKE3 over all its bytes, computed from what was written; `b3sum` prints the same for a file.
        blake3: String,
        /// Bytes received from peers, in this run of the node and, as far as that was noted, in earlier ones.
        received_bytes: u64,
        /// Of its size, what no source below gave: it was here before this run of the node.
        earlier_bytes: u64,
        /// Bytes received that were here already.
        duplicate_bytes: u64,
        /// Bytes received that failed verification.
        rejected_bytes: u64,
        /// Chunks verified.
        chunks: u32,
        /// Milliseconds since this node began or resumed it.
        elapsed_ms: u64,
        /// Who gave what in this run of the node.
        sources: Vec<SourceReport>,
        /// Whether it is served to others from here on.
        seeding: bool,
    }

    /// How a transfer stands.
    TransferView {
        /// Which.
        content_id: ContentId,
        /// Its name, if known.
        name: String,
        /// `waiting`, `manifest`, `fetching`, `finishing`, `paused`, `failed` or `complete`.
        state: String,
        /// Bytes verified and written.
        done_bytes: u64,
        /// Of so many; 0 = not known yet.
        total_bytes: u64,
        /// Bytes per second, over the last seconds.
        rate_bytes_per_s: u64,
        /// Peers that give it now.
        sources: u32,
        /// Peers known to hold some of it.
        holders: u32,
        /// Milliseconds left at this rate; `None` if not known.
        left_ms: Option<u64>,
        /// What it waits for; may be empty.
        waiting_for: String,
    }

    /// A content that is here.
    ContentView {
        /// Which.
        content_id: ContentId,
        /// Its name.
        name: String,
        /// File or tree.
        kind: ContentKind,
        /// Its size.
        size_bytes: u64,
        /// Where it lies.
        path: String,
        /// `shared`, `complete`, `fetching`, `paused` or `changed`.
        state: String,
        /// Bytes of it here.
        have_bytes: u64,
        /// Whether others can find it in the catalogue.
        listed: bool,
        /// Whether it is kept from being collected.
        pinned: bool,
        /// Who may fetch it.
        access: Access,
        /// The text to give to others.
        ticket: String,
    }

    /// Something others list.
    CatalogueView {
        /// Which.
        content_id: ContentId,
        /// Its name.
        name: String,
        /// File or tree.
        kind: ContentKind,
        /// Its size.
        size_bytes: u64,
        /// Words.
        tags: Vec<String>,
        /// The node that listed it.
        publisher: NodeId,
        /// Connected peers that say they hold all of it.
        holders: u32,
        /// Whether all of it is here.
        here: bool,
        /// The text to fetch it with.
        ticket: String,
    }

    /// What collecting did.
    GcView {
        /// Contents removed.
        removed: u32,
        /// Bytes freed.
        freed_bytes: u64,
        /// Bytes over the quota still, as what is left is pinned; 0 = the quota is met.
        over_bytes: u64,
    }

    /// A peer.
    PeerView {
        /// Who.
        node: NodeId,
        /// Its name; may be empty.
        name: String,
        /// Program and version; may be empty.
        agent: String,
        /// Its member, if certified.
        member: Option<MemberId>,
        /// Whether a connection stands.
        connected: bool,
        /// Where it is or was reached.
        addresses: Vec<String>,
        /// What the path looks like.
        class: Option<LinkClass>,
        /// Round trip in microseconds.
        rtt_us: Option<u64>,
        /// Bytes per second received from it while it served us.
        goodput_bytes_per_s: Option<u64>,
        /// Expected milliseconds per MiB.
        cost_ms_per_mib: Option<u64>,
        /// Bytes sent to it, by grants receipted.
        sent_bytes: u64,
        /// Content bytes received from it.
        received_bytes: u64,
        /// How it was first heard of.
        found_by: String,
    }

    /// One link of the topology.
    LinkView {
        /// From this node.
        source: NodeId,
        /// To this peer.
        target: NodeId,
        /// What the path looks like.
        class: LinkClass,
        /// Round trip in microseconds.
        rtt_us: Option<u64>,
        /// Bytes per second.
        goodput_bytes_per_s: Option<u64>,
        /// Expected milliseconds per MiB.
        cost_ms_per_mib: u64,
    }

    /// Peers and links as seen from here.
    TopologyView {
        /// This node.
        node: NodeId,
        /// All nodes known.
        nodes: Vec<NodeId>,
        /// Links that stand.
        links: Vec<LinkView>,
    }

    /// One counter.
    CounterView {
        /// Its name, as in the metrics.
        name: String,
        /// Its labels.
        labels: Vec<(String, String)>,
        /// Its value.
        value: u64,
    }

    /// The node at a glance.
    StatusView {
        /// Who it is.
        node: NodeId,
        /// Its name; may be empty.
        name: String,
        /// Program and version.
        agent: String,
        /// Its member, if it has one.
        member: Option<MemberId>,
        /// Milliseconds since it began.
        uptime_ms: u64,
        /// Where it listens.
        listening: Vec<String>,
        /// Peers connected.
        peers_connected: u32,
        /// Nodes known.
        nodes_known: u32,
        /// Contents here.
        contents: u32,
        /// Transfers that are not complete.
        transfers: Vec<TransferView>,
        /// Requests of peers that wait for a grant.
        requests_waiting: u32,
        /// Bytes granted and not yet receipted.
        unreceipted_bytes: u64,
        /// The limit on sending; 0 = none.
        limit_up_bytes_per_s: u64,
        /// The limit on receiving; 0 = none.
        limit_down_bytes_per_s: u64,
        /// The quota of received contents; 0 = none.
        quota_bytes: u64,
        /// Counters since the node was first started.
        counters: Vec<CounterView>,
    }

    /// One finding of the doctor.
    Finding {
        /// `ok`, `note`, `warning` or `problem`.
        severity: String,
        /// What was looked at.
        subject: String,
        /// What was found.
        message: String,
        /// What to do; empty if nothing.
        cure: String,
    }

    /// What the doctor found.
    DoctorView {
        /// Everything looked at, worst first.
        findings: Vec<Finding>,
    }

    /// A community.
    CommunityView {
        /// Which.
        community: CommunityId,
        /// Its name.
        name: String,
        /// Whether it was founded on this node.
        founded_here: bool,
        /// Whether this node's member belongs to it: what is for it is open to her.
        belongs: bool,
        /// Whether it was joined or founded on a node of hers: its members are acquainted.
        joined: bool,
    }

    /// An invitation to hand to a member.
    InviteView {
        /// The text to give.
        invitation: String,
        /// Into which community.
        community: CommunityId,
        /// For whom.
        member: MemberId,
    }

    /// What was taken back, for ever.
    RevokeView {
        /// Whose: a node's or a member's id.
        subject: String,
        /// Whether this node's member took back that the node is its own.
        certificate: bool,
        /// The communities that took back that the member is theirs.
        communities: Vec<CommunityId>,
        /// Whether it is this node itself, or its own member.
        own: bool,
    }

    /// A member and its nodes.
    MemberView {
        /// Which.
        member: MemberId,
        /// Its name.
        name: String,
        /// Its nodes, as known here.
        nodes: Vec<NodeId>,
        /// Nodes it certified that did not say that they are its own.
        not_accepted: Vec<NodeId>,
        /// Communities it belongs to.
        communities: Vec<CommunityId>,
        /// Whether it is this node's.
        own: bool,
    }
}
