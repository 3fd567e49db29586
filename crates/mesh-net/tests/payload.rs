//! Fetching and serving spans between two nodes over loopback.

#![allow(clippy::unwrap_used, reason = "a test that can not go on should panic")]

mod support;

use std::sync::atomic::Ordering;

use mesh_proto::ContentId;
use mesh_proto::bulk::RefuseReason;
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::limits::{PAYLOAD_SOURCES_OPEN_MAX, SPAN_REQUESTS_PER_CONNECTION_MAX};
use mesh_proto::payload::{SinkError, SourceError};
use mesh_proto::port::net::{FetchOutcome, ServeState};
use mesh_proto::port::{NetCommand, NetInput};
use support::{CHUNK_BYTES, Serving, TestNode, content, deaf, fetch_all, loopback, pair};

const MIB: u64 = 1024 * 1024;

fn chunks_of(bytes: u64) -> u32 {
    (bytes / CHUNK_BYTES) as u32
}

fn first(count: u32) -> ChunkRange {
    ChunkRange { start: 0, count }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_mebibytes_arrive_as_they_are() {
    let (a, b) = pair().await;
    let took = fetch_all(&a, &b, content(3), chunks_of(64 * MIB), 16).await;
    println!("64 MiB in {took:?}: {:.0} MB/s", 64.0 * MIB as f64 / took.as_secs_f64() / 1e6);
    assert_eq!(a.store.good_bytes.load(Ordering::Relaxed), 64 * MIB);
    assert_eq!(a.store.sinks_opened.load(Ordering::Relaxed), 16);
    let mut granted = 0;
    while granted < 64 * MIB {
        granted += b
            .wait_for("grant", |input| match input {
                NetInput::Granted { sent_bytes, .. } => Some(*sent_bytes),
                _ => None,
            })
            .await;
    }
    assert_eq!(granted, 64 * MIB);
    b.wait_for("receipt for a whole span", |input| match input {
        NetInput::Receipt { drained_bytes, .. } if *drained_bytes == 16 * CHUNK_BYTES => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_can_begin_within_a_chunk() {
    let (a, b) = pair().await;
    let command = a.new_command();
    let request = support::span(content(3), ChunkRange { start: 5, count: 2 }, 1000);
    a.command(NetCommand::Fetch { command, node: b.id, request, stall_ms_max: 10_000 });
    let fetched = a.wait_fetched(command).await;
    assert_eq!(fetched.outcome, FetchOutcome::Complete);
    assert_eq!(fetched.received_bytes, 2 * CHUNK_BYTES - 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_fetch_ends_on_both_sides() {
    let (a, b) = pair().await;
    *b.serving.lock().unwrap() = Serving::Once(300_000);
    let command = a.fetch(&b, content(3), first(8), 60_000);
    a.wait_for("progress", |input| matches!(input, NetInput::FetchProgress { .. }).then_some(())).await;
    a.command(NetCommand::CancelFetch { fetch: command });
    let fetched = a.wait_fetched(command).await;
    assert_eq!(fetched.outcome, FetchOutcome::Cancelled);
    assert_eq!(fetched.received_bytes, 300_000);
    assert_eq!(u64::from(fetched.chunks_verified), 300_000 / CHUNK_BYTES);
    assert_eq!(u64::from(fetched.aside_bytes), 300_000 % CHUNK_BYTES);
    b.wait_for("withdrawal", |input| matches!(input, NetInput::SpanWithdrawn { .. }).then_some(())).await;
    *b.serving.lock().unwrap() = Serving::All;
    fetch_all(&a, &b, content(4), 8, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_passed_on() {
    let (a, b) = pair().await;
    *b.serving.lock().unwrap() = Serving::Refuse(RefuseReason::NotAllowed);
    let command = a.fetch(&b, content(3), first(8), 60_000);
    assert_eq!(a.wait_fetched(command).await.outcome, FetchOutcome::Refused(RefuseReason::NotAllowed));
    *b.serving.lock().unwrap() = Serving::All;
    let mut not_held = [0xee; 32];
    not_held[0] = 1;
    let command = a.fetch(&b, ContentId(not_held), first(8), 60_000);
    assert_eq!(a.wait_fetched(command).await.outcome, FetchOutcome::Refused(RefuseReason::NotHeld));
    b.wait_for("failure", |input| match input {
        NetInput::Granted { state: ServeState::Failed(SourceError::NotHeld), sent_bytes: 0, .. } => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_may_wait_are_answered_busy() {
    let (a, b) = pair().await;
    *b.serving.lock().unwrap() = Serving::Nothing;
    let commands: Vec<_> =
        (0..=SPAN_REQUESTS_PER_CONNECTION_MAX).map(|_| a.fetch(&b, content(3), first(1), 60_000)).collect();
    let fetched = a.wait_fetched(commands[SPAN_REQUESTS_PER_CONNECTION_MAX]).await;
    assert_eq!(fetched.outcome, FetchOutcome::Refused(RefuseReason::Busy));
    a.command(NetCommand::CancelFetch { fetch: commands[0] });
    assert_eq!(a.wait_fetched(commands[0]).await.outcome, FetchOutcome::Cancelled);
    b.wait_for("withdrawal", |input| matches!(input, NetInput::SpanWithdrawn { .. }).then_some(())).await;
    *b.serving.lock().unwrap() = Serving::All;
    fetch_all(&a, &b, content(3), 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_sources_are_open_however_many_requests_are_served() {
    let (a, b) = pair().await;
    // Grants go round all requests, so that each needs its source many times.
    let commands: Vec<_> = (0..24).map(|number| a.fetch(&b, content(number), first(16), 60_000)).collect();
    for command in commands {
        assert_eq!(a.wait_fetched(command).await.outcome, FetchOutcome::Complete);
    }
    assert_eq!(a.store.good_bytes.load(Ordering::Relaxed), 24 * 16 * CHUNK_BYTES);
    assert_eq!(b.store.sources.max.load(Ordering::Relaxed), PAYLOAD_SOURCES_OPEN_MAX);
    assert_eq!(b.store.sources.now.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_stalls_is_given_up() {
    let (a, b) = pair().await;
    *b.serving.lock().unwrap() = Serving::Once(100_000);
    let command = a.fetch(&b, content(3), first(8), 300);
    let fetched = a.wait_fetched(command).await;
    assert_eq!(fetched.outcome, FetchOutcome::Stalled);
    assert_eq!((fetched.received_bytes, fetched.aside_bytes), (100_000, 100_000));
    *b.serving.lock().unwrap() = Serving::All;
    fetch_all(&a, &b, content(3), 4, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bytes_end_a_fetch_and_not_the_stream() {
    let (a, b) = pair().await;
    b.store.lies_about.lock().unwrap().push(content(3));
    let command = a.fetch(&b, content(3), first(32), 60_000);
    let good = a.fetch(&b, content(4), first(8), 60_000);
    let fetched = a.wait_fetched(command).await;
    assert_eq!(fetched.outcome, FetchOutcome::Sink(SinkError::Mismatch { chunk: 0 }));
    assert_eq!(fetched.aside_bytes, 0);
    assert_eq!(a.wait_fetched(good).await.outcome, FetchOutcome::Complete);
    fetch_all(&a, &b, content(5), 8, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_ends_each_fetch_once_and_before_it() {
    let (a, b) = pair().await;
    *b.serving.lock().unwrap() = Serving::Once(400_000);
    let commands: Vec<_> = (0..10).map(|_| a.fetch(&b, content(3), first(16), 60_000)).collect();
    a.wait_for("progress", |input| matches!(input, NetInput::FetchProgress { .. }).then_some(())).await;
    b.stop().await;
    a.wait_for("end", |input| matches!(input, NetInput::Disconnected { .. }).then_some(())).await;
    // All answers are there already: they come before the connection's end.
    let log = a.log();
    for command in commands {
        let ends: Vec<_> = log
            .iter()
            .filter_map(|input| match input {
                NetInput::Fetched { command: of, outcome, .. } if *of == command => Some(outcome.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(ends, vec![FetchOutcome::Disconnected]);
    }
    let ends = |input: &NetInput| matches!(input, NetInput::SpanWithdrawn { .. }).then_some(());
    for _ in 0..10 {
        b.wait_for("withdrawal", ends).await;
    }
}

async fn both_ways(a: TestNode, b: TestNode, mebibytes: u64) {
    let chunks = chunks_of(mebibytes * MIB);
    let began = std::time::Instant::now();
    tokio::join!(fetch_all(&a, &b, content(3), chunks, 32), fetch_all(&b, &a, content(4), chunks, 32));
    let rate = 2.0 * (mebibytes * MIB) as f64 / began.elapsed().as_secs_f64() / 1e6;
    println!("{mebibytes} MiB each way: {rate:.0} MB/s in sum");
    assert_eq!(a.store.good_bytes.load(Ordering::Relaxed), mebibytes * MIB);
    assert_eq!(b.store.good_bytes.load(Ordering::Relaxed), mebibytes * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payload_flows_both_ways_over_two_connections() {
    let (a, b) = pair().await;
    both_ways(a, b, 256).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payload_flows_both_ways_over_the_one_connection_there_is() {
    let (a, b) = (TestNode::start(deaf(), 1), TestNode::start(loopback(), 2));
    a.dial(&b, b.address().await).await;
    // The dialling side gets payload first, so that the other finds the connection taken and nobody to dial.
    fetch_all(&a, &b, content(3), 1, 1).await;
    a.store.good_bytes.store(0, Ordering::Relaxed);
    both_ways(a, b, 256).await;
}

#[tokio::test(flavor = "current_thread")]
async fn one_thread_is_enough() {
    let (a, b) = pair().await;
    fetch_all(&a, &b, content(3), chunks_of(16 * MIB), 8).await;
}
