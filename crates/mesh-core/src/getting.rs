//! What a person wants to have: a new transfer, one to join, or what is here already.

use mesh_analytics::EventKind;
use mesh_proto::limits::{CONTENTS_MAX, TRANSFERS_MAX};
use mesh_proto::port::UserRequestId;
use mesh_proto::port::store::{Look, StoreCommand};
use mesh_proto::port::user::{ErrorKind, UserCommand, UserError, UserReply};
use mesh_proto::port::view::GetView;
use mesh_proto::record::Access;
use mesh_proto::{ContentId, Ticket};

use crate::contents::last_part;
use crate::node::{Node, Pending};
use crate::transfer::state::{Phase, Totals};
use crate::transfer::{Around, Order};
use crate::user::check_path;

impl Node {
    /// Begins to fetch, or joins who does. Answers later if what is here has to be looked at first.
    pub(crate) fn get(&mut self, request: UserRequestId, command: UserCommand) -> Result<Option<UserReply>, UserError> {
        let (content, order) = self.order_of(command)?;
        if self.contents.find(content).is_some() {
            let command = self.ctx.command_id();
            self.pending.insert(command, Pending::Look { request, content, order });
            self.ctx.store(StoreCommand::Look { command, content });
            return Ok(None);
        }
        let target = order.target.clone();
        if !self.join(content, &target)? {
            self.begin(content, order)?;
        }
        Ok(Some(getting(content, target, false)))
    }

    fn order_of(&self, command: UserCommand) -> Result<(ContentId, Order), UserError> {
        let UserCommand::Get { ticket: text, target, seed_seconds, class, priority } = command else {
            return Err(UserError::new(ErrorKind::Internal, "not a get", ""));
        };
        let ticket: Ticket = text.parse().map_err(|error| {
            let cure = "copy the whole text that `share` printed, in quotes";
            UserError::new(ErrorKind::Invalid, format!("this is not a ticket: {error}"), cure)
        })?;
        check_path(&target)?;
        let content = ticket.content;
        let order = Order {
            name: ticket.name.unwrap_or_else(|| last_part(&target).to_owned()),
            ticket: text,
            target,
            seed_seconds,
            class,
            priority,
            access: self.records.listed_access(content).unwrap_or(Access::Ticket),
            paused: false,
            totals: Totals::default(),
        };
        Ok((content, order))
    }

    fn begin(&mut self, content: ContentId, order: Order) -> Result<(), UserError> {
        self.check_transfers()?;
        self.check_contents()?;
        let mut around = Around { peers: &mut self.peers, records: &self.records };
        self.transfers.begin(&mut self.ctx, content, order, None, &mut around);
        self.ctx.count(EventKind::TransferStarted);
        self.transfers.save(&mut self.ctx, content);
        Ok(())
    }

    /// What is here was looked at: it is as it was, or it has to be fetched once more.
    pub(crate) fn on_looked(&mut self, request: UserRequestId, content: ContentId, order: Order, look: Look) {
        let Some(known) = self.contents.find(content) else {
            // It was removed meanwhile: there is nothing in the way of fetching it.
            let begun = self.begin(content, order.clone()).map(|()| getting(content, order.target, false));
            return self.ctx.reply(request, begun.unwrap_or_else(UserReply::Failed));
        };
        let (same_place, in_place) = (known.stored.path == order.target, known.stored.in_place);
        match look {
            Look::Same if same_place => {
                self.is_good_again(content);
                self.ctx.reply(request, getting(content, order.target, true));
            }
            Look::Same => {
                let (command, target) = (self.ctx.command_id(), order.target);
                self.pending.insert(command, Pending::Copy { request, content, path: target.clone() });
                self.ctx.store(StoreCommand::Copy { command, content, target });
            }
            // What it received is made good where it is; whoever repairs says so.
            Look::Changed(_) if same_place && !in_place => {
                let _ = self.verify(request, content, Some(order.target));
            }
            Look::Changed(why) if same_place => {
                let cure = "restore the file, or name another place with -o";
                self.ctx.reply(request, UserReply::Failed(UserError::new(ErrorKind::Exists, why, cure)));
            }
            // Its files are gone, or somebody's: they are forgotten as they are, and it is fetched to where it is wanted.
            Look::Changed(_) | Look::Gone(_) => {
                let _ = self.remove(None, content, false);
                let begun = self.begin(content, order.clone()).map(|()| getting(content, order.target, false));
                self.ctx.reply(request, begun.unwrap_or_else(UserReply::Failed));
            }
        }
    }

    /// A get of something under way: joins it, or says why it can't. `false` if nothing is under way.
    fn join(&mut self, content: ContentId, target: &str) -> Result<bool, UserError> {
        let Some(transfer) = self.transfers.find(content) else { return Ok(false) };
        let path = transfer.order.target.clone();
        if path == target {
            self.transfers.set_paused(&mut self.ctx, content, false)?;
            return Ok(true);
        }
        if transfer.is_refused() {
            // Nothing came of it: it does not stand in the way of another place.
            self.transfers.forget(&mut self.ctx, content);
            return Ok(false);
        }
        let (message, cure) = match &transfer.phase {
            Phase::Failed(error) => (
                format!("this content was being fetched to {path}, until that failed: {}", error.message),
                "remove the cause, then `mesh-node resume` it; `mesh-node cancel` gives up what is there",
            ),
            _ => (format!("this content is being fetched to {path}"), "wait for it, or `mesh-node cancel` it first"),
        };
        Err(UserError::new(ErrorKind::Exists, message, cure))
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

    pub(crate) fn check_contents(&self) -> Result<(), UserError> {
        if self.contents.len() + self.transfers.count() < CONTENTS_MAX {
            return Ok(());
        }
        let cure = "share folders as one content each, or `mesh-node rm` what is not needed";
        let message = format!("this node has {CONTENTS_MAX} contents, and can't have more");
        Err(UserError::new(ErrorKind::Unavailable, message, cure))
    }
}

fn getting(content_id: ContentId, path: String, complete: bool) -> UserReply {
    UserReply::Getting(GetView { content_id, path, complete, report: None })
}
