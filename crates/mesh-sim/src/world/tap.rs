//! What passes the edge of a brain, for people: who told whom what, about which content.
//!
//! Invariant: off it costs nothing; on it changes nothing.

use mesh_proto::message::Message;
use mesh_proto::port::store::StoreInput;
use mesh_proto::port::{Input, KeysInput, NetInput};
use mesh_proto::{ContentId, NodeId, Timestamp};

use crate::capture::EventKind;
use crate::kernel::Member;

/// One event, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: EventKind,
    /// To which node; the world's own events may have none.
    pub node: Option<Member>,
    /// From which node, or about which.
    pub peer: Option<NodeId>,
    /// A message's name, or a short word.
    pub what: &'static str,
    /// About which content.
    pub content: Option<ContentId>,
    /// How many bytes of payload, or how long a message is.
    pub bytes: Option<u64>,
    /// The word that goes into the digest.
    pub print: u64,
}

/// What an input says.
struct Said {
    what: &'static str,
    peer: Option<NodeId>,
    content: Option<ContentId>,
    bytes: Option<u64>,
}

fn plain(what: &'static str) -> Said {
    Said { what, peer: None, content: None, bytes: None }
}

impl Tapped {
    /// An input of a node.
    #[must_use]
    pub fn input(at: Timestamp, member: Member, input: &Input, print: u64) -> Self {
        let kind = if matches!(input, Input::Tick) { EventKind::Wake } else { EventKind::Input };
        let Said { what, peer, content, bytes } = said(input);
        Self { at, kind, node: Some(member), peer, what, content, bytes, print }
    }

    /// Something in the world itself.
    #[must_use]
    pub fn world(at: Timestamp, what: &'static str, print: u64) -> Self {
        Self { at, kind: EventKind::World, node: None, peer: None, what, content: None, bytes: None, print }
    }
}

fn said(input: &Input) -> Said {
    match input {
        Input::Net(input) => net(input),
        Input::Store(input) => store(input),
        Input::Keys(KeysInput::Verified { .. }) => plain("signatures-checked"),
        Input::Keys(_) => plain("keys"),
        Input::User { command, .. } => plain(match command {
            mesh_proto::port::UserCommand::Get { .. } => "person-gets",
            mesh_proto::port::UserCommand::Share { .. } => "person-shares",
            _ => "person-asks",
        }),
        Input::Clock { .. } => plain("clock"),
        Input::Tick => plain("tick"),
        Input::Stop => plain("stop"),
    }
}

fn net(input: &NetInput) -> Said {
    let about = |what, node: &NodeId| Said { peer: Some(*node), ..plain(what) };
    match input {
        NetInput::Received { node, message, .. } => Said {
            what: message.name(),
            peer: Some(*node),
            content: content_of(message),
            bytes: Some(message.encode_frame().len() as u64),
        },
        NetInput::SpanRequested { node, request, .. } => Said {
            what: "span-requested",
            peer: Some(*node),
            content: Some(request.content),
            bytes: Some(request.payload_bytes),
        },
        NetInput::Discovered { node, .. } => about("discovered", node),
        NetInput::Connected { node, .. } => about("connected", node),
        NetInput::Disconnected { node, .. } => about("disconnected", node),
        NetInput::Rtt { node, .. } => about("rtt", node),
        NetInput::Malformed { node, .. } => about("malformed", node),
        NetInput::UnknownMessage { node, .. } => about("unknown-message", node),
        NetInput::Dialled { result: Ok(node), .. } => about("dialled", node),
        NetInput::Dialled { .. } => plain("dial-failed"),
        NetInput::Granted { sent_bytes, .. } => Said { bytes: Some(*sent_bytes), ..plain("granted") },
        NetInput::Receipt { drained_bytes, .. } => Said { bytes: Some(*drained_bytes), ..plain("receipt") },
        NetInput::FetchProgress { received_bytes, .. } => Said { bytes: Some(*received_bytes), ..plain("slice") },
        NetInput::Fetched { received_bytes, .. } => Said { bytes: Some(*received_bytes), ..plain("fetched") },
        NetInput::SpanWithdrawn { .. } => plain("span-withdrawn"),
        NetInput::ProvidersFound { .. } => plain("providers-found"),
        NetInput::Listening { .. } | NetInput::ListenFailed { .. } => plain("listening"),
    }
}

fn store(input: &StoreInput) -> Said {
    let about = |what, content: &ContentId| Said { content: Some(*content), ..plain(what) };
    match input {
        StoreInput::Opened { .. } => plain("store-opened"),
        StoreInput::Shared { result: Ok(stored), .. } => about("shared", &stored.content),
        StoreInput::Receiving { result: Ok(received), .. } => about("receiving", &received.stored.content),
        StoreInput::Finished { result: Ok(stored), .. } => about("finished", &stored.content),
        StoreInput::Changed { content, .. } => about("changed", content),
        StoreInput::ListingChecked { content, .. } => about("listing-checked", content),
        StoreInput::Shared { .. } | StoreInput::Receiving { .. } | StoreInput::Finished { .. } => {
            plain("store-refused")
        }
        StoreInput::Progress { .. }
        | StoreInput::PagePut { .. }
        | StoreInput::PageRead { .. }
        | StoreInput::Looked { .. }
        | StoreInput::Verified { .. }
        | StoreInput::Done { .. }
        | StoreInput::Usage { .. } => plain("store-answers"),
    }
}

fn content_of(message: &Message) -> Option<ContentId> {
    match message {
        Message::Have(have) => Some(have.content),
        Message::HaveRequest(request) => Some(request.content),
        Message::PageRequest(request) => Some(request.content),
        Message::PageReply(reply) => Some(reply.content),
        Message::Uninterested(uninterested) => Some(uninterested.content),
        Message::Want(want) => Some(want.content),
        Message::ParcelOffer(offer) => Some(offer.content),
        _ => None,
    }
}
