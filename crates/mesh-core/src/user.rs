//! What people and programs ask of the node, and what they are answered.

use mesh_proto::limits::LOCAL_PATH_BYTES_MAX;
use mesh_proto::port::store::{Row, StoreCommand};
use mesh_proto::port::user::{ErrorKind, UserCommand, UserError, UserReply};
use mesh_proto::port::view::GetView;
use mesh_proto::port::{Event, Failure, UserRequestId};
use mesh_proto::{CommandId, ContentId};

use crate::node::{Node, Pending};
use crate::sharing::Wishes;

impl Node {
    pub(crate) fn on_user(&mut self, request: UserRequestId, command: UserCommand) {
        if self.records.on_user(&mut self.ctx, request, &command) {
            return;
        }
        let answered = match command {
            UserCommand::Share { path, name, listed, tags, access } => {
                let wishes = Wishes { name, listed, tags, access };
                self.share(request, path, wishes).map(|()| None)
            }
            UserCommand::Get { .. } => self.get(request, command),
            UserCommand::Remove { content, delete_files } => {
                self.remove(Some(request), content, delete_files).map(|()| None)
            }
            UserCommand::Pin { content, pinned } => self.pin(request, content, pinned).map(|()| None),
            UserCommand::Pause { content } => self.pause(content, true),
            UserCommand::Resume { content } => self.pause(content, false),
            UserCommand::Cancel { content } => self.cancel(content).map(|()| Some(UserReply::Done)),
            UserCommand::Limit { up_bytes_per_s, down_bytes_per_s } => {
                let rows = self.settings.limit(up_bytes_per_s, down_bytes_per_s);
                self.settings.apply(&self.ctx, &mut self.serving, &mut self.transfers);
                self.write_for(request, rows);
                Ok(None)
            }
            UserCommand::Quota { bytes } => {
                self.set_quota(request, bytes);
                Ok(None)
            }
            UserCommand::Gc => Ok(Some(UserReply::Collected(self.collect()))),
            UserCommand::Verify { content } => self.verify(request, content, None).map(|()| None),
            UserCommand::Dial { address } => {
                self.dial(request, address);
                Ok(None)
            }
            UserCommand::Doctor => {
                self.ask_usage(Some(request));
                Ok(None)
            }
            other => self.show(&other).map(Some),
        };
        match answered {
            Ok(None) => {}
            Ok(Some(reply)) => self.ctx.reply(request, reply),
            Err(error) => self.ctx.reply(request, UserReply::Failed(error)),
        }
    }

    pub(crate) fn ticket(&self, content: ContentId, name: &str, size_bytes: u64) -> String {
        crate::contents::ticket(content, name, size_bytes, self.ctx.node, &self.own_addresses())
    }

    fn pause(&mut self, content: ContentId, paused: bool) -> Result<Option<UserReply>, UserError> {
        self.transfers.set_paused(&mut self.ctx, content, paused).map(|()| Some(UserReply::Done))
    }

    fn pin(&mut self, request: UserRequestId, content: ContentId, pinned: bool) -> Result<(), UserError> {
        let known = self.contents.find_mut(content).ok_or_else(not_here)?;
        known.treatment.pinned = pinned;
        let row = known.treatment.row(content);
        self.write_for(request, vec![row]);
        Ok(())
    }

    fn write_for(&mut self, request: UserRequestId, put: Vec<Row>) {
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Plain { request });
        self.ctx.store(StoreCommand::Write { command, put, delete: Vec::new() });
    }

    pub(crate) fn on_done(&mut self, command: CommandId, result: &Result<(), Failure>) {
        match (self.pending.remove(&command), result) {
            (Some(Pending::ShareRow { request, content }), Ok(())) => self.reply_shared(request, content),
            (Some(Pending::Plain { request }), Ok(())) => self.ctx.reply(request, UserReply::Done),
            (Some(Pending::Copy { request, content, path }), Ok(())) => {
                let view = GetView { content_id: content, path, complete: true, report: None };
                self.ctx.reply(request, UserReply::Getting(view));
            }
            (Some(Pending::Remove { request, content }), result) => self.on_removed(request, *content, result),
            (Some(Pending::Quota { request, view }), Ok(())) => self.ctx.reply(request, UserReply::Collected(view)),
            (
                Some(
                    Pending::ShareRow { request, .. }
                    | Pending::Plain { request }
                    | Pending::Copy { request, .. }
                    | Pending::Quota { request, .. },
                ),
                Err(failure),
            ) => {
                self.reply_failure(request, failure);
            }
            (Some(Pending::Stop), result) => self.on_last_write(result),
            (Some(Pending::Complete { report }), Ok(())) => {
                self.ctx.report(Event::TransferComplete { report: *report });
            }
            (Some(Pending::Complete { report }), Err(failure)) => {
                // The file is under its final name; only the row that ends the transfer is missing, and it is written
                // again after a restart.
                let message = format!("{} is complete, but that could not be noted: {}", report.path, failure.why);
                self.ctx.report(Event::Warning { message });
                self.ctx.report(Event::TransferComplete { report: *report });
            }
            (None, Err(failure)) => {
                let message = format!("the store could not write: {}", failure.why);
                self.ctx.report(Event::Warning { message });
            }
            _ => {}
        }
    }

    pub(crate) fn reply_failure(&mut self, request: UserRequestId, failure: &Failure) {
        let (kind, cure) = match failure.may_pass {
            true => (ErrorKind::Unavailable, "try again in a while"),
            false => (ErrorKind::Invalid, ""),
        };
        self.ctx.reply(request, UserReply::Failed(UserError::new(kind, failure.why.clone(), cure)));
    }
}

pub(crate) fn not_here() -> UserError {
    UserError::new(ErrorKind::NotFound, "there is no such content here", "see `mesh-node ls`")
}

/// Refuses paths that no row could keep.
pub(crate) fn check_path(path: &str) -> Result<(), UserError> {
    if path.len() <= LOCAL_PATH_BYTES_MAX {
        return Ok(());
    }
    let message = format!("a path may have at most {LOCAL_PATH_BYTES_MAX} bytes");
    Err(UserError::new(ErrorKind::Invalid, message, "choose a shorter one"))
}
