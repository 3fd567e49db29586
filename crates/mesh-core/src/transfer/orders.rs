//! What people ask of transfers: begin, pause, resume, cancel.

use mesh_analytics::EventKind;
use mesh_proto::address::node_of;
use mesh_proto::port::store::{Row, StoreCommand, StoredContent};
use mesh_proto::port::user::{ErrorKind, UserError};
use mesh_proto::port::{Event, NetCommand};
use mesh_proto::{ContentId, Ticket, Timestamp};

use super::state::{Order, Phase, Transfer};
use super::step::SAVE_EVERY;
use super::{Around, Purpose, Transfers, transfer_key};
use crate::Context;

impl Transfers {
    /// Begins a transfer, or takes up one of an earlier run: `stored` is what the store holds of it.
    pub fn begin(
        &mut self,
        ctx: &mut Context,
        content: ContentId,
        order: Order,
        stored: Option<&StoredContent>,
        around: &mut Around<'_>,
    ) {
        if let Ok(ticket) = order.ticket.parse::<Ticket>() {
            ticket.peers.iter().for_each(|address| around.peers.add_seed(address));
        }
        let mut transfer = Transfer::new(content, order, ctx.now);
        if let Some(stored) = stored {
            transfer.phase = Phase::Kept;
            transfer.stored = Some(stored.clone());
        }
        self.transfers.insert(content, transfer);
    }

    /// Writes a transfer's row.
    pub fn save(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        transfer.saved = ctx.now;
        let mut order = transfer.order.clone();
        order.totals.elapsed_ms = transfer.elapsed_ms(ctx.now);
        let row = order.row(content);
        let command = self.expect(ctx, content, Purpose::Save);
        ctx.store(StoreCommand::Write { command, put: vec![row], delete: Vec::new() });
    }

    /// Writes again the rows that could not be written, now and then.
    pub(super) fn save_again(&mut self, ctx: &mut Context) {
        let due = |transfer: &&Transfer| transfer.unsaved && ctx.now.since(transfer.saved) >= SAVE_EVERY;
        let unsaved: Vec<ContentId> = self.transfers.values().filter(due).map(|transfer| transfer.content).collect();
        unsaved.into_iter().for_each(|content| self.save(ctx, content));
    }

    /// The rows of the transfers that are worked on, as they stand now.
    pub fn rows(&mut self, now: Timestamp) -> Vec<Row> {
        let active = self.transfers.iter_mut().filter(|(_, transfer)| transfer.is_active());
        active
            .map(|(content, transfer)| {
                transfer.order.totals.elapsed_ms = transfer.elapsed_ms(now);
                transfer.begun = now;
                transfer.order.row(*content)
            })
            .collect()
    }

    /// Makes a complete content's bad chunks good again: the store was told to take it back into reception.
    pub fn repair(&mut self, ctx: &mut Context, content: ContentId, order: Order, around: &mut Around<'_>) {
        if let Ok(ticket) = order.ticket.parse::<Ticket>() {
            ticket.peers.iter().for_each(|address| around.peers.add_seed(address));
        }
        let mut transfer = Transfer::new(content, order, ctx.now);
        transfer.phase = Phase::Preparing;
        transfer.repair = true;
        ctx.count(EventKind::TransferStarted);
        self.transfers.insert(content, transfer);
        let command = self.expect(ctx, content, Purpose::Receive);
        ctx.store(StoreCommand::Repair { command, content });
        self.save(ctx, content);
    }

    /// Pauses (`true`) or resumes.
    ///
    /// # Errors
    /// If there is no such transfer.
    pub fn set_paused(&mut self, ctx: &mut Context, content: ContentId, paused: bool) -> Result<(), UserError> {
        let transfer = self.transfers.get_mut(&content).ok_or_else(not_fetching)?;
        // Time spent paused is not time spent fetching.
        transfer.order.totals.elapsed_ms = transfer.elapsed_ms(ctx.now);
        transfer.begun = ctx.now;
        let changes = transfer.order.paused != paused;
        transfer.order.paused = paused;
        if paused {
            transfer.take_back(ctx);
        } else if let Phase::Failed(_) | Phase::Blocked { .. } = transfer.phase {
            // Whoever asks anew is told anew what it waits for.
            transfer.told_blocked = None;
            self.restart(ctx, content);
        }
        if changes && let Some(transfer) = self.transfers.get_mut(&content) {
            // Whoever watches is told at once: of a paused transfer nothing else will come.
            transfer.told = Timestamp::ZERO;
            self.tell(ctx, content);
        }
        self.save(ctx, content);
        Ok(())
    }

    /// Takes up a transfer that the store had given up.
    pub(super) fn restart(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        match transfer.stored.as_ref().map(|stored| stored.path.clone()) {
            Some(target) => {
                transfer.phase = Phase::Preparing;
                let command = self.expect(ctx, content, Purpose::Receive);
                ctx.store(StoreCommand::Receive { command, content, root: None, target });
            }
            None => transfer.phase = Phase::Locating,
        }
    }

    /// Gives a transfer up and deletes what is partial. What was complete before is a person's: it is left as it is.
    ///
    /// # Errors
    /// If there is no such transfer.
    pub fn cancel(&mut self, ctx: &mut Context, content: ContentId, was_complete: bool) -> Result<(), UserError> {
        let mut transfer = self.transfers.remove(&content).ok_or_else(not_fetching)?;
        ctx.count(EventKind::TransferCancelled);
        transfer.take_back(ctx);
        let command = ctx.command_id();
        ctx.store(StoreCommand::Remove { command, content, delete_files: !was_complete });
        self.delete_row(ctx, content);
        let cure = "the same `get` begins anew";
        let error = UserError::new(ErrorKind::Unavailable, "the transfer was cancelled", cure);
        ctx.report(Event::TransferFailed { content, error });
        Ok(())
    }

    /// Forgets a transfer of which nothing was kept.
    pub fn forget(&mut self, ctx: &mut Context, content: ContentId) {
        if self.transfers.remove(&content).is_some() {
            self.delete_row(ctx, content);
        }
    }

    fn delete_row(&self, ctx: &mut Context, content: ContentId) {
        let command = ctx.command_id();
        ctx.store(StoreCommand::Write { command, put: Vec::new(), delete: vec![transfer_key(content)] });
    }

    /// Peers that a transfer's ticket names.
    pub(super) fn ticket_nodes(order: &Order) -> Vec<mesh_proto::NodeId> {
        let ticket = order.ticket.parse::<Ticket>();
        ticket.map(|ticket| ticket.peers.iter().filter_map(|address| node_of(address)).collect()).unwrap_or_default()
    }
}

impl Transfer {
    /// Wants nothing any more of what is in flight.
    pub(super) fn take_back(&mut self, ctx: &mut Context) {
        for (command, fetch) in self.sources.values_mut().flat_map(|source| source.fetches.iter_mut()) {
            fetch.cancelled = true;
            ctx.net(NetCommand::CancelFetch { fetch: *command });
        }
    }
}

fn not_fetching() -> UserError {
    UserError::new(ErrorKind::NotFound, "this content is not being fetched", "see `mesh-node ls`")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_proto::bulk::TrafficClass;
    use mesh_proto::port::store::StoreInput;
    use mesh_proto::port::{Failure, Output};
    use mesh_proto::record::Access;

    use super::super::state::Totals;
    use super::*;
    use crate::peers::Peers;
    use crate::records::{Records, RecordsConfig};

    /// The command that writes a row, if one is in the outbox.
    fn written(ctx: &mut Context) -> Option<mesh_proto::CommandId> {
        let outputs: Vec<Output> = std::iter::from_fn(|| ctx.pop()).collect();
        outputs.into_iter().find_map(|output| match output {
            Output::Store(StoreCommand::Write { command, .. }) => Some(command),
            _ => None,
        })
    }

    #[test]
    fn an_order_that_could_not_be_written_down_is_written_again() {
        let (mut ctx, mut peers) = (Context::new([1; 32]), Peers::default());
        let config = RecordsConfig { node_name: String::new(), agent: String::new(), gossip_interval_ms: 0 };
        let records = Records::new(config);
        let mut around = Around { peers: &mut peers, records: &records };
        let (mut transfers, content) = (Transfers::new(false), ContentId([7; 32]));
        let order = Order {
            ticket: String::new(),
            target: "/home/it".to_owned(),
            name: "it".to_owned(),
            seed_seconds: None,
            class: TrafficClass::Public,
            priority: 0,
            access: Access::Public,
            paused: false,
            totals: Totals::default(),
        };
        transfers.begin(&mut ctx, content, order, None, &mut around);
        transfers.save(&mut ctx, content);
        let command = written(&mut ctx).expect("it is written down");
        let result = Err(Failure::passing("no space left"));
        assert!(transfers.on_store(&mut ctx, &StoreInput::Done { command, result }));
        ctx.now = ctx.now.after(SAVE_EVERY - Duration::from_millis(1));
        transfers.run(&mut ctx, &mut around);
        assert_eq!(written(&mut ctx), None, "not at once");
        ctx.now = ctx.now.after(Duration::from_millis(1));
        transfers.run(&mut ctx, &mut around);
        let command = written(&mut ctx).expect("it is tried again");
        transfers.on_store(&mut ctx, &StoreInput::Done { command, result: Ok(()) });
        ctx.now = ctx.now.after(SAVE_EVERY);
        transfers.run(&mut ctx, &mut around);
        assert_eq!(written(&mut ctx), None, "that did");
    }
}
