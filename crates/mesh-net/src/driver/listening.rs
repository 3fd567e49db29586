//! Where we listen: asks the system, and reports what it said about each address.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::core::transport::ListenerId;
use mesh_proto::port::NetInput;
use tokio::time::Instant;

use super::Driver;
use crate::address::{self, ip_of, is_link_local_v6, port_of, text_of};

/// Connections that can't be accepted are complained of so often; each is tried ten times a second.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// The listeners and their addresses.
#[derive(Default)]
pub(super) struct Listening {
    asked: HashMap<ListenerId, Multiaddr>,
    addresses: HashSet<Multiaddr>,
    /// When it was last said that a connection can't be accepted.
    complained: Option<Instant>,
}

impl Listening {
    /// Whether nobody but this machine can reach us.
    pub(super) fn is_loopback_only(&self) -> bool {
        !self.addresses.is_empty()
            && self.addresses.iter().all(|address| ip_of(address).is_some_and(|ip| ip.is_loopback()))
    }
}

impl Driver {
    /// Listens on each address, reporting those that can't be had.
    pub(super) async fn listen(&mut self, texts: Vec<String>) {
        let mut targets = Vec::new();
        for text in texts {
            match address::parse(&text) {
                Ok(target) => match port_is_free(&target.address) {
                    Ok(()) => targets.push(target.address),
                    Err(error) => self.report_listen_failed(text, error.to_string()).await,
                },
                Err(error) => self.report_listen_failed(text, error.to_string()).await,
            }
        }
        for target in targets {
            match self.swarm.listen_on(target.clone()) {
                Ok(listener) => {
                    self.listening.asked.insert(listener, target);
                }
                Err(error) => self.report_listen_failed(text_of(&target), error.to_string()).await,
            }
        }
    }

    pub(super) async fn handle_new_listen_address(&mut self, address: Multiaddr) {
        if is_link_local_v6(&address) || !self.listening.addresses.insert(address.clone()) {
            return;
        }
        self.shared.report(NetInput::Listening { address: text_of(&address) }).await;
    }

    pub(super) fn handle_expired_listen_address(&mut self, address: &Multiaddr) {
        self.listening.addresses.remove(address);
    }

    pub(super) async fn handle_listener_closed(&mut self, listener: ListenerId, reason: io::Result<()>) {
        let asked = self.listening.asked.remove(&listener);
        if let (Some(address), Err(error)) = (asked, reason) {
            self.report_listen_failed(text_of(&address), error.to_string()).await;
        }
    }

    /// A connection could not be taken, as when no more files may be open. The listener goes on by itself, and what it
    /// could not take waits in its queue.
    pub(super) fn handle_listener_error(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self.listening.complained.is_none_or(|at| now.duration_since(at) >= COMPLAINT_INTERVAL) {
            self.listening.complained = Some(now);
            tracing::warn!(%error, "a connection can't be accepted");
        }
    }

    async fn report_listen_failed(&mut self, address: String, why: String) {
        self.shared.report(NetInput::ListenFailed { address, why }).await;
    }
}

/// Whether no other program listens there. libp2p lets listeners share a port, which would hide that one is taken.
fn port_is_free(address: &Multiaddr) -> io::Result<()> {
    let (Some(ip), Some(port)) = (ip_of(address), port_of(address)) else {
        return Ok(());
    };
    if port == 0 {
        return Ok(());
    }
    // A probe on all IPv6 addresses would take the port for IPv4 too, and meet a listener that is no obstacle.
    let ip = if ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED) { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { ip };
    match std::net::TcpListener::bind(SocketAddr::new(ip, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}
