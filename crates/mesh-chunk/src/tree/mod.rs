//! A folder as one content: a listing, then the bytes of its files in listing order.
//!
//! Invariant: a [`Listing`] that was decoded or checked can be written below any folder on any common system without
//! leaving that folder, and no two of its paths meet. [`path`] has the rules for one path, [`listing`] those between
//! paths, [`map`] says which byte of the stream belongs to which file.

pub mod listing;
pub mod map;
pub mod path;

pub use listing::{EntryKind, Listing, ListingError, TreeEntry};
pub use map::{TreeMap, TreePart, TreeSlice};
pub use path::PathError;
