//! What a peer that breaks the protocol can do to a network: be reported once, and lose its connection.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::StreamProtocol;
use mesh_proto::bulk::{GetterFrame, Packing, SourceFrame, SpanRequest, TrafficClass};
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{CONTROL_FRAME_BYTES_MAX, UNREQUESTED_BYTES_MAX};
use mesh_proto::message::{Message, PageReply};
use mesh_proto::payload::{
    PayloadSink, PayloadSource, PayloadStore, SinkError, SinkProgress, SourceError, SpanAddress,
};
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{NetCommand, NetInput};
use mesh_proto::{CommandId, ContentId, NodeId, PageId};
use tokio::sync::mpsc;

use crate::framing::{push_control, push_header};
use crate::streams::tests::dialling_swarm;
use crate::streams::{BULK, CONTROL, Inbound, Opener, PROBE, Stream};
use crate::{Net, NetConfig};

/// Takes anything; has nothing.
struct Bin;

struct BinSink(u64);

impl PayloadStore for Bin {
    fn open_source(&self, _: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
        Err(SourceError::NotHeld)
    }

    fn open_sink(&self, _: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
        Ok(Box::new(BinSink(0)))
    }
}

impl PayloadSink for BinSink {
    fn write(&mut self, bytes: &[u8]) -> Result<SinkProgress, SinkError> {
        self.0 += bytes.len() as u64;
        Ok(SinkProgress { chunks_verified: 0, bytes_verified: 0 })
    }

    fn set_aside(self: Box<Self>) -> u32 {
        self.0 as u32
    }
}

/// A network, and a peer connected to it that speaks libp2p and else whatever the test wants.
struct Meeting {
    net: Net,
    inputs: mpsc::Receiver<NetInput>,
    hostile: NodeId,
    opener: Opener,
    inbound: mpsc::Receiver<Inbound>,
}

impl Meeting {
    async fn new() -> Self {
        let (sender, mut inputs) = mpsc::channel(4096);
        let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
        let config = NetConfig { listen, mdns: false, ping_interval_ms: 0, ..NetConfig::default() };
        let net = Net::start(config, [3; 32], Arc::new(Bin), sender).unwrap();
        let Some(NetInput::Listening { address }) = inputs.recv().await else { panic!("it does not listen") };
        let (opener, inbound) = dialling_swarm(address.parse().unwrap()).await;
        let Some(NetInput::Connected { node: hostile, .. }) = inputs.recv().await else { panic!("not connected") };
        Self { net, inputs, hostile, opener, inbound }
    }

    async fn next(&mut self) -> NetInput {
        tokio::time::timeout(Duration::from_secs(20), self.inputs.recv()).await.expect("nothing came").unwrap()
    }

    async fn say(&self, protocol: StreamProtocol, bytes: &[u8]) -> Stream {
        let mut stream = self.opener.open(protocol).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    /// Takes the stream of this protocol that the network opened.
    async fn accept(&mut self, wanted: StreamProtocol) -> Stream {
        loop {
            let Inbound { protocol, stream, .. } = self.inbound.recv().await.unwrap();
            if protocol == wanted {
                return stream;
            }
        }
    }

    /// All that is reported until the connection's end, which must come.
    async fn until_the_end(&mut self) -> Vec<NetInput> {
        let mut log = Vec::new();
        loop {
            match self.next().await {
                NetInput::Disconnected { .. } => return log,
                input => log.push(input),
            }
        }
    }

    async fn is_reported_once_and_closed(&mut self) {
        let log = self.until_the_end().await;
        let reports = log.iter().filter(|input| matches!(input, NetInput::Malformed { .. })).count();
        assert_eq!(reports, 1, "{log:#?}");
    }

    /// Makes the network fetch from the hostile peer; gives the stream on which it asks.
    async fn be_asked(&mut self, payload_bytes: u64) -> Stream {
        let request = SpanRequest { payload_bytes, ..request(0) };
        let node = self.hostile;
        self.net.command(NetCommand::Fetch { command: CommandId(1), node, request, stall_ms_max: 60_000 });
        let mut stream = self.accept(BULK).await;
        let mut length = [0u8; 2];
        stream.read_exact(&mut length).await.unwrap();
        let mut header = vec![0u8; usize::from(u16::from_le_bytes(length))];
        stream.read_exact(&mut header).await.unwrap();
        assert!(matches!(GetterFrame::decode(&header), Ok(GetterFrame::Request(_))));
        stream
    }
}

fn request(number: u64) -> SpanRequest {
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

fn getter_frames(frames: &[GetterFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| push_header(&mut bytes, &frame.encode()));
    bytes
}

fn slice(request: u64, packing: Packing, payload: &[u8], content_bytes: usize) -> Vec<u8> {
    let (payload_bytes, content_bytes) = (payload.len() as u32, content_bytes as u32);
    let mut bytes = Vec::new();
    push_header(&mut bytes, &SourceFrame::Slice { request, packing, payload_bytes, content_bytes }.encode());
    bytes.extend_from_slice(payload);
    bytes
}

fn fetched(log: &[NetInput]) -> Vec<(FetchOutcome, u64, u32)> {
    let of = |input: &NetInput| match input {
        NetInput::Fetched { outcome, received_bytes, aside_bytes, .. } => {
            Some((outcome.clone(), *received_bytes, *aside_bytes))
        }
        _ => None,
    };
    log.iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_on_the_control_stream_is_reported_once() {
    let mut nonsense = Vec::new();
    assert!(push_control(&mut nonsense, &[1, 0, 0xff, 0xff, 0xff, 0xff]));
    let too_long = (CONTROL_FRAME_BYTES_MAX as u32 + 1).to_le_bytes().to_vec();
    let no_number = vec![1, 0, 0, 0, 1];
    for bytes in [nonsense, too_long, no_number] {
        let mut meeting = Meeting::new().await;
        let _stream = meeting.say(CONTROL, &bytes).await;
        meeting.is_reported_once_and_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_message_is_no_fault() {
    let mut meeting = Meeting::new().await;
    let mut bytes = Vec::new();
    assert!(push_control(&mut bytes, &[0xe7, 0x03, 1, 2, 3]));
    let _stream = meeting.say(CONTROL, &bytes).await;
    assert!(matches!(meeting.next().await, NetInput::UnknownMessage { number: 999, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_asked_of_a_source_is_reported_once() {
    let huge = getter_frames(&[GetterFrame::Request(SpanRequest { payload_bytes: u64::MAX, ..request(1) })]);
    let twice = getter_frames(&[GetterFrame::Request(request(1)), GetterFrame::Request(request(1))]);
    let receipt = GetterFrame::Receipt { request: 1, drained_bytes: 1001 };
    let too_much = getter_frames(&[GetterFrame::Request(request(1)), receipt]);
    for bytes in [vec![0xff, 0xff], vec![0, 0], vec![3, 0, 0xfe, 0xfe, 0xfe], huge, twice, too_much] {
        let mut meeting = Meeting::new().await;
        let _stream = meeting.say(BULK, &bytes).await;
        meeting.is_reported_once_and_closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_can_send_little_that_nobody_asked_for() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1000).await;
    let half = vec![0u8; UNREQUESTED_BYTES_MAX / 2];
    for _ in 0..3 {
        let _ = stream.write_all(&slice(77, Packing::Raw, &half, half.len())).await;
        let _ = stream.flush().await;
    }
    let log = meeting.until_the_end().await;
    assert_eq!(fetched(&log), vec![(FetchOutcome::Disconnected, 0, 0)]);
    assert!(log.iter().any(|input| matches!(input, NetInput::Malformed { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slice_beyond_the_span_ends_the_connection() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1000).await;
    stream.write_all(&slice(1, Packing::Raw, &[0; 600], 600)).await.unwrap();
    stream.write_all(&slice(1, Packing::Raw, &[0; 401], 401)).await.unwrap();
    stream.flush().await.unwrap();
    let log = meeting.until_the_end().await;
    assert_eq!(fetched(&log), vec![(FetchOutcome::Disconnected, 600, 600)]);
    assert!(log.iter().any(|input| matches!(input, NetInput::Malformed { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_slice_unpacks_to_no_more_than_it_says() {
    let packed = zstd::bulk::compress(&vec![0u8; 900_000], 3).unwrap();
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1_000_000).await;
    stream.write_all(&slice(1, Packing::Zstd, &packed, 900_000)).await.unwrap();
    stream.write_all(&slice(1, Packing::Zstd, &packed, 1000)).await.unwrap();
    stream.flush().await.unwrap();
    let log = meeting.until_the_end().await;
    assert!(matches!(fetched(&log).as_slice(), [(FetchOutcome::Protocol(_), 901_000, 900_000)]), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_a_slice_before_the_stream_broke_is_kept() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(100_000).await;
    stream.write_all(&slice(1, Packing::Raw, &[7; 100_000], 100_000)[..40_000]).await.unwrap();
    stream.close().await.unwrap();
    let log = loop {
        let input = meeting.next().await;
        if matches!(input, NetInput::Fetched { .. }) {
            break vec![input];
        }
    };
    let [(FetchOutcome::Disconnected, received, aside)] = fetched(&log)[..] else { panic!("{log:#?}") };
    assert_eq!(received, u64::from(aside));
    assert!((39_900..40_000).contains(&received), "{received}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_end_is_a_broken_promise() {
    let mut meeting = Meeting::new().await;
    let mut stream = meeting.be_asked(1000).await;
    let mut end = Vec::new();
    push_header(&mut end, &SourceFrame::End { request: 1 }.encode());
    stream.write_all(&end).await.unwrap();
    stream.flush().await.unwrap();
    assert!(matches!(meeting.next().await, NetInput::Fetched { outcome: FetchOutcome::Protocol(_), .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_is_dropped_as_too_slow() {
    let mut meeting = Meeting::new().await;
    let _unread = meeting.accept(CONTROL).await;
    let reply = PageReply {
        content: ContentId([0; 32]),
        page: PageId([0; 32]),
        bytes: Some(vec![0; 60_000]),
        extensions: Extensions::default(),
    };
    for _ in 0..1000 {
        let message = Message::PageReply(reply.clone());
        meeting.net.command(NetCommand::Send { node: meeting.hostile, message });
    }
    loop {
        if let NetInput::Disconnected { why, .. } = meeting.next().await {
            assert!(why.contains("too slow"), "{why}");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_too_many_are_reset_and_the_connection_lives() {
    let mut meeting = Meeting::new().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(meeting.say(BULK, &getter_frames(&[GetterFrame::Cancel { request: 1 }])).await);
    }
    let mut fifth = meeting.opener.open(BULK).await.unwrap();
    let mut byte = [0u8; 1];
    assert!(matches!(fifth.read(&mut byte).await, Ok(0) | Err(_)));
    held[0].write_all(&getter_frames(&[GetterFrame::Request(request(1))])).await.unwrap();
    held[0].flush().await.unwrap();
    assert!(matches!(meeting.next().await, NetInput::SpanRequested { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_do_no_harm() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..60 {
        let meeting = Meeting::new().await;
        for protocol in [CONTROL, BULK, PROBE] {
            let bytes: Vec<u8> = (0..random() % 300).map(|_| random() as u8).collect();
            let Ok(mut stream) = meeting.opener.open(protocol).await else { continue };
            let _ = stream.write_all(&bytes).await;
            let _ = stream.close().await;
        }
        meeting.net.stop().await;
    }
}
