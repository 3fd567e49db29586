//! Max–min fair rates: no flow can have more without one that has no more than it having less.
//!
//! That holds exactly when each flow is at its cap, or crosses a full resource on which none is faster (its
//! bottleneck). So a change is followed only as far as it breaks that: the flows it concerns are shared out anew among
//! what the others leave ([`Shares::fill`], progressive filling), then every flow on the same resources that has lost
//! its bottleneck, or is itself faster than someone's bottleneck allows, joins them ([`Shares::grow`]), until none
//! does.
//!
//! Invariant: after [`Shares::solve`] the rates are those of a progressive filling of everything, up to rounding.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How far rates may differ and still count as equal. Too small costs work, never correctness.
const EQUAL: f64 = 1e-11;

/// Weights are whole millionths, so that sums of them are exact.
const MILLION: f64 = 1e6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Cap,
    Resource(u32),
}

/// A flow on a resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) resource: u32,
    pub(super) weight_ppm: u64,
    /// Where the resource has it.
    place: u32,
}

impl Hold {
    pub(super) fn new(resource: u32, weight_ppm: u64) -> Self {
        Self { resource, weight_ppm, place: 0 }
    }

    pub(super) fn weight(&self) -> f64 {
        self.weight_ppm as f64 / MILLION
    }
}

#[derive(Debug, Default)]
struct Sharer {
    holds: Vec<Hold>,
    cap: f64,
    active: bool,
    had: Part,
    /// The solution it takes part in, and what it has there.
    epoch: u64,
    has: Part,
}

/// What a flow has, and what keeps it from having more.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Part {
    rate: f64,
    limit: Option<Limit>,
}

/// A flow that is active on a resource, and which of its holds that is.
#[derive(Debug, Clone, Copy)]
struct Member {
    flow: u32,
    hold: u32,
}

#[derive(Debug, Default)]
struct Pool {
    capacity: f64,
    used: f64,
    members: Vec<Member>,
    /// The solution it takes part in, and its state there.
    epoch: u64,
    /// Who takes part has changed since `fixed` and `weight_ppm` were added up.
    stale: bool,
    /// What those take who do not take part.
    fixed: f64,
    /// The weights of those who do.
    weight_ppm: u64,
    left: f64,
    open_ppm: u64,
    /// The rate at which it became full.
    level: Option<f64>,
}

/// What sharing out anew has changed.
#[derive(Debug, Default)]
pub(super) struct Solution {
    /// Flows with another rate, or held back by something else.
    pub(super) flows: Vec<u32>,
    /// Resources that may be used differently.
    pub(super) resources: Vec<u32>,
}

/// Who gets how much.
#[derive(Debug, Default)]
pub(super) struct Shares {
    sharers: Vec<Sharer>,
    pools: Vec<Pool>,
    epoch: u64,
    /// Flows and resources of the solution being made.
    taking_part: Vec<u32>,
    concerned: Vec<u32>,
    /// The last solution, for its memory.
    spare: Solution,
    levels: BinaryHeap<Reverse<(u64, u32)>>,
    caps: Vec<(u64, u32)>,
}

/// The order of numbers that are not negative.
fn order(number: f64) -> u64 {
    number.to_bits()
}

impl Shares {
    pub(super) fn new() -> Self {
        Self { epoch: 1, ..Self::default() }
    }

    pub(super) fn add_pool(&mut self, capacity: f64) {
        self.pools.push(Pool { capacity, ..Pool::default() });
    }

    pub(super) fn capacity(&self, pool: u32) -> f64 {
        self.pools[pool as usize].capacity
    }

    pub(super) fn used(&self, pool: u32) -> f64 {
        self.pools[pool as usize].used
    }

    /// The active flows on a resource, and what each takes there per byte.
    pub(super) fn members(&self, pool: u32) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.pools[pool as usize].members.iter().map(|member| (member.flow, self.hold(*member).weight()))
    }

    pub(super) fn holds(&self, flow: u32) -> &[Hold] {
        &self.sharers[flow as usize].holds
    }

    pub(super) fn rate(&self, flow: u32) -> f64 {
        self.sharers[flow as usize].had.rate
    }

    pub(super) fn limit(&self, flow: u32) -> Option<Limit> {
        self.sharers[flow as usize].had.limit
    }

    pub(super) fn is_active(&self, flow: u32) -> bool {
        self.sharers[flow as usize].active
    }

    pub(super) fn set_capacity(&mut self, pool: u32, capacity: f64) {
        self.pools[pool as usize].capacity = capacity;
        self.concern(pool);
    }

    /// Sets the path of a flow, which may be new; each resource stands there once.
    pub(super) fn set_holds(&mut self, flow: u32, holds: Vec<Hold>) {
        if self.sharers.len() <= flow as usize {
            self.sharers.resize_with(flow as usize + 1, Sharer::default);
        }
        let active = self.is_active(flow);
        self.leave(flow);
        self.sharers[flow as usize].holds = holds;
        if active {
            self.join(flow);
        }
    }

    pub(super) fn set_cap(&mut self, flow: u32, cap: f64) {
        let sharer = &mut self.sharers[flow as usize];
        if sharer.cap != cap {
            sharer.cap = cap;
            if sharer.active {
                self.take_part(flow);
            }
        }
    }

    /// Has a flow take its share from now on.
    pub(super) fn join(&mut self, flow: u32) {
        let sharer = &mut self.sharers[flow as usize];
        if std::mem::replace(&mut sharer.active, true) {
            return;
        }
        for (index, hold) in sharer.holds.iter_mut().enumerate() {
            let pool = &mut self.pools[hold.resource as usize];
            hold.place = pool.members.len() as u32;
            pool.members.push(Member { flow, hold: index as u32 });
            pool.stale = true;
        }
        self.take_part(flow);
    }

    /// Has a flow take nothing from now on.
    pub(super) fn leave(&mut self, flow: u32) {
        let sharer = &mut self.sharers[flow as usize];
        if !std::mem::replace(&mut sharer.active, false) {
            return;
        }
        sharer.had = Part::default();
        for index in 0..sharer.holds.len() {
            let Hold { resource, place, .. } = self.sharers[flow as usize].holds[index];
            let members = &mut self.pools[resource as usize].members;
            members.swap_remove(place as usize);
            if let Some(moved) = members.get(place as usize).copied() {
                self.sharers[moved.flow as usize].holds[moved.hold as usize].place = place;
            }
            self.concern(resource);
        }
    }

    /// Shares out anew as far as what was changed since the last time reaches; `None` if nothing was.
    pub(super) fn solve(&mut self) -> Option<Solution> {
        if self.concerned.is_empty() && self.taking_part.is_empty() {
            return None;
        }
        let sharers = &self.sharers;
        self.taking_part.retain(|flow| sharers[*flow as usize].active);
        loop {
            self.fill();
            if !self.grow() {
                break;
            }
        }
        Some(self.commit())
    }

    /// Takes a solution back, to use its memory again.
    pub(super) fn forget(&mut self, solution: Solution) {
        self.spare = solution;
    }

    fn hold(&self, member: Member) -> &Hold {
        &self.sharers[member.flow as usize].holds[member.hold as usize]
    }

    fn take_part(&mut self, flow: u32) {
        let sharer = &mut self.sharers[flow as usize];
        if std::mem::replace(&mut sharer.epoch, self.epoch) != self.epoch {
            sharer.has = sharer.had;
            self.taking_part.push(flow);
        }
        for index in 0..self.sharers[flow as usize].holds.len() {
            self.concern(self.sharers[flow as usize].holds[index].resource);
        }
    }

    fn concern(&mut self, pool: u32) {
        let state = &mut self.pools[pool as usize];
        state.stale = true;
        if std::mem::replace(&mut state.epoch, self.epoch) != self.epoch {
            self.concerned.push(pool);
        }
    }

    /// Progressive filling: all rates rise together; at each cap, and where a resource is full, some stay behind.
    fn fill(&mut self) {
        self.add_up();
        let mut caps = std::mem::take(&mut self.caps);
        for flow in &self.taking_part {
            let sharer = &mut self.sharers[*flow as usize];
            sharer.has.limit = None;
            caps.push((order(sharer.cap), *flow));
        }
        caps.sort_unstable();
        for (cap, flow) in caps.drain(..) {
            while self.sharers[flow as usize].has.limit.is_none() {
                match self.next_full() {
                    Some((level, pool)) if order(level) < cap => self.fill_up(pool, level),
                    _ => self.stay(flow, f64::from_bits(cap), Limit::Cap),
                }
            }
        }
        self.caps = caps;
    }

    fn add_up(&mut self) {
        self.levels.clear();
        for index in &self.concerned {
            let pool = &mut self.pools[*index as usize];
            if std::mem::replace(&mut pool.stale, false) {
                (pool.fixed, pool.weight_ppm) = (0.0, 0);
                for member in &pool.members {
                    let sharer = &self.sharers[member.flow as usize];
                    let hold = &sharer.holds[member.hold as usize];
                    match sharer.epoch == self.epoch {
                        true => pool.weight_ppm += hold.weight_ppm,
                        false => pool.fixed += hold.weight() * sharer.had.rate,
                    }
                }
            }
            pool.left = (pool.capacity - pool.fixed).max(0.0);
            pool.open_ppm = pool.weight_ppm;
            pool.level = None;
            if pool.open_ppm > 0 {
                self.levels.push(Reverse((order(pool.level_now()), *index)));
            }
        }
    }

    /// The resource that is full first, and at which rate. Stays in the heap until it is filled up.
    fn next_full(&mut self) -> Option<(f64, u32)> {
        loop {
            let Reverse((known, index)) = *self.levels.peek()?;
            let pool = &self.pools[index as usize];
            let level = pool.level_now();
            if pool.open_ppm > 0 && known >= order(level) {
                return Some((level, index));
            }
            self.levels.pop();
            // What stayed behind elsewhere left more for the others here: levels only rise.
            if pool.open_ppm > 0 {
                self.levels.push(Reverse((order(level), index)));
            }
        }
    }

    fn fill_up(&mut self, index: u32, level: f64) {
        self.pools[index as usize].level = Some(level);
        for place in 0..self.pools[index as usize].members.len() {
            let flow = self.pools[index as usize].members[place].flow;
            let sharer = &self.sharers[flow as usize];
            if sharer.epoch == self.epoch && sharer.has.limit.is_none() {
                self.stay(flow, level, Limit::Resource(index));
            }
        }
    }

    fn stay(&mut self, flow: u32, rate: f64, limit: Limit) {
        let sharer = &mut self.sharers[flow as usize];
        sharer.has = Part { rate, limit: Some(limit) };
        for hold in &sharer.holds {
            let pool = &mut self.pools[hold.resource as usize];
            pool.left = (pool.left - hold.weight() * rate).max(0.0);
            pool.open_ppm -= hold.weight_ppm;
        }
    }

    /// Has those take part whose rate can no longer be right. Returns whether there are any.
    fn grow(&mut self) -> bool {
        let before = self.taking_part.len();
        let above = |rate: f64, other: f64| rate > other * (1.0 + EQUAL);
        for at in 0..self.concerned.len() {
            let index = self.concerned[at];
            let pool = &self.pools[index as usize];
            let (mut load, mut top) = (0.0, 0.0f64);
            for member in &pool.members {
                let rate = self.part(member.flow).rate;
                load += self.hold(*member).weight() * rate;
                top = top.max(rate);
            }
            let full = load >= pool.capacity * (1.0 - EQUAL);
            let too_full = above(load, pool.capacity);
            let level = pool.level.unwrap_or(f64::INFINITY);
            for place in 0..self.pools[index as usize].members.len() {
                let flow = self.pools[index as usize].members[place].flow;
                let Sharer { epoch, had, .. } = self.sharers[flow as usize];
                let lost = had.limit == Some(Limit::Resource(index)) && (!full || above(top, had.rate));
                if epoch != self.epoch && (lost || above(had.rate, level) || (too_full && had.rate > 0.0)) {
                    self.take_part(flow);
                }
            }
        }
        self.taking_part.len() > before
    }

    fn part(&self, flow: u32) -> Part {
        let sharer = &self.sharers[flow as usize];
        if sharer.epoch == self.epoch { sharer.has } else { sharer.had }
    }

    fn commit(&mut self) -> Solution {
        let Solution { mut flows, mut resources } = std::mem::take(&mut self.spare);
        flows.clear();
        resources.clear();
        resources.append(&mut self.concerned);
        for flow in self.taking_part.drain(..) {
            let sharer = &mut self.sharers[flow as usize];
            if std::mem::replace(&mut sharer.had, sharer.has) != sharer.has {
                flows.push(flow);
            }
        }
        for index in &resources {
            let pool = &self.pools[*index as usize];
            let used = pool.members.iter().map(|member| self.hold(*member).weight() * self.rate(member.flow)).sum();
            self.pools[*index as usize].used = used;
        }
        self.epoch += 1;
        Solution { flows, resources }
    }
}

impl Pool {
    /// The rate at which it would be full if none of those still rising stayed behind.
    fn level_now(&self) -> f64 {
        self.left / (self.open_ppm as f64 / MILLION)
    }
}

#[cfg(test)]
#[path = "share_tests.rs"]
mod tests;
