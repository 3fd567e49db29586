//! A batch of bytes that were read, and of the chunks they were cut into.

use std::io;

use mesh_chunk::Cutter;

use super::parts::Parts;

/// Bytes read at once, and then cut while they are near the processor.
const READ_BYTES: usize = 1 << 20;
/// Bytes of a batch, beside those carried over from the one before.
const BATCH_BYTES: usize = 8 << 20;

/// Bytes in sequence, the chunks among them, and the beginning of one that ends in the next batch.
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// So many of them are read.
    filled: usize,
    /// Where chunks end.
    ends: Vec<usize>,
}

impl Batch {
    /// An empty one, for chunks no longer than this.
    pub(super) fn new(chunk_bytes_max: u32) -> Self {
        Self { bytes: vec![0; BATCH_BYTES + chunk_bytes_max as usize], filled: 0, ends: Vec::new() }
    }

    /// The bytes of whole chunks.
    pub(super) fn cut(&self) -> &[u8] {
        &self.bytes[..self.ends.last().copied().unwrap_or(0)]
    }

    /// The bytes after them.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.cut().len()..self.filled]
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }

    /// Begins anew, with what another had after its chunks.
    pub(super) fn begin_with(&mut self, rest: &[u8]) {
        self.bytes[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        self.ends.clear();
    }

    /// Reads and cuts until there is no room for another read, or no more to read; says whether that is so.
    pub(super) fn fill(
        &mut self,
        source: &mut Parts<'_>,
        cutter: &mut Cutter,
        on_read: &mut dyn FnMut(usize) -> io::Result<()>,
    ) -> io::Result<bool> {
        while self.filled + READ_BYTES <= self.bytes.len() {
            let read = source.fill(&mut self.bytes[self.filled..self.filled + READ_BYTES])?;
            on_read(read)?;
            self.filled += read;
            let ended = read < READ_BYTES;
            while let Some(length) = cutter.next_cut(self.rest(), ended) {
                self.ends.push(self.cut().len() + length);
            }
            if ended {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
