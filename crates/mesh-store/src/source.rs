//! The payload's way out: reads a span's chunks and gives only bytes that were just verified.

use std::io;
use std::sync::Arc;

use mesh_chunk::{Layout, chunk_id};
use mesh_proto::ChunkRange;
use mesh_proto::payload::{PayloadSource, SourceError, SpanAddress};

use crate::content::{Content, Opened, Reception};
use crate::engine::Engine;
use crate::space::Space;

/// Where chunks and bytes come from.
enum From {
    Complete(Arc<Opened>),
    Partial(Arc<Reception>, Arc<Space>),
}

/// The source of one span.
pub struct Source {
    store: Arc<Engine>,
    content: Arc<Content>,
    from: From,
    chunks: ChunkRange,
    next: u32,
    /// One verified chunk, and how much of it was given.
    buffer: Vec<u8>,
    given: usize,
    skip: usize,
}

/// Opens a source. The chunks must be here; of a file the identity is looked at first.
pub fn open(store: &Arc<Engine>, span: SpanAddress) -> Result<Source, SourceError> {
    let content = store.content(span.content).ok_or(SourceError::NotHeld)?;
    let reception = content.reception.read().clone();
    let from = match reception {
        Some(reception) => {
            if !reception.progress.lock().have.contains_range(span.chunks) {
                return Err(SourceError::NotHeld);
            }
            let space = reception.space.read().clone().ok_or(SourceError::NotHeld)?;
            From::Partial(reception, space)
        }
        None => {
            store.check_identity(&content)?;
            let opened = store.opened(&content).map_err(|error| {
                store.check_manifest(content.id);
                let path = content.record.read().stored.path.clone();
                SourceError::Io { path, why: error.to_string() }
            })?;
            if span.chunks.end() > opened.layout.chunk_count() {
                return Err(SourceError::NotHeld);
            }
            From::Complete(opened)
        }
    };
    Ok(Source {
        store: store.clone(),
        content,
        from,
        chunks: span.chunks,
        next: span.chunks.start,
        buffer: Vec::new(),
        given: 0,
        skip: span.skip_bytes as usize,
    })
}

fn read_chunk(layout: &Layout, space: &Space, chunk: u32, buffer: &mut [u8]) -> io::Result<bool> {
    let (Some(entry), Some(offset)) = (layout.chunk(chunk), layout.offset_of(chunk)) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the manifest does not reach so far"));
    };
    space.read_at(buffer, offset)?;
    Ok(chunk_id(buffer) == entry.id)
}

impl Source {
    fn length(&self, chunk: u32) -> Option<usize> {
        let length = match &self.from {
            From::Complete(opened) => opened.layout.length(chunk),
            From::Partial(reception, _) => reception.layout.read().length(chunk),
        };
        length.map(|length| length as usize)
    }

    fn read_verified(&self, chunk: u32, buffer: &mut [u8]) -> Result<(), SourceError> {
        let good = match &self.from {
            From::Complete(opened) => read_chunk(&opened.layout, &opened.space, chunk, buffer),
            From::Partial(reception, space) => read_chunk(&reception.layout.read(), space, chunk, buffer),
        };
        let path = self.content.record.read().stored.path.clone();
        match good {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.store.report_changed(&self.content, format!("{path} is no longer what was shared"));
                Err(SourceError::Changed { path })
            }
            Err(error) => {
                self.store.report_away(&self.content, format!("{path} can't be read: {error}"));
                Err(SourceError::Io { path, why: error.to_string() })
            }
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.store.chunk_buffers.give(std::mem::take(&mut self.buffer));
    }
}

impl PayloadSource for Source {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, SourceError> {
        let mut filled = 0;
        while filled < out.len() {
            if self.given < self.buffer.len() {
                let count = (self.buffer.len() - self.given).min(out.len() - filled);
                out[filled..filled + count].copy_from_slice(&self.buffer[self.given..self.given + count]);
                self.given += count;
                filled += count;
                continue;
            }
            if self.next >= self.chunks.end() {
                break;
            }
            let length = self.length(self.next).ok_or(SourceError::NotHeld)?;
            let skip = std::mem::take(&mut self.skip).min(length);
            if skip == 0 && length <= out.len() - filled {
                // The whole chunk fits: no detour.
                self.read_verified(self.next, &mut out[filled..filled + length])?;
                filled += length;
            } else {
                let mut buffer = std::mem::take(&mut self.buffer);
                if buffer.capacity() < length {
                    self.store.chunk_buffers.give(buffer);
                    buffer = self.store.chunk_buffers.take(length);
                }
                buffer.resize(length, 0);
                self.read_verified(self.next, &mut buffer)?;
                (self.buffer, self.given) = (buffer, skip);
            }
            self.next += 1;
        }
        Ok(filled)
    }
}
