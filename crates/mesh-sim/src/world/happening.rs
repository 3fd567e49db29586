//! What happens in the world itself, between its nodes.

use std::borrow::Cow;

use mesh_proto::Timestamp;
use mesh_proto::bulk::RefuseReason;
use mesh_proto::port::Input;

use super::connection::EndId;
use super::store::Slice;
use crate::kernel::Member;

/// Something due in the world.
#[derive(Debug, Clone)]
pub enum Happening {
    /// An attempt to connect goes on.
    Dialling(u64),
    /// The dialled side of an attempt believes in the connection.
    Established(u64),
    /// An end of a connection learns that it is over.
    Ended(EndId, Cow<'static, str>),
    /// An end probes the other.
    Probe(EndId),
    /// A probe sent at that time should have been answered.
    ProbeDue(EndId, Timestamp),
    /// Payload has left, or may speed up.
    FlowsDue,
    /// A slice of a request arrives.
    Slice(u64, Box<Slice>),
    /// A getter's word about a request arrives at the source: no longer wanted.
    Cancelled(u64),
    /// The source's word arrives: refused.
    Refused(u64, RefuseReason),
    /// A request may have been waited for too long.
    Stall(u64),
    /// A node's store syncs what it received.
    Checkpoint(Member),
    /// A node asks by multicast who is there, in its so-manieth life.
    Multicast(Member, u64),
    /// A link's schedule turns.
    LinkTurns(u32),
    /// A cut-off end of a connection gets through again.
    Resumes(EndId),
    /// A message that a fault held back is sent.
    SendsLate(EndId, u64, Box<Input>),
    /// A node that was asked to stop in its so-manieth life ends.
    Leaves(Member, u64),
    /// A node whose store could not be opened in its so-manieth life tries again.
    StartsAgain(Member, u64),
    /// Something the run's owner put in: its number.
    Script(u64),
}

impl Happening {
    /// A word that is equal for equal happenings.
    #[must_use]
    pub fn print(&self) -> u64 {
        let end = |end: &EndId| end.connection.0 << 1 | u64::from(end.end);
        let (kind, number): (u64, u64) = match self {
            Self::Dialling(dial) => (1, *dial),
            Self::Established(dial) => (2, *dial),
            Self::Ended(of, _) => (3, end(of)),
            Self::Probe(of) => (4, end(of)),
            Self::ProbeDue(of, at) => (5, end(of).rotate_left(40) ^ at.0),
            Self::FlowsDue => (6, 0),
            Self::Slice(serve, slice) => (7, serve.rotate_left(32) ^ slice.bytes()),
            Self::Cancelled(serve) => (8, *serve),
            Self::Refused(serve, _) => (9, *serve),
            Self::Stall(serve) => (10, *serve),
            Self::Checkpoint(member) => (11, u64::from(member.0)),
            Self::Multicast(member, starts) => (12, u64::from(member.0) << 32 ^ starts),
            Self::LinkTurns(link) => (13, u64::from(*link)),
            Self::Script(number) => (14, *number),
            Self::Resumes(of) => (15, end(of)),
            Self::SendsLate(of, bytes, _) => (17, end(of).rotate_left(32) ^ bytes),
            Self::Leaves(member, starts) => (16, u64::from(member.0) << 32 ^ starts),
            Self::StartsAgain(member, starts) => (18, u64::from(member.0) << 32 ^ starts),
        };
        number ^ kind << 58
    }

    /// A word for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dialling(_) => "dialling",
            Self::Established(_) => "established",
            Self::Ended(..) => "connection-ended",
            Self::Probe(_) => "probe",
            Self::ProbeDue(..) => "probe-due",
            Self::FlowsDue => "flows",
            Self::Slice(..) => "slice",
            Self::Cancelled(_) => "cancelled",
            Self::Refused(..) => "refused",
            Self::Stall(_) => "stall",
            Self::Checkpoint(_) => "checkpoint",
            Self::Multicast(..) => "multicast",
            Self::LinkTurns(_) => "link-turns",
            Self::Script(_) => "script",
            Self::Resumes(_) => "resumes",
            Self::SendsLate(..) => "sends-late",
            Self::Leaves(..) => "leaves",
            Self::StartsAgain(..) => "starts-again",
        }
    }
}
