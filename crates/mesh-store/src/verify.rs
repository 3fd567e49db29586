//! Hashing again what is held.

use mesh_chunk::chunk_id;
use mesh_proto::{ChunkRange, ChunkSet};

use crate::content::Opened;

/// The chunks that are as they should be. `on_bytes` is told how far it is and stops it by returning `false`.
pub fn good_chunks(opened: &Opened, on_bytes: &mut dyn FnMut(u64) -> bool) -> ChunkSet {
    let mut good = ChunkSet::new();
    let mut buffer = Vec::new();
    let mut offset = 0;
    for chunk in 0..opened.layout.chunk_count() {
        let Some(entry) = opened.layout.chunk(chunk) else { continue };
        buffer.resize(entry.length as usize, 0);
        if opened.space.read_at(&mut buffer, offset).is_ok() && chunk_id(&buffer) == entry.id {
            good.insert(ChunkRange { start: chunk, count: 1 });
        }
        offset += u64::from(entry.length);
        if !on_bytes(offset) {
            break;
        }
    }
    good
}
