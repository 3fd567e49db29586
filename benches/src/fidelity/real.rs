//! The real world: network namespaces on a bridge, a process for each node.
//!
//! Invariant: what was started for an experiment is gone when it is dropped.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mesh_tests::{Host, Lan, Running, TestNode, files, json};
use tempfile::TempDir;

use crate::lab::{Fetch, Lab, Link};

/// All know each other after so long, at most.
const MEETING: Duration = Duration::from_secs(300);
/// Longer than any experiment.
const LIMIT: Duration = Duration::from_secs(3600);

/// See the module. Fields end in their order: programs before their network, that before their folder.
pub struct Real {
    fetches: Vec<(Option<Running>, Instant)>,
    nodes: Vec<TestNode>,
    hosts: Vec<Host>,
    _lan: Lan,
    folder: TempDir,
}

impl Real {
    /// Builds a network, starts the nodes, and waits until all know each other. `None`, with the reason printed, if this
    /// process may not.
    pub fn new(links: &[Link]) -> Option<Self> {
        let mut lan = Lan::new()?;
        let folder = tempfile::tempdir().expect("temporary folders can be made");
        let host = |link: &Link| {
            let host = lan.host();
            host.shape(link.bits_per_s, link.burst_bytes(), link.waiting_bytes_max());
            if link.lost_percent > 0 {
                host.lose(link.lost_percent);
            }
            host
        };
        let hosts: Vec<Host> = links.iter().map(host).collect();
        let mut nodes: Vec<TestNode> =
            (0..).zip(&hosts).map(|(number, host)| host.node(&folder.path().join(format!("node-{number}")))).collect();
        nodes.iter_mut().for_each(TestNode::up);
        nodes.iter().for_each(|node| node.wait_for_peers(links.len() as u64 - 1, MEETING));
        Some(Self { fetches: Vec::new(), nodes, hosts, _lan: lan, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Lab for Real {
    fn share(&mut self, host: usize, bytes: u64, number: u64) -> String {
        let path = self.path(&format!("file-{host}-{number}"));
        files::write_random(&path, bytes, number);
        self.nodes[host].share(&path)
    }

    fn begin(&mut self, host: usize, ticket: &str) -> Fetch {
        let number = self.fetches.len();
        let target = self.path(&format!("copy-{number}"));
        let began = Instant::now();
        self.fetches.push((Some(self.nodes[host].start_fetch(ticket, &target)), began));
        Fetch(number)
    }

    fn finish(&mut self, fetches: &[Fetch]) -> Duration {
        let began = fetches.iter().map(|fetch| self.fetches[fetch.0].1).min().expect("something was begun");
        for fetch in fetches {
            let running = self.fetches[fetch.0].0.take().expect("it is waited for once");
            let _ = running.wait(LIMIT).success();
        }
        began.elapsed()
    }

    fn is_under_way(&mut self, fetch: Fetch) -> bool {
        self.fetches[fetch.0].0.as_mut().is_some_and(Running::runs)
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn set_plugged(&mut self, host: usize, plugged: bool) {
        match plugged {
            true => self.hosts[host].plug(),
            false => self.hosts[host].unplug(),
        }
    }

    fn make_member(&mut self, hosts: &[usize]) {
        let (first, others) = hosts.split_first().expect("a member has a node");
        let made = self.nodes[*first].run(&["member", "new", &format!("member {first}")]);
        let member = json::text(&made, "member");
        for other in others {
            let id = self.nodes[*other].id();
            let _ = self.nodes[*first].run(&["member", "add-node", &id]);
            let _ = self.nodes[*other].run(&["member", "accept", member]);
        }
    }

    fn given_bytes(&mut self, host: usize) -> Vec<u64> {
        let view = self.nodes[host].run(&["peers"]);
        let peers = view.as_array().or_else(|| json::find(&view, "peers")?.as_array()).expect("peers are a list");
        let given = |node: &TestNode| {
            let id = node.id();
            peers.iter().find(|peer| peer["node"] == id).map_or(0, |peer| json::number(peer, "sent_bytes"))
        };
        self.nodes.iter().map(given).collect()
    }
}
