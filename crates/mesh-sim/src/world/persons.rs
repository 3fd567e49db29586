//! What people ask of nodes, and what nodes tell them.

use mesh_proto::Timestamp;
use mesh_proto::port::user::{ErrorKind, UserCommand, UserReply};
use mesh_proto::port::{Event, Input, UserRequestId};
use mesh_proto::ticket::Ticket;

use super::actor::Actor;
use super::store::Defect;
use super::tally::Completion;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;

impl NodeWorld {
    /// Asks a node for something; its answer is kept for whoever takes it.
    pub fn ask(&mut self, stage: &mut NodeStage, member: Member, command: UserCommand) -> UserRequestId {
        let request = self.request(stage, member, command);
        self.node_mut(member).awaited.insert(request);
        request
    }

    /// Asks a node for something whose answer nobody waits for.
    pub fn tell(&mut self, stage: &mut NodeStage, member: Member, command: UserCommand) {
        self.request(stage, member, command);
    }

    fn request(&mut self, stage: &mut NodeStage, member: Member, command: UserCommand) -> UserRequestId {
        let node = self.node_mut(member);
        node.requests += 1;
        let request = UserRequestId(node.requests);
        if let UserCommand::Get { ticket, .. } = &command
            && let Ok(ticket) = ticket.parse::<Ticket>()
        {
            node.tally.asked.entry(ticket.content).or_insert(stage.now());
        }
        if let UserCommand::Share { access, .. } = &command {
            node.watch.shares(request, access.clone());
        }
        self.permits.decided(&command);
        stage.deliver(stage.now(), member, Input::User { request, command });
        request
    }

    pub(super) fn reply(&mut self, member: Member, request: UserRequestId, reply: UserReply) {
        let node = self.node_mut(member);
        if node.awaited.remove(&request) {
            node.replies.insert(request, reply);
        }
    }

    /// Notes what a node told.
    pub(super) fn report(&mut self, now: Timestamp, member: Member, event: Event) {
        let tally = &mut self.node_mut(member).tally;
        match &event {
            Event::TransferComplete { report } => {
                let (content, bytes) = (report.content_id, report.size_bytes);
                let asked = tally.asked.remove(&content).unwrap_or(now);
                tally.completions.push(Completion { content, bytes, asked, done: now });
                self.audit(now, member);
            }
            Event::TransferFailed { error, .. } => {
                tally.failures += 1;
                if error.kind == ErrorKind::Internal {
                    let what = format!("{}: {}", error.message, error.cure);
                    self.violated(now, member, "nothing fails by our own fault", what);
                }
            }
            Event::PeerBanned { .. } => tally.bans += 1,
            Event::Warning { .. } => tally.warnings += 1,
            _ => {}
        }
        if let Some(events) = &mut self.events {
            events.push((now, member, event));
        }
    }

    /// After a start, once the store is open: whether the node still knows all that it kept.
    pub fn check_kept(&mut self, stage: &NodeStage, member: Member) {
        let Some(brain) = stage.machine(member).map(Actor::brain) else { return };
        if !self.node(member).watch.is_fresh() || !brain.is_open() {
            return;
        }
        let kept = self.node_mut(member).watch.take_kept();
        for content in kept.into_iter().filter(|content| !brain.knows(*content)) {
            let what = format!("it forgot {}", content.short());
            self.violated(stage.now(), member, "kept content survives restarts", what);
        }
    }

    /// Compares what a node shows with the truth.
    pub fn audit(&mut self, now: Timestamp, member: Member) {
        for defect in self.node_mut(member).store.audit() {
            match defect {
                Defect::WrongBytesVisible(what) => self.violated(now, member, "no unverified byte visible", what),
                Defect::KeptLost(what) => self.violated(now, member, "kept content survives restarts", what),
            }
        }
    }
}
