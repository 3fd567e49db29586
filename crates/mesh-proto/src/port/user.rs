//! What a person or a program can ask of a node, and what it answers: the same for CLI, HTTP API and library.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::view::{
    CatalogueView, CommunityView, ContentView, DoctorView, GcView, GetView, InviteView, MemberView, PeerView,
    RevokeView, ShareView, StatusView, TopologyView,
};
use crate::bulk::TrafficClass;
use crate::id::{CommunityId, ContentId, MemberId, NodeId};
use crate::record::Access;

/// Correlates a request with its reply. Given by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct UserRequestId(pub u64);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum UserCommand {
    /// Shares a file or folder in place; answered when it is hashed.
    Share {
        /// Absolute path.
        path: String,
        /// Its name for others; by default the path's last part. What is not said, here and below, stays as it is if
        /// the content is here already.
        name: Option<String>,
        /// Whether to put it in the catalogue; by default not.
        listed: Option<bool>,
        /// Words to search by; by default none.
        tags: Option<Vec<String>>,
        /// Who may fetch it; by default whoever has the ticket.
        access: Option<Access>,
    },
    /// Starts to fetch; answered when the transfer is accepted. Progress comes as events.
    Get {
        /// The ticket's text.
        ticket: String,
        /// Absolute path of the file or folder to make; it must not exist.
        target: String,
        /// Seconds to go on seeding when complete; `None` = as long as the node runs.
        seed_seconds: Option<u64>,
        /// How urgent it is.
        class: TrafficClass,
        /// Within its class, 255 first.
        priority: u8,
    },
    /// What is here.
    List,
    /// What others list.
    Browse,
    /// What others list, by words in name and tags.
    Search {
        /// The words; all must occur.
        text: String,
    },
    /// Forgets a content.
    Remove {
        /// Which.
        content: ContentId,
        /// Whether files that we received are deleted, too.
        delete_files: bool,
    },
    /// Keeps a content from being collected.
    Pin {
        /// Which.
        content: ContentId,
        /// `false` takes it back.
        pinned: bool,
    },
    /// Stops fetching for now.
    Pause {
        /// Which.
        content: ContentId,
    },
    /// Goes on.
    Resume {
        /// Which.
        content: ContentId,
    },
    /// Gives up a transfer and deletes what is partial.
    Cancel {
        /// Which.
        content: ContentId,
    },
    /// Limits rates, in bytes per second; `None` leaves, 0 lifts a limit.
    Limit {
        /// Sending.
        up_bytes_per_s: Option<u64>,
        /// Receiving.
        down_bytes_per_s: Option<u64>,
    },
    /// Limits what received contents may take on disk; 0 = no limit.
    Quota {
        /// Bytes.
        bytes: u64,
    },
    /// Removes received contents that are not pinned, oldest first, until the quota is met, and stray files.
    Gc,
    /// Hashes a content again and fetches what is bad.
    Verify {
        /// Which.
        content: ContentId,
    },
    /// The node at a glance.
    Status,
    /// Who is connected or known.
    Peers,
    /// Peers with class, RTT, goodput and cost.
    Topology,
    /// What is wrong with this set-up.
    Doctor,
    /// Connects to an address.
    Dial {
        /// Multiaddr text.
        address: String,
    },
    /// Founds a community.
    CommunityNew {
        /// Its name.
        name: String,
    },
    /// Writes an invitation for a member.
    CommunityInvite {
        /// Into which of ours; `None` if there is just one.
        community: Option<CommunityId>,
        /// Whom.
        member: MemberId,
    },
    /// Takes an invitation.
    CommunityJoin {
        /// Its text.
        invitation: String,
    },
    /// What communities this node's member is in.
    CommunityList,
    /// Makes this node's member known, creating its key if there is none.
    MemberNew {
        /// Its name.
        name: String,
    },
    /// Certifies another node as this member's; the node says so itself by [`UserCommand::MemberAccept`].
    MemberAddNode {
        /// Which.
        node: NodeId,
    },
    /// Says that this node belongs to a member whose key is on another one.
    MemberAccept {
        /// Which.
        member: MemberId,
    },
    /// Members and their nodes as known here.
    MemberList,
    /// Takes back all that this node's keys vouched for: its member's certificate and every community's membership.
    MemberRevoke {
        /// A node of ours, or a member of a community founded here, as hex.
        subject: String,
        /// For people.
        reason: String,
        /// Only what this community vouched for.
        community: Option<CommunityId>,
        /// Also if it is this node or its own member.
        force: bool,
    },
}

/// What kind of answer an error is; each has its own exit code and HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// What was asked makes no sense as it stands.
    Invalid,
    /// There is no such thing here.
    NotFound,
    /// It is there already, or in the way.
    Exists,
    /// The system or a peer does not permit it.
    Denied,
    /// No space, or the quota is reached.
    NoSpace,
    /// It may work later.
    Unavailable,
    /// What came is not what was promised.
    Mismatch,
    /// Our fault.
    Internal,
}

/// Why something was not done: what failed, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    /// Its kind.
    pub kind: ErrorKind,
    /// What failed and why.
    pub message: String,
    /// What to do next; may be empty.
    pub cure: String,
}

impl UserError {
    /// An error with a cure.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cure: cure.into() }
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each variant is the type it names")]
pub enum UserReply {
    Done,
    Shared(ShareView),
    Getting(GetView),
    Contents(Vec<ContentView>),
    Catalogue(Vec<CatalogueView>),
    Collected(GcView),
    Status(Box<StatusView>),
    Peers(Vec<PeerView>),
    Topology(TopologyView),
    Doctor(DoctorView),
    Communities(Vec<CommunityView>),
    Community(CommunityView),
    Invitation(InviteView),
    Members(Vec<MemberView>),
    Member(MemberView),
    Revoked(RevokeView),
    Failed(UserError),
}
