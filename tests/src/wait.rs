//! Waiting for something to become true, and giving up loudly.

use std::thread;
use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Asks `probe` until it gives a value.
///
/// # Panics
/// If it gave none within `limit`; the message says what was waited for.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain for: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Lets `moment` pass: for faults that are to strike at a moment drawn at random, never to wait for an effect.
pub fn let_pass(moment: Duration) {
    thread::sleep(moment);
}
