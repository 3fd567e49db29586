//! The same flows by packets and by flow model: how long each takes, side by side.
//!
//! Two links in a row are the bottlenecks; of eight flows three cross only the first, three only the second and two
//! both. They come and go at different times, with round trips from 1 to 600 ms. The flow model was made with these eight
//! in view, so the tests also draw plans at random.
//!
//! Invariant: both models get the same plan, and neither knows which.

use mesh_proto::Timestamp;
use serde::Serialize;

use super::{Control, FlowPlan, LinkPlan, Loss, run};
use crate::flow::{Congestion, Flows, PathQuality, Use};

const MS: u64 = 1_000_000;

/// Rates of the two bottlenecks.
const BOTTLENECKS_BYTES_PER_S: [u64; 2] = [5_000_000, 3_000_000];

/// A run that takes longer has gone wrong.
const UNTIL: Timestamp = Timestamp(3_600_000 * MS);

/// What all flows of a comparison have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// How the senders find their rates.
    pub congestion: Congestion,
    /// Packets lost on the way of each flow, out of a million, behind the bottlenecks.
    pub loss_ppm: u32,
    /// How long the full buffer of a bottleneck takes to drain.
    pub buffer_ns: u64,
}

/// One of the flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Which of the two bottlenecks it crosses.
    pub crosses: [bool; 2],
    /// Round trip without queues.
    pub rtt_ns: u64,
    /// When it begins.
    pub start: Timestamp,
    /// How much it carries.
    pub bytes: u64,
}

/// What both models say of one flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which flow.
    pub flow: usize,
    /// Round trip without queues.
    pub rtt_ns: u64,
    /// When it begins.
    pub start_ns: u64,
    /// How much it carries.
    pub bytes: u64,
    /// From its start until its last byte arrives, by packets: the median over the seeds.
    pub packets_ns: u64,
    /// The same by flow model.
    pub flows_ns: u64,
    /// Flow model over packets, times 1,000.
    pub ratio_permille: u64,
}

/// The eight flows.
#[must_use]
pub fn eight_flows() -> [Planned; 8] {
    let flow = |first, second, rtt_ms, start_ms, megabytes: u64| Planned {
        crosses: [first, second],
        rtt_ns: rtt_ms * MS,
        start: Timestamp(start_ms * MS),
        bytes: megabytes * 1_000_000,
    };
    [
        flow(true, false, 1, 0, 40),
        flow(true, false, 50, 2_000, 20),
        flow(true, false, 600, 5_000, 30),
        flow(false, true, 10, 1_000, 15),
        flow(false, true, 100, 4_000, 20),
        flow(false, true, 300, 8_000, 12),
        flow(true, true, 30, 3_000, 15),
        flow(true, true, 200, 6_000, 10),
    ]
}

/// Runs flows both ways, by packets over all the seeds.
#[must_use]
pub fn compare(planned: &[Planned], setting: Setting, seeds: &[u64]) -> Vec<Row> {
    let packets: Vec<Vec<u64>> = seeds.iter().map(|seed| by_packets(planned, setting, *seed)).collect();
    let flows = by_flows(planned, setting);
    let row = |(flow, plan): (usize, &Planned)| {
        let packets_ns = median(packets.iter().map(|run| run[flow]).collect());
        let ratio_permille = (u128::from(flows[flow]) * 1_000 / u128::from(packets_ns.max(1))) as u64;
        let Planned { rtt_ns, start, bytes, .. } = *plan;
        Row { flow, rtt_ns, start_ns: start.0, bytes, packets_ns, flows_ns: flows[flow], ratio_permille }
    };
    planned.iter().enumerate().map(row).collect()
}

fn median(mut numbers: Vec<u64>) -> u64 {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// Each flow crosses its bottlenecks and then a fast link of its own, which has the delay and the loss.
fn by_packets(planned: &[Planned], setting: Setting, seed: u64) -> Vec<u64> {
    let mut links = BOTTLENECKS_BYTES_PER_S
        .map(|rate_bytes_per_s| LinkPlan {
            rate_bytes_per_s,
            delay_ns: 0,
            buffer_bytes: rate_bytes_per_s * (setting.buffer_ns / MS) / 1_000,
            loss: Loss::Every { packets: 0 },
        })
        .to_vec();
    let control = match setting.congestion {
        Congestion::Bbr => Control::Bandwidth,
        Congestion::Cubic => Control::Cubic,
    };
    let flows: Vec<FlowPlan> = planned
        .iter()
        .map(|plan| {
            let own = LinkPlan {
                rate_bytes_per_s: 1_000_000_000,
                delay_ns: plan.rtt_ns / 2,
                buffer_bytes: 1 << 40,
                loss: Loss::Independent { ppm: setting.loss_ppm },
            };
            links.push(own);
            let crossed = (0..2).filter(|link| plan.crosses[*link]);
            let path = crossed.chain([links.len() - 1]).collect();
            FlowPlan { start: plan.start, bytes: plan.bytes, path, back_ns: plan.rtt_ns - plan.rtt_ns / 2, control }
        })
        .collect();
    let outcomes = run(&links, &flows, seed, UNTIL);
    let took = planned.iter().zip(outcomes).map(|(plan, outcome)| outcome.completed.unwrap_or(UNTIL).0 - plan.start.0);
    took.collect()
}

fn by_flows(planned: &[Planned], setting: Setting) -> Vec<u64> {
    let mut flows = Flows::new();
    let bottlenecks = BOTTLENECKS_BYTES_PER_S.map(|rate| flows.add_resource(rate).expect("two resources"));
    let mut starts: Vec<(usize, &Planned)> = planned.iter().enumerate().collect();
    starts.sort_by_key(|(_, plan)| plan.start);
    let mut done = Vec::new();
    for (index, plan) in starts {
        let crossed = (0..2).filter(|link| plan.crosses[*link]);
        let path: Vec<Use> = crossed.map(|link| Use { resource: bottlenecks[link], weight_permille: 1_000 }).collect();
        let Setting { congestion, loss_ppm, buffer_ns: queue_ns } = setting;
        let quality = PathQuality { rtt_ns: plan.rtt_ns, loss_ppm, queue_ns, congestion };
        let flow = flows.open(plan.start, &path, quality).expect("few flows");
        flows.send(plan.start, flow, plan.bytes, index as u64).expect("it is open");
    }
    while let Some(at) = flows.poll_timeout() {
        flows.advance(at, &mut done);
    }
    let mut took = vec![UNTIL.0; planned.len()];
    for left in done {
        let plan = &planned[left.token as usize];
        took[left.token as usize] = left.at.0 + plan.rtt_ns / 2 + left.repair_ns - plan.start.0;
    }
    took
}
