//! Whether the uplink could carry more than its window lets it.
//!
//! Bytes that wait in a slow peer's own path have left the uplink, but its window still counts them. They may fill it: then
//! everybody's turn comes only as often as the slow peer's receipts, the uplink takes that for its own rate, and its window
//! shrinks to it for good. The sign is a full window while some peers' receipts meet no queue.
//!
//! The sign alone is not enough. A bottleneck that keeps a queue for each connection (TCP's own buffers before a shaped
//! link are such queues) gives it too, and a larger window there takes the say from the discipline and gives it to whoever
//! has the most connections. So it is tried: the window is *lifted*. Only if more is delivered, for a second, it stays
//! lifted, as far as no queue is met. Either outcome is believed for some seconds, longer each time it comes again.

use std::time::Duration;

use mesh_proto::{ByteRate, NodeId, Timestamp};

/// How long it is looked before something is made of it: receipts come in bursts.
const ROUND: Duration = Duration::from_millis(200);
/// Several peers are several for so long after they were heard in one round.
const SEVERAL_FOR: Duration = Duration::from_secs(3);
/// Rounds with the sign, more than without it, before it is tried.
const SIGNS: u32 = 5;
/// Rounds of a trial, each of which must deliver more; the first, still half of what was before, need not.
const TRIAL_ROUNDS: u32 = 5;
/// Rounds whose median is what was delivered before.
const RATES: usize = SIGNS as usize;
/// What a trial is good for: so long at first, and twice as long each time it comes to the same.
const GOOD_FOR_MIN: Duration = Duration::from_secs(4);
const GOOD_FOR_MAX: Duration = Duration::from_secs(64);

/// Watches what is receipted and says by how much to lift the window.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// Less queue than this is none.
    below: Duration,
    lift_max: Duration,
    lift: Duration,
    stage: Stage,
    /// What the last trial came to, and how long the next is good for if it comes to the same.
    succeeded: bool,
    good_for: Duration,
    rest_until: Timestamp,
    round: Round,
    several_until: Timestamp,
    /// What the last rounds delivered, in bytes per second.
    rates: [u64; RATES],
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    Watching { signs: u32 },
    Trying { rounds: u32, before: u64 },
    Lifted { until: Timestamp },
}

#[derive(Debug, Clone, Copy)]
struct Round {
    began: Timestamp,
    bytes: u64,
    least_queue: Duration,
    heard: Option<NodeId>,
    heard_several: bool,
    is_full: bool,
}

impl Round {
    fn new(now: Timestamp) -> Self {
        Self { began: now, bytes: 0, least_queue: Duration::MAX, heard: None, heard_several: false, is_full: false }
    }
}

impl Probe {
    /// For an uplink that may build a queue of `target`.
    pub(crate) fn new(now: Timestamp, target: Duration) -> Self {
        Self {
            below: target * 2 / 5,
            lift_max: target * 2,
            lift: Duration::ZERO,
            stage: Stage::Watching { signs: 0 },
            succeeded: false,
            good_for: GOOD_FOR_MIN,
            rest_until: now,
            round: Round::new(now),
            several_until: Timestamp::ZERO,
            rates: [0; RATES],
        }
    }

    /// By how much longer a queue the window may count.
    pub(crate) fn lift(&self) -> Duration {
        self.lift
    }

    /// Whether receipts of several peers come, or did lately: one may have to wait for the other.
    pub(crate) fn hears_several(&self, now: Timestamp) -> bool {
        now < self.several_until
    }

    /// The window, and nothing else, kept bytes from being granted.
    pub(crate) fn note_blocked(&mut self) {
        self.round.is_full = true;
    }

    /// The window does not say now what the uplink carries (it starts, or is being emptied): nothing is made of this round.
    pub(crate) fn skip_round(&mut self, now: Timestamp) {
        self.round = Round::new(now);
    }

    /// So many bytes arrived at a peer, and met so much queue.
    pub(crate) fn on_receipt(&mut self, now: Timestamp, node: NodeId, bytes: u64, queue: Duration) {
        let time = now.since(self.round.began);
        if time >= ROUND {
            if time < ROUND * 2 {
                self.end_round(now, time);
            } else {
                // What was before a pause says nothing of what comes after it.
                self.watch();
            }
            self.round = Round::new(now);
        }
        let round = &mut self.round;
        round.bytes = round.bytes.saturating_add(bytes);
        round.least_queue = round.least_queue.min(queue);
        if *round.heard.get_or_insert(node) != node {
            round.heard_several = true;
            self.several_until = now.after(SEVERAL_FOR);
        }
    }

    fn watch(&mut self) {
        self.stage = Stage::Watching { signs: 0 };
        self.lift = Duration::ZERO;
    }

    fn end_round(&mut self, now: Timestamp, time: Duration) {
        self.rates.rotate_left(1);
        self.rates[RATES - 1] = ByteRate::measured(self.round.bytes, time).map_or(0, |rate| rate.0);
        let meets_queue = self.round.least_queue >= self.below;
        let has_sign = self.round.is_full && self.round.heard_several && !meets_queue;
        match self.stage {
            Stage::Watching { signs } => {
                let signs = if has_sign { signs + 1 } else { signs.saturating_sub(1) };
                self.stage = Stage::Watching { signs: signs.min(SIGNS) };
                if signs >= SIGNS && now >= self.rest_until {
                    self.lift = self.lift_max;
                    self.stage = Stage::Trying { rounds: 0, before: self.usual_rate() };
                }
            }
            Stage::Trying { rounds, before } => {
                let delivers_more = rounds == 0 || self.rates[RATES - 1] >= before.saturating_add(before / 8);
                if delivers_more && rounds + 1 < TRIAL_ROUNDS {
                    self.stage = Stage::Trying { rounds: rounds + 1, before };
                    self.regulate(has_sign, meets_queue);
                } else {
                    self.end_trial(now, delivers_more);
                }
            }
            Stage::Lifted { until } if now >= until => self.watch(),
            Stage::Lifted { .. } => self.regulate(has_sign, meets_queue),
        }
    }

    fn end_trial(&mut self, now: Timestamp, succeeded: bool) {
        if succeeded != std::mem::replace(&mut self.succeeded, succeeded) {
            self.good_for = GOOD_FOR_MIN;
        }
        let until = now.after(self.good_for);
        self.good_for = (self.good_for * 2).min(GOOD_FOR_MAX);
        if succeeded {
            self.stage = Stage::Lifted { until };
        } else {
            self.watch();
            self.rest_until = until;
        }
    }

    fn usual_rate(&self) -> u64 {
        let mut rates = self.rates;
        rates.sort_unstable();
        rates[RATES / 2]
    }

    /// Lets the window down where the uplink itself holds a queue, and up where it does not.
    fn regulate(&mut self, has_sign: bool, meets_queue: bool) {
        if has_sign {
            self.lift = (self.lift + self.lift_max / 8).min(self.lift_max);
        } else if meets_queue {
            self.lift = self.lift.saturating_sub(self.lift_max / 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(40);

    /// An uplink of which receipts come every 20 ms.
    struct Watched {
        probe: Probe,
        now: Timestamp,
    }

    impl Watched {
        fn new() -> Self {
            Self { probe: Probe::new(Timestamp::ZERO, TARGET), now: Timestamp::ZERO }
        }

        /// So long receipts of `peers`, each of `bytes` after so much queue. Says how much of that it was lifted, in
        /// parts per thousand.
        fn run(&mut self, seconds: u64, peers: &[u8], queue_ms: u64, bytes: impl Fn(&Probe) -> u64) -> u64 {
            let mut lifted = 0;
            for _ in 0..seconds * 50 {
                self.now = self.now.after(Duration::from_millis(20));
                self.probe.note_blocked();
                for peer in peers {
                    let bytes = bytes(&self.probe);
                    self.probe.on_receipt(self.now, NodeId([*peer; 32]), bytes, Duration::from_millis(queue_ms));
                }
                lifted += u64::from(self.probe.lift() > Duration::ZERO);
            }
            lifted * 1_000 / (seconds * 50)
        }
    }

    fn more_when_lifted(probe: &Probe) -> u64 {
        if probe.lift() > TARGET { 2_000 } else { 1_000 }
    }

    #[test]
    fn a_window_that_holds_the_uplink_back_is_lifted() {
        let mut watched = Watched::new();
        watched.run(2, &[1, 2], 0, more_when_lifted);
        let lifted = watched.run(60, &[1, 2], 0, more_when_lifted);
        assert!((900..1_000).contains(&lifted), "and looked at again from time to time: {lifted}");
        assert_eq!(watched.probe.lift_max, TARGET * 2);
    }

    #[test]
    fn where_nothing_more_comes_of_it_it_is_hardly_ever_tried() {
        let mut watched = Watched::new();
        let first = watched.run(10, &[1, 2], 0, |_| 1_000);
        assert!((1..=130).contains(&first), "tried once: {first}");
        let later = watched.run(600, &[1, 2], 0, |_| 1_000);
        assert!((1..=30).contains(&later), "{later}");
    }

    #[test]
    fn a_queue_or_one_peer_alone_or_a_window_with_room_is_no_sign() {
        assert_eq!(Watched::new().run(10, &[1, 2], 20, more_when_lifted), 0, "a queue");
        assert_eq!(Watched::new().run(10, &[1], 0, more_when_lifted), 0, "one peer");
        let mut probe = Probe::new(Timestamp::ZERO, TARGET);
        for at_ms in (0..10_000).step_by(20) {
            for peer in [1, 2] {
                probe.on_receipt(Timestamp(at_ms * 1_000_000), NodeId([peer; 32]), 1_000, Duration::ZERO);
                assert_eq!(probe.lift(), Duration::ZERO);
            }
        }
    }

    #[test]
    fn it_is_let_down_where_a_queue_is_met_and_after_a_pause() {
        let mut watched = Watched::new();
        watched.run(2, &[1, 2], 0, more_when_lifted);
        let mut paused = watched.probe.clone();
        assert!(paused.lift() > Duration::ZERO);
        paused.on_receipt(watched.now.after(ROUND * 3), NodeId([1; 32]), 1, Duration::ZERO);
        assert_eq!(paused.lift(), Duration::ZERO, "a pause");
        watched.run(4, &[1, 2], 20, |_| 2_000);
        assert_eq!(watched.probe.lift(), Duration::ZERO, "a queue");
    }
}
