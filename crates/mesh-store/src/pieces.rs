//! What comes besides whole chunks of files: manifest pages, a tree's listing, bytes of unfinished chunks.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_chunk::{Layout, Listing, Page, RootKind};
use mesh_proto::payload::SinkError;
use mesh_proto::port::Failure;
use mesh_proto::port::store::StoreInput;
use mesh_proto::{ChunkRange, ChunkSet, ContentId, PageId};

use crate::content::Reception;
use crate::disk::{Access, read_whole};
use crate::engine::Engine;
use crate::receive::failure;
use crate::space::Space;

/// Bytes kept aside of one content, over all its unfinished chunks.
const ASIDE_BYTES_MAX: usize = 64 << 20;

/// Adds a page to a reception's manifest.
pub fn put_page(store: &Engine, id: ContentId, page: PageId, bytes: &[u8]) -> Result<(), Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("nothing is kept of this content"))?;
    let reception = content.reception.read().clone();
    let reception = reception.ok_or_else(|| Failure::lasting("this content is not being received"))?;
    let mut layout = reception.layout.write();
    let Some(reference) = layout.missing_page(&page) else { return Ok(()) };
    let decoded = Page::decode(bytes, &reference).map_err(|error| Failure::lasting(error.to_string()))?;
    // First the disk: a page that is only in memory would be missing at the end.
    let path = store.manifests.path(id);
    store.manifests.append(id, bytes).map_err(|error| failure(&path, &error))?;
    layout.add_page(&reference, &decoded).map(drop).map_err(|error| Failure::lasting(error.to_string()))
}

/// Bytes of a tree's listing arrived, before its files can be laid out. When it is whole it is checked.
pub fn gather_listing(store: &Engine, reception: &Reception, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
    let RootKind::Tree { listing_bytes } = reception.kind else { return Err(SinkError::NotOpen) };
    let length = usize::try_from(listing_bytes).map_err(|_| SinkError::NotOpen)?;
    let whole = {
        let mut progress = reception.progress.lock();
        if progress.closed {
            return Err(SinkError::NotOpen);
        }
        progress.listing.resize(length, 0);
        let start = usize::try_from(offset).map_err(|_| SinkError::NotOpen)?;
        let place = progress.listing.get_mut(start..start + bytes.len()).ok_or(SinkError::NotOpen)?;
        place.copy_from_slice(bytes);
        let layout = reception.layout.read();
        let chunk = layout.chunk_at(offset).map(|position| position.chunk).ok_or(SinkError::NotOpen)?;
        let mut end = chunk;
        while layout.offset_of(end).is_some_and(|at| at < offset + bytes.len() as u64) {
            end += 1;
        }
        // Noted at once: of two that bring the last two chunks at the same time, the second must see the first.
        progress.have.insert(ChunkRange { start: chunk, count: end - chunk });
        let all = (0u32..).take_while(|chunk| layout.offset_of(*chunk).is_none_or(|at| at < listing_bytes));
        let complete = all.take(layout.chunk_count() as usize).all(|chunk| progress.have.contains(chunk));
        complete.then(|| progress.listing.clone())
    };
    if let Some(listing) = whole {
        lay_out(store, reception, listing);
    }
    Ok(())
}

/// The listing is whole: check it, keep it, and prepare the files.
fn lay_out(store: &Engine, reception: &Reception, bytes: Vec<u8>) {
    let content = reception.content;
    let checked = Listing::decode(&bytes)
        .map_err(|error| Failure::lasting(format!("the folder can't be laid out here: {error}")));
    let result = checked.and_then(|listing| {
        let path = store.manifests.listing_path(content);
        store.manifests.keep_listing(content, &bytes).map_err(|error| failure(&path, &error))?;
        let space = Space::tree(&store.disk, &reception.partial, listing, bytes, true);
        *reception.space.write() = Some(Arc::new(space));
        Ok(())
    });
    store.tell(StoreInput::ListingChecked { content, result });
}

/// Keeps the bytes of an unfinished chunk for a later request.
pub fn keep_aside(store: &Engine, reception: &Reception, chunk: u32, bytes: Vec<u8>) {
    let mut progress = reception.progress.lock();
    let total: usize = progress.aside.values().map(Vec::len).sum();
    if progress.closed || total + bytes.len() > ASIDE_BYTES_MAX {
        return;
    }
    progress.aside.insert(chunk, bytes);
    let encoded = mesh_proto::codec::encode(&progress.aside);
    drop(progress);
    // Best effort: what is lost is only fetched again.
    let path = store.manifests.aside_path(reception.content);
    let _ = store.disk.open(&path, Access::Fresh).and_then(|file| file.write_at(&encoded, 0));
}

/// The bytes kept aside of chunks that are not here. The file has no checksum: what can't be the beginning of a chunk is
/// left out, for whoever asks for the rest of one counts on there being a rest.
pub fn read_aside(store: &Engine, content: ContentId, layout: &Layout, have: &ChunkSet) -> BTreeMap<u32, Vec<u8>> {
    const LIMIT: usize = ASIDE_BYTES_MAX * 2;
    let path = store.manifests.aside_path(content);
    let bytes = read_whole(&*store.disk, &path, LIMIT as u64).unwrap_or_default();
    let decoded = mesh_proto::codec::decode_in_proportion::<_, LIMIT>(&bytes);
    let mut aside: BTreeMap<u32, Vec<u8>> = decoded.unwrap_or_default();
    let begins = |chunk: u32, bytes: &[u8]| {
        !bytes.is_empty() && layout.length(chunk).is_some_and(|length| bytes.len() < length as usize)
    };
    aside.retain(|chunk, bytes| !have.contains(*chunk) && begins(*chunk, bytes));
    aside
}
