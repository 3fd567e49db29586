//! Measures round trips, and notices a peer whose process hangs; a path or a host that is gone is noticed by the kernel
//! ([`keepalive`](crate::keepalive)).
//!
//! Speaks libp2p's ping protocol, but with an interval that can change at run time, and probes all peers at once: a node
//! with nothing to do wakes once for all of them. Invariant: a connection on which any byte came since a probe was sent
//! is never closed for that probe; its answer may be behind those bytes.

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
/// Of so many intervals, one ends with a probe of ours; in the others the kernel watches alone.
const INTERVALS_PER_PROBE: u32 = 10;

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
        tokio::select! {
            () = wait(&mut interval, connection.shared.born, lost) => {}
            () = connection.doubt.notified() => {}
        }
    }
}

/// Reports a round trip, unless the answer stood in a queue for so long that it says nothing about the path.
async fn report_rtt(connection: &Connection, rtt: Duration, rtt_max: Duration) {
    if rtt <= rtt_max {
        let rtt_us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
        connection.report(NetInput::Rtt { connection: connection.id, node: connection.node, rtt_us }).await;
    }
}

/// Waits until the next probe is due, or less if a shorter interval is commanded. After a lost probe it is due after one
/// interval, else with those of all other connections.
async fn wait(interval: &mut watch::Receiver<u64>, born: Instant, lost: u32) {
    let began = Instant::now();
    loop {
        let interval_ms = *interval.borrow_and_update();
        let due = async {
            let interval = Duration::from_millis(interval_ms);
            match (interval_ms, lost) {
                (0, _) => std::future::pending().await,
                (_, 0) => tokio::time::sleep_until(next_beat(born, interval * INTERVALS_PER_PROBE, began)).await,
                (_, 1..) => tokio::time::sleep_until(began + interval).await,
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

/// The first after `now` of the times that are whole periods after `born`.
fn next_beat(born: Instant, period: Duration, now: Instant) -> Instant {
    let periods = now.duration_since(born).as_nanos() / period.as_nanos().max(1);
    let periods = u32::try_from(periods + 1).unwrap_or(u32::MAX);
    born + period.saturating_mul(periods)
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

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn all_connections_are_probed_at_once() {
        let born = Instant::now();
        let (_interval, commanded) = watch::channel(30_000);
        for connected_s in [1, 299, 300, 301, 899] {
            tokio::time::sleep_until(born + Duration::from_secs(connected_s)).await;
            wait(&mut commanded.clone(), born, 0).await;
            let since = born.elapsed().as_secs();
            assert_eq!((since % 300, since > connected_s), (0, true), "connected after {connected_s} s");
        }
        assert_eq!(next_beat(born, PERIOD, born), born + PERIOD, "never twice at the same time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_probe_is_repeated_after_one_interval() {
        let born = Instant::now();
        let (_interval, mut commanded) = watch::channel(30_000);
        wait(&mut commanded, born, 1).await;
        assert_eq!(born.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_interval_counts_at_once() {
        let born = Instant::now();
        let (interval, mut commanded) = watch::channel(0);
        let change = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            interval.send_replace(1_000);
        };
        tokio::join!(change, wait(&mut commanded, born, 0));
        assert_eq!(born.elapsed(), Duration::from_secs(10));
    }
}
