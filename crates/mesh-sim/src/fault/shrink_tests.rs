//! The search finds what is guilty, in few tries, and stops at what can't be smaller. Oracles stand for runs.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::draw::Distribution;
use crate::select::Selector;

/// So many faults on a hundred nodes each, one every ten seconds, for five each.
fn many(faults: u32) -> Case {
    let fault = |number| Fault {
        number: Some(number),
        when: When::At { at_s: 10.0 * f64::from(number) },
        duration_s: Some(Distribution::Constant { value: 5.0 }),
        select: Selector::Nodes { nodes: (0..100).collect() },
        what: What::Pause {},
    };
    Case { plan: FaultPlan { faults: (0..faults).map(fault).collect() }, run_s: 3_600.0 }
}

/// Runs a search to its end.
fn search(case: Case, fails: impl Fn(&Case) -> bool) -> Shrinker {
    let mut shrinker = Shrinker::new(case);
    while let Some(case) = shrinker.propose() {
        let failed = fails(case);
        shrinker.tell(failed);
    }
    shrinker
}

fn numbers(case: &Case) -> Vec<u32> {
    case.plan.faults.iter().filter_map(|fault| fault.number).collect()
}

fn nodes(fault: &Fault) -> &[u32] {
    match &fault.select {
        Selector::Nodes { nodes } => nodes,
        other => panic!("{other:?}"),
    }
}

fn duration_s(fault: &Fault) -> f64 {
    match fault.duration_s {
        Some(Distribution::Constant { value }) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_guilty_pair_among_fifty_is_found_within_100_tries() {
    let mut most = 0;
    for (first, second) in (0..50).flat_map(|first| (first + 1..50).map(move |second| (first, second))) {
        let mut case = many(50);
        case.plan.faults.iter_mut().for_each(|fault| fault.select = Selector::Names { prefix: String::new() });
        let guilty = |case: &Case| [first, second].iter().all(|number| numbers(case).contains(number));
        // Nothing else may be changed, so that the tries for the pair are counted alone.
        let whole =
            |case: &Case| case.run_s >= 3_600.0 && case.plan.faults.iter().all(|fault| duration_s(fault) >= 5.0);
        let shrinker = search(case, |case| guilty(case) && whole(case));
        assert_eq!(numbers(shrinker.smallest()), [first, second]);
        assert!(shrinker.is_minimal());
        most = most.max(shrinker.tries());
    }
    assert!(most <= 100, "{most} tries");
}

#[test]
fn times_runs_and_nodes_become_as_small_as_they_may() {
    let fails = |case: &Case| {
        let guilty =
            |fault: &&Fault| fault.number == Some(7) && nodes(fault).contains(&33) && nodes(fault).contains(&90);
        case.run_s >= 100.0 && case.plan.faults.iter().find(guilty).is_some_and(|fault| duration_s(fault) >= 1.2)
    };
    let shrinker = search(many(50), fails);
    let Case { plan, run_s } = shrinker.smallest();
    let [fault] = plan.faults.as_slice() else { panic!("{plan:?}") };
    assert_eq!((fault.number, nodes(fault)), (Some(7), [33, 90].as_slice()));
    assert!((100.0..=106.7).contains(run_s), "{run_s}");
    assert!((1.2..=1.28).contains(&duration_s(fault)), "{fault:?}");
    assert!(shrinker.is_minimal() && shrinker.tries() < 150, "{}", shrinker.tries());
}

#[test]
fn windows_shares_and_groups_shrink_too() {
    let text = r"
[[faults]]
per_hour = 60
until_s = 3_600
duration_s = { kind = 'exponential', mean = 8 }
select = { kind = 'role', role = 'peer' }
what = { kind = 'disk_full' }
[[faults]]
at_s = 5
what = { kind = 'partition', how = { groups = [[0, 1, 2, 3], [4, 5, 6], [7]] } }
";
    let case = Case { plan: FaultPlan::from_toml(text).unwrap(), run_s: 3_600.0 };
    let fails = |case: &Case| {
        let [full, parts] = case.plan.faults.as_slice() else { return false };
        let window = matches!(full.when, When::Rate { from_s, until_s, .. } if from_s <= 1_000.0 && until_s >= 1_100.0);
        let share = !matches!(full.select, Selector::Fraction { fraction, .. } if fraction < 0.2);
        let What::Partition { how: Split::Groups(groups), .. } = &parts.what else { return false };
        window && share && groups.iter().any(|group| group.contains(&2)) && groups.last().unwrap().contains(&5)
    };
    let shrinker = search(case, fails);
    let [full, parts] = shrinker.smallest().plan.faults.as_slice() else { panic!("{shrinker:?}") };
    let When::Rate { from_s, until_s, .. } = full.when else { panic!("{full:?}") };
    assert!(until_s - from_s < 120.0, "{from_s} to {until_s}");
    assert!(matches!(full.select, Selector::Fraction { fraction, .. } if fraction < 0.22), "{full:?}");
    let groups = Split::Groups(vec![vec![2], vec![5]]);
    assert_eq!(parts.what, What::Partition { how: groups, one_way: false });
    assert_eq!((duration_s(full), duration_s(parts)), (0.001, 0.001));
    assert!(shrinker.is_minimal());
}

#[test]
fn a_search_ends_without_faults_or_tries() {
    let shrinker = search(many(50), |_| true);
    let Case { plan, run_s } = shrinker.smallest();
    assert!(plan.faults.is_empty() && (1.0..1.07).contains(run_s), "{run_s}");
    let shrinker = search(many(50), |_| false);
    assert!(shrinker.is_minimal() && shrinker.smallest() == &many(50));
    let mut shrinker = Shrinker::new(many(50)).with_tries(3);
    (0..10).for_each(|_| {
        let proposed = shrinker.propose().cloned();
        assert_eq!(shrinker.propose(), proposed.as_ref(), "it stays until told");
        shrinker.tell(false);
    });
    assert_eq!((shrinker.tries(), shrinker.is_minimal(), shrinker.propose()), (3, false, None));
}

proptest! {
    #[test]
    fn the_end_is_one_minimal_for_any_set_of_guilty_faults_and_bounded(
        guilty in proptest::collection::btree_set(0u32..40, 0..6), faults in 1u32..40, nodes_needed in 1usize..5,
    ) {
        let guilty: Vec<u32> = guilty.into_iter().filter(|number| *number < faults).collect();
        let fails = |case: &Case| guilty.iter().all(|number| {
            let of = case.plan.faults.iter().find(|fault| fault.number == Some(*number));
            of.is_some_and(|fault| nodes(fault).len() >= nodes_needed)
        });
        let shrinker = search(many(faults), fails);
        prop_assert!(shrinker.is_minimal() && fails(shrinker.smallest()));
        prop_assert_eq!(numbers(shrinker.smallest()), &guilty[..]);
        prop_assert!(shrinker.smallest().plan.faults.iter().all(|fault| nodes(fault).len() == nodes_needed));
        prop_assert!(shrinker.tries() < 1_000, "{} tries", shrinker.tries());
    }

    #[test]
    fn an_oracle_without_reason_still_lets_the_search_end(seed: u64) {
        let mut luck = crate::random::Stream::new(seed, "oracle", 0);
        let mut shrinker = Shrinker::new(many(30));
        while shrinker.propose().is_some() {
            shrinker.tell(luck.below(3) == 0);
        }
        prop_assert!(shrinker.tries() <= TRIES_MAX);
    }
}
