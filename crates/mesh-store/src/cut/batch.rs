//! A batch of bytes that were read, and of the chunks they were cut into.

use std::io;

use mesh_chunk::Cutter;

use super::parts::Parts;

/// Bytes read at once, and then cut while they are near the processor.
const READ_BYTES: u64 = 1 << 20;
/// No fewer, also of a file that seems to be empty: it may be one that does not know its size.
const READ_BYTES_MIN: u64 = 64 << 10;
/// Bytes of a batch, beside those carried over from the one before.
const BATCH_BYTES: usize = 8 << 20;

/// Bytes in sequence, the chunks among them, and the beginning of one that ends in the next batch.
pub(super) struct Batch {
    /// Grows as bytes are read: small files need none of the room.
    bytes: Vec<u8>,
    room: usize,
    read_bytes: usize,
    /// So many of them are read.
    filled: usize,
    /// Where chunks end.
    ends: Vec<usize>,
}

impl Batch {
    /// An empty one, for chunks no longer than this and `total_bytes` in all batches.
    pub(super) fn new(chunk_bytes_max: u32, total_bytes: u64) -> Self {
        // One more, to see that there is none.
        let read_bytes = total_bytes.saturating_add(1).clamp(READ_BYTES_MIN, READ_BYTES) as usize;
        let room = BATCH_BYTES + chunk_bytes_max as usize;
        Self { bytes: Vec::new(), room, read_bytes, filled: 0, ends: Vec::new() }
    }

    /// Makes the first `count` bytes usable.
    fn grow(&mut self, count: usize) {
        if self.bytes.capacity() == 0 {
            self.bytes.reserve_exact(self.room);
        }
        if self.bytes.len() < count {
            self.bytes.resize(count, 0);
        }
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
        self.grow(rest.len());
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
        while self.filled + self.read_bytes <= self.room {
            self.grow(self.filled + self.read_bytes);
            let read = source.fill(&mut self.bytes[self.filled..self.filled + self.read_bytes])?;
            on_read(read)?;
            self.filled += read;
            let ended = read < self.read_bytes;
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
