//! An end of a connection moved: an address of ours went away, or a peer comes anew from elsewhere. What stands between
//! the old places carries nothing any more, and TCP alone would take minutes to say so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_proto::{ConnectionId, NodeId};

use super::Driver;

/// So soon an address may come back: an interface was only set up anew.
const ADDRESS_BACK_MS: u64 = 2000;

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

    /// An address of ours went away: what stands on it can carry nothing, unless it comes back soon, as when an interface
    /// is only set up anew.
    pub(super) fn handle_address_gone(&mut self, own: IpAddr) {
        self.departed.spawn(async move {
            tokio::time::sleep(Duration::from_millis(ADDRESS_BACK_MS)).await;
            own
        });
    }

    /// Ends what stands on an address that did not come back.
    pub(super) fn leave_address(&mut self, own: IpAddr) {
        if self.interfaces.has(own) {
            return;
        }
        for id in self.links.standing_on(own) {
            self.abandon_connection(id, format!("this node no longer has the address {own}"));
        }
    }
}
