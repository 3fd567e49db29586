//! How bytes get their names: BLAKE3, unkeyed, over the bytes as they stand.
//!
//! Invariant: whoever holds the bytes can work out the name with any BLAKE3 tool; what kind of thing a name belongs to
//! is in its type only.

use mesh_proto::{ChunkId, ContentId, PageId};

/// The name of a chunk.
#[must_use]
pub fn chunk_id(bytes: &[u8]) -> ChunkId {
    ChunkId(blake3::hash(bytes).into())
}

/// The name of an encoded manifest page.
#[must_use]
pub fn page_id(bytes: &[u8]) -> PageId {
    PageId(blake3::hash(bytes).into())
}

/// The name of a content, from its encoded manifest root.
#[must_use]
pub fn content_id(root_bytes: &[u8]) -> ContentId {
    ContentId(blake3::hash(root_bytes).into())
}

/// The hash of a whole file, equal to what `b3sum` prints, taken in as the file is read.
#[derive(Debug, Clone, Default)]
pub struct FileHasher(blake3::Hasher);

impl FileHasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes in. Large slices are faster: BLAKE3 works on many blocks at once.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_names_are_plain_blake3() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(chunk_id(b"").to_string(), empty);
        assert_eq!(page_id(b"").to_string(), empty);
        assert_eq!(content_id(b"").to_string(), empty);
        assert_eq!(ChunkId(FileHasher::new().finish()).to_string(), empty);
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..4096), at in 0usize..4096) {
            let at = at.min(bytes.len());
            let mut hasher = FileHasher::new();
            hasher.update(&bytes[..at]);
            hasher.update(&bytes[at..]);
            prop_assert_eq!(ChunkId(hasher.finish()), chunk_id(&bytes));
        }
    }
}
