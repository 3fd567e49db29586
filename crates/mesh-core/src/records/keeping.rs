//! Writing records down: those that came are gathered and written together, and once more after a while when the disk
//! fails. A person whose request made one is answered when it is on the disk.
//!
//! Invariant: what is known and not on the disk is noted here, or under way there.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_proto::port::store::{Row, StoreCommand, Table};
use mesh_proto::port::user::{ErrorKind, UserError, UserReply};
use mesh_proto::port::{Event, Failure, UserRequestId};
use mesh_proto::record::RecordName;
use mesh_proto::{CommandId, Timestamp, WakeReason};

use super::book::Book;
use crate::Context;

/// Rows are gathered so long.
const BATCH: Duration = Duration::from_millis(200);
/// A disk that failed is tried again after so long.
const RETRY: Duration = Duration::from_secs(10);

/// A write of the store's rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Rows to put.
    pub put: Vec<Row>,
    /// Rows to delete.
    pub delete: Vec<(Table, Vec<u8>)>,
}

impl Rows {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.delete.is_empty()
    }
}

/// What of the book is not on the disk yet. See the module.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    unwritten: BTreeSet<RecordName>,
    due: Option<Timestamp>,
    /// Answers that wait for what is to be written next.
    answers: Vec<(UserRequestId, UserReply)>,
    /// Answers that wait for a last write.
    last_answers: Vec<(UserRequestId, UserReply)>,
    /// One write at a time: an older version never lands after a newer one.
    under_way: Option<Write>,
    failing: bool,
}

#[derive(Debug)]
struct Write {
    command: CommandId,
    names: BTreeSet<RecordName>,
    answers: Vec<(UserRequestId, UserReply)>,
}

impl Keeping {
    /// A record is new, or another version of it is, or it was forgotten.
    pub(super) fn note(&mut self, ctx: &Context, name: RecordName) {
        self.unwritten.insert(name);
        self.due.get_or_insert(ctx.now.after(BATCH));
    }

    /// Answers a person when all that is noted so far is on the disk.
    pub(super) fn answer(&mut self, ctx: &mut Context, request: UserRequestId, reply: UserReply) {
        match &mut self.under_way {
            _ if !self.unwritten.is_empty() => {
                self.answers.push((request, reply));
                self.due = Some(ctx.now);
            }
            Some(write) => write.answers.push((request, reply)),
            None => ctx.reply(request, reply),
        }
    }

    /// Rows of all that is not on the disk for sure, for a last write. What comes later is for another.
    pub(super) fn take_rows(&mut self, book: &Book) -> Rows {
        self.due = None;
        self.last_answers.append(&mut self.answers);
        let mut names = std::mem::take(&mut self.unwritten);
        names.extend(self.under_way.iter().flat_map(|write| write.names.iter().copied()));
        rows(book, &names)
    }

    /// Writes what is due.
    pub(super) fn run(&mut self, ctx: &mut Context, book: &Book) {
        if self.deadline().is_none_or(|(at, _)| at > ctx.now) {
            return;
        }
        self.due = None;
        let (names, answers) = (std::mem::take(&mut self.unwritten), std::mem::take(&mut self.answers));
        let (command, Rows { put, delete }) = (ctx.command_id(), rows(book, &names));
        self.under_way = Some(Write { command, names, answers });
        ctx.store(StoreCommand::Write { command, put, delete });
    }

    /// An answer of the store. Returns whether it was for us.
    pub(super) fn on_done(&mut self, ctx: &mut Context, command: CommandId, result: &Result<(), Failure>) -> bool {
        let Some(write) = self.under_way.take_if(|write| write.command == command) else { return false };
        if let Err(failure) = result {
            self.unwritten.extend(write.names);
            self.due = Some(ctx.now.after(RETRY));
            if !std::mem::replace(&mut self.failing, true) {
                let message = format!("records could not be kept: {}; it is tried again", failure.why);
                ctx.report(Event::Warning { message });
            }
        } else {
            self.failing = false;
        }
        answer_all(ctx, write.answers, result);
        true
    }

    /// What was taken for a last write is on the disk, or is not.
    pub(super) fn on_last_write(&mut self, ctx: &mut Context, result: &Result<(), Failure>) {
        let mut answers = std::mem::take(&mut self.last_answers);
        if result.is_err() {
            // There is no other.
            self.unwritten.clear();
            answers.append(&mut self.answers);
        }
        answers.extend(self.under_way.take().into_iter().flat_map(|write| write.answers));
        answer_all(ctx, answers, result);
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.due.filter(|_| self.under_way.is_none()).map(|at| (at, "keep records"))
    }
}

fn answer_all(ctx: &mut Context, answers: Vec<(UserRequestId, UserReply)>, result: &Result<(), Failure>) {
    for (request, reply) in answers {
        let reply = result.as_ref().map_or_else(|failure| UserReply::Failed(not_kept(failure)), |()| reply);
        ctx.reply(request, reply);
    }
}

fn rows(book: &Book, names: &BTreeSet<RecordName>) -> Rows {
    let mut rows = Rows::default();
    for name in names {
        let (table, key) = (Table::Record, mesh_proto::codec::encode(name));
        match book.find(name) {
            Some(record) => rows.put.push(Row { table, key, value: mesh_proto::codec::encode(record) }),
            None => rows.delete.push((table, key)),
        }
    }
    rows
}

fn not_kept(failure: &Failure) -> UserError {
    let why = format!("it holds good, but could not be written down, and lasts until the node stops: {}", failure.why);
    let cure = "make room on the disk, or mend it; the node tries again by itself while it runs";
    UserError::new(ErrorKind::Unavailable, why, cure)
}
