//! What must hold of every node at any moment, looked at now and then.
//!
//! Invariant: looking changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::Timestamp;

use crate::kernel::Member;
use crate::sim::Sim;

/// What was granted is receipted, taken back or forgotten within this time after the last request for it is over: two
/// probes of a connection that is dead without a word, and some more.
const GRANTS_END_WITHIN: Duration = Duration::from_secs(180);

/// What is remembered between looks.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    /// Nodes that know of more requests than there are, and since when.
    waiting: BTreeMap<Member, Timestamp>,
    /// What was found, so that each is said once.
    said: std::collections::BTreeSet<(Member, &'static str)>,
}

impl Invariants {
    /// Looks at all nodes that run.
    pub(super) fn look(&mut self, sim: &mut Sim) {
        let requests = sim.world().requests_by_source();
        for member in (0..sim.nodes()).map(Member) {
            let found = match sim.brain(member) {
                None => {
                    self.waiting.remove(&member);
                    continue;
                }
                Some(brain) => [
                    overfull(brain),
                    overcounted(sim, member, brain),
                    self.unended(sim, member, brain, requests.get(&member).copied().unwrap_or(0)),
                ],
            };
            for (invariant, what) in found.into_iter().flatten() {
                if self.said.insert((member, invariant)) {
                    sim.violated(member, invariant, what);
                }
            }
            sim.check_kept(member);
        }
    }

    fn unended(&mut self, sim: &Sim, member: Member, brain: &mesh_core::Node, asked: usize) -> Option<Found> {
        let (serves, unreceipted_bytes) = brain.serves_and_unreceipted_bytes();
        // Who stands still hears of no end.
        if serves <= asked && (unreceipted_bytes == 0 || asked > 0) || sim.world().is_held(member) {
            self.waiting.remove(&member);
            return None;
        }
        let since = *self.waiting.entry(member).or_insert(sim.now());
        (sim.now().since(since) > GRANTS_END_WITHIN).then(|| {
            let what =
                format!("{serves} requests and {unreceipted_bytes} bytes wait for receipts, of {asked} under way");
            ("grants end", what)
        })
    }
}

type Found = (&'static str, String);

fn overfull(brain: &mesh_core::Node) -> Option<Found> {
    let load = brain.loads().into_iter().find(|load| load.len > load.len_max)?;
    Some(("no queue above its bound", format!("{}: {} of {}", load.name, load.len, load.len_max)))
}

fn overcounted(sim: &Sim, member: Member, brain: &mesh_core::Node) -> Option<Found> {
    let (counted, sent) = (brain.receipted_bytes(), sim.tally(member).payload_sent_bytes);
    let what = || format!("{counted} bytes are counted as receipted, {sent} were sent");
    (counted > sent).then(|| ("receipts never exceed what was sent", what()))
}
