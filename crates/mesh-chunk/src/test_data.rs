//! Bytes and entries for tests, the same on every run and machine.

use crate::hash::chunk_id;
use crate::manifest::ChunkEntry;

/// The next number of an xorshift sequence.
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// `len` bytes that look random.
pub(crate) fn pseudo_random(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&next_random(&mut state).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// `count` entries of different names and lengths.
pub(crate) fn entries(seed: u64, count: usize) -> Vec<ChunkEntry> {
    (0..count as u64)
        .map(|number| {
            let id = chunk_id(&[seed.to_le_bytes(), number.to_le_bytes()].concat());
            ChunkEntry { id, length: 1 + u32::from(u16::from_le_bytes([id.0[0], id.0[1]])) }
        })
        .collect()
}
