//! Flows and their items: what the world may ask for.
//!
//! Invariant: the bytes reported as sent are those that were carried; times are rounded up to whole nanoseconds.

use mesh_proto::Timestamp;

use super::share::{Hold, Shares};
use super::slowed::Crowd;
use super::state::{Flow, Item, Resource};
use super::timers::Timers;
use super::{
    Done, FLOWS_MAX, FlowError, FlowId, ITEMS_MAX, PathQuality, RESOURCES_MAX, ResourceId, USES_MAX, Use,
    free_rate_bytes_per_s,
};

/// The largest weight: a million bytes of a resource for one of the flow.
const WEIGHT_PPM_MAX: u64 = 1_000_000_000_000;

/// How payload moves. See the module.
#[derive(Debug)]
pub struct Flows {
    pub(super) now: Timestamp,
    pub(super) shares: Shares,
    pub(super) resources: Vec<Resource>,
    pub(super) flows: Vec<Flow>,
    pub(super) free: Vec<u32>,
    pub(super) timers: Timers,
    /// Flows that began or ceased to have something to send since the shares were last settled.
    pub(super) turned: Vec<u32>,
    pub(super) done: Vec<Done>,
    /// Whether there ever was a flow that loss limits.
    pub(super) lossy: bool,
    pub(super) crowd: Crowd,
}

impl Default for Flows {
    fn default() -> Self {
        Self::new()
    }
}

impl Flows {
    /// No flow and no resource, at time zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            now: Timestamp::ZERO,
            shares: Shares::new(),
            resources: Vec::new(),
            flows: Vec::new(),
            free: Vec::new(),
            timers: Timers::default(),
            turned: Vec::new(),
            done: Vec::new(),
            lossy: false,
            crowd: Crowd::default(),
        }
    }

    /// Adds one direction of a link, or a channel.
    ///
    /// # Errors
    /// There are [`RESOURCES_MAX`].
    pub fn add_resource(&mut self, bytes_per_s: u64) -> Result<ResourceId, FlowError> {
        check("resources", self.resources.len(), RESOURCES_MAX)?;
        self.shares.add_pool(bytes_per_s as f64);
        self.resources.push(Resource { owed_at: self.now, ..Resource::default() });
        Ok(ResourceId(self.resources.len() as u32 - 1))
    }

    /// Sets what a resource can carry; 0 if it is down. One that was never added is ignored.
    pub fn set_capacity(&mut self, now: Timestamp, resource: ResourceId, bytes_per_s: u64) {
        self.reach(now);
        if (resource.0 as usize) < self.resources.len() {
            self.pay(resource.0);
            self.shares.set_capacity(resource.0, bytes_per_s as f64);
        }
    }

    /// Lets so much go at once over a resource after a rest, as shapers with a token bucket do. One that was never added is
    /// ignored.
    pub fn set_burst(&mut self, now: Timestamp, resource: ResourceId, bytes: u64) {
        self.reach(now);
        if let Some(state) = self.resources.get_mut(resource.0 as usize) {
            state.burst = bytes as f64;
            (state.owed, state.owed_at) = (-state.burst, now);
        }
    }

    /// Opens a flow over a path.
    ///
    /// # Errors
    /// A resource does not exist, or there are too many uses or flows.
    pub fn open(&mut self, now: Timestamp, path: &[Use], quality: PathQuality) -> Result<FlowId, FlowError> {
        let holds = self.holds(path, quality)?;
        check("flows", self.flows.len() - self.free.len(), FLOWS_MAX)?;
        self.reach(now);
        let index = self.free.pop().unwrap_or(self.flows.len() as u32);
        if index as usize == self.flows.len() {
            self.flows.push(Flow::new(0, quality));
        }
        let generation = self.flows[index as usize].generation;
        self.flows[index as usize] = Flow { open: true, ..Flow::new(generation, quality) };
        self.shares.set_holds(index, holds);
        self.set_path_loss(index);
        Ok(FlowId { index, generation })
    }

    /// Moves a flow to another path, in the middle of an item if need be. The ramp goes on as it was.
    ///
    /// # Errors
    /// As for [`Flows::open`]; the flow is not open.
    pub fn set_path(
        &mut self,
        now: Timestamp,
        flow: FlowId,
        path: &[Use],
        quality: PathQuality,
    ) -> Result<(), FlowError> {
        let holds = self.holds(path, quality)?;
        self.reach(now);
        let index = self.index_of(flow).ok_or(FlowError::NotOpen)?;
        self.settle(index);
        self.charge(index);
        self.shares.set_holds(index, holds);
        let state = &mut self.flows[index as usize];
        (state.quality, state.free) = (quality, free_rate_bytes_per_s(quality));
        self.set_path_loss(index);
        Ok(())
    }

    /// Closes a flow. Returns the tokens of the items that have not left, in their order.
    pub fn close(&mut self, now: Timestamp, flow: FlowId) -> Vec<u64> {
        self.reach(now);
        let Some(index) = self.index_of(flow) else { return Vec::new() };
        self.settle(index);
        self.charge(index);
        self.shares.leave(index);
        self.timers.set(index, None);
        let state = &mut self.flows[index as usize];
        (state.open, state.generation) = (false, state.generation.wrapping_add(1));
        self.free.push(index);
        std::mem::take(&mut state.items).into_iter().map(|item| item.token).collect()
    }

    /// Queues an item behind those already in a flow.
    ///
    /// # Errors
    /// The flow is not open, or [`ITEMS_MAX`] wait in it.
    pub fn send(&mut self, now: Timestamp, flow: FlowId, bytes: u64, token: u64) -> Result<(), FlowError> {
        self.reach(now);
        let index = self.index_of(flow).ok_or(FlowError::NotOpen)?;
        let state = &mut self.flows[index as usize];
        check("items", state.items.len(), ITEMS_MAX)?;
        state.items.push_back(Item { token, bytes });
        state.backlog = state.backlog.saturating_add(bytes);
        if state.items.len() == 1 {
            self.begin(index);
            self.turned.push(index);
        }
        Ok(())
    }

    /// Takes an item out, also one that is on its way. Returns how many of its bytes have left; `None` if it is not
    /// there.
    pub fn cancel(&mut self, now: Timestamp, flow: FlowId, token: u64) -> Option<u64> {
        self.reach(now);
        let index = self.index_of(flow)?;
        let place = self.flows[index as usize].items.iter().position(|item| item.token == token)?;
        let sent = match place {
            0 => {
                self.settle(index);
                self.charge(index);
                self.flows[index as usize].charged
            }
            _ => 0,
        };
        self.take_out(index, place);
        Some(sent)
    }

    /// Lets time pass, and adds what has left to `done`, in the order in which it did.
    pub fn advance(&mut self, now: Timestamp, done: &mut Vec<Done>) {
        self.run(now);
        done.append(&mut self.done);
    }

    /// When [`Flows::advance`] has something to do next.
    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        self.settle_shares();
        match self.done.is_empty() {
            true => self.timers.first().map(|(at, _)| at),
            false => Some(self.now),
        }
    }

    /// A control message of so many bytes crosses a resource, outside of any flow.
    ///
    /// It uses what the flows leave free or left before, as far as that may go at once. What they don't leave free is owed,
    /// and delays the next item that begins there by the time its bytes take. An item that begins on several resources
    /// pays the largest of their debts, which settles all of them: the message that crosses them all was one.
    pub fn burden(&mut self, now: Timestamp, resource: ResourceId, bytes: u64) {
        self.reach(now);
        if (resource.0 as usize) < self.resources.len() {
            self.pay(resource.0);
            self.resources[resource.0 as usize].owed += bytes as f64;
        }
    }

    /// What may go at once over a resource, beside what it carries.
    #[must_use]
    pub fn saved_bytes(&self, now: Timestamp, resource: ResourceId) -> u64 {
        let is_known = (resource.0 as usize) < self.resources.len();
        if is_known { (-self.owed_at(resource.0, now)).max(0.0) as u64 } else { 0 }
    }

    /// Bytes that wait in a flow or are on their way out of it; 0 if it is not open.
    ///
    /// This and the other questions change nothing. They are exact if nothing was due between the last
    /// [`Flows::poll_timeout`] and `now`.
    #[must_use]
    pub fn backlog_bytes(&self, now: Timestamp, flow: FlowId) -> u64 {
        let Some(index) = self.index_of(flow) else { return 0 };
        let state = &self.flows[index as usize];
        state.backlog.saturating_sub(state.sent_at(now))
    }

    /// What a flow carries, without what is sent again because it was lost.
    #[must_use]
    pub fn rate_bytes_per_s(&self, flow: FlowId) -> u64 {
        self.index_of(flow).map_or(0, |index| self.flows[index as usize].rate as u64)
    }

    /// What of a resource's capacity the flows have taken so far, by their weights and with what was sent again.
    #[must_use]
    pub fn carried_bytes(&self, now: Timestamp, resource: ResourceId) -> u64 {
        let Some(state) = self.resources.get(resource.0 as usize) else { return 0 };
        let under_way = self.shares.members(resource.0).map(|(flow, weight)| {
            let state = &self.flows[flow as usize];
            (state.sent_at(now) - state.charged) as f64 * weight
        });
        (state.carried + under_way.sum::<f64>()) as u64
    }

    /// What of a resource's capacity the flows take, in bytes per second.
    #[must_use]
    pub fn used(&self, resource: ResourceId) -> u64 {
        self.resources.get(resource.0 as usize).map_or(0, |state| state.used as u64)
    }

    fn index_of(&self, flow: FlowId) -> Option<u32> {
        let state = self.flows.get(flow.index as usize)?;
        (state.open && state.generation == flow.generation).then_some(flow.index)
    }

    fn holds(&self, path: &[Use], quality: PathQuality) -> Result<Vec<Hold>, FlowError> {
        check("resources on a path", path.len().saturating_sub(1), USES_MAX)?;
        let mut uses = path.to_vec();
        uses.sort_unstable_by_key(|used| used.resource);
        // What is lost is sent again, and takes its part of every resource again.
        let arrives = 1_000_000 - u64::from(quality.loss_ppm.min(999_999));
        let mut holds: Vec<Hold> = Vec::with_capacity(uses.len());
        for Use { resource, weight_permille } in uses {
            if resource.0 as usize >= self.resources.len() {
                return Err(FlowError::NoResource(resource.0));
            }
            let weight_ppm = (u64::from(weight_permille) * 1_000_000_000 / arrives).min(WEIGHT_PPM_MAX);
            match holds.last_mut() {
                _ if weight_ppm == 0 => {}
                Some(last) if last.resource == resource.0 => {
                    last.weight_ppm = (last.weight_ppm + weight_ppm).min(WEIGHT_PPM_MAX);
                }
                _ => holds.push(Hold::new(resource.0, weight_ppm)),
            }
        }
        Ok(holds)
    }
}

fn check(what: &'static str, count: usize, limit: usize) -> Result<(), FlowError> {
    match count < limit {
        true => Ok(()),
        false => Err(FlowError::TooMany { what, limit }),
    }
}
