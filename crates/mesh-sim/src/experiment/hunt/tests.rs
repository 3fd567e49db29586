//! The hunt tells what fails, and a failing case is made smaller without becoming another.

use super::*;

const GO_ON: fn(Timestamp, Timestamp) -> ControlFlow<()> = |_, _| ControlFlow::Continue(());

/// A case with faults that have nothing to do with its failure, if `expects` makes it fail.
fn small(expects: &str) -> Scenario {
    let text = format!(
        r#"
name = "small"
question = "?"
duration_s = 700
seeds = "3"
ends_when_done = true

[topology]
kind = "segment"
nodes = 6
links = [{{ preset = "lan" }}]

[catalogue]
contents = 2
size_bytes = {{ kind = "constant", value = 200_000 }}
from_s = 30

[[activities]]
kind = "transfers"
at_s = 40

[[activities]]
kind = "relistings"
per_hour = 60
from_s = 50
until_s = 120

[[faults]]
at_s = 60
duration_s = 20
select = {{ kind = "nodes", nodes = [2, 4] }}
what = {{ kind = "pause" }}

[[faults]]
at_s = 70
duration_s = 5
select = {{ kind = "nodes", nodes = [5] }}
what = {{ kind = "crash", disk = "kept" }}
{expects}"#
    );
    Scenario::from_toml(&text).expect("it is a scenario")
}

const NOTHING_MOVES: &str = "
[[expect]]
measure = \"moved_bytes\"
statistic = \"max\"
at_most = 0
";

#[test]
fn a_case_that_keeps_its_promises_does_not_fail() {
    assert_eq!(fails(&small(""), GO_ON).expect("it can be run"), None);
    assert!(shrink(&small(""), |_, _| ControlFlow::Continue(())).expect("it can be run").is_none());
}

#[test]
fn violations_that_are_alike_are_told_once() {
    let violation = |at_ns, node, invariant: &str| {
        let (invariant, what) = (invariant.to_owned(), "seen".to_owned());
        crate::world::Violation { at_ns, node, invariant, what }
    };
    let violations =
        [violation(1_000_000_000, 2, "b"), violation(2_000_000_000, 1, "a"), violation(3_000_000_000, 2, "b")];
    let told = told(&violations);
    assert_eq!(told, ["b, at 1.000 s at node 2: seen, and 1 more like it", "a, at 2.000 s at node 1: seen"]);
}

#[test]
fn what_has_nothing_to_do_with_a_failure_is_taken_away() {
    let scenario = small(NOTHING_MOVES);
    let failing = fails(&scenario, GO_ON).expect("it can be run").expect("something moves");
    assert!(failing.why.iter().any(|why| why.contains("moved_bytes")), "{failing:?}");
    let shrunk = shrink(&scenario, |_, _| ControlFlow::Continue(())).expect("it can be run").expect("it fails");
    let size = Size::of(&shrunk.scenario);
    assert_eq!((size.nodes, size.faults), (2, 0), "{size}");
    assert_eq!(shrunk.scenario.activities.len(), 1, "only the transfers matter");
    assert!(shrunk.scenario.duration_s < scenario.duration_s);
    assert!(fails(&shrunk.scenario, GO_ON).expect("it can be run").is_some());
}

#[test]
fn a_failure_at_the_end_is_not_shrunk_to_an_end_that_comes_too_early() {
    let shrunk = shrink(&small(NOTHING_MOVES), |_, _| ControlFlow::Continue(())).expect("it can be run");
    let shrunk = shrunk.expect("it fails").scenario;
    assert!(shrunk.duration_s >= case::QUIET_S, "{} s", shrunk.duration_s);
    assert!(shrunk.to_toml().contains("\"transfers\""));
}

#[test]
fn a_search_that_is_stopped_gives_what_it_has() {
    let scenario = small(NOTHING_MOVES);
    let stop = |_: &Scenario, tries: u32| if tries > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let shrunk = shrink(&scenario, stop).expect("it can be run").expect("it fails");
    assert!(!shrunk.is_minimal && shrunk.tries <= 2, "{shrunk:?}");
}
