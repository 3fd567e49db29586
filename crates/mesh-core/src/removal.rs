//! Giving up transfers and forgetting contents. What the store could not remove is still here, and is offered again.

use mesh_proto::ContentId;
use mesh_proto::port::store::{StoreCommand, Table};
use mesh_proto::port::user::{ErrorKind, UserError, UserReply};
use mesh_proto::port::{Event, Failure, UserRequestId};

use crate::contents::Content;
use crate::node::{Node, Pending};
use crate::user::not_here;

impl Node {
    pub(crate) fn cancel(&mut self, content: ContentId) -> Result<(), UserError> {
        let was_complete = self.contents.repairing(content).is_some();
        self.transfers.cancel(&mut self.ctx, content, was_complete)?;
        if self.contents.take_repairing(content).is_some() {
            self.forget_treatment(content);
        }
        self.interests.changed(&self.ctx, content, true);
        Ok(())
    }

    /// Forgets a content, or gives up its transfer. Without a request nobody is answered.
    pub(crate) fn remove(
        &mut self,
        request: Option<UserRequestId>,
        content: ContentId,
        delete_files: bool,
    ) -> Result<(), UserError> {
        let Some(known) = self.contents.remove(content) else {
            self.cancel(content).map_err(|_| not_here())?;
            if let Some(request) = request {
                self.ctx.reply(request, UserReply::Done);
            }
            return Ok(());
        };
        self.records.set_holding(&mut self.ctx, content, false);
        self.interests.changed(&self.ctx, content, true);
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Remove { request, content: Box::new(known) });
        self.ctx.store(StoreCommand::Remove { command, content, delete_files });
        Ok(())
    }

    /// The store removed a content, or says why it could not.
    pub(crate) fn on_removed(&mut self, request: Option<UserRequestId>, known: Content, result: &Result<(), Failure>) {
        let content = known.stored.content;
        match result {
            Ok(()) => {
                self.records.withdraw(&mut self.ctx, content);
                self.forget_treatment(content);
                if let Some(request) = request {
                    self.ctx.reply(request, UserReply::Done);
                }
            }
            Err(failure) => {
                let held = known.changed.is_none();
                self.contents.restore(known);
                self.records.set_holding(&mut self.ctx, content, held);
                self.interests.changed(&self.ctx, content, true);
                match request {
                    Some(request) if failure.may_pass => self.reply_failure(request, failure),
                    // Files that a person changed, or that the system does not let go: they are in the way, and only of
                    // a removal that deletes them.
                    Some(request) => {
                        let cure = "`mesh-node rm` without `--delete` forgets it and leaves the files where they are";
                        let error = UserError::new(ErrorKind::Exists, failure.why.clone(), cure);
                        self.ctx.reply(request, UserReply::Failed(error));
                    }
                    None => self.ctx.report(Event::Warning { message: failure.why.clone() }),
                }
            }
        }
    }

    fn forget_treatment(&mut self, content: ContentId) {
        let command = self.ctx.command_id();
        let delete = vec![(Table::Treatment, content.0.to_vec())];
        self.ctx.store(StoreCommand::Write { command, put: Vec::new(), delete });
    }
}
