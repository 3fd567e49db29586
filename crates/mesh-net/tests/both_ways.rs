//! Two nodes that give to and get from each other at once: nothing is lost, and nothing stands still.
//!
//! The measure of a soak is taken from `MESH_SOAK`: set, it lasts five minutes, else twenty seconds.

#![allow(clippy::unwrap_used, reason = "a test that can not go on should panic")]

mod support;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use mesh_proto::chunk_set::ChunkRange;
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{NetCommand, NetInput};
use support::{CHUNK_BYTES, TestNode, content, deaf, loopback, pair, span};

const AT_ONCE: u32 = 64;
const ROUNDS: u8 = 100;
/// How long no byte may come while a soak runs. Bytes come thousands of times a second, so that any such pause is a
/// stall; it leaves room for a machine that does other things, and is far from the 30 s after which a fetch is repeated.
const STALL_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether any came. Only looks count, not the time between them: a machine that gives this
/// process no turn for seconds stalls us all, and says nothing of the streams.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const SPANS_AT_ONCE: usize = 8;

/// Gets so many short spans at once, none like another; each comes, and every byte is right.
async fn get_many(getter: &TestNode, source: &TestNode, round: u8) {
    let before = getter.store.good_bytes.load(Ordering::Relaxed);
    let lengths = (0..AT_ONCE).map(|number| 1000 + 61 * u64::from(number) + u64::from(round));
    let begin = |(number, bytes): (u32, u64)| {
        let command = getter.new_command();
        let skip_bytes = u32::try_from(CHUNK_BYTES - bytes).unwrap();
        let request = span(content(round), ChunkRange { start: number * 3, count: 1 }, skip_bytes);
        getter.command(NetCommand::Fetch { command, node: source.id, request, stall_ms_max: 30_000 });
        (command, bytes)
    };
    let begun: Vec<_> = (0..AT_ONCE).zip(lengths).map(begin).collect();
    let mut sum = 0;
    for (command, bytes) in begun {
        let fetched = getter.wait_fetched(command).await;
        assert_eq!((fetched.outcome, fetched.received_bytes), (FetchOutcome::Complete, bytes), "round {round}");
        sum += bytes;
    }
    // The store compares each byte that it takes.
    assert_eq!(getter.store.good_bytes.load(Ordering::Relaxed) - before, sum, "round {round}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_spans_at_once_each_way_come_a_hundred_times() {
    let (a, b) = pair().await;
    for round in 0..ROUNDS {
        tokio::join!(get_many(&a, &b, round), get_many(&b, &a, round));
    }
}

/// Both dial at once, both open all they need at once, and both hang up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_meets_in_the_middle_a_hundred_times_loses_nothing() {
    let (a, b) = (TestNode::start(loopback(), 1), TestNode::start(loopback(), 2));
    let (address_of_a, address_of_b) = (a.address().await, b.address().await);
    for round in 0..ROUNDS {
        tokio::join!(a.dial(&b, address_of_b.clone()), b.dial(&a, address_of_a.clone()));
        tokio::join!(get_many(&a, &b, round), get_many(&b, &a, round));
        for (node, other) in [(&a, &b), (&b, &a)] {
            node.command(NetCommand::Disconnect { node: other.id, why: "until the next round".to_owned() });
        }
        hung_up(&a, &b).await;
        [&a, &b].iter().for_each(|node| node.forget_reports());
    }
}

/// Waits until every connection that either end ever had is over at both.
async fn hung_up(a: &TestNode, b: &TestNode) {
    let count = |node: &TestNode, of: fn(&NetInput) -> bool| node.log().iter().filter(|input| of(input)).count();
    let counts = |node| {
        let began = count(node, |input| matches!(input, NetInput::Connected { .. }));
        let ended = count(node, |input| matches!(input, NetInput::Disconnected { .. }));
        [began, ended]
    };
    let over = async {
        while counts(a) != counts(b) || counts(a)[0] != counts(a)[1] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), over).await;
    assert!(in_time.is_ok(), "{:#?} {:#?}", a.troubles(), b.troubles());
}

/// Gets spans of all sizes from the other until told to stop, some at once.
async fn get_for_long(getter: &TestNode, source: &TestNode, stop: &AtomicBool) {
    let (mut waiting, mut turn) = (VecDeque::new(), 0u32);
    while !stop.load(Ordering::Relaxed) {
        while waiting.len() < SPANS_AT_ONCE {
            // From a sixteenth of a chunk to 16 chunks.
            let count = [1, 4, 16][(turn % 3) as usize];
            let skip_bytes = u32::try_from(CHUNK_BYTES / 16 * u64::from(turn % 16)).unwrap();
            let request = span(content((turn % 251) as u8), ChunkRange { start: turn % 4096, count }, skip_bytes);
            let command = getter.new_command();
            getter.command(NetCommand::Fetch { command, node: source.id, request, stall_ms_max: 30_000 });
            waiting.push_back(command);
            turn += 1;
        }
        let oldest = waiting.pop_front().unwrap();
        let fetched = getter.wait_fetched(oldest).await;
        assert_eq!(fetched.outcome, FetchOutcome::Complete, "{:#?}", getter.troubles());
        getter.forget_reports();
        source.forget_reports();
    }
}

/// Watches a count grow; the longest time it stood still, by looks and by the clock.
async fn longest_pause(count: &AtomicU64, stop: &AtomicBool) -> (Duration, Duration) {
    let (mut last, mut since, mut looks) = (count.load(Ordering::Relaxed), Instant::now(), 0);
    let mut longest = (Duration::ZERO, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK_EVERY).await;
        looks += 1;
        longest = longest.max((LOOK_EVERY * looks, since.elapsed()));
        let now = count.load(Ordering::Relaxed);
        if now != last {
            (last, since, looks) = (now, Instant::now(), 0);
        }
    }
    longest
}

async fn soak(a: TestNode, b: TestNode) {
    let long = std::env::var_os("MESH_SOAK").is_some();
    let lasts = Duration::from_secs(if long { 300 } else { 20 });
    let stop = AtomicBool::new(false);
    let both = [(&a, &b), (&b, &a)];
    let work = both.map(|(getter, source)| get_for_long(getter, source, &stop));
    let end = async {
        tokio::time::sleep(lasts).await;
        stop.store(true, Ordering::Relaxed);
    };
    let watch = both.map(|(getter, _)| longest_pause(&getter.store.good_bytes, &stop));
    let ((), _, pauses) = tokio::join!(end, join_all(work), join_all(watch));
    for ((node, _), (pause, by_clock)) in both.iter().zip(pauses) {
        let bytes = node.store.good_bytes.load(Ordering::Relaxed);
        println!(
            "{:.1} MB/s for {lasts:?}, longest pause {pause:?} ({by_clock:?})",
            bytes as f64 / lasts.as_secs_f64() / 1e6
        );
        assert!(pause < STALL_MAX, "one way stood still for {pause:?}");
        let lost = node.troubles().into_iter().filter(|input| !matches!(input, NetInput::Connected { .. }));
        assert_eq!(lost.count(), 0, "{:#?}", node.troubles());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payload_both_ways_never_stands_still_soak() {
    let (a, b) = pair().await;
    soak(a, b).await;
}

/// Both ways share one connection's windows: where muxers have come to stand still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payload_both_ways_over_one_connection_never_stands_still_soak() {
    let (a, b) = (TestNode::start(deaf(), 1), TestNode::start(loopback(), 2));
    a.dial(&b, b.address().await).await;
    // The dialling side gets payload first, so that the other finds the connection taken and nobody to dial.
    support::fetch_all(&a, &b, content(3), 1, 1).await;
    soak(a, b).await;
}
