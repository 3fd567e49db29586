//! Contents whose files were found changed or away: a disk that was taken out may come back.
//!
//! They are looked at again until the store says that they are as they were, or something else for good. A look reads no
//! payload.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_proto::{ContentId, Timestamp, WakeReason};

/// How often what is away is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Looks under way at once; the others wait for their turn.
const LOOKS_MAX: usize = 16;

/// Contents that may come back.
#[derive(Debug, Default)]
pub struct Absent {
    due: BTreeMap<ContentId, Timestamp>,
    looking: BTreeSet<ContentId>,
}

impl Absent {
    /// A content was found not to be as it was.
    pub fn add(&mut self, now: Timestamp, content: ContentId) {
        if !self.looking.contains(&content) {
            self.due.insert(content, now.after(LOOK_EVERY));
        }
    }

    /// The contents to look at now; each is answered by [`done`](Self::done).
    pub fn take_due(&mut self, now: Timestamp) -> Vec<ContentId> {
        let room = LOOKS_MAX.saturating_sub(self.looking.len());
        let due: Vec<ContentId> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(content, _)| *content).take(room).collect();
        for content in &due {
            self.due.remove(content);
            self.looking.insert(*content);
        }
        due
    }

    /// A content was looked at; if it is still away it is looked at again later.
    pub fn done(&mut self, now: Timestamp, content: ContentId, away: bool) {
        self.looking.remove(&content);
        if away {
            self.add(now, content);
        }
    }

    /// When to look next.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        // Without room the next answer is what is waited for.
        let next = self.due.values().min().filter(|_| self.looking.len() < LOOKS_MAX);
        next.map(|at| (*at, "look for a disk that was away"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(number: u8) -> ContentId {
        ContentId([number; 32])
    }

    #[test]
    fn what_is_away_is_looked_at_until_it_is_back() {
        let (mut absent, start) = (Absent::default(), Timestamp::ZERO);
        absent.add(start, content(1));
        assert!(absent.take_due(start).is_empty());
        let mut now = start;
        for _ in 0..3 {
            now = absent.deadline().expect("it is looked for").0;
            assert_eq!(absent.take_due(now), [content(1)]);
            assert_eq!((absent.take_due(now), absent.deadline()), (Vec::new(), None), "one look at a time");
            absent.done(now, content(1), true);
        }
        assert_eq!(now, start.after(LOOK_EVERY * 3));
        now = now.after(LOOK_EVERY);
        assert_eq!(absent.take_due(now), [content(1)]);
        absent.done(now, content(1), false);
        assert_eq!(absent.deadline(), None);
    }

    #[test]
    fn few_are_looked_at_at_once_and_all_in_the_end() {
        let mut absent = Absent::default();
        (0..50).for_each(|number| absent.add(Timestamp::ZERO, content(number)));
        let (mut now, mut seen) = (Timestamp::ZERO, BTreeSet::new());
        while let Some((at, _)) = absent.deadline() {
            now = now.max(at);
            let due = absent.take_due(now);
            assert!(due.len() <= LOOKS_MAX);
            for content in due {
                absent.done(now, content, false);
                assert!(seen.insert(content));
            }
        }
        assert_eq!(seen.len(), 50);
    }
}
