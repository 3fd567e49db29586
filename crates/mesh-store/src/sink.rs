//! The payload's way in: gathers chunks, verifies each, and writes the good ones to their place.

use std::io;
use std::sync::Arc;

use mesh_chunk::chunk_id;
use mesh_proto::ChunkRange;
use mesh_proto::payload::{PayloadSink, SinkError, SinkProgress, SpanAddress};
use mesh_proto::planted::Defect;

use crate::content::Reception;
use crate::disk::is_no_space;
use crate::engine::Engine;
use crate::pieces;

/// The sink of one span.
pub struct Sink {
    store: Arc<Engine>,
    reception: Arc<Reception>,
    chunks: ChunkRange,
    next: u32,
    partial: Vec<u8>,
    progress: SinkProgress,
    failed: bool,
}

/// Opens a sink. Bytes kept aside of the first chunk go before what will be written.
pub fn open(store: &Arc<Engine>, span: SpanAddress) -> Result<Sink, SinkError> {
    let content = store.content(span.content).ok_or(SinkError::NotOpen)?;
    let reception = content.reception.read().clone().ok_or(SinkError::NotOpen)?;
    if reception.layout.read().bytes_of(span.chunks).is_none() {
        return Err(SinkError::NotOpen);
    }
    let skip = span.skip_bytes as usize;
    let mut partial = Vec::new();
    if skip > 0 {
        let mut progress = reception.progress.lock();
        let kept = progress.aside.remove(&span.chunks.start).unwrap_or_default();
        if kept.len() < skip {
            return Err(SinkError::NotOpen);
        }
        let length = reception.layout.read().length(span.chunks.start).ok_or(SinkError::NotOpen)?;
        partial = store.chunk_buffers.take(length as usize);
        partial.extend_from_slice(&kept[..skip]);
    }
    Ok(Sink {
        store: store.clone(),
        reception,
        chunks: span.chunks,
        next: span.chunks.start,
        partial,
        progress: SinkProgress::default(),
        failed: false,
    })
}

/// Consecutive verified chunks that lie in one place in memory.
struct Run<'a> {
    chunks: ChunkRange,
    offset: u64,
    bytes: &'a [u8],
}

impl Sink {
    fn length(&self, chunk: u32) -> Result<usize, SinkError> {
        let length = self.reception.layout.read().length(chunk).ok_or(SinkError::NotOpen)?;
        Ok(length as usize)
    }

    fn is_good(&self, chunk: u32, bytes: &[u8]) -> bool {
        let entry = self.reception.layout.read().chunk(chunk);
        entry.is_some_and(|entry| chunk_id(bytes) == entry.id || self.store.planted.is(Defect::SkipVerification))
    }

    /// Finishes the chunk begun earlier, if `bytes` reach so far; returns what is left of them.
    fn take_partial<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], SinkError> {
        if self.partial.is_empty() {
            return Ok(bytes);
        }
        let length = self.length(self.next)?;
        let missing = length.saturating_sub(self.partial.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(missing);
        self.partial.extend_from_slice(head);
        if self.partial.len() == length {
            let chunk = std::mem::take(&mut self.partial);
            if !self.is_good(self.next, &chunk) {
                return Err(SinkError::Mismatch { chunk: self.next });
            }
            let offset = self.reception.layout.read().offset_of(self.next).ok_or(SinkError::NotOpen)?;
            let chunks = ChunkRange { start: self.next, count: 1 };
            self.write_run(&Run { chunks, offset, bytes: &chunk })?;
            self.store.chunk_buffers.give(chunk);
            self.next += 1;
        }
        Ok(rest)
    }

    /// Verifies whole chunks at the head of `bytes` and writes them at once; returns what is left.
    fn take_whole<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], SinkError> {
        let start = self.next;
        let (mut at, mut mismatch) = (0, None);
        while self.next < self.chunks.end() {
            let length = self.length(self.next)?;
            let Some(chunk) = bytes.get(at..at + length) else { break };
            if !self.is_good(self.next, chunk) {
                mismatch = Some(self.next);
                break;
            }
            at += length;
            self.next += 1;
        }
        if self.next > start {
            let offset = self.reception.layout.read().offset_of(start).ok_or(SinkError::NotOpen)?;
            let chunks = ChunkRange { start, count: self.next - start };
            self.write_run(&Run { chunks, offset, bytes: &bytes[..at] })?;
        }
        match mismatch {
            Some(chunk) => Err(SinkError::Mismatch { chunk }),
            None => Ok(&bytes[at..]),
        }
    }

    fn write_run(&mut self, run: &Run<'_>) -> Result<(), SinkError> {
        let reception = self.reception.clone();
        let _writing = reception.writing.read();
        let (closed, sync_failed) = {
            let progress = reception.progress.lock();
            (progress.closed, progress.sync_failed)
        };
        if closed {
            return Err(SinkError::NotOpen);
        }
        if sync_failed {
            return Err(self.io_error(&io::Error::other("what was written could not be synced")));
        }
        let space = self.reception.space.read().clone();
        if let Some(space) = space {
            space.write_at(run.bytes, run.offset).map_err(|error| self.io_error(&error))?;
        } else {
            pieces::gather_listing(&self.store, &self.reception, run.offset, run.bytes)?;
        }
        let mut progress = reception.progress.lock();
        progress.have.insert(run.chunks);
        progress.unsynced_bytes += run.bytes.len() as u64;
        let unsynced_bytes = progress.unsynced_bytes;
        if progress.prefix_bytes == run.offset {
            progress.prefix.update(run.bytes);
            progress.prefix_bytes += run.bytes.len() as u64;
        }
        drop(progress);
        self.progress.chunks_verified += run.chunks.count;
        self.progress.bytes_verified += run.bytes.len() as u64;
        self.store.pace.note(unsynced_bytes);
        Ok(())
    }

    fn io_error(&self, error: &io::Error) -> SinkError {
        let path = self.reception.partial.to_string_lossy().into_owned();
        match is_no_space(error) {
            true => SinkError::NoSpace { path },
            false => SinkError::Io { path, why: error.to_string() },
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        let rest = self.take_partial(bytes)?;
        let rest = if self.partial.is_empty() { self.take_whole(rest)? } else { rest };
        if rest.is_empty() {
            return Ok(());
        }
        if self.next >= self.chunks.end() {
            return Err(SinkError::TooMany);
        }
        if self.partial.is_empty() {
            self.partial = self.store.chunk_buffers.take(self.length(self.next)?);
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.store.chunk_buffers.give(std::mem::take(&mut self.partial));
    }
}

impl PayloadSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<SinkProgress, SinkError> {
        if self.failed {
            return Err(SinkError::NotOpen);
        }
        if let Err(error) = self.take(bytes) {
            self.failed = true;
            self.partial.clear();
            return Err(error);
        }
        Ok(self.progress)
    }

    fn set_aside(self: Box<Self>) -> u32 {
        if self.failed || self.partial.is_empty() || self.next >= self.chunks.end() {
            return 0;
        }
        let count = u32::try_from(self.partial.len()).unwrap_or(0);
        pieces::keep_aside(&self.store, &self.reception, self.next, self.partial.clone());
        count
    }
}
