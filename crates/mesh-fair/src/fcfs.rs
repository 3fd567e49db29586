//! First come, first served: unfair on purpose, to compare with. Whoever asks for more gets more.
//!
//! Invariant: same calls as [`DeficitRoundRobin`](crate::drr::DeficitRoundRobin), so that both can stand in the scheduler.

use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::NodeId;

use crate::drr::{FlowKey, RequestKey};

/// Requests in the order they came.
#[derive(Debug, Clone, Default)]
pub struct FirstComeFirstServed {
    arrival_next: u64,
    queue: BTreeMap<u64, RequestKey>,
    requests: BTreeMap<RequestKey, (u64, NodeId)>,
    by_node: BTreeMap<NodeId, BTreeSet<RequestKey>>,
    parked: BTreeSet<NodeId>,
}

impl FirstComeFirstServed {
    /// Nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a request at the end.
    pub fn insert(&mut self, request: RequestKey, flow: FlowKey) {
        let arrival = self.arrival_next;
        self.arrival_next += 1;
        self.requests.insert(request, (arrival, flow.node));
        self.by_node.entry(flow.node).or_default().insert(request);
        if !self.parked.contains(&flow.node) {
            self.queue.insert(arrival, request);
        }
    }

    /// Takes a request out.
    pub fn remove(&mut self, request: RequestKey) {
        let Some((arrival, node)) = self.requests.remove(&request) else { return };
        self.queue.remove(&arrival);
        if let Some(of_node) = self.by_node.get_mut(&node) {
            of_node.remove(&request);
            if of_node.is_empty() {
                self.by_node.remove(&node);
                self.parked.remove(&node);
            }
        }
    }

    /// Whose turn it is.
    #[must_use]
    pub fn pick(&self) -> Option<RequestKey> {
        self.queue.values().next().copied()
    }

    /// Passes over a node's requests until [`unpark`](Self::unpark).
    pub fn park(&mut self, node: NodeId) {
        let Some(of_node) = self.by_node.get(&node) else { return };
        self.parked.insert(node);
        for request in of_node {
            if let Some((arrival, _)) = self.requests.get(request) {
                self.queue.remove(arrival);
            }
        }
    }

    /// Lets a parked node's requests take part again, in their old places.
    pub fn unpark(&mut self, node: &NodeId) {
        if !self.parked.remove(node) {
            return;
        }
        for request in self.by_node.get(node).into_iter().flatten() {
            if let Some((arrival, _)) = self.requests.get(request) {
                self.queue.insert(*arrival, *request);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::bulk::TrafficClass;

    #[test]
    fn order_of_arrival_survives_parking() {
        let flow = |node| FlowKey {
            member: None,
            class: TrafficClass::Public,
            priority: 0,
            node: NodeId([node; 32]),
            flow: 0,
        };
        let mut queue = FirstComeFirstServed::new();
        queue.insert(RequestKey(1), flow(1));
        queue.insert(RequestKey(2), flow(2));
        queue.park(NodeId([1; 32]));
        assert_eq!(queue.pick(), Some(RequestKey(2)));
        queue.unpark(&NodeId([1; 32]));
        assert_eq!(queue.pick(), Some(RequestKey(1)));
        queue.remove(RequestKey(1));
        queue.remove(RequestKey(2));
        assert_eq!(queue.pick(), None);
        assert!(queue.by_node.is_empty());
    }
}
