//! The end of a transfer: how it is treated from now on is kept, its order ends, people are told.

use std::time::Duration;

use mesh_proto::UnixMs;
use mesh_proto::port::store::{StoreCommand, StoredContent};

use crate::contents::Treatment;
use crate::node::{Node, Pending};
use crate::transfer::{Order, transfer_key};

impl Node {
    /// Transfers whose files are under their final name.
    pub(crate) fn take_completed(&mut self) {
        for completed in self.transfers.take_completed() {
            let content = completed.stored.content;
            // A repair changes nothing of how a content is treated.
            let treatment = self.contents.take_repairing(content);
            let treatment = treatment.unwrap_or_else(|| self.treatment_of(&completed.order));
            let report = Box::new(completed.report);
            self.note_complete(&completed.stored, treatment, Pending::Complete { report });
            self.records.set_holding(&mut self.ctx, content, true);
            self.interests.changed(&self.ctx, content, true);
            self.make_room_for(content);
        }
    }

    /// How what was ordered so is treated once it is here.
    pub(crate) fn treatment_of(&self, order: &Order) -> Treatment {
        let seed_until = match order.seed_seconds {
            None => UnixMs(0),
            Some(seconds) => self.ctx.unix().after(Duration::from_secs(seconds)),
        };
        Treatment {
            name: order.name.clone(),
            access: order.access.clone(),
            listed: false,
            tags: Vec::new(),
            pinned: false,
            added: self.ctx.unix(),
            seed_until,
            ticket: order.ticket.clone(),
        }
    }

    /// Takes a content as complete; both notes, that it is and that its order ended, are one.
    pub(crate) fn note_complete(&mut self, stored: &StoredContent, treatment: Treatment, pending: Pending) {
        let command = self.ctx.command_id();
        self.pending.insert(command, pending);
        let put = vec![treatment.row(stored.content)];
        let delete = vec![transfer_key(stored.content)];
        self.ctx.store(StoreCommand::Write { command, put, delete });
        self.contents.add(stored.clone(), treatment);
    }
}
