//! The parameters of a random fault: how bad, and for whom.
//!
//! Invariant: what is drawn is valid, and grows with the intensity.

use super::what::{DiskAfter, FaultKind, Split, Target, What};
use crate::draw::{Distribution, sample};
use crate::random::Stream;
use crate::select::{LISTED_MAX, Population, Role, Selector};

/// Whether a world has a place for faults of a kind.
pub(super) fn fits(kind: FaultKind, population: &Population) -> bool {
    match kind {
        FaultKind::GatewayOutage => population.of_role(Some(Role::Gateway)).next().is_some(),
        FaultKind::Partition => population.nodes.len() > 1,
        _ if kind.target() == Target::Links => !population.links.is_empty(),
        _ => !population.nodes.is_empty(),
    }
}

/// What happens, and to whom, if it is of this kind.
pub(super) fn draw(kind: FaultKind, intensity: f64, population: &Population, stream: &mut Stream) -> (What, Selector) {
    let what = what(kind, &mut Severity { intensity, stream }, population);
    let select = match (&what, kind.target()) {
        (What::Partition { how: Split::Halves | Split::Coins, .. }, _) => Selector::All {},
        (_, Target::Links) => {
            let links = some(population.links.len(), intensity, stream);
            Selector::LinkNumbers { links }
        }
        (What::GatewayOutage {}, _) => {
            let gateways: Vec<u32> = population.of_role(Some(Role::Gateway)).collect();
            let chosen = some(gateways.len(), intensity, stream);
            Selector::Nodes { nodes: chosen.into_iter().map(|place| gateways[place as usize]).collect() }
        }
        _ => Selector::Nodes { nodes: some(population.nodes.len(), intensity, stream) },
    };
    (what, select)
}

/// Some of so many: one, up to half the intensity's share of them.
fn some(all: usize, intensity: f64, stream: &mut Stream) -> Vec<u32> {
    let most = ((all as f64 * intensity / 2.0) as u64).clamp(1, LISTED_MAX as u64);
    let count = 1 + stream.below(most);
    sample(stream, all as u32, count as u32)
}

struct Severity<'a> {
    intensity: f64,
    stream: &'a mut Stream,
}

impl Severity<'_> {
    /// From 1 up to the intensity's share of a number.
    fn up_to(&mut self, most: u64) -> u64 {
        1 + self.stream.below((most as f64 * self.intensity) as u64)
    }

    fn ppm(&mut self) -> u32 {
        self.up_to(1_000_000) as u32
    }

    fn coin(&mut self) -> bool {
        self.stream.below(2) == 0
    }

    fn sign(&mut self) -> i64 {
        if self.coin() { 1 } else { -1 }
    }

    /// All messages, or one kind of those that this world has.
    fn messages(&mut self, population: &Population) -> Vec<String> {
        match population.messages.is_empty() || self.coin() {
            true => Vec::new(),
            false => {
                let place = self.stream.below(population.messages.len() as u64);
                vec![population.messages[place as usize].clone()]
            }
        }
    }
}

fn what(kind: FaultKind, severity: &mut Severity<'_>, population: &Population) -> What {
    match kind {
        FaultKind::Crash => {
            let disks = [DiskAfter::Kept, DiskAfter::UnsyncedLost, DiskAfter::UnsyncedLost, DiskAfter::Lost];
            What::Crash { disk: disks[severity.stream.below(4) as usize] }
        }
        FaultKind::Pause => What::Pause {},
        FaultKind::Leave => What::Leave {},
        FaultKind::Partition => {
            let how = match severity.stream.below(3) {
                0 => Split::Halves,
                1 => Split::Coins,
                _ => Split::Isolate,
            };
            What::Partition { how, one_way: severity.stream.below(4) == 0 }
        }
        FaultKind::LinkDown => What::LinkDown {},
        FaultKind::LinkDegraded => What::LinkDegraded {
            rate_ppm: 1_000_001 - severity.ppm(),
            latency_us: severity.up_to(2_000_000),
            loss_ppm: severity.ppm(),
        },
        FaultKind::GatewayOutage => What::GatewayOutage {},
        FaultKind::MessageLoss => {
            What::MessageLoss { messages: severity.messages(population), loss_ppm: severity.ppm() }
        }
        FaultKind::MessageDelay => What::MessageDelay {
            messages: severity.messages(population),
            delay_ms: Distribution::Exponential { mean: severity.up_to(10_000) as f64 },
        },
        FaultKind::MessageDuplication => {
            What::MessageDuplication { messages: severity.messages(population), twice_ppm: severity.ppm() }
        }
        // Up to ten years.
        FaultKind::ClockJump => What::ClockJump { by_s: severity.sign() * severity.up_to(315_360_000) as i64 },
        FaultKind::ClockDrift => {
            What::ClockDrift { drift_ppm: (severity.sign() * severity.up_to(200_000) as i64) as i32 }
        }
        FaultKind::DiskFull => What::DiskFull {},
        FaultKind::DiskReadOnly => What::DiskReadOnly {},
        FaultKind::DiskRemoved => What::DiskRemoved {},
        FaultKind::DiskSlow => What::DiskSlow { latency_us: severity.up_to(1_000_000) },
        FaultKind::DiskSyncFails => What::DiskSyncFails {},
        FaultKind::CorruptPayload => What::CorruptPayload { share_ppm: severity.ppm() },
        FaultKind::LieAboutHoldings => What::LieAboutHoldings {},
        FaultKind::FreeRide => What::FreeRide {},
        FaultKind::Flood => What::Flood { messages_per_s: severity.up_to(1_000) as u32 },
        FaultKind::Equivocate => What::Equivocate {},
        FaultKind::DropSelectively => {
            What::DropSelectively { messages: severity.messages(population), drop_ppm: severity.ppm() }
        }
        FaultKind::ManyIdentities => What::ManyIdentities { count: 1 + severity.up_to(50) as u32 },
    }
}
