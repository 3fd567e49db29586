//! A nemesis keeps to what it was told.

use std::collections::BTreeMap;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::tests::ring;
use super::*;
use crate::draw::Distribution;
use crate::select::Population;

fn nemesis() -> Nemesis {
    Nemesis {
        kinds: BTreeMap::new(),
        per_hour: 240.0,
        at_once_max: 3,
        duration_s: Distribution::Exponential { mean: 60.0 },
        quiet_s: 120.0,
        intensity: 0.5,
    }
}

fn span(fault: &Fault) -> (f64, f64) {
    match (fault.when, fault.duration_s) {
        (When::At { at_s }, Some(Distribution::Constant { value })) => (at_s, at_s + value),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_random_plan_is_valid_reads_back_equal_and_leaves_the_end_quiet(
        seed: u64, nodes in 2u32..200, per_hour in 0.0..2_000.0f64, at_once_max in 1u32..9, intensity in 0.001..1.0f64,
    ) {
        let population = ring(nodes);
        let nemesis = Nemesis { per_hour, at_once_max, intensity, ..nemesis() };
        let plan = nemesis.draw(seed, 3_600.0, &population).unwrap();
        prop_assert_eq!(FaultPlan::from_toml(&plan.to_toml()), Ok(plan.clone()));
        prop_assert_eq!(&nemesis.draw(seed, 3_600.0, &population).unwrap(), &plan);
        prop_assert!(plan.faults.iter().all(|fault| span(fault).1 <= 3_480.0 + 1e-9));
        let (mut holding, mut most) = (0, 0);
        for event in plan.schedule(seed, &population).unwrap() {
            holding += if event.phase == Phase::Begin { 1 } else { -1 };
            most = most.max(holding);
        }
        prop_assert!(most <= at_once_max as i32 && holding == 0, "{} at once, {} at the end", most, holding);
    }
}

#[test]
fn kinds_come_by_their_weight_and_where_there_is_room() {
    let kinds = BTreeMap::from([(FaultKind::Crash, 3), (FaultKind::DiskFull, 1), (FaultKind::LinkDown, 5)]);
    let nemesis = Nemesis { kinds, at_once_max: 1_000, quiet_s: 0.0, ..nemesis() };
    // Without links there are no faults of links.
    let plan = nemesis.draw(9, 36_000.0, &Population::peers(10)).unwrap();
    let count = |kind| plan.faults.iter().filter(|fault| fault.what.kind() == kind).count() as f64;
    let (crashes, full) = (count(FaultKind::Crash), count(FaultKind::DiskFull));
    assert_eq!(crashes + full, plan.faults.len() as f64);
    // 2,400 in the mean, the root of which is 49; of them 3 in 4, with a standard deviation of 21.
    assert!((crashes + full - 2_400.0).abs() < 160.0, "{crashes} {full}");
    assert!((crashes - 3.0 * full).abs() < 4.0 * 70.0, "{crashes} {full}");
}

#[test]
fn all_kinds_come_when_none_are_chosen() {
    let nemesis = Nemesis { per_hour: 3_600.0, at_once_max: 1_000, ..nemesis() };
    let plan = nemesis.draw(3, 3_600.0, &ring(20)).unwrap();
    for kind in FaultKind::ALL {
        assert!(plan.faults.iter().any(|fault| fault.what.kind() == *kind), "{kind:?}");
    }
}

#[test]
fn a_nemesis_that_strikes_in_vain_comes_to_an_end() {
    let endless = Distribution::Constant { value: 1e9 };
    let nemesis = Nemesis { per_hour: 3_600_000.0, at_once_max: 2, duration_s: endless, quiet_s: 0.0, ..nemesis() };
    assert_eq!(nemesis.draw(1, 300_000_000.0, &ring(9)).unwrap().faults.len(), 2);
}

#[test]
fn more_intensity_meets_more_and_breaks_more() {
    let lost = |intensity| {
        let kinds = BTreeMap::from([(FaultKind::MessageLoss, 1)]);
        let plan = Nemesis { kinds, intensity, ..nemesis() }.draw(1, 36_000.0, &ring(100)).unwrap();
        let lost = plan.faults.iter().map(|fault| match (&fault.what, &fault.select) {
            (What::MessageLoss { loss_ppm, .. }, crate::select::Selector::Nodes { nodes }) => {
                (f64::from(*loss_ppm), nodes.len() as f64)
            }
            other => panic!("{other:?}"),
        });
        let count = plan.faults.len() as f64;
        let (ppm, nodes) = lost.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (ppm / count, nodes / count)
    };
    let (mild, wild) = (lost(0.1), lost(1.0));
    assert!((40_000.0..60_000.0).contains(&mild.0) && (400_000.0..600_000.0).contains(&wild.0), "{mild:?} {wild:?}");
    assert!((2.0..4.0).contains(&mild.1) && (22.0..29.0).contains(&wild.1), "{mild:?} {wild:?}");
}

#[test]
fn a_nemesis_out_of_range_is_refused_with_what_is_allowed() {
    let wrong = |nemesis: Nemesis, run_s| nemesis.draw(1, run_s, &ring(5)).unwrap_err().to_string();
    let message = wrong(Nemesis { intensity: 0.0, ..nemesis() }, 600.0);
    assert_eq!(message, "intensity is 0; allowed: above 0, up to 1");
    assert_eq!(wrong(Nemesis { at_once_max: 0, ..nemesis() }, 600.0), "at_once_max is 0; allowed: 1 to 1000");
    assert_eq!(wrong(nemesis(), 60.0), "run_s is 60; allowed: 120 to 315360000");
    let none = Nemesis { kinds: BTreeMap::from([(FaultKind::Crash, 0)]), ..nemesis() };
    assert!(wrong(none, 600.0).starts_with("kinds is none"));
    let read = toml::from_str::<Nemesis>("per_hour = 6\nquiet_s = 60\nkinds = { crash = 3, explode = 1 }");
    assert!(read.unwrap_err().to_string().contains("unknown variant `explode`"));
    let read: Nemesis = toml::from_str("per_hour = 6\nquiet_s = 60\nkinds = { crash = 3 }").unwrap();
    assert_eq!(
        read,
        Nemesis { per_hour: 6.0, quiet_s: 60.0, kinds: BTreeMap::from([(FaultKind::Crash, 3)]), ..nemesis() }
    );
}
