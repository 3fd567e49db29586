//! Plans in TOML, their schedule, and that faults keep to themselves.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::draw::{Distribution, nanos};
use crate::random::Stream;
use crate::select::{LinkInfo, Population, Role, Selector};

/// So many nodes in a ring; the first is a gateway.
pub(super) fn ring(nodes: u32) -> Population {
    let mut population = Population::peers(nodes);
    population.nodes[0].role = Role::Gateway;
    let link = |end| LinkInfo { ends: [end, (end + 1) % nodes], class: "cable".to_owned() };
    population.links = (0..nodes).map(link).collect();
    population.messages = ["Hello", "Have", "Records"].map(str::to_owned).to_vec();
    population
}

const PLAN: &str = r#"
[[faults]]
at_s = 30
duration_s = 60
select = { kind = "fraction", fraction = 0.2, among = "peer" }
what = { kind = "crash", disk = "lost" }

[[faults]]
per_hour = 40
from_s = 60
until_s = 7_200
duration_s = { kind = "exponential", mean = 20 }
select = { kind = "count", count = 2 }
what = { kind = "message_loss", messages = ["Have"], loss_ppm = 250_000 }

[[faults]]
at_s = 100.5
what = { kind = "partition", how = "halves" }

[[faults]]
at_s = 100.5
duration_s = 1
select = { kind = "names", prefix = "n3" }
what = { kind = "link_down" }
"#;

fn schedule(plan: &FaultPlan, population: &Population) -> Vec<FaultEvent> {
    plan.schedule(5, population).unwrap()
}

fn refused(text: &str) -> String {
    match FaultPlan::from_toml(text) {
        Ok(plan) => plan.schedule(1, &ring(10)).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_plan_is_read_and_scheduled() {
    let plan = FaultPlan::from_toml(PLAN).unwrap();
    let events = schedule(&plan, &ring(30));
    assert!(events.is_sorted_by_key(|event| (event.at, event.phase, event.fault)));
    let of = |fault| events.iter().filter(move |event| event.fault == fault).collect::<Vec<_>>();
    let [crash, restart] = of(0).try_into().unwrap();
    assert_eq!(
        (crash.at.0, crash.phase, restart.at.0, restart.phase),
        (nanos(30.0), Phase::Begin, nanos(90.0), Phase::End)
    );
    assert_eq!(crash.targets, restart.targets);
    assert!(matches!(&*crash.targets, Targets::Nodes(nodes) if nodes.len() == 6 && !nodes.contains(&0)));
    let [parts] = of(2).try_into().unwrap();
    let Targets::Groups(groups) = &*parts.targets else { panic!("{parts:?}") };
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [15, 15]);
    assert_eq!(*of(3)[0].targets, Targets::Links(vec![2, 3]));
}

#[test]
fn faults_by_rate_come_as_often_as_asked_and_choose_anew() {
    let plan = FaultPlan::from_toml(PLAN).unwrap();
    let population = ring(30);
    let begins = |seed| {
        let events = plan.schedule(seed, &population).unwrap();
        events.into_iter().filter(|event| event.fault == 1 && event.phase == Phase::Begin).collect::<Vec<_>>()
    };
    let all: Vec<FaultEvent> = (0..50).flat_map(begins).collect();
    // Poisson with a mean of 40 per hour × 7,140 s × 50 seeds = 3,967, of which the root is 63.
    assert!((all.len() as i64 - 3_967).abs() < 208, "{}", all.len());
    assert!(all.iter().all(|event| (nanos(60.0)..nanos(7_200.0)).contains(&event.at.0)));
    let mut met = [0; 30];
    for event in &all {
        let Targets::Nodes(nodes) = &*event.targets else { panic!("{event:?}") };
        nodes.iter().for_each(|node| met[*node as usize] += 1);
    }
    assert!(met.iter().all(|met| (180..350).contains(met)), "{met:?}");
}

#[test]
fn partitions_divide_as_they_say() {
    let groups = |how: &str, select: &str| {
        let text = format!("[[faults]]\nat_s = 1\nselect = {select}\nwhat = {{ kind = 'partition', how = {how} }}");
        let events = schedule(&FaultPlan::from_toml(&text).unwrap(), &ring(9));
        match &*events[0].targets {
            Targets::Groups(groups) => groups.clone(),
            other => panic!("{other:?}"),
        }
    };
    let everyone = "{ kind = 'all' }";
    let sizes = |groups: &[Vec<u32>]| groups.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&groups("'halves'", everyone)), [5, 4]);
    assert_eq!(groups("'coins'", everyone).concat().len(), 9);
    let alone = groups("'isolate'", "{ kind = 'nodes', nodes = [4, 2] }");
    assert_eq!(alone, [vec![2], vec![4], vec![0, 1, 3, 5, 6, 7, 8]]);
    assert_eq!(groups("{ groups = [[8, 1], [3]] }", everyone), [vec![8, 1], vec![3]]);
}

#[test]
fn what_is_wrong_in_a_plan_is_said_with_what_is_allowed() {
    let with = |fields: &str| refused(&format!("[[faults]]\n{fields}"));
    let pause = "what = { kind = 'pause' }";
    assert_eq!(with(&format!("at_s = -1\n{pause}")), "faults[0].at_s is -1; allowed: 0 to 315360000");
    assert!(with(pause).contains("either `at_s`, or `per_hour` and `until_s`"));
    assert!(with(&format!("at_s = 1\nper_hour = 2\nuntil_s = 3\n{pause}")).contains("either `at_s`"));
    assert_eq!(
        with(&format!("per_hour = 1\nfrom_s = 9\nuntil_s = 3\n{pause}")),
        "faults[0].until_s is 3; allowed: 9 to 315360000"
    );
    assert!(with(&format!("at_s = 1\nduration = 3\n{pause}")).contains("unknown field `duration`"));
    assert!(with("at_s = 1\nwhat = { kind = 'pause', disk = 'kept' }").contains("unknown field `disk`"));
    assert!(with("at_s = 1\nwhat = { kind = 'explode' }").contains("unknown variant `explode`"));
    assert_eq!(
        with("at_s = 1\nwhat = { kind = 'link_degraded', loss_ppm = 1_000_001 }"),
        "faults[0].what.loss_ppm is 1000001; allowed: 0 to 1000000"
    );
    assert_eq!(
        with("at_s = 1\nwhat = { kind = 'message_loss', messages = ['Halve'], loss_ppm = 1 }"),
        "faults[0].what.messages is `Halve`; allowed: Hello, Have, Records"
    );
    assert_eq!(
        with(&format!("at_s = 1\nselect = {{ kind = 'all_links' }}\n{pause}")),
        "faults[0].select is of links; allowed: a selection of nodes, for what happens to nodes"
    );
    assert_eq!(
        with(&format!("at_s = 1\nselect = {{ kind = 'nodes', nodes = [10] }}\n{pause}")),
        "faults[0].select.nodes is 10; allowed: numbers below 10 here"
    );
    assert_eq!(
        with("at_s = 1\nwhat = { kind = 'partition', how = { groups = [[1], [2, 1]] } }"),
        "faults[0].what.groups is node 1 twice; allowed: each node once"
    );
    assert_eq!(
        with(&format!("number = 1\nat_s = 1\n{pause}\n[[faults]]\nat_s = 1\n{pause}")),
        "number is 1 of two faults; allowed: one of its own for each"
    );
    assert!(refused("faults = 3").contains("line 1"));
}

#[test]
fn too_many_occurrences_are_refused_and_not_counted_to_the_end() {
    let text = "[[faults]]\nper_hour = 3_600_000\nuntil_s = 315_360_000\nwhat = { kind = 'pause' }";
    assert!(refused(text).contains("too many occurrences of faults: more than 100000"));
    let everyone = "[[faults]]\nper_hour = 3_600_000\nuntil_s = 90\nwhat = { kind = 'pause' }";
    let error = FaultPlan::from_toml(everyone).unwrap().schedule(1, &ring(1_000)).unwrap_err();
    assert!(error.to_string().contains("too many nodes and links met"), "{error}");
}

/// Faults of every shape that TOML must carry.
fn fault() -> impl Strategy<Value = Fault> {
    let when = prop_oneof![
        (0u64..10_000_000).prop_map(|ms| When::At { at_s: ms as f64 / 1e3 }),
        (0.0..40.0f64, 0.0..1e3f64, 0.0..1e3f64).prop_map(|(per_hour, from_s, length_s)| When::Rate {
            per_hour,
            from_s,
            until_s: from_s + length_s
        }),
    ];
    let duration = prop_oneof![
        Just(None),
        (0.0..1e6f64).prop_map(|value| Some(Distribution::Constant { value })),
        (0.1..10.0f64, 0.0..1e3f64).prop_map(|(shape, scale)| Some(Distribution::Weibull { shape, scale })),
    ];
    let select = prop_oneof![
        Just(Selector::All {}),
        (1u32..20).prop_map(|count| Selector::Count { count, among: None }),
        (0.001..1.0f64).prop_map(|fraction| Selector::Fraction { fraction, among: Some(Role::Peer) }),
        proptest::collection::vec(0u32..20, 1..9).prop_map(|nodes| Selector::Nodes { nodes }),
    ];
    let drawn = (0..FaultKind::ALL.len(), any::<u64>(), 0.01..1.0f64).prop_map(|(kind, seed, intensity)| {
        super::severity::draw(FaultKind::ALL[kind], intensity, &ring(20), &mut Stream::new(seed, "any", 0))
    });
    (when, duration, select, drawn, any::<bool>()).prop_map(|(when, duration_s, select, (what, drawn), own)| Fault {
        number: None,
        when,
        duration_s,
        select: if own && what.kind() != FaultKind::GatewayOutage { select } else { drawn },
        what,
    })
}

proptest! {
    #[test]
    fn a_plan_reads_back_equal(faults in proptest::collection::vec(fault(), 0..12)) {
        let plan = FaultPlan { faults }.numbered();
        let text = plan.to_toml();
        prop_assert_eq!(FaultPlan::from_toml(&text), Ok(plan), "{}", text);
    }

    #[test]
    fn a_fault_taken_out_changes_nothing_about_the_others(
        faults in proptest::collection::vec(fault(), 1..8), out in any::<proptest::sample::Index>(), seed: u64,
    ) {
        let population = ring(20);
        let plan = FaultPlan { faults }.numbered();
        let out = out.index(plan.faults.len());
        let mut fewer = plan.clone();
        fewer.faults.remove(out);
        let all = plan.schedule(seed, &population).unwrap();
        let others: Vec<FaultEvent> = all.into_iter().filter(|event| event.fault != out).map(|event| {
            let fault = if event.fault > out { event.fault - 1 } else { event.fault };
            FaultEvent { fault, ..event }
        }).collect();
        prop_assert_eq!(fewer.schedule(seed, &population).unwrap(), others);
    }

    #[test]
    fn a_pinned_plan_does_the_same_without_luck(faults in proptest::collection::vec(fault(), 0..8), seed: u64) {
        let population = ring(20);
        let plan = FaultPlan { faults };
        let pinned = plan.pinned(seed, &population).unwrap();
        prop_assert_eq!(&pinned.schedule(seed + 1, &population), &pinned.schedule(seed, &population));
        let events = |plan: &FaultPlan| {
            let events = plan.schedule(seed, &population).unwrap().into_iter();
            let mut events: Vec<_> = events.map(|event| (event.at, event.phase, format!("{:?}", event.targets))).collect();
            events.sort();
            events
        };
        prop_assert_eq!(events(&pinned), events(&plan));
    }

    #[test]
    fn ends_come_before_beginnings_and_after_their_own(
        faults in proptest::collection::vec(fault(), 0..8), seed: u64,
    ) {
        let events = FaultPlan { faults }.schedule(seed, &ring(20)).unwrap();
        prop_assert!(events.is_sorted_by_key(|event| (event.at, event.phase)));
        for (place, event) in events.iter().enumerate().filter(|(_, event)| event.phase == Phase::End) {
            let began = |other: &FaultEvent| {
                other.phase == Phase::Begin && (other.fault, other.occurrence) == (event.fault, event.occurrence)
            };
            prop_assert!(events[..place].iter().any(began));
        }
    }
}
