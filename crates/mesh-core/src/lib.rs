//! The brain of a Mesh node: whom to dial, trust, ask, serve and tell; when to retry. Pure: no clock, socket, disk,
//! thread, private key or hidden randomness.
//!
//! Start at [`Node`]: a driver feeds it [`Input`](mesh_proto::port::Input)s and carries out its
//! [`Output`](mesh_proto::port::Output)s (see [`Machine`](mesh_proto::Machine) for the call order). It composes small
//! parts, one concern each:
//!
//! | part | concern |
//! |---|---|
//! | [`peers`] | who can be reached, whom to dial when |
//! | [`strangers`] | how many connections strangers may hold open |
//! | [`records`] | signed records: members, communities, the catalogue, who holds what |
//! | [`transfer`] | fetching a content from everyone who has it |
//! | [`serve`] | giving, by grants of the fair scheduler |
//! | [`announce`] | what is announced in the wider lookup |
//! | [`interest`] | who asked what we hold and is told when that changes |
//! | [`spread`] | what of a content held here a crowd is advised to ask for |
//! | [`contents`] | what is here and how it is treated |
//! | `sharing`, `getting` | what a person shares, and wants to have |
//! | [`inside`] | what an observer sees who stands outside |
//! | [`absent`] | what lies on a disk that was taken out, and comes back |
//! | `quota`, `repair`, `removal` | what may stay on disk, making good what was damaged there, forgetting |
//!
//! Invariant: the same configuration, seed and inputs give the same outputs, bit for bit.

pub mod absent;
pub mod announce;
mod completion;
pub mod config;
pub mod contents;
mod context;
mod count;
mod getting;
pub mod inside;
pub mod interest;
mod network;
mod node;
mod opening;
pub mod peers;
mod quota;
pub mod records;
mod removal;
mod repair;
pub mod serve;
pub mod settings;
mod sharing;
mod show;
pub mod spread;
mod stop;
pub mod strangers;
pub mod transfer;
mod user;

pub use config::BrainConfig;
pub use context::Context;
pub use node::Node;
