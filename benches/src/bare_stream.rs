//! One libp2p stream (TCP, Noise, Yamux) that reads a file, hashes it at both ends and writes it: no protocol of ours.
//!
//! `serve FILE` prints its address and gives the file to one getter after another; `fetch ADDRESS FILE` takes it.

use std::fs::File;
use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;

use clap::{Parser, Subcommand};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::core::Transport as _;
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt as _, SubstreamBox};
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, PortUse, TransportEvent};
use libp2p::core::{Endpoint, upgrade};
use libp2p::{Multiaddr, PeerId, identity, noise, tcp, yamux};
use tokio::sync::mpsc;

const BUFFER_BYTES: usize = 1 << 20;
const BUFFERS_MAX: usize = 4;

/// Carries a file over one bare libp2p stream.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    end: End,
}

#[derive(Subcommand)]
enum End {
    /// Gives the file to whoever dials.
    Serve {
        /// The file.
        file: PathBuf,
    },
    /// Takes the file.
    Fetch {
        /// What `serve` printed.
        address: Multiaddr,
        /// The file to make.
        file: PathBuf,
    },
}

fn main() {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    match options.end {
        End::Serve { file } => runtime.block_on(serve(&file)),
        End::Fetch { address, file } => runtime.block_on(fetch(address, &file)),
    }
}

fn transport() -> Boxed<(PeerId, StreamMuxerBox)> {
    let keys = identity::Keypair::generate_ed25519();
    let noise = noise::Config::new(&keys).expect("Noise takes any Ed25519 key");
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(upgrade::Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .boxed()
}

async fn serve(file: &Path) {
    let mut transport = transport();
    let any = "/ip4/127.0.0.1/tcp/0".parse().expect("it is a multiaddr");
    transport.listen_on(ListenerId::next(), any).expect("loopback can be listened on");
    loop {
        match transport.select_next_some().await {
            TransportEvent::NewAddress { listen_addr, .. } => println!("{{\"address\":\"{listen_addr}\"}}"),
            TransportEvent::Incoming { upgrade, .. } => {
                let file = file.to_owned();
                tokio::spawn(async move {
                    let (_, mut muxer) = upgrade.await.expect("the getter speaks Noise and Yamux");
                    let stream = poll_fn(|context| muxer.poll_inbound_unpin(context)).await;
                    drive(muxer);
                    send(stream.expect("the getter opens a stream"), file).await;
                });
            }
            _ => {}
        }
    }
}

async fn fetch(address: Multiaddr, file: &Path) {
    let mut transport = transport();
    let how = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dialled = transport.dial(address, how).expect("the address can be dialled").await;
    let (_, mut muxer) = dialled.expect("the source answers");
    let stream = poll_fn(|context| muxer.poll_outbound_unpin(context)).await.expect("a stream opens");
    drive(muxer);
    let hash = receive(stream, file.to_owned()).await;
    println!("{{\"blake3\":\"{hash}\"}}");
}

/// Keeps the connection going for as long as it lives.
fn drive(mut muxer: StreamMuxerBox) {
    tokio::spawn(async move { while poll_fn(|context| muxer.poll_unpin(context)).await.is_ok() {} });
}

async fn send(mut stream: SubstreamBox, file: PathBuf) {
    // The getter speaks first, or nobody would learn of the stream.
    let mut go = [0; 1];
    stream.read_exact(&mut go).await.expect("the getter says go");
    let (full, mut next) = mpsc::channel::<Vec<u8>>(BUFFERS_MAX);
    let reader = thread::spawn(move || {
        let mut file = File::open(file).expect("the file can be opened");
        let mut hasher = blake3::Hasher::new();
        loop {
            let mut buffer = vec![0; BUFFER_BYTES];
            let count = file.read(&mut buffer).expect("the file can be read");
            buffer.truncate(count);
            hasher.update(&buffer);
            if count == 0 || full.blocking_send(buffer).is_err() {
                return hasher.finalize();
            }
        }
    });
    while let Some(buffer) = next.recv().await {
        stream.write_all(&buffer).await.expect("the getter reads");
    }
    stream.close().await.expect("the getter reads to the end");
    let _ = reader.join();
}

async fn receive(mut stream: SubstreamBox, file: PathBuf) -> blake3::Hash {
    stream.write_all(b"g").await.expect("the source reads");
    stream.flush().await.expect("the source reads");
    let (full, mut next) = mpsc::channel::<Vec<u8>>(BUFFERS_MAX);
    let writer = thread::spawn(move || {
        let mut file = File::create(file).expect("the file can be made");
        let mut hasher = blake3::Hasher::new();
        while let Some(buffer) = next.blocking_recv() {
            hasher.update(&buffer);
            file.write_all(&buffer).expect("the disk takes the file");
        }
        hasher.finalize()
    });
    loop {
        let mut buffer = vec![0; BUFFER_BYTES];
        let count = fill(&mut stream, &mut buffer).await;
        buffer.truncate(count);
        if count == 0 || full.send(buffer).await.is_err() {
            drop(full);
            return writer.join().expect("the writer ends");
        }
    }
}

/// Reads until the buffer is full or the stream ends.
async fn fill(stream: &mut SubstreamBox, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await.expect("the source sends") {
            0 => break,
            count => filled += count,
        }
    }
    filled
}
