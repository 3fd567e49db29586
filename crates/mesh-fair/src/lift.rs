//! What slow peers hold of the uplink's window.
//!
//! Bytes that wait in a slow peer's own path have left the uplink, but its window still counts them. They may fill it: then
//! everybody's turn comes only as often as the slow peer's receipts, the uplink takes that for its own rate, and its window
//! shrinks to it for good. What tells is that other peers' receipts meet no queue though the window is full.
//!
//! While that is seen the window is lifted, step by step, and let down when receipts meet a queue again. With one peer alone
//! nothing tells its path from the uplink, and nobody else is held up.

use std::time::Duration;

use mesh_proto::{NodeId, Timestamp};

/// How long it is looked before something is made of it: receipts come in bursts.
const ROUND: Duration = Duration::from_millis(200);

/// What an uplink's receipts say of the queue in it, and what follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lift {
    /// Less queue than this is none.
    below: Duration,
    step: Duration,
    max: Duration,
    lift: Duration,
    began: Timestamp,
    least_queue: Duration,
    heard: Option<NodeId>,
    heard_several: bool,
    is_full: bool,
}

impl Lift {
    /// For an uplink that may build a queue of `target`.
    pub(crate) fn new(now: Timestamp, target: Duration) -> Self {
        Self {
            below: target / 5,
            step: target / 4,
            max: target * 2,
            lift: Duration::ZERO,
            began: now,
            least_queue: Duration::MAX,
            heard: None,
            heard_several: false,
            is_full: false,
        }
    }

    /// By how much longer a queue the window may count.
    pub(crate) fn lift(&self) -> Duration {
        self.lift
    }

    /// The window, and nothing else, kept bytes from being granted.
    pub(crate) fn note_blocked(&mut self) {
        self.is_full = true;
    }

    /// A peer's receipt met so much queue.
    pub(crate) fn on_receipt(&mut self, now: Timestamp, node: NodeId, queue: Duration) {
        if now.since(self.began) >= ROUND {
            self.end_round();
            self.began = now;
        }
        self.heard_several |= *self.heard.get_or_insert(node) != node;
        self.least_queue = self.least_queue.min(queue);
    }

    fn end_round(&mut self) {
        self.lift = if self.is_full && self.heard_several && self.least_queue < self.below {
            (self.lift + self.step).min(self.max)
        } else {
            self.lift.saturating_sub(self.step / 2)
        };
        (self.least_queue, self.heard, self.heard_several, self.is_full) = (Duration::MAX, None, false, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(40);

    /// Ten seconds of receipts from these peers, each after so many milliseconds of queue.
    fn after(peers: &[u8], queue_ms: u64, is_full: bool, mut lift: Lift) -> Lift {
        for at_ms in (0..10_000).step_by(20) {
            if is_full {
                lift.note_blocked();
            }
            for peer in peers {
                lift.on_receipt(Timestamp(at_ms * 1_000_000), NodeId([*peer; 32]), Duration::from_millis(queue_ms));
            }
        }
        lift
    }

    #[test]
    fn a_full_window_without_a_queue_is_lifted_and_let_down_again() {
        let new = Lift::new(Timestamp::ZERO, TARGET);
        let lifted = after(&[1, 2], 0, true, new);
        assert_eq!(lifted.lift(), TARGET * 2, "as high as it goes, and no higher");
        let mut down = lifted;
        down.began = Timestamp::ZERO;
        assert_eq!(after(&[1, 2], 20, true, down).lift(), Duration::ZERO, "there is a queue");
        assert_eq!(after(&[1, 2], 0, false, down).lift(), Duration::ZERO, "it holds nobody back");
    }

    #[test]
    fn one_peer_alone_lifts_nothing() {
        let new = Lift::new(Timestamp::ZERO, TARGET);
        assert_eq!(after(&[1], 0, true, new).lift(), Duration::ZERO);
        assert_eq!(after(&[1, 2], 20, true, new).lift(), Duration::ZERO);
        assert_eq!(after(&[1, 2], 0, false, new).lift(), Duration::ZERO);
    }
}
