//! The listing of a tree: every file, folder and link with its path, sorted by path.
//!
//! As bytes: format (u16), number of entries (u32), and each entry behind its length (u16), all numbers little-endian.
//! So an entry can be read as soon as it is there, and none can make a reader allocate more than it is long.
//!
//! Invariant: a listing out of [`Listing::new`] or [`Listing::decode`] keeps every rule of [`ListingError`], and its
//! bytes are the only ones that decode to it.

use bincode::{Decode, Encode};
use mesh_proto::codec::{self, DecodeError};
use mesh_proto::limits::{CHUNK_BYTES_MAX, CHUNKS_PER_CONTENT_MAX, LISTING_BYTES_MAX, TREE_ENTRIES_MAX};

use super::path::{PathError, check_link_target, check_path};

/// The format this program writes, and the only one it reads.
pub const LISTING_FORMAT: u16 = 1;
/// All bits that a mode may have: read, write and execute for owner, group and others.
pub const MODE_MAX: u32 = 0o777;
/// Bytes of the files of one tree.
pub const TREE_BYTES_MAX: u64 = CHUNKS_PER_CONTENT_MAX as u64 * CHUNK_BYTES_MAX as u64;
/// Memory that decoding one entry may take.
const ENTRY_DECODED_BYTES_MAX: usize = 16 * 1024;
/// The shortest entry: its length, a path of one letter, a kind, a mode, a time.
const ENTRY_BYTES_MIN: usize = 6;
const HEADER_BYTES: usize = 6;

/// Why a listing is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// The listing has more bytes than allowed.
    #[error("the listing is longer than allowed")]
    TooLong,
    /// More entries than allowed.
    #[error("{count} entries are more than a tree may have")]
    TooManyEntries {
        /// How many it has.
        count: usize,
    },
    /// A version of the format that this program does not know.
    #[error("listing format {format} is not known here")]
    UnknownFormat {
        /// Its number.
        format: u16,
    },
    /// The bytes end in the middle, or go on after the last entry.
    #[error("the listing has a wrong length")]
    WrongLength,
    /// An entry does not have the form of one.
    #[error("malformed entry")]
    Malformed(#[from] DecodeError),
    /// An entry means something but is not written in the one way it should be.
    #[error("an entry is not in canonical form")]
    NotCanonical,
    /// A path is refused.
    #[error("{path:?} can't be in a tree: {source}")]
    Path {
        /// Which.
        path: String,
        /// Why.
        source: PathError,
    },
    /// A link's target is refused.
    #[error("the link {path:?} can't be in a tree: {source}")]
    Target {
        /// The link.
        path: String,
        /// Why.
        source: PathError,
    },
    /// A mode has bits other than permissions.
    #[error("{path:?} has a mode with more than permission bits")]
    Mode {
        /// Whose.
        path: String,
    },
    /// The entries are not in the order of their paths.
    #[error("{path:?} is not in order")]
    NotSorted {
        /// Which one comes too late.
        path: String,
    },
    /// A path stands in the listing twice.
    #[error("{path:?} is there twice")]
    Duplicate {
        /// Which.
        path: String,
    },
    /// Two paths, or folders on the way to them, differ in case only.
    #[error("{path:?} and {other:?} differ in case only")]
    CaseCollision {
        /// The one.
        path: String,
        /// The other.
        other: String,
    },
    /// A path leads through a file.
    #[error("{path:?} uses a file as a folder")]
    FileAsFolder {
        /// Which.
        path: String,
    },
    /// A path leads through a link.
    #[error("{path:?} leads through a link")]
    ThroughLink {
        /// Which.
        path: String,
    },
    /// The files have more bytes than a content may have.
    #[error("the files of the tree are too large")]
    TreeTooLarge,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EntryKind {
    /// A file.
    File {
        /// Its size.
        size_bytes: u64,
        /// Its permissions, at most [`MODE_MAX`].
        mode: u32,
    },
    /// A folder. Folders need no entry, unless they are empty or their mode matters.
    Directory {
        /// Its permissions, at most [`MODE_MAX`].
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points to, from the folder it is in.
        target: String,
    },
}

/// A file, folder or link of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TreeEntry {
    /// Where it is in the tree, with `/` between components.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// When it was changed, in milliseconds since 1970. A hint.
    pub modified_unix_ms: i64,
}

/// All entries of a tree, sorted by the bytes of their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    entries: Vec<TreeEntry>,
}

impl Listing {
    /// Sorts and checks entries.
    ///
    /// # Errors
    /// [`ListingError`] naming the entry at fault and the rule it breaks.
    pub fn new(mut entries: Vec<TreeEntry>) -> Result<Self, ListingError> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let listing = Self { entries };
        listing.check()?;
        Ok(listing)
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// Decodes a whole listing and checks every rule.
    ///
    /// # Errors
    /// [`ListingError`] if the bytes are not a listing or it breaks a rule.
    pub fn decode(bytes: &[u8]) -> Result<Self, ListingError> {
        if bytes.len() as u64 > LISTING_BYTES_MAX {
            return Err(ListingError::TooLong);
        }
        let Some((header, mut rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(ListingError::WrongLength);
        };
        let format = u16::from_le_bytes([header[0], header[1]]);
        if format != LISTING_FORMAT {
            return Err(ListingError::UnknownFormat { format });
        }
        let count = u32::from_le_bytes([header[2], header[3], header[4], header[5]]) as usize;
        if count > TREE_ENTRIES_MAX {
            return Err(ListingError::TooManyEntries { count });
        }
        if rest.len() / ENTRY_BYTES_MIN < count {
            return Err(ListingError::WrongLength);
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let (entry, later) = decode_entry(rest)?;
            entries.push(entry);
            rest = later;
        }
        if !rest.is_empty() {
            return Err(ListingError::WrongLength);
        }
        let listing = Self { entries };
        listing.check()?;
        Ok(listing)
    }

    /// The listing as bytes.
    ///
    /// # Errors
    /// [`ListingError::TooLong`] if they are more than allowed.
    pub fn encode(&self) -> Result<Vec<u8>, ListingError> {
        let count = self.entries.len();
        let count_written = u32::try_from(count).map_err(|_| ListingError::TooManyEntries { count })?;
        let mut bytes = LISTING_FORMAT.to_le_bytes().to_vec();
        bytes.extend_from_slice(&count_written.to_le_bytes());
        for entry in &self.entries {
            let encoded = codec::encode(entry);
            let len = u16::try_from(encoded.len()).map_err(|_| ListingError::TooLong)?;
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(&encoded);
            if bytes.len() as u64 > LISTING_BYTES_MAX {
                return Err(ListingError::TooLong);
            }
        }
        Ok(bytes)
    }

    fn check(&self) -> Result<(), ListingError> {
        if self.entries.len() > TREE_ENTRIES_MAX {
            return Err(ListingError::TooManyEntries { count: self.entries.len() });
        }
        self.entries.iter().try_for_each(check_entry)?;
        for pair in self.entries.windows(2) {
            let path = || pair[1].path.clone();
            match pair[0].path.cmp(&pair[1].path) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(ListingError::Duplicate { path: path() }),
                std::cmp::Ordering::Greater => return Err(ListingError::NotSorted { path: path() }),
            }
        }
        let mut bytes_total = 0u64;
        for entry in &self.entries {
            if let EntryKind::File { size_bytes, .. } = entry.kind {
                bytes_total = bytes_total.checked_add(size_bytes).ok_or(ListingError::TreeTooLarge)?;
            }
        }
        if bytes_total > TREE_BYTES_MAX {
            return Err(ListingError::TreeTooLarge);
        }
        check_meetings(&self.entries)
    }
}

fn decode_entry(bytes: &[u8]) -> Result<(TreeEntry, &[u8]), ListingError> {
    let (len, rest) = bytes.split_first_chunk::<2>().ok_or(ListingError::WrongLength)?;
    let (encoded, later) =
        rest.split_at_checked(usize::from(u16::from_le_bytes(*len))).ok_or(ListingError::WrongLength)?;
    let entry: TreeEntry = codec::decode::<_, ENTRY_DECODED_BYTES_MAX>(encoded)?;
    if codec::encode(&entry) != encoded {
        return Err(ListingError::NotCanonical);
    }
    Ok((entry, later))
}

/// Checks what can be checked of one entry by itself.
fn check_entry(entry: &TreeEntry) -> Result<(), ListingError> {
    let path = || entry.path.clone();
    check_path(&entry.path).map_err(|source| ListingError::Path { path: path(), source })?;
    match &entry.kind {
        EntryKind::File { mode, .. } | EntryKind::Directory { mode } if *mode > MODE_MAX => {
            Err(ListingError::Mode { path: path() })
        }
        EntryKind::Symlink { target } => {
            check_link_target(&entry.path, target).map_err(|source| ListingError::Target { path: path(), source })
        }
        _ => Ok(()),
    }
}

/// Checks that no two paths are the same to a system that ignores case, and that what lies above an entry is a folder.
///
/// In the order of their folded components whatever lies in one folder stands together, its own entry first. So two that
/// meet have neighbours that meet, and memory grows with the paths' bytes and not with how deep they are.
fn check_meetings(entries: &[TreeEntry]) -> Result<(), ListingError> {
    let mut folded: Vec<(String, &TreeEntry)> = entries.iter().map(|entry| (fold(&entry.path), entry)).collect();
    folded.sort_unstable_by(|(one, _), (other, _)| one.split('/').cmp(other.split('/')));
    folded.windows(2).try_for_each(|pair| check_neighbours(&pair[0], &pair[1]))
}

/// Checks an entry against the one before it; both with their folded paths.
fn check_neighbours(
    (folded, entry): &(String, &TreeEntry),
    (folded_next, next): &(String, &TreeEntry),
) -> Result<(), ListingError> {
    let common = folded.split('/').zip(folded_next.split('/')).take_while(|(one, other)| one == other).count();
    let (above, above_next) = (first_components(&entry.path, common), first_components(&next.path, common));
    if above != above_next {
        return Err(ListingError::CaseCollision { path: above_next.to_owned(), other: above.to_owned() });
    }
    if common < folded.split('/').count() {
        return Ok(());
    }
    match entry.kind {
        EntryKind::File { .. } => Err(ListingError::FileAsFolder { path: next.path.clone() }),
        EntryKind::Symlink { .. } => Err(ListingError::ThroughLink { path: next.path.clone() }),
        EntryKind::Directory { .. } => Ok(()),
    }
}

/// The first so many components of a path.
fn first_components(path: &str, count: usize) -> &str {
    match count {
        0 => "",
        _ => path.match_indices('/').nth(count - 1).map_or(path, |(end, _)| &path[..end]),
    }
}

/// The path as a system that ignores case sees it. Through upper case first, so that ß meets ẞ and ſ meets s.
fn fold(path: &str) -> String {
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.to_uppercase().to_lowercase() }
}

#[cfg(test)]
mod tests;
