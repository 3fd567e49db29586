//! The hunt: random worlds, random demands and random faults, each run looked at for what must never be.
//!
//! A case is a scenario like any other, drawn from a seed, with its faults listed, so that what fails can be saved, run
//! again and made smaller. Invariant: a case asks only for what any run of a right program must give.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use mesh_proto::Timestamp;

use super::run::{Run, RunError, run};
use crate::draw::Distribution;
use crate::fault::{Case, FaultKind, Nemesis, Shrinker};
use crate::random::Stream;
use crate::result::{Measured, Results};
use crate::scenario::{BuildError, Scenario, population};

/// The quiet at the end of a case, in which everything has to heal and finish.
const QUIET_S: f64 = 400.0;
/// When faults may begin.
const BEGIN_S: f64 = 30.0;
/// A search for a smaller failure takes at most so many runs.
const SHRINK_TRIES_MAX: u32 = 200;

/// Why a run fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// What does not hold, for people, one line each.
    pub why: Vec<String>,
}

/// A failure that was made smaller.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest scenario that still fails.
    pub scenario: Scenario,
    /// Why it fails.
    pub failing: Failing,
    /// How many runs it took.
    pub tries: u32,
    /// Whether nothing smaller fails.
    pub is_minimal: bool,
}

/// The case of a seed.
///
/// # Errors
/// [`BuildError`] if the case can't be made, which would be a defect of the hunt.
pub fn case(seed: u64) -> Result<Scenario, BuildError> {
    let mut luck = Stream::new(seed, "hunt", 0);
    let text = written(seed, &mut luck);
    let mut scenario = Scenario::from_toml(&text)?;
    let topology = scenario.topology.make(seed)?;
    let nemesis = Nemesis {
        kinds: kinds(&mut luck),
        per_hour: 60.0 + luck.below(400) as f64,
        at_once_max: 1 + luck.below(4) as u32,
        duration_s: Distribution::Exponential { mean: 5.0 + luck.below(90) as f64 },
        quiet_s: QUIET_S,
        intensity: 0.2 + luck.unit() * 0.6,
    };
    scenario.faults = nemesis.draw(seed, scenario.duration_s, &population(&topology))?.faults;
    Ok(scenario)
}

/// Kinds of faults of a case: all, or a few, so that some are seen often together.
fn kinds(luck: &mut Stream) -> BTreeMap<FaultKind, u32> {
    if luck.below(3) == 0 {
        return BTreeMap::new();
    }
    let all = FaultKind::ALL.len() as u64;
    (0..2 + luck.below(4)).map(|_| (FaultKind::ALL[luck.below(all) as usize], 1)).collect()
}

fn written(seed: u64, luck: &mut Stream) -> String {
    let real = luck.below(2) == 0;
    let nodes = if real { 3 + luck.below(6) } else { 4 + luck.below(28) };
    let contents = 1 + luck.below(6);
    // No more is asked for than the links can carry in the quiet.
    let (link, bytes_max) =
        [("lan", 40_000_000), ("wifi", 8_000_000), ("mesh_radio", 1_000_000), ("dsl", 400_000)][luck.below(4) as usize];
    let bytes = 100_000 + luck.below(if real { bytes_max.min(3_000_000) } else { bytes_max });
    let duration_s = QUIET_S + 200.0 + luck.below(600) as f64;
    let topology = match luck.below(6) {
        0..=2 => format!("kind = \"segment\"\nnodes = {nodes}"),
        3 => format!("kind = \"ring\"\nnodes = {nodes}"),
        4 => format!("kind = \"star\"\nnodes = {nodes}"),
        _ => format!("kind = \"line\"\nnodes = {}", nodes.min(6)),
    };
    let store = if real { "real" } else { "model" };
    let multicast = luck.below(2) == 0;
    let quiet_from_s = duration_s - QUIET_S;
    let requests = 10 + luck.below(60);
    format!(
        r#"
name = "hunt-{seed}"
question = "Does a random world with random faults keep its promises?"
duration_s = {duration_s}
seeds = "{seed}"
store = "{store}"
multicast = {multicast}
ends_when_done = true

[topology]
{topology}
links = [{{ preset = "{link}" }}]

[node]
seeds = 2

[catalogue]
contents = {contents}
size_bytes = {{ kind = "log_normal", median = {bytes}, sigma = 0.7 }}
size_bytes_max = {}
from_s = {BEGIN_S}
over_s = {}

[[activities]]
kind = "requests"
at_most_once = true
exponent = 0.7
arrivals = {{ kind = "poisson", per_hour = {requests} }}
from_s = {}
until_s = {quiet_from_s}
"#,
        bytes * 2,
        1 + luck.below(30),
        BEGIN_S + 5.0,
    )
}

/// Runs a case and says why it fails, if it does.
///
/// # Errors
/// [`RunError`].
pub fn fails(
    scenario: &Scenario,
    watch: impl FnMut(Timestamp, Timestamp) -> ControlFlow<()>,
) -> Result<Option<Failing>, RunError> {
    let seed = scenario.seeds.all().first().copied().unwrap_or(1);
    let Run { measured, violations, .. } = run(scenario, seed, &BTreeMap::new(), false, watch)?;
    let mut why: Vec<String> = violations
        .iter()
        .map(|violation| {
            let at_s = violation.at_ns as f64 / 1e9;
            format!("{} at {at_s:.3} s at node {}: {}", violation.invariant, violation.node, violation.what)
        })
        .collect();
    why.extend(promises(scenario, &measured));
    why.extend(expectations(scenario, measured));
    Ok((!why.is_empty()).then_some(Failing { why }))
}

/// What any run must give once it is quiet.
fn promises(scenario: &Scenario, measured: &Measured) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |name: &str, says: &str| {
        if let Some(count) = measured.count(name).filter(|count| *count > 0) {
            broken.push(format!("{count} {says}"));
        }
    };
    check("honest_banned", "bans of nodes that did nothing wrong");
    check("unfinished", "contents did not arrive although somebody held them");
    if !scenario.faults.is_empty() && measured.value("converged_s").is_none() {
        broken.push("nodes did not come to know the same records".to_owned());
    }
    broken
}

fn expectations(scenario: &Scenario, measured: Measured) -> Vec<String> {
    let Ok(mut results) = Results::new(&scenario.name, &scenario.question) else { return Vec::new() };
    if results.add(measured).is_err() {
        return Vec::new();
    }
    let check = |variant: &crate::result::Variant<'_>| {
        let unmet = |expectation: &crate::result::Expectation| match expectation.check(variant) {
            Ok(verdict) if verdict.held => None,
            Ok(verdict) => Some(verdict.to_string()),
            Err(error) => Some(error.to_string()),
        };
        scenario.expect.iter().filter_map(unmet).collect::<Vec<_>>()
    };
    results.variants().iter().flat_map(check).collect()
}

/// Makes a failing scenario smaller: fewer faults, shorter ones, fewer nodes met, a shorter run. `watch` may break it off;
/// the smallest found so far is then given.
///
/// # Errors
/// [`RunError`] if the scenario can't be run, or does not fail.
pub fn shrink(
    scenario: &Scenario,
    mut watch: impl FnMut(&Case, u32) -> ControlFlow<()>,
) -> Result<Option<Shrunk>, RunError> {
    let go_on = |_: Timestamp, _: Timestamp| ControlFlow::Continue(());
    let seed = scenario.seeds.all().first().copied().unwrap_or(1);
    let Some(mut failing) = fails(scenario, go_on)? else { return Ok(None) };
    let mut start = scenario.clone();
    // With all luck pinned single nodes can be left out, too; if that changes what happens, it stays as it was.
    let topology = scenario.topology.make(seed).map_err(BuildError::from)?;
    let pinned = scenario.fault_plan().pinned(seed, &population(&topology)).map_err(BuildError::from)?;
    let with_pinned = Scenario { faults: pinned.faults, ..scenario.clone() };
    if let Some(still) = fails(&with_pinned, go_on)? {
        (start, failing) = (with_pinned, still);
    }
    let case = Case { plan: start.fault_plan(), run_s: start.duration_s };
    let mut shrinker = Shrinker::new(case).with_tries(SHRINK_TRIES_MAX);
    while let Some(case) = shrinker.propose().cloned() {
        if watch(&case, shrinker.tries()).is_break() {
            break;
        }
        let still = fails(&smaller(&start, &case), go_on).ok().flatten();
        shrinker.tell(still.is_some());
        failing = still.unwrap_or(failing);
    }
    let scenario = smaller(&start, shrinker.smallest());
    Ok(Some(Shrunk { scenario, failing, tries: shrinker.tries(), is_minimal: shrinker.is_minimal() }))
}

fn smaller(scenario: &Scenario, case: &Case) -> Scenario {
    Scenario { faults: case.plan.faults.clone(), duration_s: case.run_s, ..scenario.clone() }
}
