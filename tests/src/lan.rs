//! A network of hosts: each a network namespace with one link to a bridge, which lives in a namespace of its own.
//!
//! Needs root. Names hold our process id and a number, so that tests never meet; what a process left behind that no
//! longer runs is removed when the next network is made. Only one network exists at a time on a machine, because tests
//! on it measure time: a lock in the folder for temporary files sees to that.

use std::env;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::node::TestNode;
use crate::place::{Place, is_root, system, try_system};

const PREFIX: &str = "mesh-test";

/// A network. Dropped, it is gone, with all processes on it.
#[derive(Debug)]
pub struct Lan {
    prefix: String,
    hosts: u8,
    segments: u8,
    namespaces: Vec<String>,
    _alone: File,
}

/// A host on a network.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its namespace.
    pub namespace: String,
    /// Its address, in a network of 24 bits.
    pub address: Ipv4Addr,
    /// The namespace of the bridge.
    pub switch: String,
    /// The bridge's end of its link; the host's own is `eth0`.
    pub port: String,
}

impl Lan {
    /// Makes a network without hosts; `None`, with the reason printed, if this process may not.
    ///
    /// # Panics
    /// If it may not and `MESH_REQUIRE_NETWORK` is set: where networks are known to work, a skipped test is a failed one.
    #[must_use]
    pub fn new() -> Option<Self> {
        if let Some(reason) = lacking() {
            return skip(&reason);
        }
        let alone = File::create(env::temp_dir().join("mesh-test-network.lock")).expect("temporary files can be made");
        alone.lock().expect("a file can be locked");
        // Behind the lock: two probes at once would take each other for an obstacle.
        if !may_make_namespaces() {
            return skip("this system lets nobody make network namespaces");
        }
        remove_stale();
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}-{}-{number}", std::process::id());
        let mut lan = Self { prefix, hosts: 0, segments: 0, namespaces: Vec::new(), _alone: alone };
        lan.add_namespace("switch");
        let _ = lan.segment();
        Some(lan)
    }

    /// Adds a segment that nothing joins to the others; the first is there.
    pub fn segment(&mut self) -> Segment {
        let segment = Segment(self.segments);
        self.segments += 1;
        let (switch, bridge) = (&self.namespaces[0], segment.bridge());
        system(&format!("ip -n {switch} link add {bridge} type bridge mcast_snooping 0"));
        system(&format!("ip -n {switch} link set {bridge} up"));
        segment
    }

    /// Adds a host on the first segment.
    ///
    /// # Panics
    /// If there are 250 already.
    pub fn host(&mut self) -> Host {
        self.host_on(Segment(0))
    }

    /// Adds a host on a segment.
    ///
    /// # Panics
    /// If there are 250 already.
    pub fn host_on(&mut self, segment: Segment) -> Host {
        assert!(self.hosts < 250, "a network of 24 bits is full");
        self.hosts += 1;
        let number = self.hosts;
        let namespace = self.add_namespace(&format!("host{number}"));
        let switch = self.namespaces[0].clone();
        let port = format!("port{number}");
        let host = Host { namespace, address: segment.address(number), switch, port };
        host.link(segment, number, "eth0", &host.port);
        // Multicast leaves by the link though there is no way to the internet.
        system(&format!("ip -n {} route add 224.0.0.0/4 dev eth0", host.namespace));
        host
    }

    /// Links a host to one more segment; it does not pass packets on.
    ///
    /// # Panics
    /// If it was not made by this network, or is on two segments already.
    pub fn join(&self, host: &Host, segment: Segment) {
        let [.., number] = host.address.octets();
        host.link(segment, number, "eth1", &format!("{}b", host.port));
    }

    fn add_namespace(&mut self, name: &str) -> String {
        let name = format!("{}-{name}", self.prefix);
        system(&format!("ip netns add {name}"));
        self.namespaces.push(name.clone());
        system(&format!("ip -n {name} link set lo up"));
        name
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.namespaces.iter().for_each(|name| remove(name));
    }
}

/// A part of a network: all on it hear each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment(u8);

impl Segment {
    fn bridge(self) -> String {
        format!("bridge{}", self.0)
    }

    fn address(self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, number)
    }
}

impl Host {
    fn link(&self, segment: Segment, number: u8, device: &str, port: &str) {
        let (switch, namespace, bridge) = (&self.switch, &self.namespace, segment.bridge());
        let (address, six) = (segment.address(number), format!("fd77:{:x}::{number:x}", segment.0));
        system(&format!("ip -n {switch} link add {port} type veth peer name {device} netns {namespace}"));
        system(&format!("ip -n {switch} link set {port} master {bridge} up"));
        system(&format!("ip -n {namespace} addr add {address}/24 dev {device}"));
        system(&format!("ip -n {namespace} addr add {six}/64 dev {device} nodad"));
        system(&format!("ip -n {namespace} link set {device} up"));
    }

    /// The port nodes on hosts listen on.
    pub const PORT: u16 = 4340;

    /// The host as a place for processes.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::Namespace(self.namespace.clone())
    }

    /// Where its node listens, as a multiaddr.
    #[must_use]
    pub fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.address, Self::PORT)
    }

    /// A node for this host, not yet running.
    #[must_use]
    pub fn node(&self, data: &Path) -> TestNode {
        TestNode::new(self.place(), data).with_options(&["--listen", &format!("/ip4/0.0.0.0/tcp/{}", Self::PORT)])
    }

    /// Bytes its link carried away from it so far.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.counter("tx_bytes")
    }

    /// Bytes its link brought so far.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.counter("rx_bytes")
    }

    fn counter(&self, name: &str) -> u64 {
        let text = system(&format!("ip netns exec {} cat /sys/class/net/eth0/statistics/{name}", self.namespace));
        text.trim().parse().expect("a counter is a number")
    }
}

fn skip(reason: &str) -> Option<Lan> {
    assert!(env::var_os("MESH_REQUIRE_NETWORK").is_none(), "this test may not be skipped here, but: {reason}");
    eprintln!("SKIPPED: {reason}");
    None
}

/// What a network needs and this process has not.
fn lacking() -> Option<String> {
    if !is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let there = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<&str> = ["ip", "tc", "nft"].into_iter().filter(|program| !there(program)).collect();
    let missing = missing.join(", ");
    (!missing.is_empty()).then(|| format!("network tests need {missing} (apt-get install iproute2 nftables)"))
}

fn may_make_namespaces() -> bool {
    let probe = format!("{PREFIX}-{}-probe", std::process::id());
    try_system(&format!("ip netns add {probe}")) && try_system(&format!("ip netns del {probe}"))
}

fn remove_stale() {
    let list = system("ip netns list");
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    for name in names {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1));
        let gone = owner.is_some_and(|process| !Path::new("/proc").join(process).exists());
        if gone {
            remove(name);
        }
    }
}

/// Ends what runs in a namespace, then removes it; its links go with it.
fn remove(namespace: &str) {
    let mut list = std::process::Command::new("ip");
    list.args(["netns", "pids", namespace]);
    let processes = list.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    for process in processes.unwrap_or_default().split_whitespace() {
        let _ = try_system(&format!("kill -9 {process}"));
    }
    let _ = try_system(&format!("ip netns del {namespace}"));
}
