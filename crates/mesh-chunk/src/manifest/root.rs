//! The root of a manifest: what its hash, the content's name, stands for.
//!
//! Invariant: a [`Root`] that [`Root::decode`] gives out has parameters, a format and a cipher that this program knows,
//! and entries that add up to its totals. It holds nothing that differs between two holders of the same bytes.

use bincode::{Decode, Encode};
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::LISTING_BYTES_MAX;
use mesh_proto::{ContentId, codec};

use super::page::{Sums, check_len};
use super::{ManifestError, PAGE_DECODED_BYTES_MAX, PageBody};
use crate::hash::content_id;
use crate::parameters::ChunkParameters;

/// The format this program writes, and the only one it reads.
pub const FORMAT: u16 = 1;
/// The cipher number of contents that are not encrypted.
pub const CIPHER_NONE: u8 = 0;

/// What a content's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum RootKind {
    /// The bytes of one file.
    File,
    /// A listing, then the bytes of its files.
    Tree {
        /// How many of the content's first bytes are the listing.
        listing_bytes: u64,
    },
}

/// The root of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Root {
    /// The format of root and pages.
    pub format: u16,
    /// What the bytes are.
    pub kind: RootKind,
    /// How the chunks are encrypted; 0 = not at all.
    pub cipher: u8,
    /// How the bytes were cut.
    pub parameters: ChunkParameters,
    /// Chunks in all.
    pub chunk_count: u32,
    /// Bytes in all, a tree's listing included.
    pub total_bytes: u64,
    /// The BLAKE3 hash of all bytes: of a file, what `b3sum` prints.
    pub whole_hash: [u8; 32],
    /// The chunks, or the pages that list them.
    pub body: PageBody,
    /// Room for later versions.
    pub extensions: Extensions,
}

impl Root {
    /// Decodes the root of the content `id` and checks all that can be checked without its pages.
    ///
    /// # Errors
    /// [`ManifestError`] if the bytes are not that root, break a rule, or need a newer program.
    pub fn decode(bytes: &[u8], id: &ContentId) -> Result<Self, ManifestError> {
        check_len(bytes)?;
        if content_id(bytes) != *id {
            return Err(ManifestError::WrongHash);
        }
        // The format stands first, so that a later one is told from a malformed one whatever follows it.
        match bytes.first() {
            Some(&first) if first < 251 && u16::from(first) != FORMAT => {
                return Err(ManifestError::UnknownFormat { format: u16::from(first) });
            }
            _ => {}
        }
        let root: Self = codec::decode::<_, PAGE_DECODED_BYTES_MAX>(bytes)?;
        if codec::encode(&root) != bytes {
            return Err(ManifestError::NotCanonical);
        }
        root.check()?;
        Ok(root)
    }

    /// The root as bytes; their hash is the content's name.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.format != FORMAT {
            return Err(ManifestError::UnknownFormat { format: self.format });
        }
        if self.cipher != CIPHER_NONE {
            return Err(ManifestError::UnknownCipher { cipher: self.cipher });
        }
        self.parameters.check()?;
        self.extensions.check()?;
        if let Some(number) = self.extensions.first_required() {
            return Err(ManifestError::UnknownExtension { number });
        }
        self.body.check()?;
        if self.body.sums()? != (Sums { chunks: self.chunk_count, bytes: self.total_bytes }) {
            return Err(ManifestError::WrongSum);
        }
        match self.kind {
            RootKind::Tree { listing_bytes } if listing_bytes > self.total_bytes.min(LISTING_BYTES_MAX) => {
                Err(ManifestError::ListingTooLong)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_data::entries;
    use mesh_proto::extensions::Extension;
    use proptest::prelude::*;

    fn root(count: usize) -> Root {
        let entries = entries(1, count);
        Root {
            format: FORMAT,
            kind: RootKind::File,
            cipher: CIPHER_NONE,
            parameters: ChunkParameters::for_size(0),
            chunk_count: count as u32,
            total_bytes: entries.iter().map(|entry| u64::from(entry.length)).sum(),
            whole_hash: [9; 32],
            body: PageBody::Leaf(entries),
            extensions: Extensions::default(),
        }
    }

    fn decode(root: &Root) -> Result<Root, ManifestError> {
        let bytes = root.encode();
        Root::decode(&bytes, &content_id(&bytes))
    }

    fn with(change: impl FnOnce(&mut Root)) -> Result<Root, ManifestError> {
        let mut changed = root(3);
        change(&mut changed);
        decode(&changed)
    }

    fn extension(number: u16, len: usize) -> Extensions {
        Extensions(vec![Extension { number, body: vec![0; len] }])
    }

    #[test]
    fn good_roots_decode() {
        for count in [0, 1, 1024] {
            assert_eq!(decode(&root(count)).ok(), Some(root(count)));
        }
        assert!(with(|root| root.extensions = extension(2, 4096)).is_ok());
        assert!(with(|root| root.kind = RootKind::Tree { listing_bytes: root.total_bytes }).is_ok());
    }

    #[test]
    fn each_broken_rule_is_refused_by_name() {
        assert!(matches!(Root::decode(&root(1).encode(), &ContentId([0; 32])), Err(ManifestError::WrongHash)));
        assert!(matches!(with(|root| root.format = 2), Err(ManifestError::UnknownFormat { format: 2 })));
        assert!(matches!(with(|root| root.format = 999), Err(ManifestError::UnknownFormat { format: 999 })));
        assert!(matches!(with(|root| root.cipher = 1), Err(ManifestError::UnknownCipher { cipher: 1 })));
        assert!(matches!(with(|root| root.chunk_count = 4), Err(ManifestError::WrongSum)));
        assert!(matches!(with(|root| root.total_bytes += 1), Err(ManifestError::WrongSum)));
        assert!(matches!(with(|root| root.extensions = extension(3, 0)), Err(ManifestError::UnknownExtension { .. })));
        assert!(matches!(with(|root| root.extensions = extension(2, 4097)), Err(ManifestError::Malformed(_))));
        let too_long = |root: &mut Root| root.kind = RootKind::Tree { listing_bytes: root.total_bytes + 1 };
        assert!(matches!(with(too_long), Err(ManifestError::ListingTooLong)));
        assert!(matches!(decode(&root(1025)), Err(ManifestError::TooManyEntries { .. })));
        let average = |root: &mut Root| root.parameters = codec::decode::<_, 16>(&[3]).expect("a number");
        assert!(matches!(with(average), Err(ManifestError::Parameters(_))));
    }

    #[test]
    fn bytes_behind_the_root_are_refused() {
        let mut bytes = root(2).encode();
        bytes.push(0);
        assert!(matches!(Root::decode(&bytes, &content_id(&bytes)), Err(ManifestError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
            bytes[0] = 1;
            let _ = Root::decode(&bytes, &content_id(&bytes));
        }

        #[test]
        fn damaged_roots_decode_or_fail_without_panic(at in any::<usize>(), value in any::<u8>()) {
            let mut bytes = root(5).encode();
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = Root::decode(&bytes, &content_id(&bytes));
        }
    }
}
