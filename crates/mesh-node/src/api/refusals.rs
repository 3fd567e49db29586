//! Says in the log what the API refused, without letting whoever asks in vain fill the log.
//!
//! What was asked is not said: what a stranger wrote may hold a token that was meant for us, or lines that look like ours.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines said within one [`WINDOW`]; the rest is counted.
const LINES_PER_WINDOW_MAX: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);

/// What was refused of late.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Lately>);

#[derive(Debug, Default)]
struct Lately {
    began: Option<Instant>,
    lines: u32,
    unsaid: u64,
}

impl Refusals {
    /// Says why something was refused, unless much was said of late.
    pub(super) fn note(&self, why: &'static str) {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unsaid) = lately.note(Instant::now()) {
            tracing::warn!(why, unsaid, "the control API refused a call");
        }
    }
}

impl Lately {
    /// Whether to say one more, and how many before it were not said.
    fn note(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            (self.began, self.lines) = (Some(now), 0);
        }
        if self.lines == LINES_PER_WINDOW_MAX {
            self.unsaid += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_and_not_written_down() {
        let (mut lately, began) = (Lately::default(), Instant::now());
        let first: Vec<_> = (0..1000).filter_map(|_| lately.note(began)).collect();
        assert_eq!(first, [0; LINES_PER_WINDOW_MAX as usize]);
        assert_eq!(lately.note(began + WINDOW - Duration::from_millis(1)), None);
        assert_eq!(lately.note(began + WINDOW), Some(1001 - u64::from(LINES_PER_WINDOW_MAX)));
        assert_eq!(lately.note(began + WINDOW), Some(0));
    }
}
