//! Virtual time: machines, what reaches them when, and their timeouts.
//!
//! The kernel knows nothing of networks or disks. Each input goes to its machine at its time; what the machine then
//! wants done goes to the [`World`], which puts further inputs, or events of its own, on the [`Stage`].

pub mod clock;
pub mod digest;
pub mod queue;
mod stage;
#[cfg(test)]
mod tests;

use std::time::Duration;

use mesh_proto::{Machine, Timestamp};

use crate::capture::{Capture, EventKind, Happened};
use queue::EventQueue as _;
pub use stage::Stage;
use stage::{Event, Slot};

/// One machine of the world, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(pub u32);

/// What lies between the machines: carries out what they ask for, and has events of its own.
pub trait World<M: Machine>: Sized {
    /// What happens in the world itself, such as the end of a transmission or a fault.
    type Event;

    /// The input that tells a machine that its timeout is due.
    fn tick(&self) -> M::Input;

    /// The shortest time between two wake-ups of a machine: one that asks for the past must not stop the world.
    fn tick_interval_min(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether an input still concerns the machine it reaches: what no longer does is dropped.
    fn admit(&mut self, stage: &mut Stage<M, Self::Event>, member: Member, input: &M::Input) -> bool {
        let _ = (stage, member, input);
        true
    }

    /// Carries out one output of a machine.
    fn carry_out(&mut self, stage: &mut Stage<M, Self::Event>, member: Member, output: M::Output);

    /// An event of the world is due.
    fn happen(&mut self, stage: &mut Stage<M, Self::Event>, event: Self::Event);

    /// A word for an input that is equal for equal inputs, for the digest.
    fn print(input: &M::Input) -> u64;

    /// The same for an event of the world.
    fn print_event(event: &Self::Event) -> u64;
}

/// A run: a world, its machines, and the time. See the module.
pub struct Kernel<M: Machine, W: World<M>> {
    stage: Stage<M, W::Event>,
    world: W,
    capture: Option<Capture>,
}

impl<M: Machine, W: World<M>> Kernel<M, W> {
    /// A world without machines, at time zero, that expects so many events to wait at a time.
    #[must_use]
    pub fn new(world: W, pending: usize) -> Self {
        Self { stage: Stage::new(pending), world, capture: None }
    }

    /// Captures every event from now on.
    pub fn capture(&mut self) {
        self.capture.get_or_insert_default();
    }

    /// What was captured.
    pub fn take_capture(&mut self) -> Option<Capture> {
        self.capture.take()
    }

    /// The world, to look at.
    pub fn world(&self) -> &W {
        &self.world
    }

    /// The world and the stage: to add machines, schedule faults, look at everything.
    pub fn parts(&mut self) -> (&mut W, &mut Stage<M, W::Event>) {
        (&mut self.world, &mut self.stage)
    }

    /// The stage, to look at.
    pub fn stage(&self) -> &Stage<M, W::Event> {
        &self.stage
    }

    /// Runs everything due by `until`; the time is then `until`.
    pub fn run_until(&mut self, until: Timestamp) {
        while self.step(until) {}
        self.stage.now = self.stage.now.max(until);
    }

    /// Runs at most so many events due by `until`. Returns whether more may be due; if not, the time is `until`.
    pub fn step_many(&mut self, until: Timestamp, events_max: u32) -> bool {
        for _ in 0..events_max {
            if !self.step(until) {
                self.stage.now = self.stage.now.max(until);
                return false;
            }
        }
        true
    }

    /// Runs until a condition holds, at most by `until`. Returns whether it holds.
    pub fn run_until_holds(&mut self, until: Timestamp, mut condition: impl FnMut(&Self) -> bool) -> bool {
        while !condition(self) {
            if !self.step(until) {
                self.stage.now = self.stage.now.max(until);
                return condition(self);
            }
        }
        true
    }

    /// Runs the next event, if it is due by `until`.
    pub fn step(&mut self, until: Timestamp) -> bool {
        let Some((at, event)) = self.stage.queue.pop_until(until) else { return false };
        self.stage.now = at;
        match event {
            Event::Input { member, input } => {
                if self.stage.holds_back(member, input) {
                    return true;
                }
                let Some(input) = self.stage.inputs.take(input, self.stage.life_of(member)) else { return true };
                self.note(EventKind::Input, Some(member), W::print(&input));
                self.handle(member, input, self.stage.now);
            }
            Event::Wake { member, generation } => {
                if self.stage.is_due(member, generation) {
                    self.note(EventKind::Wake, Some(member), 0);
                    let tick = self.world.tick();
                    let earliest = self.stage.now.after(self.world.tick_interval_min());
                    self.handle(member, tick, earliest);
                }
            }
            Event::World(event) => {
                self.note(EventKind::World, None, W::print_event(&event));
                self.world.happen(&mut self.stage, event);
            }
        }
        true
    }

    /// Gives a machine an input; its timeout is not due before `earliest`.
    fn handle(&mut self, member: Member, input: M::Input, earliest: Timestamp) {
        if !self.world.admit(&mut self.stage, member, &input) {
            return;
        }
        let now = self.stage.now;
        let Slot { machine: Some(machine), clock, .. } = &mut self.stage.slots[member.0 as usize] else { return };
        machine.handle(clock.shows(now), input);
        // The world may stop or replace the machine on the way: each output is taken from whichever is there.
        while let Some(output) = self.stage.machine_mut(member).and_then(Machine::poll_output) {
            self.world.carry_out(&mut self.stage, member, output);
        }
        self.stage.set_timeout(member, earliest);
    }

    fn note(&mut self, kind: EventKind, member: Option<Member>, print: u64) {
        self.stage.note(kind, member, print);
        if let Some(capture) = &mut self.capture {
            capture.add(Happened { at: self.stage.now, kind, member, print });
        }
    }
}
