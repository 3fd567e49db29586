//! The begin of a reception, and going on after a restart: what is on the disk is checked, not trusted.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_chunk::{FileHasher, Layout, Listing, Root, RootKind, chunk_id};
use mesh_proto::payload::SinkError;
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Received, StoreInput, StoredContent};
use mesh_proto::record::ContentKind;
use mesh_proto::{ChunkRange, ChunkSet, ContentId};
use parking_lot::{Mutex, RwLock};

use crate::content::{Content, Progress, Reception, listing_path, partial_path};
use crate::log::{ContentRecord, Entry};
use crate::space::Space;
use crate::store::Inner;
use crate::system;

/// Bytes kept aside of one content, over all its unfinished chunks.
const ASIDE_BYTES_MAX: usize = 64 << 20;

fn lasting(path: &Path, error: &std::io::Error) -> Failure {
    let why = format!("can't write {}: {error}", path.display());
    if system::is_no_space(error) { Failure::passing(why) } else { Failure::lasting(why) }
}

/// Begins to receive a content of which nothing is here.
pub fn begin(store: &Arc<Inner>, id: ContentId, root_bytes: &[u8], target: &Path) -> Result<Received, Failure> {
    if let Some(known) = store.content(id) {
        return match known.record.read().stored.complete {
            true => Err(Failure::lasting("this content is here already")),
            false => resume(store, id),
        };
    }
    if target.symlink_metadata().is_ok() {
        let why = format!("{} exists already; name another place or move it away", target.display());
        return Err(Failure::lasting(why));
    }
    let root = Root::decode(root_bytes, &id).map_err(|error| Failure::lasting(error.to_string()))?;
    let kind = match root.kind {
        RootKind::File => ContentKind::File,
        RootKind::Tree { .. } => ContentKind::Tree,
    };
    let stored = StoredContent {
        content: id,
        kind,
        total_bytes: root.total_bytes,
        chunk_count: root.chunk_count,
        whole_hash: root.whole_hash,
        path: target.to_string_lossy().into_owned(),
        complete: false,
        in_place: false,
    };
    let partial = partial_path(target, id);
    make_partial(&partial, kind).map_err(|error| lasting(&partial, &error))?;
    store.manifests.remove(id);
    let manifest = store.manifests.path(id);
    store
        .manifests
        .append(id, root_bytes)
        .and_then(|()| store.manifests.sync(id))
        .map_err(|error| lasting(&manifest, &error))?;
    let record = ContentRecord { stored: stored.clone(), identity: None };
    store.append(&[Entry::Content(record)])?;
    store.insert(Content::new(stored, None));
    resume(store, id)
}

fn make_partial(partial: &Path, kind: ContentKind) -> std::io::Result<()> {
    if let Some(folder) = partial.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match kind {
        ContentKind::File => system::open_read_write(partial).map(drop),
        ContentKind::Tree => std::fs::create_dir_all(partial),
    }
}

/// Goes on with a reception: after a restart, or when it was interrupted.
pub fn resume(store: &Arc<Inner>, id: ContentId) -> Result<Received, Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("nothing is kept of this content"))?;
    let stored = content.record.read().stored.clone();
    if stored.complete {
        return Err(Failure::lasting("this content is complete"));
    }
    let partial = partial_path(Path::new(&stored.path), id);
    open_reception(store, &content, &stored, partial, &ChunkSet::new())
}

/// Takes a complete content back into reception because some of its chunks are bad.
pub fn repair(store: &Arc<Inner>, id: ContentId) -> Result<Received, Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("there is no such content"))?;
    let (opened, mut stored) = {
        let record = content.record.read();
        let path = PathBuf::from(&record.stored.path);
        let opened = content.open(&store.manifests).map_err(|error| lasting(&path, &error))?;
        (opened, record.stored.clone())
    };
    let good = crate::verify::good_chunks(&opened, &mut |_| true);
    let final_path = PathBuf::from(&stored.path);
    let partial = partial_path(&final_path, id);
    stored.complete = false;
    store.append(&[Entry::Content(ContentRecord { stored: stored.clone(), identity: None })])?;
    store.append(&[Entry::Kept(id, good.runs().to_vec())])?;
    system::rename_new(&final_path, &partial).map_err(|error| lasting(&final_path, &error))?;
    content.record.write().stored = stored.clone();
    content.changed.store(false, std::sync::atomic::Ordering::Relaxed);
    store.forget_opened(id);
    open_reception(store, &content, &stored, partial, &good)
}

fn open_reception(
    store: &Arc<Inner>,
    content: &Arc<Content>,
    stored: &StoredContent,
    partial: PathBuf,
    known_good: &ChunkSet,
) -> Result<Received, Failure> {
    let id = stored.content;
    make_partial(&partial, stored.kind).map_err(|error| lasting(&partial, &error))?;
    let (root, layout) = store.manifests.load(id).map_err(|error| {
        Failure::lasting(format!(
            "the manifest kept of {} is damaged ({error}); cancel it and get it again",
            stored.path
        ))
    })?;
    let listing = std::fs::read(listing_path(&store.manifests, id)).ok();
    let space = open_space(&root, &partial, listing.as_deref()).map_err(|error| lasting(&partial, &error))?;
    let mut have = store.kept(id);
    have.union_with(known_good);
    if matches!(root.kind, RootKind::Tree { .. }) && space.is_none() {
        // The listing was gathered in memory only: it is small and comes again.
        have = ChunkSet::new();
    }
    let kept = have.clone();
    if let Some(space) = &space {
        have.union_with(&found_on_disk(&layout, space, &have));
    }
    let aside = read_aside(store, id, &have);
    let reception = Reception {
        content: id,
        partial,
        kind: root.kind,
        whole_hash: root.whole_hash,
        layout: RwLock::new(layout),
        space: RwLock::new(space.map(Arc::new)),
        progress: Mutex::new(Progress {
            have: have.clone(),
            kept,
            unsynced_bytes: u64::from(!have.is_empty()),
            prefix: FileHasher::new(),
            prefix_bytes: 0,
            listing: Vec::new(),
            aside,
            closed: false,
        }),
    };
    let listing_checked = reception.space.read().is_some();
    let aside = {
        let progress = reception.progress.lock();
        progress.aside.iter().map(|(chunk, bytes)| (*chunk, u32::try_from(bytes.len()).unwrap_or(0))).collect()
    };
    if let Some(old) = content.reception.write().replace(Arc::new(reception)) {
        old.progress.lock().closed = true;
    }
    Ok(Received { stored: stored.clone(), have, aside, listing_checked })
}

fn open_space(root: &Root, partial: &Path, listing: Option<&[u8]>) -> std::io::Result<Option<Space>> {
    match root.kind {
        RootKind::File => {
            let space = Space::receive_file(partial)?;
            if let Space::File { file, .. } = &space {
                file.set_len(root.total_bytes)?;
            }
            Ok(Some(space))
        }
        RootKind::Tree { .. } => {
            let decoded =
                listing.and_then(|bytes| Listing::decode(bytes).ok().map(|listing| (listing, bytes.to_vec())));
            Ok(decoded.map(|(listing, bytes)| Space::tree(partial, listing, bytes, true)))
        }
    }
}

/// Chunks not noted as kept that are on the disk all the same: after `kill -9` nothing is fetched twice.
pub fn found_on_disk(layout: &Layout, space: &Space, have: &ChunkSet) -> ChunkSet {
    let mut found = ChunkSet::new();
    let mut buffer = Vec::new();
    for chunk in layout.known().difference(have).iter() {
        let (Some(entry), Some(offset)) = (layout.chunk(chunk), layout.offset_of(chunk)) else { continue };
        buffer.resize(entry.length as usize, 0);
        if space.read_at(&mut buffer, offset).is_ok() && chunk_id(&buffer) == entry.id {
            found.insert(ChunkRange { start: chunk, count: 1 });
        }
    }
    found
}

/// Bytes of a tree's listing arrived, before its files can be laid out. When it is whole it is checked.
pub fn gather_listing(
    store: &Arc<Inner>,
    reception: &Arc<Reception>,
    offset: u64,
    bytes: &[u8],
) -> Result<(), SinkError> {
    let RootKind::Tree { listing_bytes } = reception.kind else { return Err(SinkError::NotOpen) };
    let length = usize::try_from(listing_bytes).map_err(|_| SinkError::NotOpen)?;
    let whole = {
        let mut progress = reception.progress.lock();
        progress.listing.resize(length, 0);
        let start = usize::try_from(offset).map_err(|_| SinkError::NotOpen)?;
        let place = progress.listing.get_mut(start..start + bytes.len()).ok_or(SinkError::NotOpen)?;
        place.copy_from_slice(bytes);
        let mut have = progress.have.clone();
        let layout = reception.layout.read();
        let chunk = layout.chunk_at(offset).map(|position| position.chunk).ok_or(SinkError::NotOpen)?;
        let mut end = chunk;
        while layout.offset_of(end).is_some_and(|at| at < offset + bytes.len() as u64) {
            end += 1;
        }
        have.insert(ChunkRange { start: chunk, count: end - chunk });
        let all = (0u32..).take_while(|chunk| layout.offset_of(*chunk).is_none_or(|at| at < listing_bytes));
        let complete = all.take(layout.chunk_count() as usize).all(|chunk| have.contains(chunk));
        complete.then(|| progress.listing.clone())
    };
    if let Some(listing) = whole {
        lay_out(store, reception, listing);
    }
    Ok(())
}

/// The listing is whole: check it, keep it, and prepare the files.
fn lay_out(store: &Arc<Inner>, reception: &Arc<Reception>, bytes: Vec<u8>) {
    let content = reception.content;
    let checked = Listing::decode(&bytes)
        .map_err(|error| Failure::lasting(format!("the folder can't be laid out here: {error}")));
    let result = checked.and_then(|listing| {
        let path = listing_path(&store.manifests, content);
        std::fs::write(&path, &bytes)
            .and_then(|()| File::open(&path)?.sync_all())
            .map_err(|error| lasting(&path, &error))?;
        let space = Space::tree(&reception.partial, listing, bytes, true);
        *reception.space.write() = Some(Arc::new(space));
        Ok(())
    });
    store.tell(StoreInput::ListingChecked { content, result });
}

/// Keeps the bytes of an unfinished chunk for a later request.
pub fn keep_aside(store: &Arc<Inner>, reception: &Arc<Reception>, chunk: u32, bytes: Vec<u8>) {
    let mut progress = reception.progress.lock();
    let total: usize = progress.aside.values().map(Vec::len).sum();
    if progress.closed || total + bytes.len() > ASIDE_BYTES_MAX {
        return;
    }
    progress.aside.insert(chunk, bytes);
    let encoded = mesh_proto::codec::encode(&progress.aside);
    drop(progress);
    // Best effort: what is lost is only fetched again.
    let _ = std::fs::write(store.aside_path(reception.content), encoded);
}

fn read_aside(store: &Inner, content: ContentId, have: &ChunkSet) -> std::collections::BTreeMap<u32, Vec<u8>> {
    let bytes = std::fs::read(store.aside_path(content)).unwrap_or_default();
    let decoded = mesh_proto::codec::decode::<_, { ASIDE_BYTES_MAX * 2 }>(&bytes);
    let mut aside: std::collections::BTreeMap<u32, Vec<u8>> = decoded.unwrap_or_default();
    aside.retain(|chunk, _| !have.contains(*chunk));
    aside
}

/// Adds a page to a reception's manifest.
pub fn put_page(store: &Arc<Inner>, id: ContentId, page: mesh_proto::PageId, bytes: &[u8]) -> Result<(), Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("nothing is kept of this content"))?;
    let reception = content.reception.read().clone();
    let reception = reception.ok_or_else(|| Failure::lasting("this content is not being received"))?;
    let mut layout = reception.layout.write();
    let Some(reference) = layout.missing_page(&page) else { return Ok(()) };
    let decoded = mesh_chunk::Page::decode(bytes, &reference).map_err(|error| Failure::lasting(error.to_string()))?;
    layout.add_page(&reference, &decoded).map_err(|error| Failure::lasting(error.to_string()))?;
    let path = store.manifests.path(id);
    store.manifests.append(id, bytes).map_err(|error| lasting(&path, &error))
}
