//! Memory for single chunks: those that came in part, and those that are given in parts.
//!
//! A few large buffers are used again and again. Each is filled by another thread, and the system's allocator keeps for
//! each thread what it gave back: with chunks of 16 MiB that would be much more than what is in use.

use mesh_proto::limits::{CHUNK_BUFFERS_SPARE_MAX, CHUNK_BYTES_MAX};
use parking_lot::Mutex;

/// What is shorter is left to the allocator.
const LARGE_BYTES: usize = 1 << 20;

/// The buffers that nobody uses now.
#[derive(Debug, Default)]
pub struct ChunkBuffers {
    spare: Mutex<Vec<Vec<u8>>>,
}

impl ChunkBuffers {
    /// An empty buffer with room for so many bytes; no memory is used before they are written.
    pub fn take(&self, bytes: usize) -> Vec<u8> {
        let mut buffer = if bytes < LARGE_BYTES { Vec::new() } else { self.spare.lock().pop().unwrap_or_default() };
        buffer.clear();
        buffer.reserve_exact(bytes);
        buffer
    }

    /// Takes one back.
    pub fn give(&self, buffer: Vec<u8>) {
        if (LARGE_BYTES..=CHUNK_BYTES_MAX as usize).contains(&buffer.capacity()) {
            let mut spare = self.spare.lock();
            if spare.len() < CHUNK_BUFFERS_SPARE_MAX {
                spare.push(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_is_used_again_and_a_small_one_is_not() {
        let buffers = ChunkBuffers::default();
        let mut large = buffers.take(3 * LARGE_BYTES);
        large.push(1);
        let place = large.as_ptr();
        buffers.give(large);
        let small = buffers.take(10);
        assert_ne!(small.as_ptr(), place);
        let again = buffers.take(2 * LARGE_BYTES);
        assert_eq!((again.as_ptr(), again.len()), (place, 0), "and it is empty");
    }

    #[test]
    fn few_are_kept() {
        let buffers = ChunkBuffers::default();
        let all: Vec<Vec<u8>> = (0..CHUNK_BUFFERS_SPARE_MAX + 3).map(|_| buffers.take(LARGE_BYTES)).collect();
        all.into_iter().for_each(|buffer| buffers.give(buffer));
        assert_eq!(buffers.spare.lock().len(), CHUNK_BUFFERS_SPARE_MAX);
    }
}
