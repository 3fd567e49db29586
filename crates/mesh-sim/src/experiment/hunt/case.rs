//! The cases of the hunt: a world, what people do in it, and what goes wrong, all drawn from a seed.
//!
//! Invariant: a case asks only for what any run of a right program must give, so no more than its links can carry in the
//! quiet at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::draw::Distribution;
use crate::fault::{FaultKind, Nemesis};
use crate::random::Stream;
use crate::scenario::{BuildError, Scenario, population};

/// The quiet at the end of a case, in which everything has to heal and finish.
pub(super) const QUIET_S: f64 = 400.0;
/// When people begin to share.
pub(super) const BEGIN_S: f64 = 30.0;
/// What nodes of each preset of links may be asked to get, each, in bytes.
const LINKS: [(&str, u64); 4] =
    [("lan", 120_000_000), ("wifi", 16_000_000), ("mesh_radio", 2_000_000), ("dsl", 1_000_000)];

/// The case of a seed.
///
/// # Errors
/// [`BuildError`] if the case can't be made, which would be a defect of the hunt.
pub fn case(seed: u64) -> Result<Scenario, BuildError> {
    let mut luck = Stream::new(seed, "hunt", 0);
    let mut scenario = Scenario::from_toml(&written(seed, &mut luck))?;
    let topology = scenario.topology.make(seed).map_err(BuildError::Topology)?;
    let nemesis = Nemesis {
        kinds: kinds(&mut luck),
        per_hour: 60.0 + luck.below(400) as f64,
        at_once_max: 1 + luck.below(4) as u32,
        duration_s: Distribution::Exponential { mean: 5.0 + luck.below(90) as f64 },
        quiet_s: QUIET_S,
        intensity: 0.2 + luck.unit() * 0.6,
    };
    let plan = nemesis.draw(seed, scenario.duration_s, &population(&topology)).map_err(BuildError::Faults)?;
    scenario.faults = plan.faults;
    Ok(scenario)
}

/// Kinds of faults of a case: all (none named), or a few, so that some are seen often together. No world of the hunt has
/// a gateway.
fn kinds(luck: &mut Stream) -> BTreeMap<FaultKind, u32> {
    if luck.below(3) == 0 {
        return BTreeMap::new();
    }
    let all = FaultKind::ALL.len() as u64;
    let drawn = (0..2 + luck.below(4)).map(|_| FaultKind::ALL[luck.below(all) as usize]);
    drawn.filter(|kind| *kind != FaultKind::GatewayOutage).map(|kind| (kind, 1)).collect()
}

fn written(seed: u64, luck: &mut Stream) -> String {
    let real = luck.below(2) == 0;
    let nodes = if real { 3 + luck.below(6) } else { 4 + luck.below(20) };
    let contents = 1 + luck.below(6);
    let (link, bytes_each) = LINKS[luck.below(4) as usize];
    let bytes_each = if real { bytes_each.min(8_000_000) } else { bytes_each };
    let duration_s = QUIET_S + 150.0 + luck.below(500) as f64;
    let quiet_from_s = duration_s - QUIET_S;
    let updates = luck.below(4) == 0;
    // Each version is another content.
    let versions = if updates { 3 } else { 1 };
    let bytes_max = (bytes_each / (contents * versions)).max(40_000);
    let median = 20_000 + luck.below(bytes_max);
    let (kind, nodes) = match luck.below(6) {
        0..=2 => ("segment", nodes),
        3 => ("ring", nodes.min(8)),
        4 => ("star", nodes),
        _ => ("line", nodes.min(6)),
    };
    let store = if real { "real" } else { "model" };
    let (multicast, kademlia, seeds) = (luck.below(2) == 0, luck.below(3) == 0, 1 + luck.below(2));
    let (over_s, requests, begin_s) = (1 + luck.below(40), 10 + luck.below(110), BEGIN_S + 5.0);
    let mut text = format!(
        r#"
name = "hunt-{seed}"
question = "Does a random world with random faults keep its promises?"
duration_s = {duration_s}
seeds = "{seed}"
store = "{store}"
multicast = {multicast}
ends_when_done = true

[topology]
kind = "{kind}"
nodes = {nodes}
links = [{{ preset = "{link}" }}]

[node]
seeds = {seeds}
kademlia = {kademlia}

[catalogue]
contents = {contents}
size_bytes = {{ kind = "log_normal", median = {median}, sigma = 0.7 }}
size_bytes_max = {}
from_s = {BEGIN_S}
over_s = {over_s}

[[activities]]
kind = "requests"
at_most_once = true
exponent = 0.7
arrivals = {{ kind = "poisson", per_hour = {requests} }}
from_s = {begin_s}
until_s = {quiet_from_s}
"#,
        bytes_max * 2,
    );
    let mut add = |activity: std::fmt::Arguments<'_>| text.write_fmt(activity).expect("a text can be written");
    if luck.below(2) == 0 {
        let (founder, first) = (luck.below(nodes), luck.below(contents));
        let revoked_over_s = 10 + luck.below((quiet_from_s - 80.0) as u64);
        add(format_args!(
            r#"
[[activities]]
kind = "community"
founder = {founder}
at_s = 8
members = {{ kind = "fraction", fraction = {} }}
over_s = 30
revoked = {{ kind = "fraction", fraction = 0.4 }}
revoked_from_s = 45
revoked_over_s = {revoked_over_s}
contents = [{first}]
"#,
            0.4 + luck.unit() * 0.5,
        ));
    }
    let mut add_steady = |kind: &str, per_hour: f64| {
        add(format_args!(
            "\n[[activities]]\nkind = \"{kind}\"\nper_hour = {per_hour}\nfrom_s = {begin_s}\nuntil_s = {quiet_from_s}\n"
        ));
    };
    if luck.below(2) == 0 {
        add_steady("relistings", (20 + luck.below(300)) as f64);
    }
    if updates {
        add_steady("updates", 7_200.0 / (quiet_from_s - begin_s));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_drew_gateway_outages_alone_has_other_faults() {
        assert!(!case(50_045).expect("it can be made").faults.is_empty());
    }

    #[test]
    fn a_seed_is_one_case_and_every_area_is_visited() {
        let cases: Vec<Scenario> = (1..60).map(|seed| case(seed).expect("it can be made")).collect();
        assert_eq!(case(7).expect("it can be made"), cases[6]);
        for case in &cases {
            assert_eq!(Scenario::from_toml(&case.to_toml()).as_ref(), Ok(case), "{} reads back", case.name);
        }
        let activities = |kind: &str| cases.iter().filter(|case| case.to_toml().contains(kind)).count();
        for kind in ["\"community\"", "\"relistings\"", "\"updates\"", "store = \"real\"", "store = \"model\""] {
            assert!(activities(kind) >= 8, "{kind}");
        }
        let kinds: std::collections::BTreeSet<FaultKind> =
            cases.iter().flat_map(|case| &case.faults).map(|fault| fault.what.kind()).collect();
        let lacking: Vec<&FaultKind> =
            FaultKind::ALL.iter().filter(|kind| !kinds.contains(kind) && **kind != FaultKind::GatewayOutage).collect();
        assert!(lacking.is_empty(), "{lacking:?} never happen");
    }
}
