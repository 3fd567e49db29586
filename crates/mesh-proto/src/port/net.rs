//! The brain's port to the network.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bulk::{RefuseReason, SpanRequest};
use crate::id::{CommandId, ConnectionId, NodeId};
use crate::message::Message;
use crate::payload::{SinkError, SourceError};

/// How a connection's path to the peer looks from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkClass {
    /// The same machine.
    Loopback,
    /// The same network segment: its address lies in a subnet of one of our interfaces.
    SameSegment,
    /// Further hops away.
    Farther,
    /// Somebody pays by the byte.
    Metered,
}

impl LinkClass {
    /// Its name, as in data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::SameSegment => "same_segment",
            Self::Farther => "farther",
            Self::Metered => "metered",
        }
    }
}

/// How a node was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveredBy {
    /// Multicast DNS on a local segment.
    Mdns,
    /// The wider lookup.
    Kademlia,
}

/// One request of a peer that we may serve. Unique within one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
pub struct ServeId(pub u64);

/// What became of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ServeState {
    /// The grant was written; the span has more.
    More,
    /// The span was written to its end.
    Ended,
    /// The source failed; the peer was told.
    Failed(SourceError),
    /// The peer, its connection or its wish is gone.
    Gone,
}

/// How a fetch ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FetchOutcome {
    /// All of the span was received, verified and written.
    Complete,
    /// The source refused.
    Refused(RefuseReason),
    /// The bytes were wrong or could not be written.
    Sink(SinkError),
    /// The connection or the stream ended.
    Disconnected,
    /// Nothing came for longer than the command allowed.
    Stalled,
    /// The source broke the protocol.
    Protocol(String),
    /// The brain cancelled it.
    Cancelled,
}

/// What the network reports.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum NetInput {
    /// We can be reached here (multiaddr text without `/p2p/…`).
    Listening {
        /// The address.
        address: String,
    },
    /// We can't listen there.
    ListenFailed {
        /// The address.
        address: String,
        /// The system's words.
        why: String,
    },
    /// A node may be reachable. Proof of nothing.
    Discovered {
        /// Who.
        node: NodeId,
        /// Where.
        addresses: Vec<String>,
        /// How it was found.
        by: DiscoveredBy,
    },
    /// A connection stands; the peer proved its key.
    Connected {
        /// The connection.
        connection: ConnectionId,
        /// Who.
        node: NodeId,
        /// Where, as multiaddr text without `/p2p/…`.
        address: String,
        /// Whether we dialled.
        dialled: bool,
        /// What the path looks like.
        class: LinkClass,
    },
    /// A connection ended. Everything under way on it is answered before this.
    Disconnected {
        /// The connection.
        connection: ConnectionId,
        /// Who.
        node: NodeId,
        /// Why, for people.
        why: String,
    },
    /// Answers [`NetCommand::Dial`]. On success `Connected` came before.
    Dialled {
        /// Which command.
        command: CommandId,
        /// Who answered, or why nobody did.
        result: Result<NodeId, super::Failure>,
    },
    /// A control message came.
    Received {
        /// On which connection.
        connection: ConnectionId,
        /// From whom.
        node: NodeId,
        /// What.
        message: Message,
    },
    /// A frame came that breaks the protocol.
    Malformed {
        /// On which connection.
        connection: ConnectionId,
        /// From whom.
        node: NodeId,
        /// What was wrong.
        why: String,
    },
    /// A frame with an unknown number came.
    UnknownMessage {
        /// On which connection.
        connection: ConnectionId,
        /// From whom.
        node: NodeId,
        /// Its number.
        number: u16,
    },
    /// A round trip was measured.
    Rtt {
        /// On which connection.
        connection: ConnectionId,
        /// With whom.
        node: NodeId,
        /// Microseconds.
        rtt_us: u64,
    },
    /// A peer asks for a span. Nothing is sent before a grant.
    SpanRequested {
        /// Our name for the request.
        serve: ServeId,
        /// On which connection.
        connection: ConnectionId,
        /// By whom.
        node: NodeId,
        /// What.
        request: SpanRequest,
    },
    /// The peer no longer wants it, or its connection ended. No further answer for this request comes.
    SpanWithdrawn {
        /// Which request.
        serve: ServeId,
    },
    /// Answers [`NetCommand::Grant`].
    Granted {
        /// Which command.
        command: CommandId,
        /// Which request.
        serve: ServeId,
        /// Content bytes written to the stream under this grant.
        sent_bytes: u64,
        /// What is next.
        state: ServeState,
    },
    /// The peer says how much of a request reached it, cumulative.
    Receipt {
        /// Which request.
        serve: ServeId,
        /// Content bytes.
        drained_bytes: u64,
    },
    /// Bytes of a fetch arrived; at most once per slice.
    FetchProgress {
        /// Which command.
        command: CommandId,
        /// Content bytes received so far, verified or not.
        received_bytes: u64,
        /// Chunks verified so far, from the span's first on.
        chunks_verified: u32,
    },
    /// Answers [`NetCommand::Fetch`].
    Fetched {
        /// Which command.
        command: CommandId,
        /// How it ended.
        outcome: FetchOutcome,
        /// Content bytes received.
        received_bytes: u64,
        /// Chunks verified, from the span's first on.
        chunks_verified: u32,
        /// Bytes kept aside of the chunk behind those.
        aside_bytes: u32,
    },
    /// Answers [`NetCommand::FindProviders`].
    ProvidersFound {
        /// Which command.
        command: CommandId,
        /// Who may hold it, at most [`LOOKUP_PROVIDERS_MAX`](crate::limits::LOOKUP_PROVIDERS_MAX); their addresses, as
        /// far as they are known, came before as `Discovered`. Proof of nothing.
        nodes: Vec<NodeId>,
    },
}

/// What the brain asks of the network.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum NetCommand {
    /// Opens a connection.
    Dial {
        /// Answered by [`NetInput::Dialled`].
        command: CommandId,
        /// Whom to expect; `None` = whoever answers.
        node: Option<NodeId>,
        /// Where to try, in this order.
        addresses: Vec<String>,
    },
    /// Closes all connections to a peer, answered by their `Disconnected`.
    Disconnect {
        /// Whom.
        node: NodeId,
        /// Why, for people.
        why: String,
    },
    /// Closes one connection, answered by its `Disconnected`.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why, for people.
        why: String,
    },
    /// Sends a control message. If it can't be delivered, the connection's `Disconnected` is the answer.
    Send {
        /// To whom.
        node: NodeId,
        /// What.
        message: Message,
    },
    /// Asks a peer for a span and writes it to the content's sink.
    Fetch {
        /// Answered by [`NetInput::Fetched`].
        command: CommandId,
        /// Whom.
        node: NodeId,
        /// What; `request.request` is filled in by the network.
        request: SpanRequest,
        /// No byte for so long means disconnected.
        stall_ms_max: u64,
    },
    /// Stops a fetch; its `Fetched` comes soon.
    CancelFetch {
        /// Which.
        fetch: CommandId,
    },
    /// Permits sending so many more bytes of a request.
    Grant {
        /// Answered by [`NetInput::Granted`].
        command: CommandId,
        /// Which request.
        serve: ServeId,
        /// Content bytes, at most one slice.
        bytes: u64,
    },
    /// Ends a request without (more) bytes. Not answered.
    Refuse {
        /// Which request.
        serve: ServeId,
        /// Why.
        reason: RefuseReason,
    },
    /// Announces in the wider lookup that we hold these. Keys that were announced already are not announced anew.
    Provide {
        /// Discovery keys, at most [`LOOKUP_KEYS_MAX`](crate::limits::LOOKUP_KEYS_MAX), replacing those of before. A
        /// key names a content only to those who know its id.
        keys: Vec<[u8; 32]>,
    },
    /// Looks in the wider lookup for nodes that hold a content.
    FindProviders {
        /// Answered by [`NetInput::ProvidersFound`].
        command: CommandId,
        /// Its discovery key.
        key: [u8; 32],
    },
    /// How often connections are probed; 0 = never.
    SetPingInterval {
        /// Milliseconds.
        interval_ms: u64,
    },
}
