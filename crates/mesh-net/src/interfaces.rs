//! The subnets this machine's interfaces are in, and what that says about a peer's address.
//!
//! Invariant: without a working watcher everything but loopback is [`LinkClass::Farther`], never a guess.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use futures::StreamExt;
use if_watch::tokio::IfWatcher;
use if_watch::{IfEvent, IpNet};
use libp2p::Multiaddr;
use mesh_proto::port::net::LinkClass;

use crate::address::ip_of;

/// How long the first list of interfaces may take.
const FIRST_LIST_MS_MAX: u64 = 500;
/// The list counts as complete when nothing was added for so long.
const FIRST_LIST_GAP_MS: u64 = 20;
/// Subnets remembered; more than any sensible machine has.
const SUBNETS_MAX: usize = 1024;

/// The subnets of our interfaces, kept up to date.
pub(crate) struct Interfaces {
    watcher: Option<IfWatcher>,
    subnets: Vec<IpNet>,
}

impl Interfaces {
    /// Starts watching. A machine that can't be watched is served all the same.
    pub(crate) fn new() -> Self {
        let watcher = IfWatcher::new()
            .inspect_err(|error| tracing::warn!(%error, "interfaces can't be watched; every peer counts as far away"))
            .ok();
        Self { watcher, subnets: Vec::new() }
    }

    /// Waits for the interfaces that are there at the start, so that the first connections are classed rightly.
    pub(crate) async fn settle(&mut self) {
        let first = tokio::time::timeout(Duration::from_millis(FIRST_LIST_MS_MAX), self.changed()).await;
        if first.is_err() {
            return;
        }
        while tokio::time::timeout(Duration::from_millis(FIRST_LIST_GAP_MS), self.changed()).await.is_ok() {}
    }

    /// Takes in the next change; says which address of ours went away, if that is what changed. Safe to cancel.
    pub(crate) async fn changed(&mut self) -> Option<IpAddr> {
        let Some(watcher) = self.watcher.as_mut() else {
            return std::future::pending().await;
        };
        match watcher.next().await {
            Some(Ok(IfEvent::Up(subnet))) if self.subnets.len() < SUBNETS_MAX => self.subnets.push(subnet),
            Some(Ok(IfEvent::Up(_))) => {}
            Some(Ok(IfEvent::Down(subnet))) => {
                self.subnets.retain(|known| *known != subnet);
                return Some(subnet.addr());
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "interfaces are no longer watched");
                self.watcher = None;
            }
            None => self.watcher = None,
        }
        None
    }

    /// Whether the address is one of ours now.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.addr() == ip)
    }

    /// What the path to this address looks like.
    pub(crate) fn class_of(&self, address: &Multiaddr) -> LinkClass {
        let Some(ip) = ip_of(address) else {
            return LinkClass::Farther;
        };
        if ip.is_loopback() || self.has(ip) {
            return LinkClass::Loopback;
        }
        match self.is_near(ip) {
            true => LinkClass::SameSegment,
            false => LinkClass::Farther,
        }
    }

    /// Whether the address is in a subnet of ours, loopback's excepted.
    pub(crate) fn is_near(&self, ip: IpAddr) -> bool {
        !ip.is_loopback() && self.subnets.iter().any(|subnet| subnet.prefix_len() > 0 && subnet.contains(&ip))
    }
}

/// The address of ours that packets to this one leave from. Asks the system, and sends nothing.
pub(crate) fn own_address_towards(ip: IpAddr) -> Option<IpAddr> {
    const ANY_PORT: u16 = 9;
    let unspecified: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect((ip, ANY_PORT)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(subnets: &[&str]) -> Interfaces {
        Interfaces { watcher: None, subnets: subnets.iter().map(|subnet| subnet.parse().unwrap()).collect() }
    }

    fn class(interfaces: &Interfaces, text: &str) -> LinkClass {
        interfaces.class_of(&text.parse().unwrap())
    }

    #[test]
    fn an_address_is_classed_by_our_subnets() {
        let interfaces = with(&["127.0.0.1/8", "10.1.2.3/24", "fd00::5/64"]);
        assert_eq!(class(&interfaces, "/ip4/127.0.0.9/tcp/1"), LinkClass::Loopback);
        assert_eq!(class(&interfaces, "/ip4/10.1.2.3/tcp/1"), LinkClass::Loopback);
        assert_eq!(class(&interfaces, "/ip4/10.1.2.77/tcp/1"), LinkClass::SameSegment);
        assert_eq!(class(&interfaces, "/ip4/10.1.3.77/tcp/1"), LinkClass::Farther);
        assert_eq!(class(&interfaces, "/ip6/fd00::9/tcp/1"), LinkClass::SameSegment);
        assert_eq!(class(&interfaces, "/ip6/::1/tcp/1"), LinkClass::Loopback);
    }

    #[test]
    fn packets_to_this_machine_leave_from_it() {
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert_eq!(own_address_towards(loopback), Some(loopback));
    }

    #[test]
    fn loopback_is_never_near() {
        assert!(!with(&["127.0.0.1/8"]).is_near("127.0.0.2".parse().unwrap()));
    }
}
