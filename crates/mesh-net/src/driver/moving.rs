//! An end of a connection moved: an address of ours went away, or a peer comes anew from elsewhere. What stands between
//! the old places carries nothing any more, and TCP alone would take minutes to say so.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::{ConnectionId, NodeId};
use tokio::task::JoinSet;

use super::Driver;

/// So soon an address may come back: an interface was only set up anew.
const ADDRESS_BACK_MS: u64 = 2000;

/// Addresses of ours that went away, each until it is too late to come back.
#[derive(Default)]
pub(super) struct Departed {
    timers: JoinSet<IpAddr>,
    /// How many timers of an address run: one that came back may go once more.
    running: BTreeMap<IpAddr, u32>,
}

impl Departed {
    /// Notes that an address went away.
    pub(super) fn note(&mut self, own: IpAddr) {
        *self.running.entry(own).or_default() += 1;
        let over = tokio::time::sleep(Duration::from_millis(ADDRESS_BACK_MS));
        self.timers.spawn(async move {
            over.await;
            own
        });
    }

    /// Waits for the next address whose time to come back is over, counted from when it went last; `None` if none went.
    /// Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<IpAddr> {
        loop {
            // A timer neither panics nor is aborted.
            let own = self.timers.join_next().await?.ok()?;
            let running = self.running.entry(own).or_default();
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running.remove(&own);
                return Some(own);
            }
        }
    }
}

impl Driver {
    /// Who connects once more may have come back after a crash, or with another address: are its older connections alive?
    pub(super) fn doubt_older(&mut self, node: NodeId) {
        for id in self.links.of_node(node) {
            let Some(link) = self.links.by_id(id) else { continue };
            let connection = Arc::clone(&link.connection);
            let Some(counted) = connection.try_count(|of| &of.doubts_open, 1) else { continue };
            link.keep(tokio::spawn(async move {
                let _counted = counted;
                tokio::select! {
                    () = connection.closed() => {}
                    () = connection.prove() => {}
                }
            }));
        }
    }

    /// Ends a connection through which nothing gets any more. The library would try to flush it until the kernel gives it
    /// up, minutes later; to us it is over now.
    pub(super) fn abandon_connection(&mut self, id: ConnectionId, why: String) {
        self.close_connection(id, why.clone());
        let Some(link) = self.links.by_id(id) else { return };
        let (peer, swarm_id, node) = (link.peer, link.swarm_id, link.connection.node);
        let others = self.links.of_node(node).len().saturating_sub(1);
        self.handle_disconnected(peer, swarm_id, why, others);
    }

    /// Ends what stands on an address that did not come back: it can carry nothing any more.
    pub(super) fn leave_address(&mut self, own: IpAddr) {
        if self.interfaces.has(own) {
            return;
        }
        for id in self.links.standing_on(own) {
            self.abandon_connection(id, format!("this node no longer has the address {own}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    const ADDRESS_BACK: Duration = Duration::from_millis(ADDRESS_BACK_MS);

    #[tokio::test(start_paused = true)]
    async fn each_address_has_its_time_from_when_it_went_last() {
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let (mut departed, began) = (Departed::default(), Instant::now());
        assert_eq!(departed.next().await, None);
        departed.note(one);
        tokio::time::advance(ADDRESS_BACK / 4).await;
        departed.note(other);
        tokio::time::advance(ADDRESS_BACK / 2).await;
        // It was back meanwhile.
        departed.note(one);
        assert_eq!((departed.next().await, began.elapsed()), (Some(other), ADDRESS_BACK * 5 / 4));
        assert_eq!((departed.next().await, began.elapsed()), (Some(one), ADDRESS_BACK * 7 / 4));
        assert_eq!(departed.next().await, None);
    }
}
