//! Measures round trips, and notices a peer that is gone without saying so.
//!
//! Speaks libp2p's ping protocol, but with an interval that can change at run time. Invariant: a connection on which
//! any byte came since a probe was sent is never closed for that probe; its answer may be behind those bytes.

use std::sync::Arc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, io};
use mesh_proto::port::NetInput;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connection::{Connection, Counted};
use crate::streams::{PROBE, Stream};

const PROBE_BYTES: usize = 32;
/// Lost probes in a row, without any byte since the first was sent, after which the peer counts as gone.
const LOST_MAX: u32 = 2;

/// Probes until the connection ends.
pub(crate) async fn probe(connection: Arc<Connection>) {
    let interval = connection.shared.probe_interval_ms.clone();
    tokio::select! {
        () = connection.closed() => {}
        () = probe_forever(&connection, interval) => {}
    }
}

async fn probe_forever(connection: &Connection, mut interval: watch::Receiver<u64>) {
    let silence_max = connection.shared.silence_max;
    let mut stream = None;
    let mut lost = 0;
    let mut unanswered_since = Instant::now();
    let mut sent = 0u64;
    loop {
        if *interval.borrow() > 0 {
            sent += 1;
            if lost == 0 {
                unanswered_since = Instant::now();
            }
            let answered = tokio::select! {
                answered = round_trip(connection, &mut stream, sent) => answered.ok(),
                () = connection.pulse().silent_for(silence_max) => None,
            };
            match answered {
                Some(rtt) => {
                    lost = 0;
                    report_rtt(connection, rtt, silence_max).await;
                }
                None => {
                    stream = None;
                    lost = if connection.pulse().last() > unanswered_since { 0 } else { lost + 1 };
                }
            }
            if lost >= LOST_MAX && connection.pulse().last().elapsed() > silence_max {
                return connection.close("no sign of life".to_owned()).await;
            }
        }
        wait(&mut interval).await;
    }
}

/// Reports a round trip, unless the answer stood in a queue for so long that it says nothing about the path.
async fn report_rtt(connection: &Connection, rtt: Duration, rtt_max: Duration) {
    if rtt <= rtt_max {
        let rtt_us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
        connection.report(NetInput::Rtt { connection: connection.id, node: connection.node, rtt_us }).await;
    }
}

/// Waits one interval, or less if a shorter one is commanded.
async fn wait(interval: &mut watch::Receiver<u64>) {
    let began = Instant::now();
    loop {
        let interval_ms = *interval.borrow_and_update();
        let due = async {
            match interval_ms {
                0 => std::future::pending().await,
                _ => tokio::time::sleep_until(began + Duration::from_millis(interval_ms)).await,
            }
        };
        tokio::select! {
            () = due => return,
            changed = interval.changed() => if changed.is_err() {
                return std::future::pending().await;
            },
        }
    }
}

async fn round_trip(connection: &Connection, stream: &mut Option<Stream>, number: u64) -> io::Result<Duration> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let mut opened = connection.opener.open(PROBE).await.map_err(io::Error::other)?;
            opened.ignore_for_keep_alive();
            stream.insert(opened)
        }
    };
    let mut sent = [0u8; PROBE_BYTES];
    sent[..8].copy_from_slice(&number.to_le_bytes());
    let began = Instant::now();
    stream.write_all(&sent).await?;
    stream.flush().await?;
    let mut answer = [0u8; PROBE_BYTES];
    stream.read_exact(&mut answer).await?;
    match answer == sent {
        true => Ok(began.elapsed()),
        false => Err(io::Error::other("the answer is not what was sent")),
    }
}

/// Answers a peer's probes.
pub(crate) async fn echo(connection: Arc<Connection>, mut stream: Stream, _counted: Counted) {
    stream.ignore_for_keep_alive();
    let mut bytes = [0u8; PROBE_BYTES];
    let echo = async {
        loop {
            stream.read_exact(&mut bytes).await?;
            stream.write_all(&bytes).await?;
            stream.flush().await?;
        }
    };
    tokio::select! {
        () = connection.closed() => {}
        _ended = async { let end: io::Result<()> = echo.await; end } => {}
    }
}
