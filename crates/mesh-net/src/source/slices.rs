//! Memory for slices on their way to peers, bounded over all connections.
//!
//! A slice up to a certain length can always be had; the longer ones share a fixed number of buffers. When those are in
//! use, because many peers fetch at full speed or some do not read, slices are short and nobody waits for another.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use mesh_proto::limits::{LARGE_SLICES_OUT_MAX, SHORT_SLICE_BYTES_MAX, SLICE_BYTES_MAX};

use super::core::HEAD_ROOM;
use crate::routes::lock;

/// Large buffers kept when nobody needs them, so that a fast stream takes no new memory for each slice.
const SPARE_MAX: usize = 4;

/// All large buffers. Locked for single steps only.
#[derive(Default)]
pub(crate) struct SliceBuffers {
    large: Mutex<Large>,
}

#[derive(Default)]
struct Large {
    in_use: usize,
    spare: Vec<Vec<u8>>,
}

/// Room for one slice and what is written around it. Its old bytes may still be in it.
pub(super) struct SliceBuffer {
    bytes: Vec<u8>,
    /// Where a large one is given back to.
    home: Option<Arc<SliceBuffers>>,
}

impl SliceBuffers {
    /// Room for as much of `payload_bytes` as can be had now.
    pub(super) fn take(self: &Arc<Self>, payload_bytes: usize) -> SliceBuffer {
        let large = if payload_bytes > SHORT_SLICE_BYTES_MAX { self.take_large() } else { None };
        match large {
            Some(bytes) => SliceBuffer { bytes, home: Some(Arc::clone(self)) },
            None => SliceBuffer { bytes: vec![0; room(payload_bytes.min(SHORT_SLICE_BYTES_MAX))], home: None },
        }
    }

    fn take_large(&self) -> Option<Vec<u8>> {
        let mut large = lock(&self.large);
        if large.in_use >= LARGE_SLICES_OUT_MAX {
            return None;
        }
        large.in_use += 1;
        let spare = large.spare.pop();
        drop(large);
        Some(spare.unwrap_or_else(|| vec![0; room(SLICE_BYTES_MAX)]))
    }

    fn give_back(&self, bytes: Vec<u8>) {
        let mut large = lock(&self.large);
        large.in_use -= 1;
        if large.spare.len() < SPARE_MAX {
            large.spare.push(bytes);
        }
    }
}

fn room(payload_bytes: usize) -> usize {
    HEAD_ROOM + payload_bytes + HEAD_ROOM
}

impl SliceBuffer {
    /// How much payload fits.
    pub(super) fn payload_room(&self) -> usize {
        self.bytes.len() - 2 * HEAD_ROOM
    }
}

impl Deref for SliceBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for SliceBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for SliceBuffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_short_when_all_large_buffers_are_out() {
        let buffers = Arc::new(SliceBuffers::default());
        let mut out: Vec<SliceBuffer> = (0..LARGE_SLICES_OUT_MAX).map(|_| buffers.take(SLICE_BYTES_MAX)).collect();
        assert!(out.iter().all(|buffer| buffer.payload_room() == SLICE_BYTES_MAX));
        assert_eq!(buffers.take(SLICE_BYTES_MAX).payload_room(), SHORT_SLICE_BYTES_MAX);
        assert_eq!(buffers.take(100).payload_room(), 100);
        out.pop();
        assert_eq!(buffers.take(SLICE_BYTES_MAX).payload_room(), SLICE_BYTES_MAX);
        drop(out);
        let large = lock(&buffers.large);
        assert_eq!((large.in_use, large.spare.len()), (0, SPARE_MAX));
    }
}
