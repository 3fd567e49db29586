//! Shares against a progressive filling of everything, after each of many changes.

use proptest::prelude::{Just, Strategy, prop_assert, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use super::*;

const FLOWS: u32 = 14;
const POOLS: u32 = 7;

#[derive(Debug, Clone)]
enum Change {
    Join(u32),
    Leave(u32),
    Cap(u32, f64),
    Capacity(u32, f64),
    Path(u32, Vec<(u32, u64)>),
    Solve,
}

/// Few different numbers, so that ties are frequent.
fn capacity() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1e6), Just(3e6), Just(1e7), 1.0..1e9f64]
}

fn path() -> impl Strategy<Value = Vec<(u32, u64)>> {
    let weight = prop_oneof![Just(1_000_000u64), Just(2_000_000), Just(1_010_101), 1..1_000_000_000u64];
    proptest::collection::btree_map(0..POOLS, weight, 0..4).prop_map(|path| path.into_iter().collect())
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0..FLOWS).prop_map(Change::Join),
        2 => (0..FLOWS).prop_map(Change::Leave),
        2 => (0..FLOWS, capacity()).prop_map(|(flow, cap)| Change::Cap(flow, cap)),
        1 => (0..POOLS, capacity()).prop_map(|(pool, capacity)| Change::Capacity(pool, capacity)),
        1 => (0..FLOWS, path()).prop_map(|(flow, path)| Change::Path(flow, path)),
        4 => Just(Change::Solve),
    ]
}

/// Raises all rates together, one limit at a time, with nothing remembered.
fn filled(shares: &Shares) -> Vec<f64> {
    let mut rates: Vec<Option<f64>> = shares.sharers.iter().map(|sharer| (!sharer.active).then_some(0.0)).collect();
    loop {
        let pools = (0..shares.pools.len() as u32).map(|pool| (full_at(shares, &rates, pool), pool));
        let (level, pool) = pools.min_by(|a, b| a.0.total_cmp(&b.0)).expect("there are pools");
        let open = (0..rates.len()).filter(|flow| rates[*flow].is_none());
        let capped = open.map(|flow| (shares.sharers[flow].cap, flow)).min_by(|a, b| a.0.total_cmp(&b.0));
        match capped {
            None => return rates.into_iter().map(|rate| rate.expect("all stay behind")).collect(),
            Some((cap, flow)) if cap <= level => rates[flow] = Some(cap),
            Some(_) => {
                for (flow, _) in shares.members(pool) {
                    rates[flow as usize].get_or_insert(level);
                }
            }
        }
    }
}

/// The rate at which a resource is full; infinite if it has none whose rate could rise.
fn full_at(shares: &Shares, rates: &[Option<f64>], pool: u32) -> f64 {
    let (mut left, mut open) = (shares.capacity(pool), 0.0);
    for (flow, weight) in shares.members(pool) {
        match rates[flow as usize] {
            Some(rate) => left -= rate * weight,
            None => open += weight,
        }
    }
    if open > 0.0 { left.max(0.0) / open } else { f64::INFINITY }
}

fn check(shares: &Shares) -> Result<(), TestCaseError> {
    let expected = filled(shares);
    for (flow, expected) in expected.iter().enumerate() {
        let rate = shares.rate(flow as u32);
        // What subtraction leaves of a full resource is known to the last bits of its capacity only.
        let holds = shares.holds(flow as u32);
        let coarse = holds.iter().map(|hold| shares.capacity(hold.resource) / hold.weight()).fold(0.0, f64::max);
        prop_assert!((rate - expected).abs() <= 1e-9 * expected + 1e-11 * coarse, "flow {flow}: {rate} {expected}");
    }
    for pool in 0..POOLS {
        let load: f64 = shares.members(pool).map(|(flow, weight)| weight * shares.rate(flow)).sum();
        prop_assert!(load <= shares.capacity(pool) * (1.0 + 1e-9), "{load} on {}", shares.capacity(pool));
        prop_assert!((load - shares.used(pool)).abs() <= 1e-9 * load);
    }
    Ok(())
}

fn apply(shares: &mut Shares, change: Change) {
    match change {
        Change::Join(flow) => shares.join(flow),
        Change::Leave(flow) => shares.leave(flow),
        Change::Cap(flow, cap) => shares.set_cap(flow, cap),
        Change::Capacity(pool, capacity) => shares.set_capacity(pool, capacity),
        Change::Path(flow, path) => shares.set_holds(flow, holds(&path)),
        Change::Solve => {
            if let Some(solution) = shares.solve() {
                shares.forget(solution);
            }
        }
    }
}

fn holds(path: &[(u32, u64)]) -> Vec<Hold> {
    path.iter().map(|(pool, weight_ppm)| Hold::new(*pool, *weight_ppm)).collect()
}

proptest! {
    #[test]
    fn following_a_change_gives_what_sharing_everything_anew_does(
        capacities in proptest::collection::vec(capacity(), POOLS as usize),
        paths in proptest::collection::vec((path(), capacity()), FLOWS as usize),
        changes in proptest::collection::vec(change(), 1..120),
    ) {
        let mut shares = Shares::new();
        capacities.iter().for_each(|capacity| shares.add_pool(*capacity));
        for (flow, (path, cap)) in paths.into_iter().enumerate() {
            shares.set_holds(flow as u32, holds(&path));
            shares.set_cap(flow as u32, cap);
        }
        for change in changes {
            let solves = matches!(change, Change::Solve);
            apply(&mut shares, change);
            if solves {
                check(&shares)?;
            }
        }
        apply(&mut shares, Change::Solve);
        check(&shares)?;
    }
}

#[test]
fn a_flow_alone_on_a_far_link_is_not_looked_at() {
    let mut shares = Shares::new();
    (0..4).for_each(|_| shares.add_pool(1e6));
    for flow in 0..4 {
        shares.set_holds(flow, holds(&[(flow, 1_000_000)]));
        shares.set_cap(flow, 1e12);
        shares.join(flow);
    }
    apply(&mut shares, Change::Solve);
    shares.leave(0);
    shares.join(0);
    let solution = shares.solve().expect("something changed");
    assert_eq!((solution.flows.as_slice(), solution.resources.as_slice()), (&[0][..], &[0][..]));
}
