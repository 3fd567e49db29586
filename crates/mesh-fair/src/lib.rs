//! Shares one uplink justly, without a clock, a socket or a thread.
//!
//! Start at [`UplinkScheduler`]: requests of peers go in, *grants* (permissions to send a slice) come out, and *receipts*
//! tell it what drained. It composes three parts that know nothing of each other:
//!
//! | question | answered by |
//! |---|---|
//! | whose turn is it? | [`drr`]: member, then class, then flow (or [`fcfs`], to compare) |
//! | how much may be under way? | [`window`]: one window per peer, one for the whole uplink, both fed by receipts |
//! | how fast does our owner allow? | [`token_bucket`] |
//!
//! [`jain`] measures whether a split was just; [`credit`] remembers who gave how much, as a hint for priorities.
//!
//! Invariants: an idle flow keeps no credit; bytes granted and not receipted never exceed the window at the moment of
//! the grant (the uplink's: but for those that must have left it); a request is never granted more bytes than it asked for.

pub mod credit;
pub mod drr;
mod entry;
pub mod fcfs;
pub mod jain;
mod max_filter;
mod order;
mod overdue;
mod probe;
pub mod request;
mod ring;
pub mod token_bucket;
pub mod uplink;
pub mod window;

pub use credit::Credits;
pub use drr::{FlowKey, MemberKey, RequestKey};
pub use jain::{jain_ppm, max_min_shares};
pub use request::{Discipline, EnqueueError, Grant, MemberView, ParseDisciplineError, Request, SchedulerView};
pub use token_bucket::TokenBucket;
pub use uplink::UplinkScheduler;
pub use window::SendWindow;
