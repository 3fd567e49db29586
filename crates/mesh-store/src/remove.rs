//! Forgetting a content, and deleting its files if asked: only ours, and only what is still as it came.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use mesh_chunk::Listing;
use mesh_proto::ContentId;
use mesh_proto::port::Failure;
use mesh_proto::port::store::Look;

use crate::content::{Content, partial_path};
use crate::disk::{Disk, Kind};
use crate::engine::Engine;
use crate::finish::give_name;
use crate::look;
use crate::space::Space;

/// Forgets a content. Its files go first, so that on a full disk there is room for the note; what can't be deleted, or is
/// a person's, is not forgotten either.
pub fn remove(store: &Engine, id: ContentId, delete_files: bool) -> Result<(), Failure> {
    let Some(content) = store.content(id) else { return Ok(()) };
    let reception = content.reception.write().take();
    reception.inspect(|reception| reception.close());
    let record = content.record.read().clone();
    let (disk, path) = (&*store.disk, Path::new(&record.stored.path));
    match (record.stored.complete, record.stored.in_place) {
        (false, _) if record.repairing && !delete_files => give_back(disk, &partial_path(path, id), path)?,
        (false, _) => delete(disk, &partial_path(path, id))?,
        // What came by standard input lies with us, and nobody else knows of it.
        (true, true) if store.is_from_stdin(path) => delete(disk, path)?,
        (true, true) => {}
        (true, false) if !delete_files || disk.symlink_metadata(path).is_err() => {}
        (true, false) if is_as_it_came(store, &content, path) => delete(disk, path)?,
        (true, false) => {
            let why = "is no longer what was received; to forget it, leave its files where they are";
            return Err(Failure::lasting(format!("{} {why}", path.display())));
        }
    }
    store.forget(id)?;
    store.manifests.remove(id);
    Ok(())
}

/// A repair that is given up: the file is a person's, and gets its name back as it is.
fn give_back(disk: &dyn Disk, partial: &Path, path: &Path) -> Result<(), Failure> {
    match disk.symlink_metadata(partial) {
        Ok(_) => give_name(disk, partial, path),
        Err(_) => Ok(()),
    }
}

/// Deletes a file or folder, if it is there, for good: after a power cut it must not be back with nobody to know of it.
fn delete(disk: &dyn Disk, doomed: &Path) -> Result<(), Failure> {
    let deleted = match disk.symlink_metadata(doomed) {
        Ok(metadata) if metadata.kind == Kind::Folder => disk.remove_folder(doomed),
        Ok(_) => disk.remove_file(doomed),
        Err(_) => return Ok(()),
    };
    let synced = deleted.and_then(|()| doomed.parent().map_or(Ok(()), |folder| disk.sync_folder(folder)));
    synced.map_err(|error| Failure::lasting(format!("can't delete {}: {error}", doomed.display())))
}

/// Whether what lies there is what came, and a person has put nothing of theirs into it.
fn is_as_it_came(store: &Engine, content: &Content, path: &Path) -> bool {
    if look::at(store, content) != Look::Same {
        return false;
    }
    match content.open(&store.disk, &store.manifests).map(|opened| opened.space) {
        Ok(Space::Tree(tree)) => holds_nothing_else(&*store.disk, path, &tree.listing).unwrap_or(false),
        Ok(Space::File { .. }) => true,
        Err(_) => false,
    }
}

/// Whether the listing names all that lies below `folder`.
fn holds_nothing_else(disk: &dyn Disk, folder: &Path, listing: &Listing) -> io::Result<bool> {
    let listed: BTreeSet<&str> = listing.entries().iter().map(|entry| entry.path.as_str()).collect();
    let mut open = vec![String::new()];
    while let Some(prefix) = open.pop() {
        for name in disk.list(&folder.join(&prefix))? {
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if !listed.contains(path.as_str()) {
                return Ok(false);
            }
            if disk.symlink_metadata(&folder.join(&path))?.kind == Kind::Folder {
                open.push(path);
            }
        }
    }
    Ok(true)
}
