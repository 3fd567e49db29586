//! The end of a reception: the whole is checked, synced, and gets its final name.

use std::io;
use std::path::Path;
use std::sync::Arc;

use mesh_chunk::{EntryKind, FileHasher};
use mesh_proto::planted::Defect;
use mesh_proto::port::Failure;
use mesh_proto::port::store::StoredContent;
use mesh_proto::{ChunkSet, ContentId};

use crate::content::{Reception, Record};
use crate::disk::{Disk, Identity};
use crate::engine::Engine;
use crate::receive::{KeepGoing, failure, good_on_disk, stopped};
use crate::space::{Space, Tree};

/// Bytes read at once when hashing again.
const READ_BYTES: usize = 1 << 20;

/// Finishes a reception.
pub fn finish(store: &Arc<Engine>, id: ContentId, keep_going: KeepGoing<'_>) -> Result<StoredContent, Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("nothing is kept of this content"))?;
    let reception = content.reception.read().clone();
    let reception = reception.ok_or_else(|| Failure::lasting("this content is not being received"))?;
    if reception.progress.lock().sync_failed {
        let why = "what was written could not be synced; it is read and written anew";
        return Err(Failure::passing(format!("{}: {why}", reception.partial.display())));
    }
    let chunk_count = reception.layout.read().chunk_count();
    if reception.progress.lock().have.len() != chunk_count {
        return Err(Failure::lasting("chunks are missing"));
    }
    let record = content.record.read().clone();
    let target = Path::new(&record.stored.path).to_owned();
    let space = space_of(&reception)?;
    let whole = hash_whole(&reception, &space, keep_going).map_err(|error| failure(&reception.partial, &error))?;
    let whole = whole.ok_or_else(stopped)?;
    if whole != reception.whole_hash && !store.planted.is(Defect::SkipVerification) {
        return Err(explain_mismatch(store, &reception, &space, &record, keep_going));
    }
    let identity =
        complete_files(store, &reception.partial, &space).map_err(|error| failure(&reception.partial, &error))?;
    store.manifests.sync(id).map_err(|error| failure(&reception.partial, &error))?;
    give_name(&*store.disk, &reception.partial, &target)?;
    let stored = StoredContent { complete: true, ..record.stored };
    store.set_record(&content, Record { stored: stored.clone(), identity, repairing: false })?;
    *content.reception.write() = None;
    reception.close();
    let _ = store.disk.remove_file(&store.manifests.aside_path(id));
    Ok(stored)
}

/// The whole is wrong though each chunk was right when it came: damaged on the disk since, or published so.
fn explain_mismatch(
    store: &Engine,
    reception: &Reception,
    space: &Space,
    record: &Record,
    keep_going: KeepGoing<'_>,
) -> Failure {
    let bad = {
        let layout = reception.layout.read();
        let good = good_on_disk(&layout, space, &ChunkSet::new(), false, keep_going);
        let Some(good) = good else { return stopped() };
        layout.chunk_count() - good.len()
    };
    if bad == 0 {
        let why = "every chunk is right, but the whole is not what the publisher said: the content itself is wrong";
        return Failure::lasting(why);
    }
    // Nothing noted is believed any more: going on looks at every chunk on the disk.
    match store.distrust(record) {
        Ok(()) => Failure::passing(format!("{bad} chunks were damaged on the disk; they are fetched again")),
        Err(failure) => failure,
    }
}

fn space_of(reception: &Reception) -> Result<Arc<Space>, Failure> {
    reception.space.read().clone().ok_or_else(|| Failure::lasting("the folder's listing is not here"))
}

/// The hash of all bytes: what came in order was hashed on its way, the rest is read back. `None` if it was stopped.
fn hash_whole(reception: &Reception, space: &Space, keep_going: KeepGoing<'_>) -> io::Result<Option<[u8; 32]>> {
    let total_bytes = reception.layout.read().total_bytes();
    let (mut hasher, mut at) = {
        let mut progress = reception.progress.lock();
        let at = progress.prefix_bytes;
        (std::mem::replace(&mut progress.prefix, FileHasher::new()), at)
    };
    reception.progress.lock().prefix_bytes = 0;
    let mut buffer = vec![0; READ_BYTES];
    while at < total_bytes {
        if !keep_going() {
            return Ok(None);
        }
        let count = usize::try_from(total_bytes - at).unwrap_or(READ_BYTES).min(READ_BYTES);
        space.read_at(&mut buffer[..count], at)?;
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
    Ok(Some(hasher.finish()))
}

/// Makes everything durable under the partial name; of a single file gives its identity.
pub fn complete_files(store: &Engine, partial: &Path, space: &Space) -> io::Result<Option<Identity>> {
    match space {
        Space::File { file, .. } => {
            if !store.planted.is(Defect::SkipSync) {
                file.sync_all()?;
            }
            Ok(Some(Identity::of(&file.metadata()?)))
        }
        Space::Tree(tree) => {
            complete_tree(&*store.disk, tree)?;
            store.disk.sync_below(partial)?;
            Ok(None)
        }
    }
}

/// What chunks do not make: empty files, folders, links, modes and times. Folders last, deepest first.
fn complete_tree(disk: &dyn Disk, tree: &Tree) -> io::Result<()> {
    let entries = tree.listing.entries();
    for (index, entry) in entries.iter().enumerate() {
        let path = tree.path_of(index);
        match &entry.kind {
            EntryKind::Directory { .. } => disk.create_folders(&path)?,
            EntryKind::File { mode, size_bytes } => {
                if *size_bytes == 0 {
                    if let Some(folder) = path.parent() {
                        disk.create_folders(folder)?;
                    }
                    tree.open_writable(&path)?;
                }
                disk.set_modified(&path, entry.modified_unix_ms)?;
                disk.set_mode(&path, *mode)?;
            }
            EntryKind::Symlink { target } => {
                if let Some(folder) = path.parent() {
                    disk.create_folders(folder)?;
                }
                match disk.symlink(target, &path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    result => result?,
                }
            }
        }
    }
    for (index, entry) in entries.iter().enumerate().rev() {
        if let EntryKind::Directory { mode } = entry.kind {
            let path = tree.path_of(index);
            disk.set_modified(&path, entry.modified_unix_ms)?;
            // Never so that we could not serve from it.
            disk.set_mode(&path, mode | 0o700)?;
        }
    }
    Ok(())
}

/// Gives a complete file or folder its final name, unless something stands there.
pub fn give_name(disk: &dyn Disk, partial: &Path, target: &Path) -> Result<(), Failure> {
    disk.rename_new(partial, target).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let why = format!(
                "{} came into being meanwhile; move it away and resume (the content is safe in {})",
                target.display(),
                partial.display()
            );
            Failure::lasting(why)
        }
        _ => failure(target, &error),
    })?;
    match target.parent() {
        Some(folder) => disk.sync_folder(folder).map_err(|error| failure(folder, &error)),
        None => Ok(()),
    }
}
