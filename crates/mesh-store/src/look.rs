//! Whether a complete content's files look as they did, without reading them.

use std::io;
use std::path::Path;

use mesh_chunk::{EntryKind, Listing, TreeEntry};
use mesh_proto::ContentId;
use mesh_proto::port::store::Look;

use crate::content::Content;
use crate::disk::{Disk, Kind};
use crate::engine::Engine;
use crate::space::Space;

/// Looks at a content.
pub fn look(store: &Engine, id: ContentId) -> Look {
    match store.content(id) {
        Some(content) if content.is_away() => back(store, &content),
        Some(content) => at(store, &content),
        None => Look::Gone("there is no such content".to_owned()),
    }
}

/// Looks at a content whose disk was away.
fn back(store: &Engine, content: &Content) -> Look {
    let (path, identity) = {
        let record = content.record.read();
        (record.stored.path.clone(), record.identity)
    };
    let metadata = match store.disk.metadata(Path::new(&path)) {
        Err(error) => return Look::Gone(format!("{path} can't be read: {error}")),
        Ok(metadata) => metadata,
    };
    if identity.is_some_and(|identity| !identity.looks_like(&metadata)) {
        content.set_changed(false);
        return Look::Changed(format!("{path} was changed since"));
    }
    content.set_unchanged();
    match at(store, content) {
        Look::Same => Look::Same,
        // The folder on which a disk is mounted is there without the disk, too.
        Look::Changed(why) | Look::Gone(why) => {
            content.set_changed(true);
            Look::Gone(why)
        }
    }
}

/// Looks at a content's files.
pub fn at(store: &Engine, content: &Content) -> Look {
    let record = content.record.read().clone();
    let path = &record.stored.path;
    let metadata = match store.disk.metadata(Path::new(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Look::Gone(format!("{path} is gone")),
        Err(error) => return Look::Changed(format!("{path} can't be read: {error}")),
        Ok(metadata) => metadata,
    };
    if content.is_changed() {
        return Look::Changed(format!("{path} was found changed"));
    }
    if let Some(identity) = record.identity {
        return match identity.looks_like(&metadata) {
            true => Look::Same,
            false => Look::Changed(format!("{path} was changed since")),
        };
    }
    match content.open(&store.disk, &store.manifests).map(|opened| opened.space) {
        Ok(Space::Tree(tree)) => match differs(&*store.disk, Path::new(path), &tree.listing) {
            Some(part) => Look::Changed(format!("{path}/{part} is not as it was")),
            None => Look::Same,
        },
        Ok(Space::File { .. }) => Look::Same,
        Err(error) => Look::Changed(format!("{path} can't be read: {error}")),
    }
}

/// The first entry of a listing that does not lie below `folder` as it should. What lies there besides does not matter.
fn differs<'a>(disk: &dyn Disk, folder: &Path, listing: &'a Listing) -> Option<&'a str> {
    let is_same = |entry: &TreeEntry| {
        let place = folder.join(&entry.path);
        let Ok(metadata) = disk.symlink_metadata(&place) else { return false };
        match &entry.kind {
            EntryKind::Directory { .. } => metadata.kind == Kind::Folder,
            EntryKind::Symlink { target } => disk.read_link(&place).is_ok_and(|now| now == *target),
            EntryKind::File { size_bytes, .. } => {
                metadata.kind == Kind::File
                    && metadata.size_bytes == *size_bytes
                    && metadata.modified_ms() == entry.modified_unix_ms
            }
        }
    };
    listing.entries().iter().find(|entry| !is_same(entry)).map(|entry| entry.path.as_str())
}
