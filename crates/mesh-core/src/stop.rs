//! What is written down only now and then, and at a clean stop once more: counters, records just learnt, and what
//! transfers cost so far.
//!
//! Settings are not among it: they are confirmed when they are set, and writing those nobody set would make them beat
//! the configuration from then on.

use std::time::Duration;

use mesh_proto::port::store::{Row, StoreCommand, Table};
use mesh_proto::port::user::{ErrorKind, UserError, UserReply};
use mesh_proto::port::{Event, Failure, UserRequestId};
use mesh_proto::{Timestamp, WakeReason};

use crate::node::{Node, Pending};
use crate::records::Rows;

/// Counters are kept across restarts, written at most so often.
const COUNTERS_EVERY: Duration = Duration::from_secs(60);

/// Which counts are not written yet.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unsaved {
    pub(crate) dirty: bool,
    saved: Timestamp,
}

impl Node {
    fn counters_row(&mut self) -> Row {
        (self.unsaved.dirty, self.unsaved.saved) = (false, self.ctx.now);
        Row { table: Table::Setting, key: b"counters".to_vec(), value: self.counters.encode() }
    }

    pub(crate) fn save_counters(&mut self) {
        if !self.unsaved.dirty || self.ctx.now < self.unsaved.saved.after(COUNTERS_EVERY) {
            return;
        }
        let row = self.counters_row();
        let command = self.ctx.command_id();
        self.ctx.store(StoreCommand::Write { command, put: vec![row], delete: Vec::new() });
    }

    pub(crate) fn counters_deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.unsaved.dirty.then(|| (self.unsaved.saved.after(COUNTERS_EVERY), "keep the counters"))
    }

    /// The node shall end.
    pub(crate) fn on_stop(&mut self) {
        self.stopping = true;
        if !self.opened {
            // Nothing was counted, and there is no store to write to.
            self.ctx.stopped();
            return;
        }
        self.count();
        let mut rows = self.records.take_rows();
        rows.put.push(self.counters_row());
        rows.put.extend(self.transfers.rows(self.ctx.now));
        self.write_last(rows);
    }

    fn write_last(&mut self, Rows { put, delete }: Rows) {
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Stop);
        self.ctx.store(StoreCommand::Write { command, put, delete });
    }

    pub(crate) fn on_last_write(&mut self, result: &Result<(), Failure>) {
        if let Err(failure) = result {
            let message = format!("what was counted last could not be kept: {}", failure.why);
            self.ctx.report(Event::Warning { message });
        }
        self.records.on_last_write(&mut self.ctx, result);
        // A signature that was under way made a record since.
        match self.records.take_rows() {
            rows if rows.is_empty() => self.ctx.stopped(),
            rows => self.write_last(rows),
        }
    }

    pub(crate) fn refuse_as_stopping(&mut self, request: UserRequestId) {
        let error = UserError::new(ErrorKind::Unavailable, "the node is stopping", "start it again, then repeat it");
        self.ctx.reply(request, UserReply::Failed(error));
    }
}
