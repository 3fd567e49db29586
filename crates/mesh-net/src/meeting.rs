//! For tests: a network, and a peer connected to it that says whatever the test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::AsyncWriteExt;
use libp2p::StreamProtocol;
use mesh_proto::bulk::{GetterFrame, Packing, SourceFrame, SpanRequest, TrafficClass};
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::extensions::Extensions;
use mesh_proto::payload::{
    PayloadSink, PayloadSource, PayloadStore, SinkError, SinkProgress, SourceError, SpanAddress,
};
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{NetCommand, NetInput};
use mesh_proto::{CommandId, ContentId, NodeId};
use tokio::sync::mpsc;

use crate::framing::{push_header, read_header};
use crate::streams::tests::dialling_swarm;
use crate::streams::{BULK, Inbound, Opener, Stream};
use crate::{Net, NetConfig};

/// Takes anything, unless it is shut or full; has nothing.
#[derive(Default)]
pub(crate) struct Bin {
    /// Sinks wait until it is not.
    pub(crate) shut: AtomicBool,
    /// Sinks refuse.
    pub(crate) full: AtomicBool,
}

struct SharedBin(Arc<Bin>);

struct BinSink(Arc<Bin>, u64);

impl PayloadStore for SharedBin {
    fn open_source(&self, _: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
        Err(SourceError::NotHeld)
    }

    fn open_sink(&self, _: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
        Ok(Box::new(BinSink(Arc::clone(&self.0), 0)))
    }
}

impl PayloadSink for BinSink {
    fn write(&mut self, bytes: &[u8]) -> Result<SinkProgress, SinkError> {
        while self.0.shut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.0.full.load(Ordering::Relaxed) {
            return Err(SinkError::NoSpace { path: String::new() });
        }
        self.1 += bytes.len() as u64;
        Ok(SinkProgress { chunks_verified: 0, bytes_verified: 0 })
    }

    fn set_aside(self: Box<Self>) -> u32 {
        self.1 as u32
    }
}

/// A network, and a peer connected to it that speaks libp2p and else whatever the test wants.
pub(crate) struct Meeting {
    pub(crate) net: Net,
    pub(crate) bin: Arc<Bin>,
    pub(crate) hostile: NodeId,
    pub(crate) opener: Opener,
    inputs: mpsc::Receiver<NetInput>,
    inbound: mpsc::Receiver<Inbound>,
}

impl Meeting {
    pub(crate) async fn new() -> Self {
        let (sender, mut inputs) = mpsc::channel(4096);
        let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
        let config = NetConfig { listen, mdns: false, ping_interval_ms: 0, ..NetConfig::default() };
        let bin = Arc::new(Bin::default());
        let net = Net::start(config, [3; 32], Arc::new(SharedBin(Arc::clone(&bin))), sender).unwrap();
        let Some(NetInput::Listening { address }) = inputs.recv().await else { panic!("it does not listen") };
        let (opener, inbound) = dialling_swarm(address.parse().unwrap()).await;
        let Some(NetInput::Connected { node: hostile, .. }) = inputs.recv().await else { panic!("not connected") };
        Self { net, bin, hostile, opener, inputs, inbound }
    }

    pub(crate) async fn next(&mut self) -> NetInput {
        tokio::time::timeout(Duration::from_secs(20), self.inputs.recv()).await.expect("nothing came").unwrap()
    }

    pub(crate) async fn say(&self, protocol: StreamProtocol, bytes: &[u8]) -> Stream {
        let mut stream = self.opener.open(protocol).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    /// Takes the stream of this protocol that the network opened.
    pub(crate) async fn accept(&mut self, wanted: StreamProtocol) -> Stream {
        loop {
            let Inbound { protocol, stream, .. } = self.inbound.recv().await.unwrap();
            if protocol == wanted {
                return stream;
            }
        }
    }

    /// All that is reported until the connection's end, which must come.
    pub(crate) async fn until_the_end(&mut self) -> Vec<NetInput> {
        let mut log = Vec::new();
        loop {
            match self.next().await {
                NetInput::Disconnected { .. } => return log,
                input => log.push(input),
            }
        }
    }

    pub(crate) async fn is_reported_once_and_closed(&mut self) {
        let log = self.until_the_end().await;
        let reports = log.iter().filter(|input| matches!(input, NetInput::Malformed { .. })).count();
        assert_eq!(reports, 1, "{log:#?}");
    }

    /// Makes the network fetch from the hostile peer; gives the stream on which it asks.
    pub(crate) async fn be_asked(&mut self, payload_bytes: u64) -> Stream {
        let request = SpanRequest { payload_bytes, ..request(0) };
        let node = self.hostile;
        self.net.command(NetCommand::Fetch { command: CommandId(1), node, request, stall_ms_max: 60_000 });
        let mut stream = self.accept(BULK).await;
        assert!(matches!(next_getter_frame(&mut stream).await, GetterFrame::Request(_)));
        stream
    }
}

pub(crate) fn request(number: u64) -> SpanRequest {
    SpanRequest {
        request: number,
        content: ContentId([1; 32]),
        chunks: ChunkRange { start: 0, count: 1 },
        skip_bytes: 0,
        payload_bytes: 1000,
        class: TrafficClass::Public,
        priority: 0,
        deadline_ms: 0,
        for_member: None,
        extensions: Extensions::default(),
    }
}

/// What the network says next on a stream on which it asks.
pub(crate) async fn next_getter_frame(stream: &mut Stream) -> GetterFrame {
    let mut header = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), read_header(stream, &mut header)).await.unwrap().unwrap();
    GetterFrame::decode(&header).unwrap()
}

pub(crate) fn getter_frames(frames: &[GetterFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| push_header(&mut bytes, &frame.encode()));
    bytes
}

pub(crate) fn source_frame(frame: &SourceFrame) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_header(&mut bytes, &frame.encode());
    bytes
}

pub(crate) fn slice(request: u64, packing: Packing, payload: &[u8], content_bytes: usize) -> Vec<u8> {
    let (payload_bytes, content_bytes) = (payload.len() as u32, content_bytes as u32);
    let mut bytes = source_frame(&SourceFrame::Slice { request, packing, payload_bytes, content_bytes });
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) fn fetched(log: &[NetInput]) -> Vec<(FetchOutcome, u64, u32)> {
    let of = |input: &NetInput| match input {
        NetInput::Fetched { outcome, received_bytes, aside_bytes, .. } => {
            Some((outcome.clone(), *received_bytes, *aside_bytes))
        }
        _ => None,
    };
    log.iter().filter_map(of).collect()
}
