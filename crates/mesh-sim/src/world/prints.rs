//! A word for each input, equal for equal inputs, for the digest of a run.
//!
//! Invariant: cheap. What it leaves out of an input shows in what the input leads to.

use mesh_proto::message::{Holding, Message};
use mesh_proto::port::store::StoreInput;
use mesh_proto::port::{Input, KeysInput, NetInput};

/// Mixes a number into a word.
fn mix(word: u64, number: u64) -> u64 {
    (word ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

fn head(bytes: &[u8; 32]) -> u64 {
    let (head, _) = bytes.split_first_chunk::<8>().expect("32 bytes");
    u64::from_le_bytes(*head)
}

/// The word of an input.
pub fn input(input: &Input) -> u64 {
    match input {
        Input::Net(input) => mix(1, net(input)),
        Input::Store(input) => mix(2, store(input)),
        Input::Keys(input) => mix(3, keys(input)),
        Input::User { request, .. } => mix(4, request.0),
        Input::Clock { unix, trusted } => mix(mix(5, unix.0), u64::from(*trusted)),
        Input::Tick => 6,
        Input::Stop => 7,
    }
}

fn net(input: &NetInput) -> u64 {
    match input {
        NetInput::Listening { address } | NetInput::ListenFailed { address, .. } => mix(1, address.len() as u64),
        NetInput::Discovered { node, addresses, .. } => mix(mix(2, head(&node.0)), addresses.len() as u64),
        NetInput::Connected { connection, dialled, .. } => mix(mix(3, connection.0), u64::from(*dialled)),
        NetInput::Disconnected { connection, .. } => mix(4, connection.0),
        NetInput::Dialled { command, result } => mix(mix(5, command.0), u64::from(result.is_ok())),
        NetInput::Received { connection, message: what, .. } => mix(mix(6, connection.0), message(what)),
        NetInput::Malformed { connection, .. } => mix(7, connection.0),
        NetInput::UnknownMessage { connection, number, .. } => mix(mix(8, connection.0), u64::from(*number)),
        NetInput::Rtt { connection, rtt_us, .. } => mix(mix(9, connection.0), *rtt_us),
        NetInput::SpanRequested { serve, request, .. } => {
            mix(mix(mix(10, serve.0), head(&request.content.0)), u64::from(request.chunks.start))
        }
        NetInput::SpanWithdrawn { serve } => mix(11, serve.0),
        NetInput::Granted { command, sent_bytes, .. } => mix(mix(12, command.0), *sent_bytes),
        NetInput::Receipt { serve, drained_bytes } => mix(mix(13, serve.0), *drained_bytes),
        NetInput::FetchProgress { command, received_bytes, .. } => mix(mix(14, command.0), *received_bytes),
        NetInput::Fetched { command, received_bytes, chunks_verified, .. } => {
            mix(mix(mix(15, command.0), *received_bytes), u64::from(*chunks_verified))
        }
        NetInput::ProvidersFound { command, nodes } => mix(mix(16, command.0), nodes.len() as u64),
    }
}

fn message(message: &Message) -> u64 {
    let what = match message {
        Message::Summary(summary) => summary.buckets.iter().fold(0, |word, bucket| mix(word, *bucket)),
        Message::Records(records) => {
            records.records.iter().fold(0, |word, record| mix(word, head(&record.signature[0])))
        }
        Message::Have(have) => match &have.holding {
            Holding::None => 1,
            Holding::Complete => 2,
            Holding::Partial(chunks) => mix(3, u64::from(chunks.len())),
        },
        Message::PageRequest(request) => head(&request.page.0),
        Message::PageReply(reply) => head(&reply.page.0),
        Message::HaveRequest(request) => head(&request.content.0),
        Message::Find(find) => head(&find.key),
        _ => 0,
    };
    mix(u64::from(message.number()), what)
}

fn store(input: &StoreInput) -> u64 {
    match input {
        StoreInput::Opened { rows, contents, .. } => mix(mix(1, rows.len() as u64), contents.len() as u64),
        StoreInput::Progress { command, done_bytes, .. } => mix(mix(2, command.0), *done_bytes),
        StoreInput::Shared { command, .. } => mix(3, command.0),
        StoreInput::Receiving { command, .. } => mix(4, command.0),
        StoreInput::ListingChecked { content, .. } => mix(5, head(&content.0)),
        StoreInput::PagePut { command, .. } => mix(6, command.0),
        StoreInput::PageRead { command, .. } => mix(7, command.0),
        StoreInput::Finished { command, .. } => mix(8, command.0),
        StoreInput::Looked { command, .. } => mix(9, command.0),
        StoreInput::Verified { command, .. } => mix(10, command.0),
        StoreInput::Done { command, result } => mix(mix(11, command.0), u64::from(result.is_ok())),
        StoreInput::Usage { command, .. } => mix(12, command.0),
        StoreInput::Changed { content, .. } => mix(13, head(&content.0)),
    }
}

fn keys(input: &KeysInput) -> u64 {
    match input {
        KeysInput::Loaded { node, .. } => mix(1, head(node)),
        KeysInput::Signed { command, .. } => mix(2, command.0),
        KeysInput::Verified { command, .. } => mix(3, command.0),
        KeysInput::Created { command, .. } => mix(4, command.0),
    }
}
