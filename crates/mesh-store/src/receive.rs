//! The begin of a reception, and going on after a restart: what is on the disk is checked, not trusted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_chunk::{FileHasher, Layout, Root, RootKind, chunk_id};
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Received, StoredContent};
use mesh_proto::record::ContentKind;
use mesh_proto::{ChunkRange, ChunkSet, ContentId};
use parking_lot::{Mutex, RwLock};

use crate::content::{Content, Progress, Reception, Record, partial_path};
use crate::disk::{Access, Disk, Kind, create_folders_durably, may_pass};
use crate::engine::Engine;
use crate::pieces;
use crate::space::Space;

/// What a disk said while `path` was written, for people. Space, rights and devices come back: those may pass.
pub fn failure(path: &Path, error: &std::io::Error) -> Failure {
    let why = format!("can't write {}: {error}", path.display());
    if may_pass(error) { Failure::passing(why) } else { Failure::lasting(why) }
}

/// Asked now and then while something takes long; `false` = stop.
pub type KeepGoing<'a> = &'a dyn Fn() -> bool;

/// What is said of work that was stopped.
pub fn stopped() -> Failure {
    Failure::passing("stopped")
}

/// Something stands where the content should go.
pub fn in_the_way(target: &Path) -> Failure {
    Failure::lasting(format!("{} exists already; name another place or move it away", target.display()))
}

/// Begins to receive a content of which nothing is here.
pub fn begin(
    store: &Arc<Engine>,
    id: ContentId,
    root_bytes: &[u8],
    target: &Path,
    keep_going: KeepGoing<'_>,
) -> Result<Received, Failure> {
    if let Some(known) = store.content(id) {
        let complete = known.record.read().stored.complete;
        return match complete {
            true => Err(Failure::lasting("this content is here already")),
            false => resume(store, id, keep_going),
        };
    }
    if store.disk.symlink_metadata(target).is_ok() {
        return Err(in_the_way(target));
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
    make_partial(&*store.disk, &partial, kind).map_err(|error| failure(&partial, &error))?;
    let _naming = store.naming.read();
    let manifest = store.manifests.path(id);
    store.manifests.begin(id, root_bytes).map_err(|error| failure(&manifest, &error))?;
    store.enter(Record { stored, identity: None, repairing: false })?;
    resume(store, id, keep_going)
}

/// Makes the partial file or folder, and its name durable.
pub fn make_partial(disk: &dyn Disk, partial: &Path, kind: ContentKind) -> std::io::Result<()> {
    let above = partial.parent().unwrap_or(Path::new("/"));
    create_folders_durably(disk, above)?;
    match kind {
        ContentKind::File => disk.open(partial, Access::ReadWrite).map(drop)?,
        ContentKind::Tree => disk.create_folders(partial)?,
    }
    disk.sync_folder(above)
}

/// Goes on with a reception: after a restart, or when it was interrupted.
pub fn resume(store: &Arc<Engine>, id: ContentId, keep_going: KeepGoing<'_>) -> Result<Received, Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("nothing is kept of this content"))?;
    let stored = content.record.read().stored.clone();
    if stored.complete {
        return Err(Failure::lasting("this content is complete"));
    }
    let partial = partial_path(Path::new(&stored.path), id);
    if store.disk.symlink_metadata(&partial).is_err() {
        find_partial(store, &stored, &partial, keep_going)?;
    }
    open_reception(store, &content, &stored, partial, keep_going)
}

/// The partial file is not where it should be.
fn find_partial(
    store: &Engine,
    stored: &StoredContent,
    partial: &Path,
    keep_going: KeepGoing<'_>,
) -> Result<(), Failure> {
    let target = Path::new(&stored.path);
    if store.disk.symlink_metadata(target).is_ok() {
        // Finished, but the machine stopped before that was noted. Whoever's file it is, if it has just these bytes it
        // may be taken back for the moment; else it is somebody's.
        let whole = is_whole(store, stored, target, keep_going);
        return match whole {
            true => store.disk.rename_new(target, partial).map_err(|error| failure(target, &error)),
            false => Err(in_the_way(target)),
        };
    }
    if store.kept(stored.content).is_empty()
        && target.parent().is_some_and(|folder| store.disk.metadata(folder).is_ok())
    {
        return make_partial(&*store.disk, partial, stored.kind).map_err(|error| failure(partial, &error));
    }
    // Beginning anew here could fill the wrong disk while the right one is unplugged.
    let why = "is gone; if its disk was removed, bring it back; if it was deleted, cancel and get it again";
    Err(Failure::passing(format!("{} {why}", partial.display())))
}

fn is_whole(store: &Engine, stored: &StoredContent, place: &Path, keep_going: KeepGoing<'_>) -> bool {
    let whole = || -> std::io::Result<bool> {
        let (root, layout) = store.manifests.load(stored.content)?;
        if !is_as_long(&*store.disk, stored, place)? {
            return Ok(false);
        }
        let Some(space) = open_space(store, stored.content, &root, place, false)? else { return Ok(false) };
        let good = good_on_disk(&layout, &space, &ChunkSet::new(), false, keep_going);
        Ok(layout.is_complete() && good.is_some_and(|good| good.len() == layout.chunk_count()))
    };
    whole().unwrap_or(false)
}

/// Whether at `place` lies what could be the content by its looks: a folder, or a file of just its length.
pub fn is_as_long(disk: &dyn Disk, stored: &StoredContent, place: &Path) -> std::io::Result<bool> {
    let metadata = disk.symlink_metadata(place)?;
    Ok(match stored.kind {
        ContentKind::File => metadata.kind == Kind::File && metadata.size_bytes == stored.total_bytes,
        ContentKind::Tree => metadata.kind == Kind::Folder,
    })
}

/// Takes a complete content back into reception because some of its chunks are bad.
pub fn repair(store: &Arc<Engine>, id: ContentId, keep_going: KeepGoing<'_>) -> Result<Received, Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("there is no such content"))?;
    let stored = content.record.read().stored.clone();
    if !stored.complete {
        return resume(store, id, keep_going);
    }
    let place = PathBuf::from(&stored.path);
    if store
        .disk
        .symlink_metadata(&place)
        .is_ok_and(|now| now.kind == Kind::File && now.size_bytes > stored.total_bytes)
    {
        return Err(longer(&stored));
    }
    let partial = partial_path(&place, id);
    store.forget_opened(id);
    // Renamed first: if the machine stops before the next line is noted, it is found under the partial name.
    if store.disk.symlink_metadata(&partial).is_err() {
        match store.disk.symlink_metadata(&place) {
            Ok(_) => store.disk.rename_new(&place, &partial).map_err(|error| failure(&place, &error))?,
            Err(_) => make_partial(&*store.disk, &partial, stored.kind).map_err(|error| failure(&partial, &error))?,
        }
    }
    let stored = StoredContent { complete: false, ..stored };
    store.set_record(&content, Record { stored: stored.clone(), identity: None, repairing: true })?;
    content.set_unchanged();
    open_reception(store, &content, &stored, partial, keep_going)
}

/// Somebody wrote more behind what was received: making it as it was would take that from them.
pub fn longer(stored: &StoredContent) -> Failure {
    let why = match stored.in_place {
        true => "is longer than what was shared: somebody wrote to it; share it again as it is now",
        false => "is longer than what was received: somebody wrote to it; move it away, then verify again",
    };
    Failure::lasting(format!("{} {why}", stored.path))
}

fn open_reception(
    store: &Arc<Engine>,
    content: &Arc<Content>,
    stored: &StoredContent,
    partial: PathBuf,
    keep_going: KeepGoing<'_>,
) -> Result<Received, Failure> {
    let id = stored.content;
    let before = content.reception.write().take();
    before.inspect(|before| before.close());
    let loaded = store.manifests.mend(id).and_then(|()| store.manifests.load(id));
    let (root, layout) = loaded.map_err(|error| {
        let why = format!("the manifest kept of {} can't be read ({error})", stored.path);
        if may_pass(&error) {
            Failure::passing(why)
        } else {
            Failure::lasting(format!("{why}; cancel it and get it again"))
        }
    })?;
    let space = open_space(store, id, &root, &partial, true).map_err(|error| failure(&partial, &error))?;
    let mut have = store.kept(id);
    if space.is_none() {
        // The listing was gathered in memory only: it is small and comes again.
        have = ChunkSet::new();
    }
    let kept = have.clone();
    if let Some(space) = &space {
        have.union_with(&good_on_disk(&layout, space, &have, true, keep_going).ok_or_else(stopped)?);
    }
    let aside = pieces::read_aside(store, id, &layout, &have);
    let told = aside.iter().map(|(chunk, bytes)| (*chunk, u32::try_from(bytes.len()).unwrap_or(0))).collect();
    let listing_checked = space.is_some();
    let unsynced_bytes = u64::from(have.len() > kept.len());
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
            unsynced_bytes,
            prefix: FileHasher::new(),
            prefix_bytes: 0,
            listing: Vec::new(),
            aside,
            sync_failed: false,
            closed: false,
        }),
        writing: RwLock::new(()),
    };
    *content.reception.write() = Some(Arc::new(reception));
    if unsynced_bytes > 0 {
        store.pace.note(unsynced_bytes);
    }
    Ok(Received { stored: stored.clone(), have, aside: told, listing_checked })
}

/// The files of a content at `place`; `None` while a tree's listing is not here.
fn open_space(
    store: &Engine,
    id: ContentId,
    root: &Root,
    place: &Path,
    writable: bool,
) -> std::io::Result<Option<Space>> {
    match root.kind {
        RootKind::File if writable => {
            let space = Space::receive_file(&*store.disk, place)?;
            if let Space::File { file, .. } = &space {
                file.set_length(root.total_bytes)?;
            }
            Ok(Some(space))
        }
        RootKind::File => Space::open_file(&*store.disk, place).map(Some),
        RootKind::Tree { listing_bytes } => {
            // A damaged or missing listing comes again.
            let listing = store.manifests.listing(id, listing_bytes).ok();
            Ok(listing.map(|(listing, bytes)| Space::tree(&store.disk, place, listing, bytes, writable)))
        }
    }
}

/// Chunks not in `known` that are on the disk all the same: after `kill -9` nothing is fetched twice. If asked, they are
/// written anew, since the system may have failed to write them and forgotten that it did. `None` if it was stopped.
pub fn good_on_disk(
    layout: &Layout,
    space: &Space,
    known: &ChunkSet,
    write_anew: bool,
    keep_going: KeepGoing<'_>,
) -> Option<ChunkSet> {
    let mut good = ChunkSet::new();
    let mut buffer = Vec::new();
    for chunk in layout.known().difference(known).iter() {
        if !keep_going() {
            return None;
        }
        let (Some(entry), Some(offset)) = (layout.chunk(chunk), layout.offset_of(chunk)) else { continue };
        buffer.resize(entry.length as usize, 0);
        let is_good = space.read_at(&mut buffer, offset).is_ok() && chunk_id(&buffer) == entry.id;
        if is_good && (!write_anew || space.write_at(&buffer, offset).is_ok()) {
            good.insert(ChunkRange { start: chunk, count: 1 });
        }
    }
    Some(good)
}
