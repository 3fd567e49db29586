//! The network of a node: carries out [`NetCommand`](mesh_proto::port::NetCommand)s over libp2p and reports what happens
//! as [`NetInput`](mesh_proto::port::NetInput)s. It holds no policy: whom to dial, serve or ask is decided elsewhere.
//!
//! Start at [`Net`]. One task polls libp2p's swarm and nothing else that could take long; every stream has a task of its
//! own, which reports directly. Payload goes between a stream and the [`PayloadStore`](mesh_proto::payload::PayloadStore)
//! without touching either the swarm's task or the brain.
//!
//! | to find | look in |
//! |---|---|
//! | starting, commands, the swarm's loop | `driver` |
//! | who may connect while many do | `doorway` |
//! | how streams are opened and accepted without losing one | `streams` |
//! | one connection's shared state, its control stream and its probe | `connection`, `control`, `probe` |
//! | what counts as a sign of life | `pulse` |
//! | what the kernel watches over | `keepalive` |
//! | reading from a socket in large pieces | `read_ahead` |
//! | payload that comes / goes | `getter` / `source` |
//! | where a frame ends | [`framing`], open to who tries it on any bytes |
//!
//! Invariants: every queue is bounded; what arrives is measured against a limit before memory is taken for it; every
//! command that wants an answer gets exactly one; a connection's `Disconnected` comes after all else about it.
//!
//! Left out on purpose: DNS (nothing may wait for it), QUIC (costs more than TCP with Noise on the links that matter
//! first) and relays. libp2p's own stream behaviour was rejected because it drops inbound streams under load.

mod address;
mod address_book;
mod behaviour;
mod buffer;
mod config;
mod connection;
mod control;
mod doorway;
mod driver;
pub mod framing;
mod getter;
#[cfg(test)]
mod hostile_tests;
mod interfaces;
mod keepalive;
mod lookup;
#[cfg(test)]
mod meeting;
mod probe;
mod pulse;
mod read_ahead;
mod routes;
mod source;
mod streams;

pub use address::{AddressError, check_address, node_id_of, peer_id_of};
pub use config::{NetConfig, StartError};
pub use driver::Net;
