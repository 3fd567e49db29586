//! What people and programs ask of the node, and what they are answered.

use mesh_analytics::EventKind;
use mesh_proto::limits::{CONTENTS_MAX, LOCAL_PATH_BYTES_MAX, NAME_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX, TRANSFERS_MAX};
use mesh_proto::port::store::{Row, StoreCommand, StoredContent};
use mesh_proto::port::user::{ErrorKind, UserCommand, UserError, UserReply};
use mesh_proto::port::view::{GetView, ShareView};
use mesh_proto::port::{Event, Failure, UserRequestId};
use mesh_proto::record::Access;
use mesh_proto::{CommandId, ContentId, Ticket, UnixMs};

use crate::contents::{Treatment, last_part};
use crate::node::{Node, Pending};
use crate::transfer::state::{Totals, hex};
use crate::transfer::{Around, Order};

impl Node {
    pub(crate) fn on_user(&mut self, request: UserRequestId, command: UserCommand) {
        if self.records.on_user(&mut self.ctx, request, &command) {
            return;
        }
        let answered = match command {
            UserCommand::Share { path, name, listed, tags, access } => {
                self.share(request, path, name, listed, tags, access).map(|()| None)
            }
            UserCommand::Get { .. } => self.get(request, command).map(|view| view.map(UserReply::Getting)),
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
            UserCommand::Verify { content } => self.verify(request, content).map(|()| None),
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

    fn share(
        &mut self,
        request: UserRequestId,
        path: String,
        name: Option<String>,
        listed: bool,
        tags: Vec<String>,
        access: Access,
    ) -> Result<(), UserError> {
        let name = name.unwrap_or_else(|| last_part(&path).to_owned());
        check_label(&name, &tags)?;
        check_path(&path)?;
        self.check_contents()?;
        let treatment = Treatment {
            name,
            access,
            listed,
            tags,
            pinned: true,
            added: self.ctx.unix(),
            seed_until: UnixMs(0),
            ticket: String::new(),
        };
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Share { request, path: path.clone(), treatment });
        self.ctx.store(StoreCommand::Share { command, path });
        Ok(())
    }

    pub(crate) fn on_shared(&mut self, command: CommandId, result: Result<StoredContent, Failure>) {
        let Some(Pending::Share { request, treatment, .. }) = self.pending.remove(&command) else { return };
        match result {
            Err(failure) => self.reply_failure(request, &failure),
            Ok(stored) => {
                let content = stored.content;
                let row = treatment.row(content);
                self.contents.add(stored, treatment);
                let command = self.ctx.command_id();
                self.pending.insert(command, Pending::ShareRow { request, content });
                self.ctx.store(StoreCommand::Write { command, put: vec![row], delete: Vec::new() });
            }
        }
    }

    fn reply_shared(&mut self, request: UserRequestId, content: ContentId) {
        let Some(known) = self.contents.find(content) else { return };
        let (stored, treatment) = (&known.stored, &known.treatment);
        let view = ShareView {
            ticket: self.ticket(content, &treatment.name, stored.total_bytes),
            content_id: content,
            kind: stored.kind,
            name: treatment.name.clone(),
            size_bytes: stored.total_bytes,
            chunks: stored.chunk_count,
            blake3: hex(&stored.whole_hash),
            listed: treatment.listed,
        };
        match treatment.listed {
            true => {
                let entry = known.entry();
                self.records.publish(&mut self.ctx, entry);
            }
            false => self.records.withdraw(&mut self.ctx, content),
        }
        self.records.set_holding(&mut self.ctx, content, true);
        self.interests.changed(&self.ctx, content, true);
        self.ctx.reply(request, UserReply::Shared(view));
    }

    pub(crate) fn ticket(&self, content: ContentId, name: &str, size_bytes: u64) -> String {
        crate::contents::ticket(content, name, size_bytes, self.ctx.node, &self.own_addresses())
    }

    /// Begins to fetch. Answers later if what is here has only to be copied.
    fn get(&mut self, request: UserRequestId, command: UserCommand) -> Result<Option<GetView>, UserError> {
        let UserCommand::Get { ticket: text, target, seed_seconds, class, priority } = command else {
            return Err(UserError::new(ErrorKind::Internal, "not a get", ""));
        };
        let ticket: Ticket = text.parse().map_err(|error| {
            let cure = "copy the whole text that `share` printed, in quotes";
            UserError::new(ErrorKind::Invalid, format!("this is not a ticket: {error}"), cure)
        })?;
        check_path(&target)?;
        let content = ticket.content;
        if self.contents.find(content).is_some() {
            return Ok(self.get_here(request, content, target));
        }
        if let Some(view) = self.join(content, &target)? {
            return Ok(Some(view));
        }
        self.check_transfers()?;
        self.check_contents()?;
        let name = ticket.name.clone().unwrap_or_else(|| last_part(&target).to_owned());
        let order = Order {
            ticket: text,
            target: target.clone(),
            name,
            seed_seconds,
            class,
            priority,
            access: self.records.listed_access(content).unwrap_or(Access::Ticket),
            paused: false,
            totals: Totals::default(),
        };
        let mut around = Around { peers: &mut self.peers, records: &self.records };
        self.transfers.begin(&mut self.ctx, content, order, None, &mut around);
        self.ctx.count(EventKind::TransferStarted);
        self.transfers.save(&mut self.ctx, content);
        Ok(Some(GetView { content_id: content, path: target, complete: false, report: None }))
    }

    fn check_transfers(&mut self) -> Result<(), UserError> {
        if self.transfers.count() < TRANSFERS_MAX {
            return Ok(());
        }
        self.ctx.count(EventKind::LimitTransfers);
        let cure = "wait until some are complete, or `mesh-node cancel` what nobody has any more";
        let message = format!("{TRANSFERS_MAX} transfers are not complete yet");
        Err(UserError::new(ErrorKind::Unavailable, message, cure))
    }

    fn check_contents(&self) -> Result<(), UserError> {
        if self.contents.len() + self.transfers.count() < CONTENTS_MAX {
            return Ok(());
        }
        let cure = "share folders as one content each, or `mesh-node rm` what is not needed";
        let message = format!("this node has {CONTENTS_MAX} contents, and can't have more");
        Err(UserError::new(ErrorKind::Unavailable, message, cure))
    }

    /// A get of something that is here: nothing to do, or a second copy.
    fn get_here(&mut self, request: UserRequestId, content: ContentId, target: String) -> Option<GetView> {
        let path = self.contents.find(content).map(|known| known.stored.path.clone());
        if path.as_ref() == Some(&target) {
            return Some(GetView { content_id: content, path: target, complete: true, report: None });
        }
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Copy { request, content, path: target.clone() });
        self.ctx.store(StoreCommand::Copy { command, content, target });
        None
    }

    /// A get of something under way: joins it, or says why it can't.
    fn join(&mut self, content: ContentId, target: &str) -> Result<Option<GetView>, UserError> {
        let Some(transfer) = self.transfers.find(content) else { return Ok(None) };
        let path = transfer.order.target.clone();
        if path != target && transfer.is_refused() {
            // Nothing came of it: it does not stand in the way of another place.
            self.transfers.forget(&mut self.ctx, content);
            return Ok(None);
        }
        if path != target {
            let cure = "wait for it, or `mesh-node cancel` it first";
            return Err(UserError::new(ErrorKind::Exists, format!("this content is being fetched to {path}"), cure));
        }
        self.transfers.set_paused(&mut self.ctx, content, false)?;
        Ok(Some(GetView { content_id: content, path, complete: false, report: None }))
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

fn check_path(path: &str) -> Result<(), UserError> {
    if path.len() <= LOCAL_PATH_BYTES_MAX {
        return Ok(());
    }
    let message = format!("a path may have at most {LOCAL_PATH_BYTES_MAX} bytes");
    Err(UserError::new(ErrorKind::Invalid, message, "choose a shorter one"))
}

fn check_label(name: &str, tags: &[String]) -> Result<(), UserError> {
    let wrong = |message: String| Err(UserError::new(ErrorKind::Invalid, message, ""));
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return wrong(format!("a name has 1 to {NAME_BYTES_MAX} bytes"));
    }
    if tags.len() > TAGS_MAX || tags.iter().any(|tag| tag.is_empty() || tag.len() > TAG_BYTES_MAX) {
        return wrong(format!("there can be {TAGS_MAX} tags of at most {TAG_BYTES_MAX} bytes"));
    }
    Ok(())
}
