//! Contents on this machine's disk: what is shared in place, what is being received, and the brain's own rows.
//!
//! Start at [`Store`]: commands go in, answers come out through a function, payload passes through
//! [`PayloadStore`](mesh_proto::payload::PayloadStore).
//!
//! | file | concern |
//! |---|---|
//! | [`log`] | small truths, append-only, checksummed, synced: the one thing that must not be lost |
//! | `manifests` | roots and pages, one file a content |
//! | `space` | which bytes of a content lie in which file |
//! | `share` | reading, cutting and hashing what a person shares |
//! | `source`, `sink` | the payload's way out and in; both verify every chunk |
//! | `receive`, `finish`, `checkpoint` | a reception's begin, end, and what is kept between |
//! | `verify`, `work` | checking again; carrying out commands |
//!
//! Invariants: no byte leaves or becomes visible unverified; what was answered as done survives a power cut; a partial
//! file never stands under its final name.

mod checkpoint;
mod content;
mod finish;
pub mod log;
mod manifests;
mod receive;
mod share;
mod sink;
mod source;
mod space;
mod store;
mod system;
mod verify;
mod work;

pub use store::{OpenError, Store, StoreConfig};
