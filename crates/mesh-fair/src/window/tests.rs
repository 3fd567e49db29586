//! One window alone, without a link.

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
    window.rates.push(1_000_000);
    window.see_rtt(Timestamp(0), Duration::from_millis(90));
    assert_eq!(window.window_bytes(), 140_000);
    let later = Timestamp(11_000 * MS);
    assert!(window.is_rtt_stale(later));
    window.start_drain(later, later.after(Duration::from_millis(100)));
    assert_eq!(window.window_bytes(), 45_000);
    window.see_rtt(later, Duration::from_millis(110));
    assert!(!window.end_drain(later));
    assert!(window.end_drain(later.after(Duration::from_millis(100))));
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
    window.rates.push(1_000_000);
    let mut now = Timestamp::ZERO;
    for _ in 0..100 {
        let mark = window.on_grant(now, 1000);
        now = now.after(Duration::from_millis(250));
        window.on_receipt(now, ReceiptSample { bytes: 1000, mark, path_rtt: None });
    }
    assert_eq!(window.rate(), Some(ByteRate(1_000_000)));
}
