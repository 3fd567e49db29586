//! Emptying a path for a moment, to see how long it is without a queue.
//!
//! What was granted before the drain has met the queue that is being emptied: only what is granted in it and comes back
//! tells. A path that has just become slow may hold far more than is expected of it; it goes on alone then, until it has
//! shown itself empty, while the others fill the uplink again.

use std::time::Duration;

use mesh_proto::Timestamp;

/// For so long at most one path goes on alone.
const ALONE_MAX: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    since: Timestamp,
    until: Timestamp,
    /// The least by what was granted since.
    rtt: Option<Duration>,
    /// The least by anything.
    rtt_with_queue: Option<Duration>,
}

impl Drain {
    pub(super) fn new(since: Timestamp, until: Timestamp) -> Self {
        Self { since, until, rtt: None, rtt_with_queue: None }
    }

    /// Something came back after `rtt`. `believed` is the round trip so far, and `others_queue` what others build while
    /// they do not wait.
    pub(super) fn see(&mut self, now: Timestamp, rtt: Duration, believed: Option<Duration>, others_queue: Duration) {
        let least = |seen: Option<Duration>, rtt: Duration| Some(seen.map_or(rtt, |least| least.min(rtt)));
        self.rtt_with_queue = least(self.rtt_with_queue, rtt);
        if now.since(self.since) >= rtt {
            let others_queue = if now > self.until { others_queue } else { Duration::ZERO };
            let shortest = believed.unwrap_or(rtt).min(rtt);
            self.rtt = least(self.rtt, rtt.saturating_sub(others_queue).max(shortest));
        }
    }

    /// Whether the time of the drain is over.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    /// Whether the path was not seen empty, and still may be.
    pub(super) fn may_see_more(&self, now: Timestamp) -> bool {
        self.rtt.is_none() && self.rtt_with_queue.is_some() && now < self.until.after(ALONE_MAX)
    }

    /// The shortest round trip it has shown.
    pub(super) fn rtt(&self) -> Option<Duration> {
        [self.rtt, self.rtt_with_queue].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(ms: u64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    #[test]
    fn only_what_was_granted_in_it_shows_the_path_empty() {
        let mut drain = Drain::new(at(0), at(100));
        drain.see(at(90), MS * 200, Some(MS), MS * 35);
        assert!(drain.is_over(at(100)) && !drain.is_over(at(99)));
        assert!(drain.may_see_more(at(100)), "that has met a queue");
        assert_eq!(drain.rtt(), Some(MS * 200), "if nothing else comes");
        drain.see(at(400), MS * 50, Some(MS), MS * 35);
        assert!(!drain.may_see_more(at(400)));
        assert_eq!(drain.rtt(), Some(MS * 15), "less what the others have put before it since");
        drain.see(at(450), MS * 20, Some(MS), MS * 35);
        assert_eq!(drain.rtt(), Some(MS), "but no shorter than was believed");
    }

    #[test]
    fn it_goes_on_for_a_while_only_and_only_for_what_was_under_way() {
        let mut drain = Drain::new(at(0), at(100));
        assert!(!drain.may_see_more(at(100)), "nothing was");
        drain.see(at(90), MS * 200, None, Duration::ZERO);
        assert!(drain.may_see_more(at(2_099)) && !drain.may_see_more(at(2_100)));
        drain.see(at(99), MS * 60, None, MS * 35);
        assert_eq!(drain.rtt(), Some(MS * 60), "the others wait, too");
    }
}
