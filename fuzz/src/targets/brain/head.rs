//! A brain with drivers of a few lines: every command is answered at once, most of them with a failure.
//!
//! Invariant: a run is a function of what is heard; an input that leads to more than [`ANSWERS_MAX`] answers is a storm.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Duration;

use mesh_chunk::{ChunkEntry, ChunkParameters, ManifestBuilder, RootKind, content_id};
use mesh_core::{BrainConfig, Node};
use mesh_proto::port::net::{FetchOutcome, LinkClass, ServeState};
use mesh_proto::port::store::{DiskUsage, Look, Received, Row, StoreCommand, StoreInput, StoredContent};
use mesh_proto::port::{
    Failure, Input, KeysCommand, KeysInput, NetCommand, NetInput, Output, UserCommand, UserReply, UserRequestId,
};
use mesh_proto::record::{ContentKind, Signed};
use mesh_proto::{ChunkId, ChunkSet, ConnectionId, ContentId, Machine as _, NodeId, Timestamp, UnixMs};

use super::held;

/// A content that is here.
pub const HELD: ContentId = ContentId([0xc0; 32]);
/// Who is connected: one that dialled us, and one that we dialled.
pub const PEERS: [(ConnectionId, NodeId); 2] =
    [(ConnectionId(1), NodeId([0xa1; 32])), (ConnectionId(2), NodeId([0xa2; 32]))];
/// A content that is being fetched.
pub static FETCHED: LazyLock<ContentId> = LazyLock::new(|| content_id(&fetched_root()));

const OWN: [u8; 32] = [0x0e; 32];
/// Answers of drivers that may follow from one input.
const ANSWERS_MAX: usize = 2000;
/// Outputs that may follow from one input.
const OUTPUTS_MAX: usize = 20_000;

/// The root of [`FETCHED`].
pub fn fetched_root() -> Vec<u8> {
    let mut builder = ManifestBuilder::new(ChunkParameters::for_size(0));
    for number in 0..6u8 {
        let entry = ChunkEntry { id: ChunkId([number; 32]), length: 60_000 };
        assert!(builder.push(entry).is_ok_and(|pages| pages.is_empty()), "six chunks fit a root");
    }
    builder.finish(RootKind::File, [2; 32]).root_bytes
}

/// A brain and the time.
pub struct Head {
    node: Node,
    now: Timestamp,
    requests: u64,
    replies: Vec<UserReply>,
}

impl Head {
    /// A brain that found these rows, and has two peers.
    pub fn opened(rows: Vec<Row>) -> Self {
        let node = Node::new(BrainConfig { kademlia: true, ..BrainConfig::default() }, [7; 32]);
        let mut head = Self { node, now: Timestamp::ZERO, requests: 0, replies: Vec::new() };
        head.hear(Input::Clock { unix: UnixMs(1_700_000_000_000), trusted: false });
        head.hear(Input::Keys(KeysInput::Loaded { node: OWN, member: Some([0x0d; 32]), communities: Vec::new() }));
        head.hear(Input::Store(StoreInput::Opened { rows, contents: vec![held()], repairs: Vec::new() }));
        for (number, (connection, node)) in PEERS.into_iter().enumerate() {
            let (address, class) = ("/ip4/10.0.0.1/tcp/1".to_owned(), LinkClass::SameSegment);
            let dialled = number == 1;
            head.hear(Input::Net(NetInput::Connected { connection, node, address, dialled, class }));
        }
        head
    }

    /// Lets time pass: `2^later` nanoseconds, an hour at most.
    pub fn pass(&mut self, later: u8) {
        self.now = self.now.after(Duration::from_nanos(1 << (later % 42)));
    }

    /// Asks, and gives the replies that came at once.
    pub fn ask(&mut self, command: UserCommand) -> Vec<UserReply> {
        self.requests += 1;
        self.replies.clear();
        self.hear(Input::User { request: UserRequestId(self.requests), command });
        std::mem::take(&mut self.replies)
    }

    /// Tells the brain something, and all that its drivers answer.
    pub fn hear(&mut self, input: Input) {
        let mut waiting = VecDeque::from([input]);
        let (mut heard, mut outputs) = (0, 0);
        while let Some(input) = waiting.pop_front() {
            heard += 1;
            assert!(heard <= ANSWERS_MAX, "a storm of answers");
            self.node.handle(self.now, input);
            while let Some(output) = self.node.poll_output() {
                outputs += 1;
                assert!(outputs <= OUTPUTS_MAX, "a storm of outputs");
                match output {
                    Output::Reply { request, reply } if request.0 == self.requests => self.replies.push(reply),
                    output => waiting.extend(answer(output)),
                }
            }
        }
        self.node.poll_timeout();
    }
}

fn answer(output: Output) -> Option<Input> {
    match output {
        Output::Keys(command) => Some(Input::Keys(keys(command))),
        Output::Store(command) => store(command).map(Input::Store),
        Output::Net(command) => net(command).map(Input::Net),
        Output::Reply { .. } | Output::Report(_) | Output::Stopped => None,
    }
}

/// Whoever sends a record can sign it, so every signature holds.
fn keys(command: KeysCommand) -> KeysInput {
    match command {
        KeysCommand::Sign { command, kind, body, .. } => {
            let signed = Signed { kind, signer: OWN, body, signature: [[3; 32]; 2] };
            KeysInput::Signed { command, result: Ok(signed) }
        }
        KeysCommand::Verify { command, records } => KeysInput::Verified { command, valid: vec![true; records.len()] },
        KeysCommand::Create { command, .. } => KeysInput::Created { command, result: Ok([0x0c; 32]) },
    }
}

fn failed() -> Failure {
    Failure::lasting("the disk of a fuzzer")
}

fn store(command: StoreCommand) -> Option<StoreInput> {
    Some(match command {
        StoreCommand::Share { command, .. } => StoreInput::Shared { command, result: Err(failed()) },
        StoreCommand::Receive { command, content, .. } => {
            StoreInput::Receiving { command, result: Ok(received(content)) }
        }
        StoreCommand::Repair { command, .. } => StoreInput::Receiving { command, result: Err(failed()) },
        StoreCommand::PutPage { command, .. } => StoreInput::PagePut { command, result: Ok(()) },
        StoreCommand::ReadPage { command, .. } => StoreInput::PageRead { command, bytes: None },
        StoreCommand::Finish { command, .. } => StoreInput::Finished { command, result: Err(failed()) },
        StoreCommand::Look { command, .. } => StoreInput::Looked { command, look: Look::Same },
        StoreCommand::Verify { command, .. } => StoreInput::Verified { command, result: Ok(ChunkSet::new()) },
        StoreCommand::Copy { command, .. } | StoreCommand::Remove { command, .. } => {
            StoreInput::Done { command, result: Err(failed()) }
        }
        StoreCommand::Write { command, .. } | StoreCommand::Sweep { command } => {
            StoreInput::Done { command, result: Ok(()) }
        }
        StoreCommand::Usage { command } => StoreInput::Usage { command, usage: DiskUsage::default() },
        StoreCommand::Stop { .. } => return None,
    })
}

fn received(content: ContentId) -> Received {
    let stored = StoredContent {
        content,
        kind: ContentKind::File,
        total_bytes: 360_000,
        chunk_count: 6,
        whole_hash: [2; 32],
        path: "/home/fetched".to_owned(),
        complete: false,
        in_place: false,
    };
    Received { stored, have: ChunkSet::new(), aside: vec![(1, 100)], listing_checked: true }
}

fn net(command: NetCommand) -> Option<NetInput> {
    Some(match command {
        NetCommand::Dial { command, .. } => NetInput::Dialled { command, result: Err(Failure::passing("nobody")) },
        NetCommand::Fetch { command, .. } => NetInput::Fetched {
            command,
            outcome: FetchOutcome::Stalled,
            received_bytes: 0,
            chunks_verified: 0,
            aside_bytes: 0,
        },
        NetCommand::Grant { command, serve, bytes } => {
            NetInput::Granted { command, serve, sent_bytes: bytes, state: ServeState::More }
        }
        NetCommand::FindProviders { command, .. } => NetInput::ProvidersFound { command, nodes: Vec::new() },
        NetCommand::Disconnect { .. }
        | NetCommand::Close { .. }
        | NetCommand::Send { .. }
        | NetCommand::CancelFetch { .. }
        | NetCommand::Refuse { .. }
        | NetCommand::Provide { .. }
        | NetCommand::SetPingInterval { .. } => return None,
    })
}
