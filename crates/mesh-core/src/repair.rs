//! Hashing a content again, and repairing what is bad from peers if its files are ours.

use mesh_proto::port::store::StoreCommand;
use mesh_proto::port::user::{ErrorKind, UserError, UserReply};
use mesh_proto::port::view::GetView;
use mesh_proto::port::{Failure, UserRequestId};
use mesh_proto::{ChunkSet, CommandId, ContentId};

use crate::node::{Node, Pending};
use crate::transfer::state::Totals;
use crate::transfer::{Around, Order};
use crate::user::not_here;

impl Node {
    pub(crate) fn verify(&mut self, request: UserRequestId, content: ContentId) -> Result<(), UserError> {
        self.contents.find(content).ok_or_else(not_here)?;
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Verify { request, content });
        self.ctx.store(StoreCommand::Verify { command, content });
        Ok(())
    }

    /// A content was hashed again: good, or to be repaired from peers if its files are ours.
    pub(crate) fn on_verified(&mut self, command: CommandId, result: Result<ChunkSet, Failure>) {
        let Some(Pending::Verify { request, content }) = self.pending.remove(&command) else { return };
        let good = match result {
            Err(failure) => return self.reply_failure(request, &failure),
            Ok(good) => good,
        };
        let Some(known) = self.contents.find_mut(content) else { return };
        let bad = known.stored.chunk_count - good.len().min(known.stored.chunk_count);
        if bad == 0 {
            known.changed = None;
            return self.ctx.reply(request, UserReply::Done);
        }
        if known.stored.in_place {
            let why = format!("{bad} of {} chunks are no longer what was shared", known.stored.chunk_count);
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
}
