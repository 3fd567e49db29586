//! Plays a scenario: brings its demands and faults into the world at their times, and lets an observer look on.
//!
//! Invariant: the observer changes nothing; with and without it a run has the same digest.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::time::Duration;

use mesh_proto::port::UserRequestId;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::record::Access;
use mesh_proto::{ContentId, Timestamp};

use super::communities::Communities;
use super::observer::Observer;
use crate::fault::{Fault, FaultEvent, Phase, What};
use crate::kernel::Member;
use crate::scenario::Built;
use crate::sim::{Sim, get_command};
use crate::workload::{Demand, Demands, Want};
use crate::world::node::Power;
use crate::world::store::Ending;

/// The watcher is asked after so many events.
const EVENTS_BETWEEN: u32 = 10_000;

/// What is known of a content of the catalogue.
#[derive(Debug, Clone, Default)]
pub(super) struct Offered {
    pub(super) ticket: Option<String>,
    pub(super) content: Option<ContentId>,
    pub(super) bytes: u64,
    pub(super) publisher: u32,
    path: String,
    listed: bool,
}

/// A share whose answer is to come.
#[derive(Debug, Clone, Copy)]
struct Sharing {
    member: Member,
    request: UserRequestId,
    number: u32,
}

/// A get whose answer is to come.
#[derive(Debug, Clone, Copy)]
struct Getting {
    member: Member,
    request: UserRequestId,
    content: ContentId,
    asked: Timestamp,
}

/// A run under way.
pub(super) struct Play {
    pub(super) sim: Sim,
    pub(super) observer: Observer,
    pub(super) offered: BTreeMap<u32, Offered>,
    /// Demands of nodes that were off, or for what nobody had shared.
    pub(super) skipped: u64,
    communities: Communities,
    demands: Peekable<Demands>,
    faults: Vec<Fault>,
    schedule: Peekable<std::vec::IntoIter<FaultEvent>>,
    starts: Peekable<std::vec::IntoIter<(Timestamp, Member)>>,
    absent: std::collections::BTreeSet<Member>,
    sharing: Vec<Sharing>,
    getting: Vec<Getting>,
    /// Who wants what that nobody has a ticket for yet.
    waiting: Vec<(Member, u32)>,
    until: Timestamp,
    pauses: Option<Duration>,
    ends_when_done: bool,
    last_demand_done: bool,
}

impl Play {
    pub(super) fn new(built: Built, observer: Observer) -> Self {
        let Built { sim, demands, communities, faults, schedule, starts, until, ends_when_done } = built;
        Self {
            sim,
            observer,
            offered: BTreeMap::new(),
            communities: Communities::new(communities),
            skipped: 0,
            demands: demands.peekable(),
            faults,
            schedule: schedule.into_iter().peekable(),
            starts: starts.into_iter().peekable(),
            absent: std::collections::BTreeSet::new(),
            sharing: Vec::new(),
            getting: Vec::new(),
            waiting: Vec::new(),
            until,
            pauses: None,
            ends_when_done,
            last_demand_done: false,
        }
    }

    /// Has the run pause so often, for who watches it.
    pub(super) fn pause_every(&mut self, every: Duration) {
        self.pauses = Some(every);
    }

    /// Plays on until the end, or until `watch` breaks it off. It is shown the world now and then and told the end.
    pub(super) fn run(&mut self, mut watch: impl FnMut(&mut Sim, Timestamp) -> ControlFlow<()>) -> ControlFlow<()> {
        self.sim.kernel().parts().0.events = Some(Vec::new());
        while self.sim.now() < self.until {
            let next = self.next_time();
            while self.sim.kernel().step_many(next, EVENTS_BETWEEN) {
                watch(&mut self.sim, self.until)?;
            }
            self.collect();
            self.do_what_is_due();
            let heals_later = self.heals_later();
            self.observer.look(&mut self.sim, &self.offered, heals_later);
            watch(&mut self.sim, self.until)?;
            if self.ends_when_done && self.is_done() {
                break;
            }
        }
        self.observer.end(&mut self.sim, &self.offered);
        ControlFlow::Continue(())
    }

    fn next_time(&mut self) -> Timestamp {
        let demand = self.demands.peek().map(|demand| demand.at);
        let fault = self.schedule.peek().map(|event| event.at);
        let start = self.starts.peek().map(|(at, _)| *at);
        let look = Some(self.observer.next_look(self.sim.now()));
        let next = [demand, fault, start, look, self.next_pause()].into_iter().flatten().min();
        next.unwrap_or(self.until).clamp(self.sim.now(), self.until)
    }

    fn next_pause(&self) -> Option<Timestamp> {
        let every_ns = u64::try_from(self.pauses?.as_nanos()).unwrap_or(u64::MAX).max(1);
        Some(Timestamp((self.sim.now().0 / every_ns + 1).saturating_mul(every_ns)))
    }

    /// Whether a fault that is under way or to come will end, or begin.
    fn heals_later(&mut self) -> bool {
        self.schedule.peek().is_some()
    }

    fn do_what_is_due(&mut self) {
        let now = self.sim.now();
        while let Some(demand) = self.demands.next_if(|demand| demand.at <= now) {
            self.demand(demand);
        }
        while let Some((_, member)) = self.starts.next_if(|(at, _)| *at <= now) {
            if !self.absent.contains(&member) {
                self.sim.start(member);
                self.observer.started(&self.sim, member);
            }
        }
        while let Some(event) = self.schedule.next_if(|event| event.at <= now) {
            let what: What = self.faults[event.fault].what.clone();
            let before: Vec<bool> = self.running();
            let (world, stage) = self.sim.kernel().parts();
            world.fault(stage, &what, &event);
            self.observer.fault(&what, &event, event.phase == Phase::Begin, now);
            self.note_starts(&before);
        }
    }

    fn running(&self) -> Vec<bool> {
        self.sim.world().nodes.iter().map(|node| node.power == Power::On).collect()
    }

    fn note_starts(&mut self, before: &[bool]) {
        for (number, running) in self.running().into_iter().enumerate() {
            if running && !before.get(number).copied().unwrap_or(false) {
                self.observer.started(&self.sim, Member(number as u32));
            }
        }
    }

    /// Takes answers and events.
    fn collect(&mut self) {
        let sharing = std::mem::take(&mut self.sharing);
        for share in sharing {
            match self.sim.take_reply(share.member, share.request) {
                Some(UserReply::Shared(view)) => {
                    let offered = self.offered.entry(share.number).or_default();
                    (offered.ticket, offered.content) = (Some(view.ticket), Some(view.content_id));
                    self.observer.offered(share.member, view.content_id, self.sim.now());
                }
                Some(_) => self.skipped += 1,
                None if self.sim.is_on(share.member) => self.sharing.push(share),
                None => self.skipped += 1,
            }
        }
        for get in std::mem::take(&mut self.getting) {
            match self.sim.take_reply(get.member, get.request) {
                // Who is told no knows it, and may ask again.
                Some(UserReply::Failed(_)) => self.skipped += 1,
                Some(UserReply::Getting(view)) if view.complete => {}
                Some(_) => {
                    let is_kept = !self.sim.world().has_disk_trouble(get.member);
                    self.observer.asked(get.member, get.content, get.asked, is_kept);
                }
                None if self.sim.is_on(get.member) => self.getting.push(get),
                None => self.skipped += 1,
            }
        }
        self.communities.collect(&mut self.sim);
        for (member, number) in std::mem::take(&mut self.waiting) {
            self.get(member, number);
        }
        let events = self.sim.kernel().parts().0.events.as_mut().map(std::mem::take).unwrap_or_default();
        self.observer.events(&self.sim, &events);
    }

    fn demand(&mut self, demand: Demand) {
        let member = Member(demand.node);
        match demand.what {
            Want::Share { content, bytes } => self.share(member, content, bytes, 0, false),
            Want::Announce { content } => self.announce(member, content),
            Want::Update { content, version, bytes } => self.share(member, content, bytes, version, true),
            Want::Get { content } => self.get(member, content),
            Want::Relist { content } => self.relist(member, content),
            Want::Found { community } => self.communities.found(&mut self.sim, community),
            Want::Join { community } => self.communities.join(&mut self.sim, member, community),
            Want::BeRevoked { community } => self.communities.revoke(&mut self.sim, member, community),
            Want::Absent => {
                self.absent.insert(member);
                self.sim.end(member, Ending::MachineOff);
            }
            Want::Leave => self.sim.leave(member),
            Want::Crash => {
                let seed = self.sim.now().0;
                self.sim.end(member, Ending::PowerCut { seed });
            }
            Want::Return => {
                self.absent.remove(&member);
                let was_on = self.sim.is_on(member);
                self.sim.start(member);
                if !was_on {
                    self.observer.started(&self.sim, member);
                }
            }
        }
    }

    fn share(&mut self, member: Member, number: u32, bytes: u64, version: u32, listed: bool) {
        if !self.sim.is_on(member) {
            self.skipped += 1;
            return;
        }
        let path = format!("/home/content-{number}-{version}");
        let seed = u64::from(number) << 32 | u64::from(version);
        self.sim.put_file(member, &path, bytes, seed);
        let offered = self.offered.entry(number).or_default();
        *offered = Offered { ticket: None, content: None, bytes, publisher: member.0, path, listed };
        self.ask_to_share(member, number, listed);
    }

    fn ask_to_share(&mut self, member: Member, number: u32, listed: bool) {
        let access = match self.communities.of_content(number) {
            None => Access::Public,
            Some(Some(community)) => Access::Community(community),
            // It is for a community that does not exist.
            Some(None) => return self.skipped += 1,
        };
        let Some(offered) = self.offered.get_mut(&number) else { return };
        offered.listed = listed;
        let command = UserCommand::Share {
            path: offered.path.clone(),
            name: Some(format!("content-{number}")),
            listed: Some(listed),
            tags: None,
            access: Some(access),
        };
        let request = self.sim.ask_later(member, command);
        self.sharing.push(Sharing { member, request, number });
    }

    fn announce(&mut self, member: Member, number: u32) {
        match self.offered.get(&number) {
            Some(offered) if offered.publisher == member.0 && self.sim.is_on(member) => {
                self.ask_to_share(member, number, true);
            }
            _ => self.skipped += 1,
        }
    }

    fn relist(&mut self, member: Member, number: u32) {
        match self.offered.get(&number) {
            Some(offered) if offered.publisher == member.0 && self.sim.is_on(member) => {
                let listed = !offered.listed;
                self.ask_to_share(member, number, listed);
            }
            _ => self.skipped += 1,
        }
    }

    fn get(&mut self, member: Member, number: u32) {
        if !self.sim.is_on(member) {
            self.skipped += 1;
            return;
        }
        let ticket = self.offered.get(&number).and_then(|offered| offered.ticket.clone());
        let is_coming = self.sharing.iter().any(|share| share.number == number);
        match (ticket, self.offered.get(&number).and_then(|offered| offered.content)) {
            (Some(ticket), Some(content)) => {
                if self.offered[&number].publisher == member.0 {
                    return;
                }
                let request =
                    self.sim.ask_later(member, get_command(&ticket, &format!("/home/got-{}", content.short())));
                self.getting.push(Getting { member, request, content, asked: self.sim.now() });
            }
            _ if is_coming => self.waiting.push((member, number)),
            _ => self.skipped += 1,
        }
    }

    /// Whether nothing more is to come: no demand, no fault, nothing unfinished.
    fn is_done(&mut self) -> bool {
        self.last_demand_done |= self.demands.peek().is_none() && self.starts.peek().is_none();
        self.last_demand_done
            && self.schedule.peek().is_none()
            && self.sharing.is_empty()
            && self.waiting.is_empty()
            && self.getting.is_empty()
            && self.communities.is_idle()
            && self.observer.is_idle(&self.sim)
    }
}
