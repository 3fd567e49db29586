//! The list of a content's chunks: a root, and below it pages, themselves named by hash.
//!
//! Invariant: a manifest is a function of the entries, the kind, the parameters and the whole hash. Page borders are
//! content-defined (see [`builder`]), so that an append or an insert renews a few pages only, and every page reference
//! carries the chunks and bytes below it, so that any place can be found without reading what lies before it.
//!
//! Nothing else goes into a root: no name, no time. [`root`] and [`page`] check what comes from outside, and
//! [`crate::layout`] puts a manifest together as its pages arrive.

pub mod builder;
pub mod page;
pub mod root;

use mesh_proto::codec::DecodeError;

use crate::parameters::ParametersError;

pub use builder::{BuildError, BuiltManifest, EncodedPage, ManifestBuilder};
pub use page::{ChunkEntry, Page, PageBody, PageRef};
pub use root::{Root, RootKind};

/// Entries of one page at most.
pub const PAGE_ENTRIES_MAX: usize = 1024;
/// Entries of every page but the last ones of a manifest at least.
pub const PAGE_ENTRIES_MIN: usize = 64;
/// Memory that decoding one root or page may take.
pub const PAGE_DECODED_BYTES_MAX: usize = 256 * 1024;

/// Why bytes are not the root or page they should be. All of them are the fault of who made the bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// More bytes than a root or page may have.
    #[error("a page of {len} bytes is too long")]
    TooLong {
        /// How many it has.
        len: usize,
    },
    /// The bytes do not hash to the name asked for.
    #[error("the bytes do not hash to the name asked for")]
    WrongHash,
    /// A version of the format that this program does not know.
    #[error("manifest format {format} is not known here")]
    UnknownFormat {
        /// Its number.
        format: u16,
    },
    /// A cipher that this program does not know.
    #[error("cipher {cipher} is not known here")]
    UnknownCipher {
        /// Its number.
        cipher: u8,
    },
    /// An extension that must be understood and is not.
    #[error("extension {number} is not known here")]
    UnknownExtension {
        /// Its number.
        number: u16,
    },
    /// The bytes do not have the form of a root or page.
    #[error("malformed manifest")]
    Malformed(#[from] DecodeError),
    /// The bytes mean something but are not the one way to write it.
    #[error("the bytes are not in canonical form")]
    NotCanonical,
    /// The parameters are not usable.
    #[error("unusable chunk parameters")]
    Parameters(#[from] ParametersError),
    /// A chunk without bytes, or a page without chunks or with fewer bytes than chunks.
    #[error("an entry is empty")]
    EmptyEntry,
    /// A chunk, or the average chunk of a page, is larger than allowed.
    #[error("a chunk is longer than allowed")]
    ChunkTooLong,
    /// More chunks than a content may have.
    #[error("more chunks than a content may have")]
    TooManyChunks,
    /// More entries than a page may have.
    #[error("{count} entries are more than a page may have")]
    TooManyEntries {
        /// How many it has.
        count: usize,
    },
    /// A page in the middle has too few chunks below it.
    #[error("a page in the middle has too few chunks")]
    PageTooSmall,
    /// The pages are nested too deep, or a page stands at another height than its reference says.
    #[error("a page stands at the wrong height")]
    WrongHeight,
    /// The chunks do not add up to what the root or the reference says.
    #[error("chunks or bytes do not add up")]
    WrongSum,
    /// The listing is larger than the content or than allowed.
    #[error("the listing is too long")]
    ListingTooLong,
}
