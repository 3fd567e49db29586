//! What happens when: items end, ramps step, shares are settled.
//!
//! What is asked for at one moment is shared out once, when time moves on or someone looks. An item's end is known as
//! soon as its rate is and moves only when the rate does, so a flow that goes on sending costs one event per item.
//!
//! Invariant: whenever a flow's rate changes, what it had at the old one is settled first.

use mesh_proto::Timestamp;

use super::engine::Flows;
use super::loss::{rate_of, repair_ns};
use super::ramp::Ramp;
use super::share::Limit;
use super::state::{Item, seconds};
use super::{Done, FlowId, RATE_BYTES_PER_S_MAX};

/// Flows that loss limits are given another cap when it differs by this part, and so often at one moment: what one
/// leaves, others take, which leaves less to it.
const SLOWED_STEP: f64 = 0.01;
const SLOWED_ROUNDS_MAX: u32 = 16;

impl Flows {
    /// Brings the state to `now`, leaving what is due at this very moment to [`Flows::advance`].
    pub(super) fn reach(&mut self, now: Timestamp) {
        if now > self.now {
            self.run(now);
        }
    }

    /// Everything due by `now`. What changes at `now` itself is shared out later, with what else the world asks for
    /// then.
    pub(super) fn run(&mut self, now: Timestamp) {
        loop {
            while let Some((_, index)) = self.timers.first().filter(|(at, _)| *at <= self.now) {
                self.happen(index);
            }
            if self.now >= now {
                return;
            }
            self.settle_shares();
            self.now = self.timers.first().map_or(now, |(at, _)| at.clamp(self.now, now));
        }
    }

    fn happen(&mut self, index: u32) {
        let state = &mut self.flows[index as usize];
        if state.ramp.next().is_some_and(|at| at <= self.now) {
            state.ramp.step(self.now, state.quality, state.free);
            self.set_cap(index);
        }
        if self.flows[index as usize].finish.is_some_and(|at| at <= self.now) {
            let state = &mut self.flows[index as usize];
            (state.left, state.since) = (0.0, self.now);
            self.charge(index);
            let flow = FlowId { index, generation: self.flows[index as usize].generation };
            let item = self.take_out(index, 0);
            let state = &self.flows[index as usize];
            let repair_ns = repair_ns(state.quality, state.rate, item.bytes);
            self.done.push(Done { flow, token: item.token, at: self.now, repair_ns });
        } else {
            self.set_timer(index);
        }
    }

    /// Takes an item out of a flow that is settled and charged, and begins with the next if it was the first.
    pub(super) fn take_out(&mut self, index: u32, place: usize) -> Item {
        let state = &mut self.flows[index as usize];
        let item = state.items.remove(place).expect("the caller saw it there");
        state.backlog = state.backlog.saturating_sub(item.bytes);
        if place == 0 {
            self.begin(index);
        }
        item
    }

    /// Begins with the first item of a flow, or with nothing.
    pub(super) fn begin(&mut self, index: u32) {
        let now = self.now;
        let delay = self.take_owed(index);
        let state = &mut self.flows[index as usize];
        (state.since, state.charged, state.finish) = (now, 0, None);
        match state.items.front() {
            Some(item) => state.left = item.bytes as f64 + delay,
            None => {
                state.left = 0.0;
                self.turned.push(index);
            }
        }
        self.set_timer(index);
    }

    /// What the next item is delayed by, in bytes of its flow; below zero, what of it goes at once.
    fn take_owed(&mut self, index: u32) -> f64 {
        let state = &self.flows[index as usize];
        let Some(item) = state.items.front() else { return 0.0 };
        let window = state.ramp.cap_bytes_per_s(state.quality, state.slowed) * state.quality.rtt_ns as f64 / 1e9;
        let mut delay = -window.min(item.bytes as f64);
        let holds = self.shares.holds(index).len();
        for place in 0..holds {
            let hold = self.shares.holds(index)[place];
            self.pay(hold.resource);
            let is_down = self.shares.capacity(hold.resource) <= 0.0;
            let owed = self.resources[hold.resource as usize].owed;
            delay = delay.max(if is_down { owed.max(0.0) } else { owed } / hold.weight());
        }
        if holds == 0 {
            return 0.0;
        }
        for place in 0..holds {
            let hold = self.shares.holds(index)[place];
            let state = &mut self.resources[hold.resource as usize];
            state.owed = state.owed.min(0.0) - delay.min(0.0) * hold.weight();
        }
        delay
    }

    /// Pays what a resource owes from what its flows have left free since it was last asked; while it rests, as much is
    /// saved as may go at once.
    pub(super) fn pay(&mut self, resource: u32) {
        let owed = self.owed_at(resource, self.now);
        let state = &mut self.resources[resource as usize];
        (state.owed, state.owed_at) = (owed, self.now);
    }

    pub(super) fn owed_at(&self, resource: u32, now: Timestamp) -> f64 {
        let state = &self.resources[resource as usize];
        let free = (self.shares.capacity(resource) - state.used).max(0.0);
        let least = if state.used > 0.0 { state.owed.min(0.0) } else { -state.burst };
        (state.owed - free * seconds(state.owed_at, now)).max(least)
    }

    /// Brings a flow's first item to now.
    pub(super) fn settle(&mut self, index: u32) {
        let state = &mut self.flows[index as usize];
        state.left = state.left_at(self.now);
        state.since = self.now;
    }

    /// Charges the path of a settled flow for what of its first item has left.
    pub(super) fn charge(&mut self, index: u32) {
        let state = &mut self.flows[index as usize];
        let sent = state.sent();
        let bytes = (sent - std::mem::replace(&mut state.charged, sent)) as f64;
        for hold in self.shares.holds(index) {
            self.resources[hold.resource as usize].carried += bytes * hold.weight();
        }
    }

    /// A flow has a new path: whether loss limits it there, it finds out when its shares are known.
    pub(super) fn set_path_loss(&mut self, index: u32) {
        let state = &mut self.flows[index as usize];
        state.slowed = state.free;
        state.offered.clear();
        if state.free < f64::INFINITY {
            self.lossy = true;
            state.offered.extend(self.shares.holds(index).iter().map(|hold| (hold.resource, f64::INFINITY)));
        }
        self.set_cap(index);
    }

    pub(super) fn set_cap(&mut self, index: u32) {
        let state = &self.flows[index as usize];
        self.shares.set_cap(index, state.ramp.cap_bytes_per_s(state.quality, state.slowed));
    }

    pub(super) fn set_timer(&mut self, index: u32) {
        let state = &mut self.flows[index as usize];
        state.finish = state.items.front().and_then(|_| state.finish_from(state.since));
        let next = [state.finish, state.ramp.next()].into_iter().flatten().min();
        self.timers.set(index, next);
    }

    /// Shares out what was asked for and given back at this moment.
    ///
    /// It ends: a ramp lowers its cap at most once at one moment, and [`SLOWED_ROUNDS_MAX`] bounds the rest.
    pub(super) fn settle_shares(&mut self) {
        while let Some(index) = self.turned.pop() {
            self.turn(index);
        }
        let mut rounds = 0;
        while let Some(solution) = self.shares.solve() {
            for resource in &solution.resources {
                self.pay(*resource);
                self.resources[*resource as usize].used = self.shares.used(*resource);
            }
            for index in solution.flows.iter().copied() {
                self.follow(index);
            }
            if self.lossy && rounds < SLOWED_ROUNDS_MAX {
                solution.resources.iter().for_each(|resource| self.slow_down(*resource));
            }
            rounds += 1;
            self.shares.forget(solution);
        }
    }

    /// What the flows take of a resource has changed: those that loss limits have another share of it.
    fn slow_down(&mut self, resource: u32) {
        if !self.shares.members(resource).any(|(flow, _)| self.flows[flow as usize].free < f64::INFINITY) {
            return;
        }
        let mut crowd = std::mem::take(&mut self.crowd);
        crowd.look(&self.shares, resource);
        for (index, share) in crowd.shares() {
            let state = &mut self.flows[index as usize];
            let Ok(place) = state.offered.binary_search_by_key(&resource, |(resource, _)| *resource) else { continue };
            state.offered[place].1 = share;
            let share = state.offered.iter().fold(f64::INFINITY, |least, (_, share)| least.min(*share));
            let slowed = rate_of(state.free, share);
            if (slowed - state.slowed).abs() > SLOWED_STEP * state.slowed {
                state.slowed = slowed;
                self.set_cap(index);
            }
        }
        self.crowd = crowd;
    }

    /// A flow was given another rate, or something else holds it back.
    fn follow(&mut self, index: u32) {
        self.settle(index);
        let rate = self.shares.rate(index);
        let capped = self.shares.limit(index) == Some(Limit::Cap);
        let state = &mut self.flows[index as usize];
        state.rate = rate;
        let ramp = state.ramp.cap_bytes_per_s(state.quality, f64::INFINITY);
        let holds = capped && ramp <= rate && ramp < RATE_BYTES_PER_S_MAX;
        state.ramp.follow(self.now, state.quality, rate, holds);
        self.set_cap(index);
        self.set_timer(index);
    }

    /// A flow has begun or ceased to have something to send, or both in turn.
    fn turn(&mut self, index: u32) {
        let state = &mut self.flows[index as usize];
        match (state.open && !state.items.is_empty(), self.shares.is_active(index)) {
            (true, false) => {
                let idle = state.idle_since.take().map(|since| self.now.0 - since.0);
                if idle.is_none_or(|idle| Ramp::is_forgotten(idle, state.quality.rtt_ns)) {
                    state.ramp = Ramp::new(state.quality);
                }
                state.ramp.wake(self.now);
                self.set_cap(index);
                self.shares.join(index);
            }
            (false, true) => {
                self.shares.leave(index);
                state.idle_since = Some(self.now);
                state.rate = 0.0;
                state.ramp.rest(self.now);
                self.set_timer(index);
            }
            (true, true) => self.set_timer(index),
            (false, false) => {}
        }
    }
}
