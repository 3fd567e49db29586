//! One run: from a scenario and a seed to its figures.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use mesh_proto::Timestamp;

use super::measures;
use super::observer::Observer;
use super::play::Play;
use crate::capture::Capture;
use crate::result::{MeasureError, Measured};
use crate::scenario::{BuildError, Scenario};
use crate::sim::Sim;
use crate::workload::Trace;
use crate::world::tap::Tapped;
use crate::world::{NodeWorld, Violation};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The scenario has no world.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What was measured is no measure.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// It was broken off.
    #[error("broken off")]
    BrokenOff,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// Its figures.
    pub measured: Measured,
    /// Invariants that did not hold.
    pub violations: Vec<Violation>,
    /// Who waits for what in vain at the end, and how that stands.
    pub unfinished: Vec<String>,
    /// How each node stands at the end.
    pub standing: Vec<String>,
    /// Every event, if they were asked for.
    pub capture: Option<Capture>,
}

/// Violations for people, one line each: of those of one invariant at one node the first, and how many more there are.
#[must_use]
pub fn told(violations: &[Violation]) -> Vec<String> {
    let mut alike: BTreeMap<(u32, &str), (usize, u32)> = BTreeMap::new();
    for (place, violation) in violations.iter().enumerate() {
        alike.entry((violation.node, &violation.invariant)).or_insert((place, 0)).1 += 1;
    }
    let mut firsts: Vec<(usize, u32)> = alike.into_values().collect();
    firsts.sort_unstable();
    let line = |(place, count): (usize, u32)| {
        let Violation { at_ns, node, invariant, what } = &violations[place];
        let more = if count > 1 { format!(", and {} more like it", count - 1) } else { String::new() };
        format!("{invariant}, at {:.3} s at node {node}: {what}{more}", *at_ns as f64 / 1e9)
    };
    firsts.into_iter().map(line).collect()
}

/// Runs a scenario with a seed. `watch` is told the time and the end now and then, and may break it off.
///
/// # Errors
/// [`RunError`].
pub fn run(
    scenario: &Scenario,
    seed: u64,
    traces: &BTreeMap<String, Trace>,
    captures: bool,
    mut watch: impl FnMut(Timestamp, Timestamp) -> ControlFlow<()>,
) -> Result<Run, RunError> {
    let built = scenario.build(seed, traces)?;
    let settled = Timestamp((scenario.settled_s * 1e9) as u64);
    let observer = Observer::new(Duration::from_secs_f64(scenario.duration_s), settled);
    let mut play = Play::new(built, observer);
    if captures {
        play.sim.kernel().capture();
    }
    if play.run(|sim, until| watch(sim.now(), until)).is_break() {
        return Err(RunError::BrokenOff);
    }
    let measured = measures::measure(&play, seed)?;
    let unfinished = measures::unfinished(&play);
    let standing = measures::standing(&play);
    let capture = play.sim.kernel().take_capture();
    let violations = play.sim.world().violations.clone();
    Ok(Run { measured, violations, unfinished, standing, capture })
}

/// Runs a scenario with a seed and shows every event, with the world as it is then.
///
/// # Errors
/// [`RunError`].
pub fn tapped(
    scenario: &Scenario,
    seed: u64,
    traces: &BTreeMap<String, Trace>,
    mut show: impl FnMut(&NodeWorld, Tapped) -> ControlFlow<()>,
) -> Result<(), RunError> {
    let mut play = unmeasured(scenario, seed, traces)?;
    play.sim.kernel().parts().0.tap = Some(Vec::new());
    let _ = play.run(|sim, _| {
        let events = sim.kernel().parts().0.tap.as_mut().map(std::mem::take).unwrap_or_default();
        events.into_iter().try_for_each(|event| show(sim.world(), event))
    });
    Ok(())
}

/// Runs a scenario with a seed and shows the world at its start and each time so long has passed.
///
/// # Errors
/// [`RunError`].
pub fn snapshots(
    scenario: &Scenario,
    seed: u64,
    traces: &BTreeMap<String, Trace>,
    every: Duration,
    mut show: impl FnMut(&Sim) -> ControlFlow<()>,
) -> Result<(), RunError> {
    let mut play = unmeasured(scenario, seed, traces)?;
    play.pause_every(every);
    let mut due = Timestamp::ZERO;
    let _ = play.run(|sim, _| {
        if sim.now() < due {
            return ControlFlow::Continue(());
        }
        due = due.after(every);
        show(sim)
    });
    Ok(())
}

fn unmeasured(scenario: &Scenario, seed: u64, traces: &BTreeMap<String, Trace>) -> Result<Play, RunError> {
    let built = scenario.build(seed, traces)?;
    Ok(Play::new(built, Observer::new(Duration::from_secs_f64(scenario.duration_s), Timestamp::ZERO)))
}
