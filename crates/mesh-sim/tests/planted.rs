//! Defects that are planted on purpose are found, and their cases made smaller. All twelve: `cargo xtask sim-planted`.

use std::ops::ControlFlow;

use mesh_proto::planted::Defect;
use mesh_sim::experiment::hunt::{Failing, Size, case, fails, shrink};
use mesh_sim::scenario::Scenario;

/// So many cases are looked at.
const CASES_MAX: u64 = 30;

/// The first case in which a defect breaks this promise.
fn found(defect: Defect, promise: &str) -> (Scenario, Failing) {
    let planted = |seed| Scenario { planted: Some(defect), ..case(seed).expect("it can be made") };
    let go_on = |_, _| ControlFlow::Continue(());
    let first = (1..=CASES_MAX).map(planted).find_map(|scenario| {
        let failing = fails(&scenario, go_on).expect("it can be run")?;
        failing.invariants.contains(promise).then_some((scenario, failing))
    });
    let (scenario, failing) = first.unwrap_or_else(|| panic!("{} is not found", defect.name()));
    let without = Scenario { planted: None, ..scenario.clone() };
    assert_eq!(fails(&without, go_on).expect("it can be run"), None, "it fails because of the defect");
    (scenario, failing)
}

#[test]
fn bytes_taken_without_a_look_are_seen() {
    found(Defect::SkipVerification, "no unverified byte visible");
}

#[test]
fn giving_to_those_who_may_not_have_it_is_seen() {
    found(Defect::ServeBeyondAccess, "nobody is given what their access does not allow");
}

#[test]
fn receipts_counted_twice_are_seen_and_the_case_is_made_smaller() {
    let promise = "receipts never exceed what was sent";
    let (scenario, _) = found(Defect::DoubleCountReceipt, promise);
    let shrunk = shrink(&scenario, |_, _| ControlFlow::Continue(())).expect("it can be run").expect("it fails");
    let (before, after) = (Size::of(&scenario), Size::of(&shrunk.scenario));
    assert!(shrunk.failing.invariants.contains(promise), "{:?}", shrunk.failing);
    assert!(after.nodes < before.nodes || after.faults < before.faults, "{before} became {after}");
    assert!(after.run_s < before.run_s, "{before} became {after}");
    assert!(fails(&shrunk.scenario, |_, _| ControlFlow::Continue(())).expect("it can be run").is_some());
}
