//! One window alone, without a link.

use std::collections::VecDeque;

use super::*;

const MS: u64 = 1_000_000;

fn window() -> SendWindow {
    SendWindow::new(
        Timestamp::ZERO,
        WindowConfig { queue_target: Duration::from_millis(50), headroom_below: Duration::ZERO },
    )
}

#[test]
fn a_window_without_end_reaches_its_maximum() {
    let mut window = window();
    let mut now = Timestamp::ZERO;
    for _ in 0..40 {
        window.wake(now);
        let bytes = window.room();
        let mark = window.on_grant(now, bytes);
        window.note_blocked();
        now = now.after(Duration::from_micros(100));
        window.on_receipt(now, ReceiptSample { bytes, mark, path_rtt: None });
    }
    assert_eq!(window.window_bytes(), WINDOW_BYTES_MAX);
}

/// Its path takes any rate now, but once it was slow: each 20 ms it is its turn, and what it may send is there at once.
#[test]
fn a_small_window_that_is_often_empty_is_seen_to_be_too_small() {
    let mut window = window();
    let mut now = Timestamp::ZERO;
    let mut turn = |window: &mut SendWindow, takes: Duration| {
        window.wake(now);
        let (bytes, began) = (window.room(), now);
        let mark = window.on_grant(now, bytes);
        window.note_blocked();
        now = now.after(takes);
        window.on_receipt(now, ReceiptSample { bytes, mark, path_rtt: None });
        now = began.after(takes.max(Duration::from_millis(20)));
    };
    turn(&mut window, Duration::from_millis(1));
    for _ in 0..10 {
        turn(&mut window, Duration::from_secs(2));
    }
    assert!(!window.is_starting());
    let slow = window.window_bytes();
    for _ in 0..500 {
        turn(&mut window, Duration::from_millis(2));
    }
    assert!(window.window_bytes() > 10 * slow, "{} after {slow}", window.window_bytes());
}

#[test]
fn forgotten_bytes_make_room() {
    let mut window = window();
    let room = window.room();
    window.on_grant(Timestamp::ZERO, room);
    assert_eq!(window.room(), 0);
    window.forget(room);
    assert_eq!(window.room(), room);
    window.forget(u64::MAX);
    assert_eq!(window.outstanding_bytes(), 0);
}

#[test]
fn a_long_ping_means_a_small_start() {
    let mut window = window();
    window.set_rtt(Timestamp::ZERO, Duration::from_secs(2));
    assert_eq!(window.window_bytes(), 2048);
}

#[test]
fn a_drain_sees_the_empty_path_again() {
    let mut window = window();
    window.startup_bytes = None;
    window.rates.push(ROUND_MIN, 1_000_000);
    window.see_rtt(Timestamp(0), Duration::from_millis(90));
    assert_eq!(window.window_bytes(), 140_000);
    let later = Timestamp(11_000 * MS);
    assert!(window.is_rtt_stale(later));
    window.start_drain(later, later.after(Duration::from_millis(200)));
    assert_eq!(window.window_bytes(), 45_000);
    window.see_rtt(later, Duration::from_millis(120));
    window.see_rtt(later.after(Duration::from_millis(150)), Duration::from_millis(110));
    assert!(!window.end_drain(later));
    assert!(window.end_drain(later.after(Duration::from_millis(200))));
    assert_eq!(window.rtt(), Some(Duration::from_millis(110)));
    assert_eq!(window.window_bytes(), 55_000 + 20_000);
    let mark = window.on_grant(later, 500_000);
    window.on_receipt(later.after(Duration::from_millis(110)), ReceiptSample { bytes: 500_000, mark, path_rtt: None });
    assert_eq!(window.window_bytes(), 160_000);
}

#[test]
fn demand_limited_rounds_do_not_lower_the_rate() {
    let mut window = window();
    window.startup_bytes = None;
    window.rates.push(ROUND_MIN, 1_000_000);
    let mut now = Timestamp::ZERO;
    for _ in 0..100 {
        let mark = window.on_grant(now, 1000);
        now = now.after(Duration::from_millis(250));
        window.on_receipt(now, ReceiptSample { bytes: 1000, mark, path_rtt: None });
    }
    assert_eq!(window.rate(), Some(ByteRate(1_000_000)));
}

/// A way of 100 ms at 10 MB/s on which TCP loses a packet every 120 ms: what was sent after it waits for a round trip at
/// the receiver, and then comes at once.
#[test]
fn a_far_window_lets_no_lost_packet_empty_the_way() {
    const RATE_PER_MS: u64 = 10_000;
    const HALF: u64 = 50;
    let mut window = window();
    let (mut on_way, mut receipts) = (VecDeque::new(), VecDeque::new());
    let (mut queue, mut delivered) = (VecDeque::<(u64, GrantMark)>::new(), 0);
    for ms in 0..12_000u64 {
        let now = Timestamp(ms * MS);
        while let Some((_, bytes, mark)) = receipts.pop_front_if(|(at, ..): &mut (u64, u64, GrantMark)| *at <= ms) {
            window.on_receipt(now, ReceiptSample { bytes, mark, path_rtt: None });
            delivered += if ms >= 6_000 { bytes } else { 0 };
        }
        window.wake(now);
        while window.room() >= RATE_PER_MS {
            queue.push_back((RATE_PER_MS, window.on_grant(now, RATE_PER_MS)));
        }
        window.note_blocked();
        if let Some((bytes, mark)) = queue.pop_front() {
            on_way.push_back((ms + HALF, bytes, mark));
        }
        // Lost at the beginning of each 120 ms, and sent again a round trip later.
        let held_back = ms % 120 < 2 * HALF;
        while let Some((_, bytes, mark)) =
            on_way.pop_front_if(|(at, ..): &mut (u64, u64, GrantMark)| !held_back && *at <= ms)
        {
            receipts.push_back((ms + HALF, bytes, mark));
        }
    }
    let share = delivered * 100 / (6_000 * RATE_PER_MS);
    assert!(share >= 90, "{share} % of the way");
}

/// A congestion control below empties the way now and then: what comes by then is a little late, and tells as much as an
/// emptying of our own would.
#[test]
fn a_round_trip_a_little_longer_puts_off_emptying_the_way() {
    for (late_ms, is_stale) in [(110, false), (120, true)] {
        let mut window = window();
        window.set_rtt(Timestamp::ZERO, Duration::from_millis(100));
        for second in 1..15 {
            window.set_rtt(Timestamp(second * 1000 * MS), Duration::from_millis(late_ms));
        }
        assert_eq!(window.is_rtt_stale(Timestamp(15 * 1000 * MS)), is_stale, "{late_ms} ms");
        assert_eq!(window.rtt(), Some(Duration::from_millis(100)));
    }
}
