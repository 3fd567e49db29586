//! How fast one node gives to another on this machine, next to a bare libp2p stream: rate and CPU time of both ends.
//!
//! `cargo run --release -p mesh-net --example loopback -- [MEBIBYTES] [ROUNDS]`

use std::collections::VecDeque;
use std::error::Error;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::core::Transport;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, noise, tcp, yamux};
use mesh_net::{Net, NetConfig, node_id_of};
use mesh_proto::bulk::{SpanRequest, TrafficClass};
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::extensions::Extensions;
use mesh_proto::payload::{
    PayloadSink, PayloadSource, PayloadStore, SinkError, SinkProgress, SourceError, SpanAddress,
};
use mesh_proto::port::net::{FetchOutcome, ServeState};
use mesh_proto::port::{NetCommand, NetInput};
use mesh_proto::{CommandId, ContentId, NodeId};
use tokio::sync::mpsc;

const MIB: u64 = 1024 * 1024;
const CHUNK_BYTES: u64 = MIB;
const SPAN_CHUNKS: u32 = 8;
const SPANS_AT_ONCE: usize = 4;

type Failure = Box<dyn Error + Send + Sync>;

/// Gives zeros and counts what it is given: the cost of a store is not measured here.
struct Nothing;

struct Zeros(u64);

struct Count(u64);

impl PayloadStore for Nothing {
    fn open_source(&self, span: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
        Ok(Box::new(Zeros(u64::from(span.chunks.count) * CHUNK_BYTES)))
    }

    fn open_sink(&self, _: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
        Ok(Box::new(Count(0)))
    }
}

impl PayloadSource for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let bytes = self.0.min(buffer.len() as u64);
        self.0 -= bytes;
        Ok(bytes as usize)
    }
}

impl PayloadSink for Count {
    fn write(&mut self, bytes: &[u8]) -> Result<SinkProgress, SinkError> {
        self.0 += bytes.len() as u64;
        Ok(SinkProgress { chunks_verified: (self.0 / CHUNK_BYTES) as u32, bytes_verified: self.0 })
    }

    fn set_aside(self: Box<Self>) -> u32 {
        0
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mebibytes = arguments.next().transpose()?.unwrap_or(1024);
    let rounds = arguments.next().transpose()?.unwrap_or(3);
    for _ in 0..rounds {
        report("bare stream", mebibytes, bare(mebibytes * MIB)).await?;
        report("mesh-net", mebibytes, mesh(mebibytes)).await?;
    }
    Ok(())
}

/// Prints rate and CPU time of one transfer; the transfer itself says how long it took, without its setup.
async fn report(
    name: &str,
    mebibytes: u64,
    transfer: impl Future<Output = Result<Duration, Failure>> + Send + 'static,
) -> Result<(), Failure> {
    let before = cpu_seconds();
    // On a worker, like everything else: the main thread would be a third one.
    let took = tokio::spawn(transfer).await??;
    let rate = (mebibytes * MIB) as f64 / took.as_secs_f64() / 1e6;
    let cpu = match (before, cpu_seconds()) {
        (Some(before), Some(after)) => format!("{:.2} CPU-s/GiB", (after - before) * 1024.0 / mebibytes as f64),
        _ => "CPU time unknown".to_owned(),
    };
    println!("{name:12} {rate:7.0} MB/s  {cpu}");
    Ok(())
}

/// CPU seconds of this process, where the system tells them in `/proc` (in hundredths).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(ticks as f64 / 100.0)
}

// ---- a bare stream: TCP, Noise and Yamux with nothing on top

fn transport() -> Result<libp2p::core::transport::Boxed<(PeerId, StreamMuxerBox)>, Failure> {
    let key = Keypair::generate_ed25519();
    Ok(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(noise::Config::new(&key)?)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
        .boxed())
}

async fn bare(bytes: u64) -> Result<Duration, Failure> {
    let mut listening = transport()?;
    listening.listen_on(ListenerId::next(), "/ip4/127.0.0.1/tcp/0".parse()?)?;
    let Some(TransportEvent::NewAddress { listen_addr, .. }) = listening.next().await else {
        return Err("it does not listen".into());
    };
    let receiver = tokio::spawn(receive(listening, bytes));
    let options = DialOpts { role: libp2p::core::Endpoint::Dialer, port_use: PortUse::New };
    let (_, mut muxer) = transport()?.dial(listen_addr, options)?.await?;
    let mut stream = poll_fn(|cx| match muxer.poll_outbound_unpin(cx) {
        Poll::Pending => muxer.poll_unpin(cx).map(|_| Err("the connection ended".into())),
        Poll::Ready(stream) => Poll::Ready(stream.map_err(Failure::from)),
    })
    .await?;
    let driver = tokio::spawn(async move { poll_fn(|cx| muxer.poll_unpin(cx).map(drop)).await });
    let began = Instant::now();
    let block = vec![0u8; MIB as usize];
    for _ in 0..bytes / MIB {
        stream.write_all(&block).await?;
    }
    stream.flush().await?;
    receiver.await??;
    driver.abort();
    Ok(began.elapsed())
}

async fn receive(
    mut listening: libp2p::core::transport::Boxed<(PeerId, StreamMuxerBox)>,
    bytes: u64,
) -> Result<(), Failure> {
    let (_, mut muxer) = loop {
        if let Some(TransportEvent::Incoming { upgrade, .. }) = listening.next().await {
            break upgrade.await?;
        }
    };
    let mut stream: SubstreamBox = poll_fn(|cx| match muxer.poll_inbound_unpin(cx) {
        Poll::Pending => muxer.poll_unpin(cx).map(|_| Err("the connection ended".into())),
        Poll::Ready(stream) => Poll::Ready(stream.map_err(Failure::from)),
    })
    .await?;
    let driver = tokio::spawn(async move { poll_fn(|cx| muxer.poll_unpin(cx).map(drop)).await });
    let mut block = vec![0u8; MIB as usize];
    for _ in 0..bytes / MIB {
        stream.read_exact(&mut block).await?;
    }
    driver.abort();
    Ok(())
}

// ---- the same through two networks, with requests, grants and receipts

struct Node {
    net: Net,
    inputs: mpsc::Receiver<NetInput>,
    id: NodeId,
}

fn start(seed: u8) -> Result<Node, Failure> {
    let (sender, inputs) = mpsc::channel(1024);
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let config = NetConfig { listen, mdns: false, ..NetConfig::default() };
    let net = Net::start(config, [seed; 32], Arc::new(Nothing), sender)?;
    let peer = Keypair::ed25519_from_bytes([seed; 32])?.public().to_peer_id();
    Ok(Node { net, inputs, id: node_id_of(&peer).ok_or("no node id")? })
}

async fn mesh(mebibytes: u64) -> Result<Duration, Failure> {
    let (mut getter, mut source) = (start(1)?, start(2)?);
    let address = loop {
        if let Some(NetInput::Listening { address }) = source.inputs.recv().await {
            break address;
        }
    };
    getter.net.command(NetCommand::Dial { command: CommandId(0), node: Some(source.id), addresses: vec![address] });
    while !matches!(getter.inputs.recv().await, Some(NetInput::Dialled { .. })) {}
    let from = source.id;
    let serving = tokio::spawn(async move {
        let mut command = 0;
        while let Some(input) = source.inputs.recv().await {
            let serve = match input {
                NetInput::SpanRequested { serve, .. } | NetInput::Granted { serve, state: ServeState::More, .. } => {
                    serve
                }
                _ => continue,
            };
            command += 1;
            source.net.command(NetCommand::Grant { command: CommandId(command), serve, bytes: MIB });
        }
    });
    let began = Instant::now();
    let mut spans: VecDeque<ChunkRange> = (0..mebibytes as u32)
        .step_by(SPAN_CHUNKS as usize)
        .map(|start| ChunkRange { start, count: SPAN_CHUNKS.min(mebibytes as u32 - start) })
        .collect();
    let mut waiting = 0;
    let mut command = 0;
    while !spans.is_empty() || waiting > 0 {
        while waiting < SPANS_AT_ONCE
            && let Some(chunks) = spans.pop_front()
        {
            command += 1;
            waiting += 1;
            let command = CommandId(command);
            getter.net.command(NetCommand::Fetch { command, node: from, request: span(chunks), stall_ms_max: 10_000 });
        }
        match getter.inputs.recv().await {
            Some(NetInput::Fetched { outcome: FetchOutcome::Complete, .. }) => waiting -= 1,
            Some(NetInput::Fetched { outcome, .. }) => return Err(format!("{outcome:?}").into()),
            Some(_) => {}
            None => return Err("the network ended".into()),
        }
    }
    let took = began.elapsed();
    getter.net.stop().await;
    serving.abort();
    Ok(took)
}

fn span(chunks: ChunkRange) -> SpanRequest {
    SpanRequest {
        request: 0,
        content: ContentId([1; 32]),
        chunks,
        skip_bytes: 0,
        payload_bytes: u64::from(chunks.count) * CHUNK_BYTES,
        class: TrafficClass::Public,
        priority: 0,
        deadline_ms: 0,
        for_member: None,
        extensions: Extensions::default(),
    }
}
