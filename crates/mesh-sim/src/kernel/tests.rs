//! The kernel with a machine small enough to know what must happen.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_proto::{Machine, Timestamp, WakeReason};

use super::{Kernel, Member, Stage, World};
use crate::Stream;

/// Notes when it is woken, and passes on what it is told.
#[derive(Debug, Default)]
struct Relay {
    /// What it was told when, by its own clock.
    heard: Vec<(u64, Told)>,
    timeouts: Vec<u64>,
    outputs: VecDeque<(Duration, u32, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Tick,
    /// A number to pass on, one less, as long as it is not 0.
    Number(u32),
    /// When to wake up, by its own clock.
    WakeAt(u64),
    Never,
}

impl Machine for Relay {
    type Input = Told;
    type Output = (Duration, u32, u32);

    fn handle(&mut self, now: Timestamp, input: Told) {
        self.heard.push((now.0, input));
        match input {
            Told::Tick => self.timeouts.retain(|at| *at > now.0),
            Told::Number(0) => {}
            Told::Number(number) => self.outputs.push_back((Duration::from_nanos(10), number % 3, number - 1)),
            Told::WakeAt(at) => self.timeouts = vec![at],
            Told::Never => self.timeouts.clear(),
        }
    }

    fn poll_output(&mut self) -> Option<Self::Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<(Timestamp, WakeReason)> {
        self.timeouts.iter().min().map(|at| (Timestamp(*at), "told so"))
    }
}

/// Carries numbers, late by chance.
#[derive(Debug)]
struct Wire {
    luck: Stream,
    events: Vec<u64>,
}

impl World<Relay> for Wire {
    type Event = Member;

    fn tick(&self) -> Told {
        Told::Tick
    }

    fn carry_out(&mut self, stage: &mut Stage<Relay, Member>, _: Member, (delay, to, number): (Duration, u32, u32)) {
        let late = Duration::from_nanos(self.luck.below(100));
        stage.deliver(stage.now().after(delay + late), Member(to), Told::Number(number));
    }

    fn happen(&mut self, stage: &mut Stage<Relay, Member>, event: Member) {
        self.events.push(stage.now().0);
        stage.start(event, Relay::default(), 0);
    }

    fn print(input: &Told) -> u64 {
        match input {
            Told::Number(number) => u64::from(*number),
            _ => u64::MAX,
        }
    }

    fn print_event(event: &Member) -> u64 {
        u64::from(event.0)
    }
}

fn kernel(seed: u64, pending: usize) -> Kernel<Relay, Wire> {
    let mut kernel = Kernel::new(Wire { luck: Stream::new(seed, "wire", 0), events: Vec::new() }, pending);
    for _ in 0..3 {
        kernel.parts().1.add(Relay::default(), 0);
    }
    kernel
}

fn tell(kernel: &mut Kernel<Relay, Wire>, at: u64, told: Told) {
    kernel.parts().1.deliver(Timestamp(at), Member(0), told);
}

fn heard(kernel: &Kernel<Relay, Wire>, member: u32) -> &[(u64, Told)] {
    &kernel.stage().machine(Member(member)).expect("it runs").heard
}

fn ticks(kernel: &Kernel<Relay, Wire>) -> Vec<u64> {
    heard(kernel, 0).iter().filter(|(_, told)| *told == Told::Tick).map(|(at, _)| *at).collect()
}

#[test]
fn a_timeout_is_a_tick_at_its_time_and_may_be_moved_or_dropped() {
    let mut kernel = kernel(1, 10);
    tell(&mut kernel, 0, Told::WakeAt(100));
    tell(&mut kernel, 50, Told::WakeAt(200));
    tell(&mut kernel, 60, Told::WakeAt(150));
    kernel.run_until(Timestamp(1000));
    assert_eq!(ticks(&kernel), [150]);
    tell(&mut kernel, 1100, Told::WakeAt(2000));
    tell(&mut kernel, 1200, Told::Never);
    tell(&mut kernel, 1300, Told::WakeAt(1250));
    kernel.run_until(Timestamp(5000));
    assert_eq!(ticks(&kernel), [150, 1300], "what is overdue is due now");
    assert_eq!(kernel.stage().now(), Timestamp(5000));
    assert_eq!(kernel.stage().pending(), 0);
}

#[test]
fn a_timeout_that_moves_away_with_each_input_leaves_nothing_behind() {
    let mut kernel = kernel(1, 10);
    for at in 0..1000 {
        tell(&mut kernel, at, Told::WakeAt(at + 500));
    }
    kernel.run_until(Timestamp(999));
    assert!(kernel.stage().pending() <= 1, "{} wait", kernel.stage().pending());
    kernel.run_until(Timestamp(9999));
    assert_eq!(ticks(&kernel), [1499]);
}

#[test]
fn clocks_begin_with_their_machine_and_may_run_fast() {
    let mut kernel = kernel(1, 10);
    kernel.run_until(Timestamp(1_000_000));
    let fast = kernel.parts().1.add(Relay::default(), 100_000_000);
    kernel.parts().1.deliver(Timestamp(1_000_000), fast, Told::WakeAt(1100));
    kernel.run_until(Timestamp(2_000_000));
    let relay = kernel.stage().machine(fast).expect("it runs");
    assert_eq!(relay.heard, [(0, Told::WakeAt(1100)), (1100, Told::Tick)]);
    assert_eq!(kernel.stage().local_now(fast), Timestamp(1_100_000));
}

#[test]
fn what_was_meant_for_an_earlier_life_never_arrives() {
    let mut kernel = kernel(1, 10);
    tell(&mut kernel, 0, Told::WakeAt(100));
    tell(&mut kernel, 200, Told::Number(0));
    kernel.parts().1.happen(Timestamp(50), Member(0));
    kernel.run_until(Timestamp(1000));
    assert!(heard(&kernel, 0).is_empty());
    assert_eq!(kernel.world().events, [50]);
    tell(&mut kernel, 1000, Told::Number(0));
    kernel.run_until(Timestamp(2000));
    assert_eq!(heard(&kernel, 0), [(950, Told::Number(0))]);
    assert!(kernel.parts().1.stop(Member(0)).is_some());
    tell(&mut kernel, 3000, Told::Number(0));
    kernel.run_until(Timestamp(4000));
    assert!(kernel.stage().machine(Member(0)).is_none());
}

#[test]
fn the_same_seed_is_the_same_run_whatever_the_queue_and_whoever_watches() {
    let run = |seed, pending, watched| {
        let mut kernel = kernel(seed, pending);
        if watched {
            kernel.capture();
        }
        tell(&mut kernel, 0, Told::Number(500));
        tell(&mut kernel, 0, Told::Number(501));
        kernel.run_until(Timestamp(1_000_000));
        (kernel.stage().digest(), kernel.stage().events(), kernel.take_capture())
    };
    let (digest, events, captured) = run(7, 1, true);
    assert_eq!(events, 1003);
    let captured = captured.expect("it was watched");
    assert_eq!(captured.len(), 1003);
    for (pending, watched) in [(1, false), (1_000_000, true), (1_000_000, false)] {
        let again = run(7, pending, watched);
        assert_eq!((again.0, again.1), (digest, events));
        assert_eq!(again.2.and_then(|again| captured.first_difference(&again)), None);
    }
    let (other, _, capture) = run(8, 1, true);
    assert_ne!(other, digest);
    let (number, ours, theirs) = captured.first_difference(&capture.expect("it was watched")).expect("they differ");
    assert!(number > 1 && ours != theirs);
}

#[test]
fn a_run_may_stop_when_something_holds() {
    let mut kernel = kernel(3, 10);
    tell(&mut kernel, 0, Told::Number(300));
    let met = |kernel: &Kernel<Relay, Wire>| kernel.stage().events() == 20;
    assert!(kernel.run_until_holds(Timestamp(1_000_000), met));
    assert_eq!(kernel.stage().events(), 20);
    assert!(!kernel.run_until_holds(Timestamp(1_000_000), |kernel| kernel.stage().events() == 10));
    assert_eq!(kernel.stage().now(), Timestamp(1_000_000));
}

#[test]
fn what_reaches_a_frozen_machine_waits_until_it_is_released() {
    let mut kernel = kernel(1, 10);
    tell(&mut kernel, 0, Told::WakeAt(120));
    tell(&mut kernel, 110, Told::WakeAt(150));
    tell(&mut kernel, 115, Told::Number(0));
    kernel.run_until(Timestamp(100));
    kernel.parts().1.hold(Member(0));
    kernel.run_until(Timestamp(200));
    assert_eq!(heard(&kernel, 0), [(0, Told::WakeAt(120))]);
    assert!(kernel.stage().is_held(Member(0)));
    kernel.parts().1.release(Member(0));
    kernel.run_until(Timestamp(300));
    let after: Vec<Told> = heard(&kernel, 0)
        .iter()
        .skip(1)
        .map(|(at, told)| (*at == 200).then_some(*told))
        .map(|told| told.expect("all of it came when it was released"))
        .collect();
    assert_eq!(after, [Told::WakeAt(150), Told::Number(0), Told::Tick]);
}
