//! Hashing a content again, and repairing what is bad from peers if its files are ours.

use mesh_proto::port::store::{Look, StoreCommand};
use mesh_proto::port::user::{ErrorKind, UserError, UserReply};
use mesh_proto::port::view::GetView;
use mesh_proto::port::{Failure, UserRequestId};
use mesh_proto::{ChunkSet, CommandId, ContentId};

use crate::node::{Node, Pending};
use crate::transfer::state::Totals;
use crate::transfer::{Around, Order};
use crate::user::not_here;

impl Node {
    /// Hashes a content again. `target` is where somebody wants to have it, if that is why.
    pub(crate) fn verify(
        &mut self,
        request: UserRequestId,
        content: ContentId,
        target: Option<String>,
    ) -> Result<(), UserError> {
        if self.contents.find(content).is_none() {
            return Err(self.transfers.find(content).map_or_else(not_here, |_| not_whole()));
        }
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Verify { request, content, target });
        self.ctx.store(StoreCommand::Verify { command, content });
        Ok(())
    }

    /// A content was hashed again: good, or to be repaired from peers if its files are ours.
    pub(crate) fn on_verified(&mut self, command: CommandId, result: Result<ChunkSet, Failure>) {
        let Some(Pending::Verify { request, content, target }) = self.pending.remove(&command) else { return };
        let good = match result {
            Err(failure) => return self.reply_failure(request, &failure),
            Ok(good) => good,
        };
        let Some(known) = self.contents.find_mut(content) else { return };
        let bad = known.stored.chunk_count - good.len().min(known.stored.chunk_count);
        if bad == 0 {
            self.is_good_again(content);
            let here = |path| UserReply::Getting(GetView { content_id: content, path, complete: true, report: None });
            return self.ctx.reply(request, target.map_or(UserReply::Done, here));
        }
        if known.stored.in_place {
            let count = known.stored.chunk_count;
            let why = match bad == count {
                true => format!("nothing of {} is what was shared, or it is no longer there", known.stored.path),
                false => format!("{bad} of {count} chunks are no longer what was shared"),
            };
            self.on_changed(content, why.clone());
            let cure = "restore the file, or `mesh-node share` it again as it is now";
            let error = UserError::new(ErrorKind::Mismatch, why, cure);
            return self.ctx.reply(request, UserReply::Failed(error));
        }
        let Some(known) = self.contents.remove(content) else { return };
        let order = Order {
            ticket: known.treatment.ticket.clone(),
            target: known.stored.path.clone(),
            name: known.treatment.name.clone(),
            seed_seconds: None,
            class: Default::default(),
            priority: 0,
            access: known.treatment.access.clone(),
            paused: false,
            totals: Totals::default(),
        };
        let path = known.stored.path;
        self.contents.set_repairing(content, known.treatment);
        let mut around = Around { peers: &mut self.peers, records: &self.records };
        self.transfers.repair(&mut self.ctx, content, order, &mut around);
        self.records.set_holding(&mut self.ctx, content, false);
        let view = GetView { content_id: content, path, complete: false, report: None };
        self.ctx.reply(request, UserReply::Getting(view));
    }

    /// Looks at what was found changed or away, whether it is back.
    pub(crate) fn look_again(&mut self) {
        for content in self.absent.take_due(self.ctx.now) {
            if self.contents.find(content).is_none_or(|known| known.changed.is_none()) {
                self.absent.done(self.ctx.now, content, false);
                continue;
            }
            let command = self.ctx.command_id();
            self.pending.insert(command, Pending::Return { content });
            self.ctx.store(StoreCommand::Look { command, content });
        }
    }

    pub(crate) fn on_looked_again(&mut self, content: ContentId, look: &Look) {
        self.absent.done(self.ctx.now, content, matches!(look, Look::Gone(_)));
        if *look == Look::Same {
            self.is_good_again(content);
        }
    }

    /// What was found changed is as it was: it is offered again.
    pub(crate) fn is_good_again(&mut self, content: ContentId) {
        let Some(known) = self.contents.find_mut(content) else { return };
        if known.changed.take().is_some() {
            self.records.set_holding(&mut self.ctx, content, true);
            self.interests.changed(&self.ctx, content, true);
        }
    }
}

fn not_whole() -> UserError {
    let cure = "it is verified as it comes; `mesh-node ls` says how far it is";
    UserError::new(ErrorKind::Unavailable, "this content is still being fetched", cure)
}
