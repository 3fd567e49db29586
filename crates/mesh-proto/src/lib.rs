//! The words and the wire of Mesh. Everything else is built from what stands here.
//!
//! | to find | look in |
//! |---|---|
//! | what a thing is called | [`id`], [`mod@unit`], [`time`] |
//! | how bytes from outside become values | [`codec`], [`limits`], [`extensions`] |
//! | what peers say to each other | [`message`] (control), [`bulk`] (payload), [`record`], [`shared_record`] (signed and spread) |
//! | what one person hands to another | [`ticket`], [`address`] |
//! | how the brain meets the world | [`machine`], [`port`], [`payload`] |
//! | what is broken on purpose, in tests of the simulator | [`planted`] |
//!
//! Invariant: nothing here reads a clock, a socket, a disk or a random source, and nothing decoded here can make the
//! program allocate more than the limit named beside it.

pub mod address;
mod belonging;
pub mod bulk;
pub mod chunk_set;
pub mod codec;
pub mod extensions;
pub mod id;
pub mod limits;
pub mod machine;
pub mod message;
pub mod payload;
pub mod planted;
pub mod port;
pub mod record;
pub mod record_list;
pub mod shared_record;
pub mod ticket;
pub mod time;
pub mod unit;

pub use chunk_set::{ChunkRange, ChunkSet};
pub use id::{ChunkId, CommandId, CommunityId, ConnectionId, ContentId, LineId, MemberId, NodeId, PageId};
pub use machine::{Machine, WakeReason};
pub use shared_record::SharedRecord;
pub use ticket::Ticket;
pub use time::{Timestamp, UnixMs};
pub use unit::{ByteCount, ByteRate};
