//! Reading bytes in sequence, cutting and hashing them, and writing their manifest.
//!
//! Three threads, one after the other: the first reads and cuts, the second names the chunks, the third hashes the whole.
//! [`Batch`]es of bytes go round between them, so that no byte is copied but those of a chunk that is not at its end when
//! its batch is full. Memory is these batches, whatever the size.

mod batch;
mod parts;

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use mesh_chunk::{ChunkEntry, Cutter, FileHasher, ManifestBuilder, RootKind, chunk_id};
use mesh_proto::ContentId;

use self::batch::Batch;
use self::parts::Parts;
use crate::engine::Engine;
use crate::manifests::NewManifest;

pub use self::parts::Part;

/// Batches that go round: one for each thread.
const BATCHES: usize = 3;

/// Told how many bytes are done; returns `false` to stop.
pub type OnBytes<'a> = &'a mut dyn FnMut(u64) -> bool;

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

/// Reads all of `parts`, which should have `total_bytes`.
pub fn cut<'a>(
    store: &'a Engine,
    parts: Vec<Part>,
    total_bytes: u64,
    mut cutter: Cutter,
    on_bytes: OnBytes<'_>,
) -> io::Result<Unnamed<'a>> {
    let number = store.next_number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let manifest = store.manifests.new_manifest(number)?;
    let begun_ns = manifest.begun_ns()?;
    let builder = Some(ManifestBuilder::new(cutter.parameters()));
    let mut unnamed = Unnamed { store, builder, manifest, whole_hash: [0; 32], total_bytes: 0, begun_ns };
    let Unnamed { builder: Some(builder), manifest, .. } = &mut unnamed else { unreachable!("it was just made") };
    let mut source = Parts::new(&*store.disk, parts);
    let (read, named, whole_hash) = thread::scope(|scope| {
        let (to_namer, at_namer) = sync_channel(BATCHES);
        let (to_hasher, at_hasher) = sync_channel(BATCHES);
        let (to_reader, at_reader) = sync_channel(BATCHES);
        // The channel has room for all there are.
        let batch = || Batch::new(cutter.parameters().max_bytes(), total_bytes);
        (0..BATCHES).for_each(|_| drop(to_reader.try_send(batch())));
        let namer = scope.spawn(move || name_all(&at_namer, builder, manifest, &to_hasher));
        let hasher = scope.spawn(move || hash_all(&at_hasher, &to_reader));
        let read = read_all(&mut source, &mut cutter, &at_reader, &to_namer, on_bytes);
        drop(to_namer);
        (read, namer.join(), hasher.join())
    });
    let stopped = |_| io::Error::other("a thread that reads what is shared stopped");
    // What stopped the namer stopped the reader too, which does not know why.
    named.map_err(stopped)??;
    unnamed.whole_hash = whole_hash.map_err(stopped)?;
    unnamed.total_bytes = read?;
    Ok(unnamed)
}

/// The first thread. Says how many bytes there were.
fn read_all(
    source: &mut Parts<'_>,
    cutter: &mut Cutter,
    free: &Receiver<Batch>,
    to_namer: &SyncSender<Batch>,
    on_bytes: OnBytes<'_>,
) -> io::Result<u64> {
    let mut total_bytes = 0;
    let mut on_read = |read: usize| {
        total_bytes += read as u64;
        let goes_on = on_bytes(total_bytes);
        goes_on.then_some(()).ok_or_else(|| io::Error::new(io::ErrorKind::Interrupted, "stopped"))
    };
    let mut batch = free.recv().map_err(io::Error::other)?;
    while !batch.fill(source, cutter, &mut on_read)? {
        let mut next = free.recv().map_err(io::Error::other)?;
        next.begin_with(batch.rest());
        to_namer.send(std::mem::replace(&mut batch, next)).map_err(io::Error::other)?;
    }
    to_namer.send(batch).map_err(io::Error::other)?;
    Ok(total_bytes)
}

/// The second thread.
fn name_all(
    batches: &Receiver<Batch>,
    builder: &mut ManifestBuilder,
    manifest: &mut NewManifest,
    to_hasher: &SyncSender<Batch>,
) -> io::Result<()> {
    for batch in batches {
        for chunk in batch.chunks() {
            let entry =
                ChunkEntry { id: chunk_id(chunk), length: u32::try_from(chunk.len()).map_err(io::Error::other)? };
            for page in builder.push(entry).map_err(io::Error::other)? {
                manifest.push(&page.bytes)?;
            }
        }
        to_hasher.send(batch).map_err(io::Error::other)?;
    }
    Ok(())
}

/// The third thread.
fn hash_all(batches: &Receiver<Batch>, to_reader: &SyncSender<Batch>) -> [u8; 32] {
    let mut hasher = FileHasher::new();
    for batch in batches {
        hasher.update(batch.cut());
        // The reader may be at its end.
        drop(to_reader.send(batch));
    }
    hasher.finish()
}
