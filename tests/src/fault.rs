//! What can be wrong with a host's link.

use std::net::Ipv4Addr;

use crate::lan::Host;
use crate::place::system;

impl Host {
    /// Limits the link in both directions. The node is not told.
    ///
    /// Packets must not be joined to super-packets before the queue, else the queue serves flows by turns of 64 KiB and
    /// shares unjustly by itself; both ends are told so.
    pub fn limit_rate(&self, mbit_per_s: u32) {
        let bits_per_s = u64::from(mbit_per_s) * 1_000_000;
        let burst_bytes = 32 << 10;
        self.shape(bits_per_s, burst_bytes, burst_bytes + bits_per_s / 8 / 20);
    }

    /// The same at any rate, with so much that may go at once, and so much that may wait.
    pub fn shape(&self, bits_per_s: u64, burst_bytes: u64, waiting_bytes_max: u64) {
        let (host, switch, port) = (&self.namespace, &self.switch, &self.port);
        for (namespace, device) in [(host, "eth0"), (switch, port.as_str())] {
            system(&format!("ip -n {namespace} link set {device} gso_max_segs 1"));
            system(&format!(
                "tc -n {namespace} qdisc replace dev {device} root tbf rate {bits_per_s}bit burst {burst_bytes} limit {waiting_bytes_max}"
            ));
        }
    }

    /// Sets the largest packet of the link, in bytes. Shaped links take the kernel's work by the packet, so that a machine
    /// may be at its end long before the links are.
    pub fn set_mtu(&self, bytes: u32) {
        for (namespace, device) in [(&self.namespace, "eth0"), (&self.switch, self.port.as_str())] {
            system(&format!("ip -n {namespace} link set {device} mtu {bytes}"));
        }
    }

    /// Lets no multicast pass, as large mesh networks do.
    pub fn block_multicast(&self) {
        self.filter();
        for hook in ["input", "output"] {
            self.rule(hook, "ip daddr 224.0.0.0/4 drop");
            self.rule(hook, "ip6 daddr ff02::fb drop");
        }
    }

    /// Loses this share of the packets that arrive, at random.
    pub fn lose(&self, percent: u32) {
        self.filter();
        self.rule("input", &format!("iifname eth0 numgen random mod 100 < {percent} drop"));
    }

    /// Takes the link away.
    pub fn unplug(&self) {
        system(&format!("ip -n {} link set {} down", self.switch, self.port));
    }

    /// Gives the link back.
    pub fn plug(&self) {
        system(&format!("ip -n {} link set {} up", self.switch, self.port));
    }

    /// Gives the host another address on its segment.
    pub fn readdress(&mut self, address: Ipv4Addr) {
        self.take_address();
        self.address = address;
        self.give_address();
    }

    /// Takes its address away.
    pub fn take_address(&self) {
        system(&format!("ip -n {} addr del {}/24 dev eth0", self.namespace, self.address));
    }

    /// Gives its address back.
    pub fn give_address(&self) {
        system(&format!("ip -n {} addr add {}/24 dev eth0", self.namespace, self.address));
        // It went with the address.
        system(&format!("ip -n {} route replace 224.0.0.0/4 dev eth0", self.namespace));
    }

    /// Takes its IPv4 away.
    pub fn leave_ipv6_only(&self) {
        system(&format!("ip -n {} -4 addr flush dev eth0", self.namespace));
    }

    fn filter(&self) {
        self.nft("add table inet mesh");
        for hook in ["input", "output"] {
            self.nft(&format!("add chain inet mesh {hook} {{ type filter hook {hook} priority 0 ; }}"));
        }
    }

    fn rule(&self, hook: &str, rule: &str) {
        self.nft(&format!("add rule inet mesh {hook} {rule}"));
    }

    fn nft(&self, line: &str) {
        system(&format!("ip netns exec {} nft {line}", self.namespace));
    }
}
