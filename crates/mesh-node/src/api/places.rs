//! Which connections are served: so many at once, and one that calls always finds a place.
//!
//! Whoever connects takes a place before it has shown the token, so any program of this machine can take all. When they
//! are taken, a newcomer gets that of the connection without a call that has been there longest: it may keep silent as
//! long as nobody else wants its place. Who has shown the token goes last, and nobody in the middle of a call.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Connections served at once.
pub(super) const PLACES_MAX: usize = 128;
/// How long a newcomer has in any case to send its call.
const GRACE: Duration = Duration::from_millis(100);

/// A connection's place, which its tasks share.
#[derive(Debug)]
pub(super) struct Place {
    since: Instant,
    calls: AtomicUsize,
    was_admitted: AtomicBool,
    cut: Notify,
}

/// A call under way: while it lives, its connection keeps its place.
#[derive(Debug)]
pub(super) struct Call(Arc<Place>);

impl Place {
    /// A call begins that the guard has let in.
    pub(super) fn begin(self: Arc<Self>) -> Call {
        self.was_admitted.store(true, Ordering::Relaxed);
        self.calls.fetch_add(1, Ordering::Relaxed);
        Call(self)
    }

    /// Whether the guard ever let one of its calls in.
    pub(super) fn was_admitted(&self) -> bool {
        self.was_admitted.load(Ordering::Relaxed)
    }

    /// Returns when another needs the place.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }

    fn may_go(&self) -> bool {
        self.calls.load(Ordering::Relaxed) == 0 && self.since.elapsed() >= GRACE
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The places that are taken.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Weak<Place>>);

impl Places {
    /// Takes a place, once [`Self::room`] has returned.
    pub(super) fn take(&mut self) -> Arc<Place> {
        let place = Place {
            since: Instant::now(),
            calls: AtomicUsize::new(0),
            was_admitted: AtomicBool::new(false),
            cut: Notify::new(),
        };
        let place = Arc::new(place);
        self.0.push(Arc::downgrade(&place));
        place
    }

    /// Returns when there is a place, for which another may have to go.
    pub(super) async fn room(&mut self) {
        loop {
            self.0.retain(|place| place.strong_count() > 0);
            if self.0.len() < PLACES_MAX {
                return;
            }
            let going = self.0.iter().enumerate().filter_map(|(index, place)| Some((index, place.upgrade()?)));
            let going = going.filter(|(_, place)| place.may_go());
            // Oldest first: a stranger before who has shown the token.
            let going = going.min_by_key(|(index, place)| (place.was_admitted(), *index));
            if let Some((index, place)) = going {
                place.cut.notify_one();
                drop(self.0.remove(index));
                return;
            }
            tokio::time::sleep(GRACE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_cut(place: &Place) -> bool {
        tokio::time::timeout(Duration::ZERO, place.cut()).await.is_ok()
    }

    /// Takes every place; the clock stands still.
    async fn full() -> (Places, Vec<Arc<Place>>) {
        let mut places = Places::default();
        let mut taken = Vec::new();
        for _ in 0..PLACES_MAX {
            places.room().await;
            taken.push(places.take());
        }
        (places, taken)
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_without_a_call_makes_room_and_who_has_the_token_last() {
        let (mut places, taken) = full().await;
        drop(Arc::clone(&taken[1]).begin());
        let mut calls = vec![Arc::clone(&taken[0]).begin()];
        let began = Instant::now();
        for expected in taken[2..].iter().chain([&taken[1]]) {
            places.room().await;
            assert!(is_cut(expected).await);
            calls.push(places.take().begin());
        }
        assert_eq!(began.elapsed(), GRACE, "each has a moment to send its call");
        let waited = tokio::time::timeout(Duration::from_secs(3600), places.room()).await;
        assert!(waited.is_err(), "all are in calls");
        drop(calls.swap_remove(0));
        places.room().await;
        assert!(is_cut(&taken[0]).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_left_leaves_a_place() {
        let (mut places, mut taken) = full().await;
        let calls: Vec<_> = taken.iter().map(|place| Arc::clone(place).begin()).collect();
        drop(calls);
        drop(taken.remove(7));
        let began = Instant::now();
        places.room().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
