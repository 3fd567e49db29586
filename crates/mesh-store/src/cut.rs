//! Reading bytes in sequence, cutting and hashing them, and writing their manifest.
//!
//! Two threads: one reads, cuts and names chunks, the other hashes the whole. Memory is a few read buffers whatever the
//! size.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use mesh_chunk::{ChunkEntry, Cutter, FileHasher, ManifestBuilder, RootKind, chunk_id};
use mesh_proto::ContentId;

use crate::disk::{Access, Disk, DiskFile};
use crate::engine::Engine;
use crate::manifests::NewManifest;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Buffers on their way to the second thread.
const BUFFERS_MAX: usize = 8;

/// Told how many bytes are done; returns `false` to stop.
pub type OnBytes<'a> = &'a mut dyn FnMut(u64) -> bool;

/// Something to read in sequence.
pub enum Part {
    /// Bytes at hand.
    Bytes(Vec<u8>),
    /// A file, opened when its turn comes.
    Path(PathBuf),
}

/// Reads parts one after the other.
struct Parts<'a> {
    disk: &'a dyn Disk,
    rest: std::vec::IntoIter<Part>,
    current: Option<Current>,
    at: u64,
}

enum Current {
    Bytes(Vec<u8>),
    File(Arc<dyn DiskFile>),
}

impl Parts<'_> {
    /// Fills `buffer`; less only at the end.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let count = match &self.current {
                None => 0,
                Some(Current::File(file)) => file.read_some_at(rest, self.at)?,
                Some(Current::Bytes(bytes)) => {
                    let left = &bytes[usize::try_from(self.at).map_err(io::Error::other)?..];
                    let count = left.len().min(rest.len());
                    rest[..count].copy_from_slice(&left[..count]);
                    count
                }
            };
            (filled, self.at) = (filled + count, self.at + count as u64);
            if count == 0 {
                self.at = 0;
                self.current = match self.rest.next() {
                    None => return Ok(filled),
                    Some(Part::Bytes(bytes)) => Some(Current::Bytes(bytes)),
                    Some(Part::Path(path)) => Some(Current::File(self.disk.open(&path, Access::Read)?)),
                };
            }
        }
        Ok(filled)
    }
}

/// A content that was read but has no name yet. Its manifest goes away with it unless it is kept.
pub struct Unnamed<'a> {
    store: &'a Engine,
    builder: Option<ManifestBuilder>,
    manifest: NewManifest,
    whole_hash: [u8; 32],
    /// Bytes read.
    pub total_bytes: u64,
    /// When reading began, by the disk's clock.
    pub begun_ns: i64,
}

/// A content whose manifest is kept.
pub struct Named {
    /// Its name.
    pub id: ContentId,
    /// Its chunks.
    pub chunk_count: u32,
    /// Its bytes.
    pub total_bytes: u64,
    /// The hash of all bytes.
    pub whole_hash: [u8; 32],
}

impl Unnamed<'_> {
    /// Ends the manifest and keeps it durably under the content's name.
    pub fn keep(mut self, kind: RootKind) -> io::Result<Named> {
        let builder = self.builder.take().ok_or_else(|| io::Error::other("kept twice"))?;
        let built = builder.finish(kind, self.whole_hash);
        let last = built.pages.iter().map(|page| page.bytes.as_slice());
        last.chain([built.root_bytes.as_slice()]).try_for_each(|page| self.manifest.push(page))?;
        self.store.manifests.keep(built.id, &self.manifest)?;
        let (total_bytes, whole_hash) = (self.total_bytes, self.whole_hash);
        Ok(Named { id: built.id, chunk_count: built.root.chunk_count, total_bytes, whole_hash })
    }
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        // Nothing is there under this name if it was kept.
        let _ = self.store.disk.remove_file(&self.manifest.path);
    }
}

/// Reads all of `parts`.
pub fn cut<'a>(
    store: &'a Engine,
    parts: Vec<Part>,
    mut cutter: Cutter,
    on_bytes: OnBytes<'_>,
) -> io::Result<Unnamed<'a>> {
    let number = store.next_number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let manifest = store.manifests.new_manifest(number)?;
    let begun_ns = manifest.begun_ns()?;
    let builder = Some(ManifestBuilder::new(cutter.parameters()));
    let mut unnamed = Unnamed { store, builder, manifest, whole_hash: [0; 32], total_bytes: 0, begun_ns };
    let mut source = Parts { disk: &*store.disk, rest: parts.into_iter(), current: None, at: 0 };
    let (sender, receiver) = sync_channel::<Arc<Vec<u8>>>(BUFFERS_MAX);
    let hasher = std::thread::spawn(move || {
        let mut hasher = FileHasher::new();
        receiver.iter().for_each(|buffer| hasher.update(&buffer));
        hasher.finish()
    });
    let done = cut_all(&mut source, &mut cutter, &mut unnamed, &sender, on_bytes);
    drop(sender);
    unnamed.whole_hash = hasher.join().map_err(|_| io::Error::other("the hashing thread stopped"))?;
    done.map(|()| unnamed)
}

fn cut_all(
    source: &mut Parts<'_>,
    cutter: &mut Cutter,
    unnamed: &mut Unnamed<'_>,
    sender: &SyncSender<Arc<Vec<u8>>>,
    on_bytes: OnBytes<'_>,
) -> io::Result<()> {
    let mut pending: Vec<u8> = Vec::new();
    let mut ended = false;
    while !ended {
        let mut fresh = vec![0; READ_BYTES];
        let filled = source.fill(&mut fresh)?;
        ended = filled < fresh.len();
        fresh.truncate(filled);
        unnamed.total_bytes += filled as u64;
        if !on_bytes(unnamed.total_bytes) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
        }
        pending.extend_from_slice(&fresh);
        sender.send(Arc::new(fresh)).map_err(io::Error::other)?;
        let mut at = 0;
        while let Some(length) = cutter.next_cut(&pending[at..], ended) {
            let id = chunk_id(&pending[at..at + length]);
            let entry = ChunkEntry { id, length: u32::try_from(length).map_err(io::Error::other)? };
            if let Some(builder) = &mut unnamed.builder {
                for page in builder.push(entry).map_err(io::Error::other)? {
                    unnamed.manifest.push(&page.bytes)?;
                }
            }
            at += length;
        }
        pending.drain(..at);
    }
    Ok(())
}
