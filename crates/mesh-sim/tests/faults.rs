//! What faults leave behind when they end: nothing but what they destroyed.

use std::time::Duration;

use mesh_sim::Member;
use mesh_sim::fault::{DiskAfter, Targets, What};
use mesh_sim::flow::Congestion;
use mesh_sim::sim::Sim;
use mesh_sim::topology::TopologyPlan;
use mesh_sim::world::node::NodeOptions;
use mesh_sim::world::wires::Wires;

/// Nodes that run and know each other.
fn world<const NODES: usize>(link: &str) -> (Sim, [Member; NODES]) {
    let plan = format!("kind = \"segment\"\nnodes = {NODES}\nlinks = [{link}]");
    let plan: TopologyPlan = toml::from_str(&plan).expect("a plan");
    let mut sim = Sim::new(1, Wires::new(plan.make(1).expect("a topology"), 1, Congestion::Bbr));
    let nodes = [(); NODES].map(|()| sim.add(NodeOptions::default()));
    nodes.iter().for_each(|node| sim.start(*node));
    sim.run_for(Duration::from_secs(20));
    (sim, nodes)
}

fn only(node: Member) -> Targets {
    Targets::Nodes(vec![node.0])
}

fn connections(sim: &Sim, node: Member) -> usize {
    sim.world().node(node).connections.values().map(Vec::len).sum()
}

/// Saying goodbye takes a second.
#[test]
fn who_comes_back_while_saying_goodbye_is_back() {
    let (mut sim, [first, second]) = world("{ preset = \"lan\" }");
    let leave = sim.begin_fault(What::Leave {}, only(first));
    sim.run_for(Duration::from_millis(1));
    sim.end_fault(leave);
    sim.run_for(Duration::from_secs(60));
    assert!(sim.is_on(first));
    assert_eq!((connections(&sim, first), connections(&sim, second)), (1, 1));
}

#[test]
fn nobody_starts_in_the_middle_of_a_crash() {
    let (mut sim, [first, _]) = world("{ preset = \"lan\" }");
    let crash = sim.begin_fault(What::Crash { disk: DiskAfter::Kept }, only(first));
    sim.start(first);
    assert!(!sim.is_on(first));
    sim.end_fault(crash);
    assert!(sim.is_on(first));
}

/// A node's brain that was held is held after a restart, too.
#[test]
fn a_pause_outlasts_a_restart() {
    let (mut sim, [first, second]) = world("{ preset = \"lan\" }");
    let pause = sim.begin_fault(What::Pause {}, only(first));
    let crash = sim.begin_fault(What::Crash { disk: DiskAfter::Kept }, only(first));
    sim.end_fault(crash);
    sim.run_for(Duration::from_secs(120));
    let inputs = sim.tally(first).inputs;
    sim.run_for(Duration::from_secs(120));
    assert_eq!(sim.tally(first).inputs, inputs, "a paused node did something");
    sim.end_fault(pause);
    sim.run_for(Duration::from_secs(60));
    assert_eq!(connections(&sim, second), 1);
}

/// What waited at a fraction of the rate is as many bytes as before at the whole, and ends no connection.
#[test]
fn a_link_that_was_slow_is_fast_again() {
    let (mut sim, [first, second]) = world("{ rate = \"10 Mbit/s\", latency_ms = 1, class = \"same_segment\" }");
    let slow =
        sim.begin_fault(What::LinkDegraded { rate_ppm: 20, latency_us: 0, loss_ppm: 0 }, Targets::Links(vec![first.0]));
    for number in 0..40 {
        sim.share(first, 1_000 + number, true).expect("it can be shared");
    }
    sim.run_for(Duration::from_secs(5));
    let waiting = |sim: &Sim| {
        let wires = &sim.world().wires;
        wires.waiting_bytes(sim.now(), &wires.way(first, second).expect("they are joined"))
    };
    let before = waiting(&sim);
    assert!(before > 1_000, "{before} bytes wait");
    sim.end_fault(slow);
    assert_eq!(waiting(&sim), before);
    sim.share(first, 1, true).expect("it can be shared");
    sim.run_for(Duration::from_secs(1));
    assert_eq!(connections(&sim, first), 1);
}

/// Each life asks by multicast in its own rhythm, and those before it no more.
#[test]
fn restarts_do_not_make_a_node_ask_more_often() {
    let (mut sim, [first, _]) = world("{ preset = \"lan\" }");
    let events = |sim: &mut Sim| {
        let before = sim.events();
        sim.run_for(Duration::from_secs(3_000));
        sim.events() - before
    };
    let quiet = events(&mut sim);
    for _ in 0..50 {
        let crash = sim.begin_fault(What::Crash { disk: DiskAfter::Kept }, only(first));
        sim.run_for(Duration::from_secs(1));
        sim.end_fault(crash);
        sim.run_for(Duration::from_secs(1));
    }
    sim.run_for(Duration::from_secs(600));
    let later = events(&mut sim);
    assert!(later < quiet + 300, "{later} events, and {quiet} before");
}
