//! Discovery by multicast rests for a while when more is announced than a segment can have.
//!
//! Anybody on a segment may announce any number of nodes, and libp2p keeps them all in one list, which it goes through for
//! each that comes: after a minute it does nothing else. Peers that are known by then stay known, and other ways to find
//! some remain.

use std::time::Duration;

use tokio::time::Instant;

use super::Driver;

/// Addresses announced and kept: those of far more nodes than one segment should have.
const ANNOUNCED_MAX: usize = 4096;
/// How long nothing is heard and said then.
const REST: Duration = Duration::from_secs(60);

/// Whether discovery by multicast rests.
#[derive(Debug, Default)]
pub(super) struct Multicast {
    rests_until: Option<Instant>,
}

impl Multicast {
    /// Returns when a rest is over; never while there is none.
    pub(super) async fn rested(&self) {
        match self.rests_until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}

impl Driver {
    /// Something was announced.
    pub(super) fn rest_from_multicast_if_flooded(&mut self) {
        let announced = self.swarm.behaviour().announced();
        if announced > ANNOUNCED_MAX {
            tracing::warn!(announced, rest_s = REST.as_secs(), "too much is announced by multicast: nobody listens");
            self.swarm.behaviour_mut().stop_multicast();
            self.multicast.rests_until = Some(Instant::now() + REST);
        }
    }

    /// Listens and answers again.
    pub(super) fn resume_multicast(&mut self) {
        self.multicast.rests_until = None;
        let own = *self.swarm.local_peer_id();
        let listening: Vec<_> = self.swarm.listeners().cloned().collect();
        self.swarm.behaviour_mut().start_multicast(own, &listening);
    }
}
