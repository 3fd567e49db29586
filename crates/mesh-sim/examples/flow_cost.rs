//! What flows cost: a star of nodes, each with an uplink and a downlink, and flows between random pairs of them.
//!
//! `cargo run --release -p mesh-sim --example flow_cost [nodes] [flows]`. Prints, for flows that always have a next
//! slice and for flows that rest between slices (each slice then starts and stops a flow): events (wake-ups, and
//! moments at which something is sent) per second, and the time per slice.
//!
//! Invariant: what is simulated depends on the arguments only.

use std::collections::BTreeMap;
use std::time::Instant;

use mesh_proto::Timestamp;
use mesh_sim::Stream;
use mesh_sim::flow::{Congestion, Done, FlowId, Flows, PathQuality, ResourceId, Use};

const SLICE_BYTES: u64 = 512 << 10;
const SLICES: u64 = 100_000;

struct Star {
    flows: Flows,
    open: Vec<FlowId>,
    luck: Stream,
}

impl Star {
    fn new(nodes: u64, count: u64) -> Self {
        let (mut flows, mut luck) = (Flows::new(), Stream::new(1, "star", 0));
        let mut link = |rates: &[u64]| -> Vec<ResourceId> {
            let rates = (0..nodes).map(|node| rates[node as usize % rates.len()]);
            rates.map(|rate| flows.add_resource(rate).expect("few resources")).collect()
        };
        let (up, down) = (link(&[1_250_000, 5_000_000, 12_500_000]), link(&[6_250_000, 12_500_000, 31_250_000]));
        let open = (0..count).map(|_| {
            let pair = [up[luck.below(nodes) as usize], down[luck.below(nodes) as usize]];
            let path = pair.map(|resource| Use { resource, weight_permille: 1_036 });
            let rtt_ns = 1_000_000 * (1 + luck.below(100));
            let quality = PathQuality { rtt_ns, loss_ppm: 0, queue_ns: 0, congestion: Congestion::Cubic };
            flows.open(Timestamp::ZERO, &path, quality).expect("few flows")
        });
        let open = open.collect();
        Self { flows, open, luck }
    }

    /// Sends slices until so many are done; each flow rests up to so long between two. Returns the events.
    fn run(&mut self, rest_ns: u64) -> u64 {
        let mut resting: BTreeMap<(Timestamp, FlowId), ()> = BTreeMap::new();
        for flow in &self.open {
            resting.insert((Timestamp(self.luck.below(1_000_000_000)), *flow), ());
        }
        let (mut slices, mut events) = (0, 0);
        let mut done: Vec<Done> = Vec::new();
        while slices < SLICES {
            let rested = resting.first_key_value().map(|((at, _), ())| *at);
            let due = self.flows.poll_timeout();
            let Some(now) = [rested, due].into_iter().flatten().min() else { break };
            events += 1;
            self.flows.advance(now, &mut done);
            while let Some(entry) = resting.first_entry().filter(|entry| entry.key().0 <= now) {
                let ((_, flow), ()) = entry.remove_entry();
                self.flows.send(now, flow, SLICE_BYTES, 0).expect("it is open");
            }
            for Done { flow, .. } in done.drain(..) {
                slices += 1;
                match rest_ns {
                    0 => self.flows.send(now, flow, SLICE_BYTES, 0).expect("it is open"),
                    _ => _ = resting.insert((Timestamp(now.0 + 1 + self.luck.below(rest_ns)), flow), ()),
                }
            }
        }
        events
    }
}

#[expect(clippy::disallowed_methods, reason = "the cost is real time")]
fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().expect("a number"));
    let (nodes, flows) = (arguments.next().unwrap_or(1_000), arguments.next().unwrap_or(2_000));
    println!("{nodes} nodes, {flows} flows, {SLICES} slices");
    for (name, rest_ns) in
        [("one after another", 0), ("resting up to 20 ms", 20_000_000), ("resting up to 2 s", 2_000_000_000)]
    {
        let mut star = Star::new(nodes, flows);
        let began = Instant::now();
        let events = star.run(rest_ns);
        let seconds = began.elapsed().as_secs_f64();
        let (rate, per_slice) = (events as f64 / seconds, seconds / SLICES as f64 * 1e6);
        println!("{name:>20}: {events} events, {rate:>9.0} events/s, {per_slice:6.1} us per slice");
    }
}
