//! Deleting files of a content that is forgotten: only ours, and only what is still as it came.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mesh_chunk::{EntryKind, Listing, TreeEntry};
use mesh_proto::port::Failure;

use crate::content::{Opened, Record, partial_path};
use crate::disk::{Disk, Identity, Kind};
use crate::engine::Engine;
use crate::space::Space;

/// What is to be deleted of a content that is forgotten.
pub fn doomed(
    store: &Engine,
    record: &Record,
    delete_files: bool,
    opened: Option<&Opened>,
) -> Result<Option<PathBuf>, Failure> {
    let stored = &record.stored;
    let path = Path::new(&stored.path);
    match (stored.complete, stored.in_place) {
        (false, _) => Ok(Some(partial_path(path, stored.content))),
        // What came by standard input lies with us, and nobody else knows of it.
        (true, true) => Ok(store.is_from_stdin(path).then(|| path.to_owned())),
        (true, false) if !delete_files || store.disk.symlink_metadata(path).is_err() => Ok(None),
        (true, false) if is_as_it_came(&*store.disk, path, record, opened) => Ok(Some(path.to_owned())),
        (true, false) => {
            let why = "is no longer what was received; it is left where it is, delete it yourself if you want";
            Err(Failure::lasting(format!("{} {why}", path.display())))
        }
    }
}

/// Deletes a file or folder, if it is there.
pub fn delete(disk: &dyn Disk, doomed: &Path) -> Result<(), Failure> {
    let deleted = match disk.symlink_metadata(doomed) {
        Ok(metadata) if metadata.kind == Kind::Folder => disk.remove_folder(doomed),
        Ok(_) => disk.remove_file(doomed),
        Err(_) => return Ok(()),
    };
    deleted.map_err(|error| Failure::lasting(format!("can't delete {}: {error}", doomed.display())))
}

/// Whether a person has put nothing of theirs there.
fn is_as_it_came(disk: &dyn Disk, path: &Path, record: &Record, opened: Option<&Opened>) -> bool {
    match (record.identity, opened.map(|opened| &opened.space)) {
        (Some(identity), _) => disk.metadata(path).is_ok_and(|metadata| Identity::of(&metadata) == identity),
        (None, Some(Space::Tree(tree))) => holds_only(disk, path, &tree.listing).unwrap_or(false),
        _ => false,
    }
}

/// Whether all that lies below `folder` is what the listing says.
fn holds_only(disk: &dyn Disk, folder: &Path, listing: &Listing) -> io::Result<bool> {
    let listed: BTreeMap<&str, &TreeEntry> =
        listing.entries().iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let mut open = vec![String::new()];
    while let Some(prefix) = open.pop() {
        for name in disk.list(&folder.join(&prefix))? {
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            let metadata = disk.symlink_metadata(&folder.join(&path))?;
            let same =
                match (listed.get(path.as_str()).map(|entry| (&entry.kind, entry.modified_unix_ms)), metadata.kind) {
                    (Some((EntryKind::Directory { .. }, _)), Kind::Folder) => true,
                    (Some((EntryKind::Symlink { target }, _)), Kind::Link) => {
                        disk.read_link(&folder.join(&path))? == *target
                    }
                    (Some((EntryKind::File { size_bytes, .. }, modified_ms)), Kind::File) => {
                        metadata.size_bytes == *size_bytes && metadata.modified_ms() == modified_ms
                    }
                    _ => false,
                };
            if !same {
                return Ok(false);
            }
            if metadata.kind == Kind::Folder {
                open.push(path);
            }
        }
    }
    Ok(true)
}
