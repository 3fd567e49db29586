//! Sixty-four streams opened at once, a hundred times, one way and both ways, without a loss.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, noise, tcp};

use super::*;
use crate::behaviour::yamux_config;

const AT_ONCE: usize = 64;
const ROUNDS: usize = 100;
const ECHO_BYTES: usize = 5000;

pub(crate) fn bare_swarm() -> Swarm<Behaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux_config)
        .unwrap()
        .with_behaviour(|_| Behaviour::default())
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build()
}

/// Runs a swarm that echoes one byte on each stream opened to it; says where it listens.
async fn echoing_swarm() -> Multiaddr {
    let mut swarm = bare_swarm();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(Inbound { mut stream, .. }) = swarm.select_next_some().await {
                tokio::spawn(async move {
                    let mut byte = [0u8; 1];
                    stream.read_exact(&mut byte).await.unwrap();
                    stream.write_all(&byte).await.unwrap();
                    stream.close().await.unwrap();
                });
            }
        }
    });
    address
}

/// Runs a swarm that dials; gives what opens streams, and the streams opened to it.
pub(crate) async fn dialling_swarm(address: Multiaddr) -> (Opener, mpsc::Receiver<Inbound>) {
    let mut swarm = bare_swarm();
    swarm.dial(address).unwrap();
    let opener = loop {
        if let SwarmEvent::ConnectionEstablished { connection_id, .. } = swarm.select_next_some().await {
            break swarm.behaviour().opener(connection_id).unwrap();
        }
    };
    let (sender, inbound) = mpsc::channel(INBOUND_QUEUE_MAX);
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(stream) = swarm.select_next_some().await {
                let _ = sender.try_send(stream);
            }
        }
    });
    (opener, inbound)
}

async fn one_echo(opener: Opener, byte: u8) {
    let mut stream = opener.open(BULK).await.unwrap();
    stream.write_all(&[byte]).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [byte]);
    stream.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_is_lost_when_many_are_opened_at_once() {
    let (opener, _inbound) = dialling_swarm(echoing_swarm().await).await;
    for round in 0..ROUNDS {
        let echoes = (0..AT_ONCE).map(|_| one_echo(opener.clone(), round as u8));
        tokio::time::timeout(Duration::from_secs(30), future::join_all(echoes)).await.expect("a stream was lost");
    }
}

/// Runs a swarm until it has a connection, then lets it echo what comes on each stream opened to it; gives what opens
/// streams the other way.
async fn echoing_end(mut swarm: Swarm<Behaviour>) -> Opener {
    let opener = loop {
        if let SwarmEvent::ConnectionEstablished { connection_id, .. } = swarm.select_next_some().await {
            break swarm.behaviour().opener(connection_id).unwrap();
        }
    };
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(Inbound { stream, .. }) = swarm.select_next_some().await {
                tokio::spawn(async move {
                    let (near, mut far) = stream.split();
                    futures::io::copy(near, &mut far).await.unwrap();
                    far.close().await.unwrap();
                });
            }
        }
    });
    opener
}

/// Opens a stream and has bytes of its own echoed.
async fn long_echo(opener: Opener, round: usize, number: usize) {
    let sent: Vec<u8> = (0..ECHO_BYTES).map(|index| (index * 7 + index / 256 + round * 31 + number) as u8).collect();
    let (mut near, mut far) = opener.open(BULK).await.unwrap().split();
    let send = async {
        far.write_all(&sent).await.unwrap();
        far.close().await.unwrap();
    };
    let mut answer = Vec::new();
    let (_, read) = future::join(send, near.read_to_end(&mut answer)).await;
    read.unwrap();
    assert!(answer == sent, "stream {number} of round {round} came back with {} bytes or others", answer.len());
}

/// So many streams each way are all that a connection may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_and_no_byte_is_lost_when_both_ends_open_many_at_once() {
    let (mut listener, mut dialler) = (bare_swarm(), bare_swarm());
    listener.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = listener.select_next_some().await {
            break address;
        }
    };
    dialler.dial(address).unwrap();
    let (one, other) = future::join(echoing_end(listener), echoing_end(dialler)).await;
    for round in 0..ROUNDS {
        let there = (0..AT_ONCE).map(|number| long_echo(one.clone(), round, number));
        let back = (0..AT_ONCE).map(|number| long_echo(other.clone(), round, AT_ONCE + number));
        let all = future::join_all(there.chain(back));
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("a stream was lost");
    }
}

#[tokio::test]
async fn an_unknown_protocol_is_told_at_once() {
    let (opener, _inbound) = dialling_swarm(echoing_swarm().await).await;
    let answer = opener.open(StreamProtocol::new("/nobody/speaks/this")).await;
    assert_eq!(answer.unwrap_err(), OpenError::Unsupported);
}

/// An opener whose requests come out here.
pub(crate) fn bare_opener() -> (Opener, mpsc::Receiver<OpenRequest>) {
    let (requests, receiver) = mpsc::channel(1);
    (Opener { requests, pulse: Arc::new(Pulse::new()) }, receiver)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_waited_for_while_anything_comes() {
    let (opener, mut requests) = bare_opener();
    let peer = async {
        let request = requests.recv().await.unwrap();
        for _ in 0..20 {
            tokio::time::sleep(OPEN_SILENCE_MAX - Duration::from_secs(1)).await;
            opener.pulse.beat();
        }
        request.answer.send(Err(OpenError::Unsupported)).unwrap();
    };
    let (opened, ()) = tokio::join!(opener.open(BULK), peer);
    assert_eq!(opened.unwrap_err(), OpenError::Unsupported, "the answer that came late");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_given_up_when_nothing_comes() {
    let (opener, _requests) = bare_opener();
    let began = tokio::time::Instant::now();
    assert!(matches!(opener.open(BULK).await, Err(OpenError::Failed(_))));
    assert_eq!(began.elapsed().as_secs(), OPEN_SILENCE_MAX.as_secs());
}

#[tokio::test]
async fn opening_on_a_connection_that_ended_fails_at_once() {
    let (opener, _) = bare_opener();
    assert_eq!(opener.open(BULK).await.unwrap_err(), OpenError::Gone);
}
