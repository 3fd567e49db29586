//! Contents on this machine's disk: what is shared in place, what is being received, and the brain's own rows.
//!
//! Start at [`Store`]: commands go in, answers come out through a function, payload passes through
//! [`PayloadStore`](mesh_proto::payload::PayloadStore).
//!
//! | file | concern |
//! |---|---|
//! | [`disk`] | the port to a disk: the system's, one in memory, one that fails on demand |
//! | [`index`] | the port to an index: sled, or memory; a hint that can be rebuilt |
//! | `truth`, `log` | small truths, and where they are kept: append-only, checksummed, synced |
//! | `engine`, `store` | what all parts share, without threads; the same with threads |
//! | `manifests` | roots and pages, one file a content |
//! | `space` | which bytes of a content lie in which file |
//! | `share`, `cut` | what a person shares; reading, cutting and hashing it |
//! | `source`, `sink` | the payload's way out and in; both verify every chunk |
//! | `chunk_buffers` | memory for chunks on either way |
//! | `receive`, `pieces`, `finish` | a reception's begin, what comes besides chunks, its end |
//! | `checkpoint`, `pace` | what is kept between, and when |
//! | `look`, `verify` | looking whether files are as they were; reading them again |
//! | `copy`, `remove` | a second copy elsewhere; deleting only what is ours |
//! | `work`, `keyed` | carrying out commands; those about one content in order |
//!
//! Invariants: no byte leaves or becomes visible unverified; what was answered as done survives a power cut; a partial
//! file never stands under its final name.

mod checkpoint;
mod chunk_buffers;
mod content;
mod copy;
mod cut;
pub mod disk;
mod engine;
mod finish;
pub mod index;
mod keyed;
mod log;
mod look;
mod manifests;
mod pace;
mod pieces;
mod receive;
mod remove;
mod share;
mod sink;
mod source;
mod space;
mod store;
mod truth;
mod verify;
mod work;

pub use engine::{Engine, Inputs, OpenError, StoreConfig};
pub use store::Store;
