//! Two nodes' worth of test doubles: a store in memory, and a driver that grants what it is told to grant.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that can not go on should panic")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_net::{Net, NetConfig};
use mesh_proto::bulk::{RefuseReason, SpanRequest, TrafficClass};
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::SLICE_BYTES_MAX;
use mesh_proto::payload::{
    PayloadSink, PayloadSource, PayloadStore, SinkError, SinkProgress, SourceError, SpanAddress,
};
use mesh_proto::port::net::{ServeId, ServeState};
use mesh_proto::port::{NetCommand, NetInput};
use mesh_proto::{CommandId, ContentId, NodeId};
use tokio::sync::{Notify, mpsc};

pub const CHUNK_BYTES: u64 = 256 * 1024;

/// The bytes of a test content: any stretch of it, computed.
fn fill(content: ContentId, offset: u64, buffer: &mut [u8]) {
    let seed = u64::from(content.0[0]);
    for (index, byte) in buffer.iter_mut().enumerate() {
        let position = offset + index as u64;
        *byte = (position ^ (position >> 8) ^ (position >> 17) ^ seed) as u8;
    }
}

/// A store whose contents are computed, not kept.
#[derive(Default)]
pub struct TestStore {
    /// Contents served with wrong bytes.
    pub lies_about: Mutex<Vec<ContentId>>,
    /// Content bytes that were taken and right.
    pub good_bytes: AtomicU64,
    pub sinks_opened: AtomicU64,
    /// Sources that are open now, and the most there were.
    pub sources: Arc<OpenCount>,
}

#[derive(Default)]
pub struct OpenCount {
    pub now: AtomicUsize,
    pub max: AtomicUsize,
}

struct TestSource {
    content: ContentId,
    offset: u64,
    end: u64,
    lies: bool,
    open: Arc<OpenCount>,
}

impl Drop for TestSource {
    fn drop(&mut self) {
        self.open.now.fetch_sub(1, Ordering::Relaxed);
    }
}

struct TestSink {
    store: Arc<TestStore>,
    content: ContentId,
    span: SpanAddress,
    taken: u64,
    broken: bool,
}

pub struct SharedStore(pub Arc<TestStore>);

impl PayloadStore for SharedStore {
    fn open_source(&self, span: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
        if span.content.0[1] == 0xee {
            return Err(SourceError::NotHeld);
        }
        let lies = self.0.lies_about.lock().unwrap().contains(&span.content);
        let start = u64::from(span.chunks.start) * CHUNK_BYTES;
        let end = u64::from(span.chunks.end()) * CHUNK_BYTES;
        let offset = start + u64::from(span.skip_bytes);
        let open = Arc::clone(&self.0.sources);
        open.max.fetch_max(open.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(Box::new(TestSource { content: span.content, offset, end, lies, open }))
    }

    fn open_sink(&self, span: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
        self.0.sinks_opened.fetch_add(1, Ordering::Relaxed);
        let store = Arc::clone(&self.0);
        Ok(Box::new(TestSink { store, content: span.content, span, taken: u64::from(span.skip_bytes), broken: false }))
    }
}

impl PayloadSource for TestSource {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let bytes = (self.end - self.offset).min(buffer.len() as u64) as usize;
        fill(self.content, self.offset, &mut buffer[..bytes]);
        if self.lies {
            buffer[0] ^= 1;
        }
        self.offset += bytes as u64;
        Ok(bytes)
    }
}

impl PayloadSink for TestSink {
    fn write(&mut self, bytes: &[u8]) -> Result<SinkProgress, SinkError> {
        assert!(!self.broken, "a sink got bytes after a mismatch");
        let start = u64::from(self.span.chunks.start) * CHUNK_BYTES + self.taken;
        let mut expected = vec![0u8; bytes.len()];
        fill(self.content, start, &mut expected);
        if expected != bytes {
            self.broken = true;
            return Err(SinkError::Mismatch { chunk: (start / CHUNK_BYTES) as u32 });
        }
        self.taken += bytes.len() as u64;
        self.store.good_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let chunks_verified = (self.taken / CHUNK_BYTES) as u32;
        Ok(SinkProgress { chunks_verified, bytes_verified: u64::from(chunks_verified) * CHUNK_BYTES })
    }

    fn set_aside(self: Box<Self>) -> u32 {
        (self.taken % CHUNK_BYTES) as u32
    }
}

/// What a test node does when it is asked for a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// Grants one slice after the other.
    All,
    /// Grants so many bytes once, then nothing.
    Once(u64),
    /// Never grants.
    Nothing,
    /// Says no.
    Refuse(RefuseReason),
}

/// A running network with a driver that serves as told and keeps a log of what was reported.
pub struct TestNode {
    pub net: Arc<Mutex<Option<Net>>>,
    pub id: NodeId,
    pub store: Arc<TestStore>,
    log: Arc<Mutex<VecDeque<NetInput>>>,
    news: Arc<Notify>,
    pub serving: Arc<Mutex<Serving>>,
    next_command: AtomicU64,
}

pub fn loopback() -> NetConfig {
    NetConfig { listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()], mdns: false, ..NetConfig::default() }
}

pub fn deaf() -> NetConfig {
    NetConfig { listen: Vec::new(), ..loopback() }
}

impl TestNode {
    pub fn start(config: NetConfig, seed: u8) -> Self {
        let store = Arc::new(TestStore::default());
        let (inputs, mut receiver) = mpsc::channel(1024);
        let net = Net::start(config, [seed; 32], Arc::new(SharedStore(Arc::clone(&store))), inputs).unwrap();
        let key = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).unwrap();
        let id = mesh_net::node_id_of(&key.public().to_peer_id()).unwrap();
        let node = Self {
            net: Arc::new(Mutex::new(Some(net))),
            id,
            store,
            log: Arc::default(),
            news: Arc::default(),
            serving: Arc::new(Mutex::new(Serving::All)),
            next_command: AtomicU64::new(1),
        };
        let (net, log, news, serving) =
            (Arc::clone(&node.net), Arc::clone(&node.log), Arc::clone(&node.news), Arc::clone(&node.serving));
        tokio::spawn(async move {
            let mut grants = 1u64 << 40;
            while let Some(input) = receiver.recv().await {
                for command in serve(*serving.lock().unwrap(), &input, &mut grants) {
                    if let Some(net) = net.lock().unwrap().as_ref() {
                        net.command(command);
                    }
                }
                log.lock().unwrap().push_back(input);
                news.notify_one();
            }
        });
        node
    }

    pub fn command(&self, command: NetCommand) {
        self.net.lock().unwrap().as_ref().unwrap().command(command);
    }

    pub fn new_command(&self) -> CommandId {
        CommandId(self.next_command.fetch_add(1, Ordering::Relaxed))
    }

    pub async fn stop(&self) {
        let net = self.net.lock().unwrap().take().unwrap();
        net.stop().await;
    }

    /// Waits for an input that fits, and takes it out of the log.
    pub async fn wait_for<T>(&self, what: &str, fits: impl Fn(&NetInput) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = self.take(&fits) {
                    return found;
                }
                self.news.notified().await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), search).await {
            Ok(found) => found,
            Err(_) => panic!("no {what}; the log has {:#?}", self.log.lock().unwrap()),
        }
    }

    /// Takes the first input that fits out of the log, if it is there.
    pub fn take<T>(&self, fits: impl Fn(&NetInput) -> Option<T>) -> Option<T> {
        let mut log = self.log.lock().unwrap();
        let (position, found) = log.iter().enumerate().find_map(|(position, input)| Some((position, fits(input)?)))?;
        log.remove(position);
        Some(found)
    }

    pub fn log(&self) -> Vec<NetInput> {
        self.log.lock().unwrap().iter().cloned().collect()
    }

    /// Waits until somebody connected; leaves that in the log.
    pub async fn wait_connected(&self) {
        let is_there = |input: &NetInput| matches!(input, NetInput::Connected { .. }).then(|| input.clone());
        let connected = self.wait_for("connection", is_there).await;
        self.log.lock().unwrap().push_back(connected);
    }

    /// What the log has of connections that came and went.
    pub fn troubles(&self) -> Vec<NetInput> {
        let of_connections = |input: &NetInput| {
            matches!(input, NetInput::Connected { .. } | NetInput::Disconnected { .. } | NetInput::Malformed { .. })
        };
        self.log().into_iter().filter(of_connections).collect()
    }

    /// Forgets what is reported all along while payload flows.
    pub fn forget_reports(&self) {
        let flows = |input: &NetInput| {
            matches!(
                input,
                NetInput::Granted { .. }
                    | NetInput::Receipt { .. }
                    | NetInput::SpanRequested { .. }
                    | NetInput::FetchProgress { .. }
            )
        };
        self.log.lock().unwrap().retain(|input| !flows(input));
    }

    pub async fn address(&self) -> String {
        self.wait_for("listening", |input| match input {
            NetInput::Listening { address } => Some(address.clone()),
            _ => None,
        })
        .await
    }

    pub async fn dial(&self, other: &TestNode, address: String) {
        let command = self.new_command();
        self.command(NetCommand::Dial { command, node: Some(other.id), addresses: vec![address] });
        let result = self.wait_dialled(command).await;
        assert_eq!(result.unwrap(), other.id);
    }

    pub async fn wait_dialled(&self, of: CommandId) -> Result<NodeId, mesh_proto::port::Failure> {
        self.wait_for("answer to a dial", |input| match input {
            NetInput::Dialled { command, result } if *command == of => Some(result.clone()),
            _ => None,
        })
        .await
    }

    pub fn fetch(&self, from: &TestNode, content: ContentId, chunks: ChunkRange, stall_ms_max: u64) -> CommandId {
        let command = self.new_command();
        let request = span(content, chunks, 0);
        self.command(NetCommand::Fetch { command, node: from.id, request, stall_ms_max });
        command
    }

    pub async fn wait_fetched(&self, of: CommandId) -> Fetched {
        self.wait_for("end of a fetch", |input| match input {
            NetInput::Fetched { command, outcome, received_bytes, chunks_verified, aside_bytes } if *command == of => {
                Some(Fetched {
                    outcome: outcome.clone(),
                    received_bytes: *received_bytes,
                    chunks_verified: *chunks_verified,
                    aside_bytes: *aside_bytes,
                })
            }
            _ => None,
        })
        .await
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    pub outcome: mesh_proto::port::net::FetchOutcome,
    pub received_bytes: u64,
    pub chunks_verified: u32,
    pub aside_bytes: u32,
}

pub fn content(seed: u8) -> ContentId {
    let mut id = [0u8; 32];
    id[0] = seed;
    ContentId(id)
}

pub fn span(content: ContentId, chunks: ChunkRange, skip_bytes: u32) -> SpanRequest {
    SpanRequest {
        request: 0,
        content,
        chunks,
        skip_bytes,
        payload_bytes: u64::from(chunks.count) * CHUNK_BYTES - u64::from(skip_bytes),
        class: TrafficClass::Public,
        priority: 0,
        deadline_ms: 0,
        for_member: None,
        extensions: Extensions::default(),
    }
}

fn serve(serving: Serving, input: &NetInput, next: &mut u64) -> Vec<NetCommand> {
    let mut grant = |serve: ServeId, bytes: u64| {
        *next += 1;
        NetCommand::Grant { command: CommandId(*next), serve, bytes }
    };
    match (input, serving) {
        (NetInput::SpanRequested { serve, .. }, Serving::All) => vec![grant(*serve, SLICE_BYTES_MAX as u64)],
        (NetInput::SpanRequested { serve, .. }, Serving::Once(bytes)) => vec![grant(*serve, bytes)],
        (NetInput::SpanRequested { serve, .. }, Serving::Refuse(reason)) => {
            vec![NetCommand::Refuse { serve: *serve, reason }]
        }
        (NetInput::Granted { serve, state: ServeState::More, .. }, Serving::All) => {
            vec![grant(*serve, SLICE_BYTES_MAX as u64)]
        }
        _ => Vec::new(),
    }
}

/// Two connected nodes: the first dialled the second.
pub async fn pair() -> (TestNode, TestNode) {
    let (a, b) = (TestNode::start(loopback(), 1), TestNode::start(loopback(), 2));
    let address = b.address().await;
    a.dial(&b, address).await;
    b.wait_connected().await;
    (a, b)
}

/// Fetches `chunks` chunks in spans, many at once; says how long it took.
pub async fn fetch_all(a: &TestNode, b: &TestNode, what: ContentId, chunks: u32, span_chunks: u32) -> Duration {
    let began = std::time::Instant::now();
    let mut waiting = BTreeMap::new();
    let mut start = 0;
    while start < chunks || !waiting.is_empty() {
        while start < chunks && waiting.len() < 8 {
            let count = span_chunks.min(chunks - start);
            waiting.insert(start, (a.fetch(b, what, ChunkRange { start, count }, 30_000), count));
            start += count;
        }
        let (_, (command, count)) = waiting.pop_first().unwrap();
        let fetched = a.wait_fetched(command).await;
        assert_eq!(fetched.outcome, mesh_proto::port::net::FetchOutcome::Complete, "{:#?}", a.troubles());
        assert_eq!(fetched.received_bytes, u64::from(count) * CHUNK_BYTES);
        assert_eq!(fetched.chunks_verified, count);
    }
    began.elapsed()
}
