//! The machines, the events that wait, and the time: what a world acts on.

use mesh_proto::{Machine, Timestamp};

use super::Member;
use super::clock::LocalClock;
use super::digest::Digest;
use super::queue::{EventQueue as _, Queue};
use crate::capture::EventKind;

/// What waits for its time.
#[derive(Debug)]
pub(super) enum Event<E> {
    /// An input for a machine.
    Input {
        /// Which machine.
        member: Member,
        /// Where the input lies.
        input: u32,
    },
    /// A machine's timeout.
    Wake {
        /// Which machine.
        member: Member,
        /// Of which arming.
        generation: u32,
    },
    /// An event of the world.
    World(E),
}

/// A time that never comes.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// A machine's place.
#[derive(Debug)]
pub(super) struct Slot<M> {
    pub(super) machine: Option<M>,
    pub(super) clock: LocalClock,
    /// The time of the world at which its timeout is due; [`NEVER`] if it has none.
    due: Timestamp,
    /// The time of the wake-up that waits for it in the queue, [`NEVER`] if none does: never later than the timeout, so
    /// that one that moves away with each input costs no event each time.
    armed: Timestamp,
    /// Which wake-up that is; others are void.
    generation: u32,
    /// Which life of the machine: inputs for an earlier one are dropped.
    life: u32,
    /// What came while it is held, in order; `None` while it is not.
    held: Option<Box<Held>>,
}

/// What waits for a machine that is held.
#[derive(Debug, Default)]
struct Held {
    inputs: Vec<u32>,
    is_due: bool,
}

/// Inputs that wait. Places are used again.
#[derive(Debug)]
pub(super) struct Inputs<I> {
    waiting: Vec<Option<(u32, I)>>,
    free: Vec<u32>,
}

impl<I> Inputs<I> {
    fn put(&mut self, life: u32, input: I) -> u32 {
        match self.free.pop() {
            Some(place) => {
                self.waiting[place as usize] = Some((life, input));
                place
            }
            None => {
                self.waiting.push(Some((life, input)));
                u32::try_from(self.waiting.len() - 1).expect("fewer than four billion inputs wait")
            }
        }
    }

    /// Takes an input out, if it was meant for this life.
    pub(super) fn take(&mut self, place: u32, life: u32) -> Option<I> {
        let (meant_for, input) = self.waiting[place as usize].take()?;
        self.free.push(place);
        (meant_for == life).then_some(input)
    }

    fn drop(&mut self, place: u32) {
        if self.waiting[place as usize].take().is_some() {
            self.free.push(place);
        }
    }
}

/// What a world acts on. See the module.
pub struct Stage<M: Machine, E> {
    pub(super) now: Timestamp,
    pub(super) queue: Queue<Event<E>>,
    pub(super) slots: Vec<Slot<M>>,
    pub(super) inputs: Inputs<M::Input>,
    digest: Digest,
    events: u64,
}

impl<M: Machine, E> Stage<M, E> {
    pub(super) fn new(pending: usize) -> Self {
        Self {
            now: Timestamp::ZERO,
            queue: Queue::for_pending(pending),
            slots: Vec::new(),
            inputs: Inputs { waiting: Vec::new(), free: Vec::new() },
            digest: Digest::default(),
            events: 0,
        }
    }

    /// The time of the world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The digest of all events so far: equal for equal runs.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// How many events wait, void timeouts included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// How many machines there are, those that stand still included.
    #[must_use]
    pub fn members(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Adds a machine whose clock gains so many nanoseconds per second.
    ///
    /// # Panics
    /// From four billion machines on.
    pub fn add(&mut self, machine: M, drift_ppb: i32) -> Member {
        let member = Member(u32::try_from(self.slots.len()).expect("fewer than four billion machines"));
        let clock = LocalClock::new(self.now, drift_ppb);
        self.slots.push(Slot {
            machine: Some(machine),
            clock,
            due: NEVER,
            armed: NEVER,
            generation: 0,
            life: 0,
            held: None,
        });
        self.set_timeout(member, self.now);
        member
    }

    /// Ends a machine: what waits for it never reaches it. Gives it back.
    pub fn stop(&mut self, member: Member) -> Option<M> {
        let slot = &mut self.slots[member.0 as usize];
        slot.life = slot.life.wrapping_add(1);
        (slot.due, slot.armed) = (NEVER, NEVER);
        slot.generation = slot.generation.wrapping_add(1);
        let (machine, held) = (slot.machine.take(), slot.held.take());
        for input in held.map(|held| held.inputs).unwrap_or_default() {
            self.inputs.drop(input);
        }
        machine
    }

    /// Freezes a machine: what reaches it waits until it is released. Its clock goes on.
    pub fn hold(&mut self, member: Member) {
        self.slots[member.0 as usize].held.get_or_insert_default();
    }

    /// Lets a frozen machine go on: everything that waited reaches it now.
    pub fn release(&mut self, member: Member) {
        let Some(held) = self.slots[member.0 as usize].held.take() else { return };
        for input in held.inputs {
            self.queue.push(self.now, Event::Input { member, input });
        }
        if held.is_due {
            self.set_timeout(member, self.now);
        }
    }

    /// Whether a machine is frozen.
    #[must_use]
    pub fn is_held(&self, member: Member) -> bool {
        self.slots[member.0 as usize].held.is_some()
    }

    /// Lets a machine's clock gain so many nanoseconds per second from now on.
    pub fn set_drift(&mut self, member: Member, drift_ppb: i32) {
        let now = self.now;
        let slot = &mut self.slots[member.0 as usize];
        slot.clock = slot.clock.with_drift(now, drift_ppb);
        self.set_timeout(member, self.now);
    }

    /// Keeps an input for a frozen machine. Whether it is frozen.
    pub(super) fn holds_back(&mut self, member: Member, input: u32) -> bool {
        match &mut self.slots[member.0 as usize].held {
            Some(held) => {
                held.inputs.push(input);
                true
            }
            None => false,
        }
    }

    /// Puts another machine in the place of one, with a clock that begins now.
    pub fn start(&mut self, member: Member, machine: M, drift_ppb: i32) {
        self.stop(member);
        let slot = &mut self.slots[member.0 as usize];
        slot.clock = LocalClock::new(self.now, drift_ppb);
        slot.machine = Some(machine);
        self.set_timeout(member, self.now);
    }

    /// A machine, unless it stands still.
    #[must_use]
    pub fn machine(&self, member: Member) -> Option<&M> {
        self.slots.get(member.0 as usize)?.machine.as_ref()
    }

    /// A machine, to change.
    pub fn machine_mut(&mut self, member: Member) -> Option<&mut M> {
        self.slots.get_mut(member.0 as usize)?.machine.as_mut()
    }

    /// What the clock of a machine shows.
    #[must_use]
    pub fn local_now(&self, member: Member) -> Timestamp {
        self.slots[member.0 as usize].clock.shows(self.now)
    }

    /// Lets an input reach a machine, now or later.
    pub fn deliver(&mut self, at: Timestamp, member: Member, input: M::Input) {
        let input = self.inputs.put(self.life_of(member), input);
        self.queue.push(at.max(self.now), Event::Input { member, input });
    }

    /// Lets something happen in the world, now or later.
    pub fn happen(&mut self, at: Timestamp, event: E) {
        self.queue.push(at.max(self.now), Event::World(event));
    }

    pub(super) fn life_of(&self, member: Member) -> u32 {
        self.slots[member.0 as usize].life
    }

    /// Arms the timeout of a machine as it says, but not before `earliest`.
    pub(super) fn set_timeout(&mut self, member: Member, earliest: Timestamp) {
        let slot = &mut self.slots[member.0 as usize];
        let due = slot.machine.as_ref().and_then(Machine::poll_timeout).map(|(local, _)| slot.clock.reaches(local));
        slot.due = due.map_or(NEVER, |due| due.max(earliest));
        self.arm(member);
    }

    /// A wake-up came out of the queue. Whether the machine's timeout is due.
    pub(super) fn is_due(&mut self, member: Member, generation: u32) -> bool {
        let now = self.now;
        let slot = &mut self.slots[member.0 as usize];
        if slot.generation != generation || slot.armed == NEVER {
            return false;
        }
        slot.armed = NEVER;
        if let Some(held) = &mut slot.held {
            held.is_due = true;
            return false;
        }
        if slot.due <= now {
            slot.due = NEVER;
            return true;
        }
        self.arm(member);
        false
    }

    fn arm(&mut self, member: Member) {
        let slot = &mut self.slots[member.0 as usize];
        let due = slot.due;
        if slot.armed > due {
            slot.armed = due;
            slot.generation = slot.generation.wrapping_add(1);
            self.queue.push(due, Event::Wake { member, generation: slot.generation });
        }
    }

    pub(super) fn note(&mut self, kind: EventKind, member: Option<Member>, print: u64) {
        self.events += 1;
        let who = member.map_or(u64::MAX, |member| u64::from(member.0));
        self.digest.add(self.now.0, print ^ who.rotate_left(40) ^ (kind as u64) << 62);
    }
}
