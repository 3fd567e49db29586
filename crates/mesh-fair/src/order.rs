//! The disciplines behind one face, chosen by name.
//!
//! Invariant: the scheduler's limits and windows hold whichever stands here.

use mesh_proto::NodeId;
use mesh_proto::limits::SLICE_BYTES_MAX;

use crate::drr::{DeficitRoundRobin, FlowKey, RequestKey};
use crate::fcfs::FirstComeFirstServed;
use crate::request::Discipline;

/// Flows waiting at once.
pub const FLOWS_MAX: usize = 16_384;

#[derive(Debug, Clone)]
pub(crate) enum Order {
    Drr(DeficitRoundRobin),
    Fcfs(FirstComeFirstServed),
}

impl Order {
    pub(crate) fn new(discipline: Discipline) -> Self {
        match discipline {
            Discipline::DeficitRoundRobin => Self::Drr(DeficitRoundRobin::new(SLICE_BYTES_MAX as u64)),
            Discipline::FirstComeFirstServed => Self::Fcfs(FirstComeFirstServed::new()),
        }
    }

    pub(crate) fn insert(&mut self, request: RequestKey, flow: FlowKey) {
        match self {
            Self::Drr(order) => order.insert(request, flow),
            Self::Fcfs(order) => order.insert(request, flow),
        }
    }

    pub(crate) fn remove(&mut self, request: RequestKey) {
        match self {
            Self::Drr(order) => order.remove(request),
            Self::Fcfs(order) => order.remove(request),
        }
    }

    pub(crate) fn pick(&mut self, quantum_bytes: u64) -> Option<RequestKey> {
        match self {
            Self::Drr(order) => {
                order.set_quantum(quantum_bytes);
                order.pick()
            }
            Self::Fcfs(order) => order.pick(),
        }
    }

    pub(crate) fn charge(&mut self, request: RequestKey, bytes: u64) {
        if let Self::Drr(order) = self {
            order.charge(request, bytes);
        }
    }

    pub(crate) fn park(&mut self, node: NodeId) {
        match self {
            Self::Drr(order) => order.park(node),
            Self::Fcfs(order) => order.park(node),
        }
    }

    pub(crate) fn unpark(&mut self, node: &NodeId) {
        match self {
            Self::Drr(order) => order.unpark(node),
            Self::Fcfs(order) => order.unpark(node),
        }
    }

    pub(crate) fn flow_count(&self) -> usize {
        match self {
            Self::Drr(order) => order.flow_count(),
            Self::Fcfs(_) => 1,
        }
    }

    pub(crate) fn has_room_for(&self, flow: &FlowKey) -> bool {
        match self {
            Self::Drr(order) => order.flow_count() < FLOWS_MAX || order.has_flow(flow),
            Self::Fcfs(_) => true,
        }
    }
}
