//! Every event of a run: what happened when to whom.

use mesh_proto::Timestamp;

use crate::kernel::Member;

/// What kind of event it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventKind {
    /// A machine was given an input.
    Input = 0,
    /// A machine's timeout was due.
    Wake = 1,
    /// Something happened in the world.
    World = 2,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: EventKind,
    /// To which machine; the world's own events have none.
    pub member: Option<Member>,
    /// The world's word for what it was: equal for equal inputs.
    pub print: u64,
}

/// Rows written into one piece of memory: it never moves, however long the run.
const ROWS: usize = 1 << 16;
const NOBODY: u32 = u32::MAX;

/// One event, packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    at: u64,
    print: u64,
    member: u32,
    kind: EventKind,
}

/// The events of a run, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Capture {
    full: Vec<Vec<Row>>,
    last: Vec<Row>,
}

impl Capture {
    /// Notes one event.
    pub(crate) fn add(&mut self, event: Happened) {
        if self.last.len() == self.last.capacity() {
            let full = std::mem::replace(&mut self.last, Vec::with_capacity(ROWS));
            self.full.push(full);
        }
        let member = event.member.map_or(NOBODY, |member| member.0);
        self.last.push(Row { at: event.at.0, print: event.print, member, kind: event.kind });
    }

    /// How many events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full.iter().map(Vec::len).sum::<usize>() + self.last.len()
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The events, in order.
    pub fn events(&self) -> impl Iterator<Item = Happened> + '_ {
        let rows = self.full.iter().flatten().chain(&self.last);
        rows.map(|row| Happened {
            at: Timestamp(row.at),
            kind: row.kind,
            member: (row.member != NOBODY).then_some(Member(row.member)),
            print: row.print,
        })
    }

    /// The first event in which two runs differ, as each has it.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<(usize, Option<Happened>, Option<Happened>)> {
        let (mut ours, mut theirs) = (self.events(), other.events());
        for number in 0.. {
            match (ours.next(), theirs.next()) {
                (None, None) => return None,
                (a, b) if a == b => {}
                (a, b) => return Some((number, a, b)),
            }
        }
        None
    }
}
