//! What people do to found a community, join it, and be taken back: one request after the other, each after the answer
//! to the one before.
//!
//! Invariant: who is off when a step is due does not take it; nobody asks twice.

use mesh_proto::port::UserRequestId;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::{CommunityId, MemberId};

use crate::kernel::Member;
use crate::sim::Sim;
use crate::workload::Community;

/// A step that was asked for.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The founder becomes a member.
    FounderNamed,
    /// The community is founded.
    Founded,
    /// Who is to join becomes a member.
    Named(Member),
    /// It is invited.
    Invited(Member),
    /// Nothing follows.
    Last,
}

/// A community of a run.
#[derive(Debug)]
struct Club {
    plan: Community,
    id: Option<CommunityId>,
}

/// All communities of a run. See the module.
#[derive(Debug, Default)]
pub(super) struct Communities {
    clubs: Vec<Club>,
    asked: Vec<(Member, UserRequestId, usize, Step)>,
}

impl Communities {
    pub(super) fn new(plans: Vec<Community>) -> Self {
        let clubs = plans.into_iter().map(|plan| Club { plan, id: None });
        Self { clubs: clubs.collect(), asked: Vec::new() }
    }

    /// For which community a content is: `None` if for everybody, `Some(None)` if that is not founded.
    pub(super) fn of_content(&self, content: u32) -> Option<Option<CommunityId>> {
        let club = self.clubs.iter().find(|club| club.plan.contents.contains(&content))?;
        Some(club.id)
    }

    pub(super) fn found(&mut self, sim: &mut Sim, club: u32) {
        let founder = Member(self.clubs[club as usize].plan.founder);
        self.name(sim, founder, club as usize, Step::FounderNamed);
    }

    pub(super) fn join(&mut self, sim: &mut Sim, member: Member, club: u32) {
        self.name(sim, member, club as usize, Step::Named(member));
    }

    pub(super) fn revoke(&mut self, sim: &mut Sim, member: Member, club: u32) {
        let Club { plan, id } = &self.clubs[club as usize];
        let (Some(subject), Some(id)) = (sim.member_key(member).map(MemberId), *id) else { return };
        let (founder, reason) = (Member(plan.founder), String::new());
        let command =
            UserCommand::MemberRevoke { subject: subject.to_string(), reason, community: Some(id), force: false };
        self.ask(sim, founder, club as usize, command, Step::Last);
    }

    fn name(&mut self, sim: &mut Sim, member: Member, club: usize, step: Step) {
        match sim.member_key(member) {
            // It is a member already.
            Some(_) => self.go_on(sim, club, step, None),
            None => self.ask(sim, member, club, UserCommand::MemberNew { name: format!("m{}", member.0) }, step),
        }
    }

    fn ask(&mut self, sim: &mut Sim, member: Member, club: usize, command: UserCommand, step: Step) {
        if sim.is_on(member) {
            let request = sim.ask_later(member, command);
            self.asked.push((member, request, club, step));
        }
    }

    /// Takes answers and goes on.
    pub(super) fn collect(&mut self, sim: &mut Sim) {
        for (member, request, club, step) in std::mem::take(&mut self.asked) {
            match sim.take_reply(member, request) {
                Some(UserReply::Failed(_)) => {}
                Some(reply) => self.go_on(sim, club, step, Some(reply)),
                None if sim.is_on(member) => self.asked.push((member, request, club, step)),
                None => {}
            }
        }
    }

    fn go_on(&mut self, sim: &mut Sim, club: usize, step: Step, reply: Option<UserReply>) {
        let (founder, id) = (Member(self.clubs[club].plan.founder), self.clubs[club].id);
        match (step, reply) {
            (Step::FounderNamed, _) if id.is_none() => {
                let command = UserCommand::CommunityNew { name: format!("c{club}") };
                self.ask(sim, founder, club, command, Step::Founded);
            }
            (Step::Founded, Some(UserReply::Community(view))) => self.clubs[club].id = Some(view.community),
            (Step::Named(joins), _) => {
                if let (Some(member), Some(_)) = (sim.member_key(joins).map(MemberId), id) {
                    let command = UserCommand::CommunityInvite { community: id, member };
                    self.ask(sim, founder, club, command, Step::Invited(joins));
                }
            }
            (Step::Invited(joins), Some(UserReply::Invitation(view))) => {
                self.ask(sim, joins, club, UserCommand::CommunityJoin { invitation: view.invitation }, Step::Last);
            }
            _ => {}
        }
    }

    /// Whether nothing is asked and not answered.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }
}
