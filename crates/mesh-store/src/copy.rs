//! A second copy of a content that is here, for somebody who asked for it elsewhere, too.

use std::path::Path;
use std::sync::Arc;

use mesh_chunk::chunk_id;
use mesh_proto::ContentId;
use mesh_proto::port::Failure;
use mesh_proto::record::ContentKind;

use crate::content::{Opened, partial_path};
use crate::engine::Engine;
use crate::finish::{complete_files, give_name};
use crate::receive::{failure, in_the_way, make_partial};
use crate::share::OnProgress;
use crate::space::Space;

/// Copies a complete content to `target`, each chunk verified on its way. The copy belongs to the person: the store does
/// not remember it.
pub fn copy(store: &Arc<Engine>, id: ContentId, target: &Path, on_progress: OnProgress<'_>) -> Result<(), Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("there is no such content"))?;
    let stored = content.record.read().stored.clone();
    if !stored.complete {
        return Err(Failure::lasting("this content is not complete"));
    }
    if store.disk.symlink_metadata(target).is_ok() {
        return Err(in_the_way(target));
    }
    store.check_identity(&content).map_err(|error| Failure::lasting(error.to_string()))?;
    let cannot_read = |why: String| Failure::lasting(format!("can't copy from {}: {why}", stored.path));
    let opened = store.opened(&content).map_err(|error| cannot_read(error.to_string()))?;
    let partial = partial_path(target, id);
    let copied = make_partial(&*store.disk, &partial, stored.kind).and_then(|()| open_copy(store, &opened, &partial));
    let space = copied.map_err(|error| failure(&partial, &error))?;
    let written = write_all(&opened, &space, on_progress, &|error| failure(&partial, error), &cannot_read);
    let done = written.and_then(|()| {
        complete_files(store, &partial, &space).map_err(|error| failure(&partial, &error))?;
        match store.disk.symlink_metadata(target) {
            Ok(_) => Err(in_the_way(target)),
            Err(_) => give_name(&*store.disk, &partial, target),
        }
    });
    if done.is_err() {
        let _ = match stored.kind {
            ContentKind::File => store.disk.remove_file(&partial),
            ContentKind::Tree => store.disk.remove_folder(&partial),
        };
    }
    done
}

fn open_copy(store: &Engine, opened: &Opened, partial: &Path) -> std::io::Result<Space> {
    match &opened.space {
        Space::File { .. } => Space::receive_file(&*store.disk, partial),
        Space::Tree(tree) => Ok(Space::Tree(tree.at(partial))),
    }
}

fn write_all(
    opened: &Opened,
    space: &Space,
    on_progress: OnProgress<'_>,
    cannot_write: &dyn Fn(&std::io::Error) -> Failure,
    cannot_read: &dyn Fn(String) -> Failure,
) -> Result<(), Failure> {
    let (total_bytes, mut buffer, mut offset) = (opened.layout.total_bytes(), Vec::new(), 0);
    for chunk in 0..opened.layout.chunk_count() {
        let entry = opened.layout.chunk(chunk).ok_or_else(|| cannot_read("its manifest is damaged".to_owned()))?;
        buffer.resize(entry.length as usize, 0);
        opened.space.read_at(&mut buffer, offset).map_err(|error| cannot_read(error.to_string()))?;
        if chunk_id(&buffer) != entry.id {
            return Err(cannot_read(format!("chunk {chunk} is damaged; `verify` it first")));
        }
        space.write_at(&buffer, offset).map_err(|error| cannot_write(&error))?;
        offset += u64::from(entry.length);
        if !on_progress(offset, total_bytes) {
            return Err(Failure::passing("stopped"));
        }
    }
    Ok(())
}
