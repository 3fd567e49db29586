//! The payload sources that are open, few over all connections: each may hold a whole chunk.
//!
//! A source stays open between the grants of its request. At the limit the one used longest ago is dropped, and its
//! request opens it anew at its next grant, which costs reading what was given before; so a request that nobody grants
//! anything to, or whose peer does not read, holds nothing up.

use std::collections::VecDeque;
use std::sync::Mutex;

use mesh_proto::limits::PAYLOAD_SOURCES_OPEN_MAX;
use mesh_proto::payload::PayloadSource;
use mesh_proto::port::net::ServeId;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::routes::lock;

/// All open sources.
pub(crate) struct OpenSources {
    turns: Semaphore,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    in_use: usize,
    /// Between two grants; the one used longest ago first.
    idle: VecDeque<(ServeId, Box<dyn PayloadSource>)>,
}

/// The right to have one source in use.
pub(super) struct Turn<'a> {
    of: &'a OpenSources,
    _permit: SemaphorePermit<'a>,
}

impl Default for OpenSources {
    fn default() -> Self {
        Self { turns: Semaphore::new(PAYLOAD_SOURCES_OPEN_MAX), kept: Mutex::default() }
    }
}

impl OpenSources {
    /// Waits until one more source may be in use, which only disks decide; gives the request's own if it is still open.
    pub(super) async fn turn(&self, serve: ServeId) -> (Turn<'_>, Option<Box<dyn PayloadSource>>) {
        let permit = self.turns.acquire().await.expect("nobody closes this semaphore");
        let mut kept = lock(&self.kept);
        kept.in_use += 1;
        let own = kept.take(serve);
        let dropped = kept.shrink();
        drop(kept);
        drop(dropped);
        (Turn { of: self, _permit: permit }, own)
    }

    /// Drops the source of a request that ended.
    pub(super) fn forget(&self, serve: ServeId) {
        let source = lock(&self.kept).take(serve);
        drop(source);
    }
}

impl Kept {
    fn take(&mut self, serve: ServeId) -> Option<Box<dyn PayloadSource>> {
        let position = self.idle.iter().position(|(of, _)| *of == serve)?;
        self.idle.remove(position).map(|(_, source)| source)
    }

    /// Takes out what is too many.
    fn shrink(&mut self) -> Vec<(ServeId, Box<dyn PayloadSource>)> {
        let too_many = (self.in_use + self.idle.len()).saturating_sub(PAYLOAD_SOURCES_OPEN_MAX);
        self.idle.drain(..too_many.min(self.idle.len())).collect()
    }
}

impl Turn<'_> {
    /// Ends the turn; the source stays open for the request's next one.
    pub(super) fn keep(self, serve: ServeId, source: Box<dyn PayloadSource>) {
        lock(&self.of.kept).idle.push_back((serve, source));
        // Dropping the turn makes room for it: what was in use is idle now.
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.of.kept).in_use -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::payload::SourceError;

    struct Nothing;

    impl PayloadSource for Nothing {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, SourceError> {
            Ok(0)
        }
    }

    #[tokio::test]
    async fn the_source_used_longest_ago_is_dropped() {
        let open = OpenSources::default();
        for serve in 0..=PAYLOAD_SOURCES_OPEN_MAX as u64 {
            let (turn, own) = open.turn(ServeId(serve)).await;
            assert!(own.is_none());
            turn.keep(ServeId(serve), Box::new(Nothing));
        }
        assert_eq!(lock(&open.kept).idle.len(), PAYLOAD_SOURCES_OPEN_MAX);
        assert!(open.turn(ServeId(0)).await.1.is_none(), "it was used longest ago");
        assert!(open.turn(ServeId(2)).await.1.is_some());
        open.forget(ServeId(3));
        assert!(open.turn(ServeId(3)).await.1.is_none());
        assert_eq!(lock(&open.kept).in_use, 0);
    }

    #[tokio::test]
    async fn no_more_are_in_use_than_may_be_open() {
        let open = OpenSources::default();
        let mut turns = Vec::new();
        for serve in 0..PAYLOAD_SOURCES_OPEN_MAX as u64 {
            turns.push(open.turn(ServeId(serve)).await.0);
        }
        assert!(futures::FutureExt::now_or_never(open.turn(ServeId(99))).is_none());
        turns.pop();
        assert!(futures::FutureExt::now_or_never(open.turn(ServeId(99))).is_some());
    }
}
