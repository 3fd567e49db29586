//! The connections of a world, each with two ends that may disagree on whether it still stands.
//!
//! Invariant: an end that is closed hears and says nothing more.

use mesh_proto::port::Input;
use mesh_proto::port::net::LinkClass;
use mesh_proto::{ConnectionId, Timestamp};

use super::happening::Happening;
use super::wires::Way;
use crate::flow::FlowId;
use crate::kernel::Member;

/// One of the two ends: 0 is the dialler's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndId {
    /// Of which connection.
    pub connection: ConnectionId,
    /// Which end.
    pub end: u8,
}

impl EndId {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        Self { connection: self.connection, end: 1 - self.end }
    }
}

/// What a frame brings to the other end.
#[derive(Debug)]
pub enum Carried {
    /// Something its brain is told.
    Input(Box<Input>),
    /// Something its driver does.
    Happening(Happening),
}

/// One end of a connection.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub member: Member,
    /// Whether it stands, as far as this end knows.
    pub open: bool,
    /// Whether it is being closed on purpose: nothing new is sent over it.
    pub closing: bool,
    /// Payload from here to the other end.
    pub flow: FlowId,
    /// How frames get from here to the other end; `None` while they don't.
    pub way: Option<Way>,
    /// When the last frame from here arrives, so that none overtakes another.
    pub last_arrival: Timestamp,
    /// When the last slice from here arrives.
    pub last_slice: Timestamp,
    /// When something last came from the other end.
    pub heard: Timestamp,
    /// When a slice last came.
    pub payload_heard: Timestamp,
    /// Probes lost in a row.
    pub probes_lost: u8,
    /// When the last way was lost, while there is none.
    pub cut_since: Option<Timestamp>,
    /// Frames that wait for a way, with their bytes.
    pub held: Vec<(u64, Carried)>,
    /// Requests of the other end that are not at their end.
    pub serves_open: usize,
    /// Whether this end fetches over it.
    pub fetches: bool,
}

/// A connection. See the module.
#[derive(Debug)]
pub struct Connection {
    /// Its two ends, the dialler's first.
    pub ends: [End; 2],
    /// What its path looks like.
    pub class: LinkClass,
    /// When it was made.
    pub since: Timestamp,
}

impl Connection {
    /// Whether both ends hold it for open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ends.iter().all(|end| end.open)
    }
}

/// All connections there ever were, by number.
#[derive(Debug, Default)]
pub struct Connections {
    all: Vec<Option<Box<Connection>>>,
    open: usize,
}

impl Connections {
    /// Adds one.
    pub fn add(&mut self, connection: Connection) -> ConnectionId {
        self.all.push(Some(Box::new(connection)));
        self.open += 1;
        ConnectionId(self.all.len() as u64 - 1)
    }

    /// One that an end still believes in.
    #[must_use]
    pub fn find(&self, id: ConnectionId) -> Option<&Connection> {
        self.all.get(usize::try_from(id.0).ok()?)?.as_deref()
    }

    /// The same, to change.
    pub fn find_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.all.get_mut(usize::try_from(id.0).ok()?)?.as_deref_mut()
    }

    /// An end that stands.
    #[must_use]
    pub fn end(&self, end: EndId) -> Option<&End> {
        self.find(end.connection).map(|connection| &connection.ends[usize::from(end.end)]).filter(|end| end.open)
    }

    /// The same, to change.
    pub fn end_mut(&mut self, end: EndId) -> Option<&mut End> {
        let connection = self.find_mut(end.connection)?;
        Some(&mut connection.ends[usize::from(end.end)]).filter(|end| end.open)
    }

    /// Which end of a connection a node has.
    #[must_use]
    pub fn end_of(&self, id: ConnectionId, member: Member) -> Option<EndId> {
        let connection = self.find(id)?;
        let end = connection.ends.iter().position(|end| end.member == member)?;
        Some(EndId { connection: id, end: end as u8 })
    }

    /// Forgets one that no end believes in.
    pub fn forget(&mut self, id: ConnectionId) {
        if let Some(place) = usize::try_from(id.0).ok().and_then(|id| self.all.get_mut(id))
            && place.take().is_some()
        {
            self.open -= 1;
        }
    }

    /// Those that an end still believes in.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        let numbered = self.all.iter().enumerate();
        numbered.filter_map(|(id, connection)| Some((ConnectionId(id as u64), connection.as_deref()?)))
    }

    /// How many those are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }
}
