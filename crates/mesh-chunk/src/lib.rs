//! Bytes as Mesh sees them: cut into chunks, named by hash, listed in a manifest, packed for the way.
//!
//! | to find | look in |
//! |---|---|
//! | how large chunks are | [`parameters`] |
//! | where a stream is cut | [`cutter`] |
//! | how bytes get their names | [`hash`] |
//! | the list of a content's chunks, as pages under a root | [`manifest`] |
//! | what a receiver knows of that list so far | [`layout`] |
//! | a folder as one content | [`tree`] |
//! | compression with a bound | [`mod@pack`] |
//!
//! The way of a file to its [`ContentId`](mesh_proto::ContentId): a [`Cutter`] says where the next chunk of a read
//! buffer ends, [`chunk_id`] names it, a [`ManifestBuilder`] takes the entries and gives out pages as they fill up and
//! the root at the end. The way back: [`Root::decode`] checks the root against the id asked for, a [`Layout`] says
//! which pages are missing, [`Page::decode`] checks each, and then the layout knows which chunk lies where.
//!
//! Invariant: the same bytes with the same parameters give the same content id on every machine, whatever the sizes of
//! the buffers they came in; and nothing decoded here can panic or allocate more than its limit.
//!
//! ```
//! use mesh_chunk::{
//!     ChunkEntry, ChunkParameters, Cutter, Detail, FileHasher, Layout, ManifestBuilder, Root, RootKind, chunk_id,
//! };
//!
//! let file = vec![7u8; 300_000];
//! let parameters = ChunkParameters::for_size(file.len() as u64);
//! let mut cutter = Cutter::new(parameters);
//! let mut builder = ManifestBuilder::new(parameters);
//! let mut whole = FileHasher::new();
//! let mut rest = &file[..];
//! while let Some(length) = cutter.next_cut(rest, true) {
//!     let (chunk, after) = rest.split_at(length);
//!     whole.update(chunk);
//!     let pages = builder.push(ChunkEntry { id: chunk_id(chunk), length: length as u32 })?;
//!     assert!(pages.is_empty(), "a file this small has all its entries in the root");
//!     rest = after;
//! }
//! let manifest = builder.finish(RootKind::File, whole.finish());
//!
//! let root = Root::decode(&manifest.root_bytes, &manifest.id)?;
//! let layout = Layout::new(&root, Detail::Full)?;
//! assert!(layout.missing_pages().is_empty());
//! assert_eq!(layout.total_bytes(), 300_000);
//! assert_eq!(layout.chunk_at(299_999).map(|position| position.chunk), Some(root.chunk_count - 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cutter;
pub mod hash;
pub mod layout;
pub mod manifest;
pub mod pack;
pub mod parameters;
#[cfg(test)]
mod test_data;
pub mod tree;

pub use cutter::{ChunkStream, Cutter};
pub use hash::{FileHasher, chunk_id, content_id, page_id};
pub use layout::{ChunkPosition, Detail, Layout, LayoutError};
pub use manifest::{
    BuildError, BuiltManifest, ChunkEntry, EncodedPage, ManifestBuilder, ManifestError, Page, PageBody, PageRef, Root,
    RootKind,
};
pub use pack::{UnpackError, looks_compressible, pack, unpack};
pub use parameters::{ChunkParameters, ParametersError};
pub use tree::{EntryKind, Listing, ListingError, PathError, TreeEntry, TreeMap, TreePart, TreeSlice};
