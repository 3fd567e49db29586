//! Carrying out commands: short ones in order on one thread, long ones each on its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mesh_proto::port::Failure;
use mesh_proto::port::store::{DiskUsage, Row, StoreCommand, StoreInput, StoredContent, Table};
use mesh_proto::{ChunkSet, CommandId, ContentId, PageId};

use crate::content::{Content, listing_path, partial_path};
use crate::log::{ContentRecord, Entry};
use crate::store::Inner;
use crate::{finish, receive, share, system, verify};

/// Progress is told at most so often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Takes commands until the store closes.
pub fn run(store: &Arc<Inner>, commands: &Receiver<StoreCommand>) {
    let mut long = Vec::new();
    for command in commands {
        long.retain(|thread: &std::thread::JoinHandle<()>| !thread.is_finished());
        if is_long(&command) {
            let store = store.clone();
            long.push(std::thread::spawn(move || carry_out(&store, command)));
        } else {
            carry_out(store, command);
        }
    }
    long.into_iter().for_each(|thread| drop(thread.join()));
}

fn is_long(command: &StoreCommand) -> bool {
    matches!(
        command,
        StoreCommand::Share { .. }
            | StoreCommand::Receive { .. }
            | StoreCommand::Repair { .. }
            | StoreCommand::Finish { .. }
            | StoreCommand::Verify { .. }
    )
}

fn carry_out(store: &Arc<Inner>, command: StoreCommand) {
    let answer = match command {
        StoreCommand::Share { command, path } => {
            StoreInput::Shared { command, result: share_path(store, command, &path) }
        }
        StoreCommand::Receive { command, content, root, target } => {
            let result = match root {
                Some(root) => receive::begin(store, content, &root, Path::new(&target)),
                None => receive::resume(store, content),
            };
            StoreInput::Receiving { command, result }
        }
        StoreCommand::Repair { command, content } => {
            StoreInput::Receiving { command, result: receive::repair(store, content) }
        }
        StoreCommand::PutPage { command, content, page, bytes } => {
            StoreInput::PagePut { command, result: receive::put_page(store, content, page, &bytes) }
        }
        StoreCommand::ReadPage { command, content, page } => {
            StoreInput::PageRead { command, bytes: read_page(store, content, page) }
        }
        StoreCommand::Finish { command, content } => {
            StoreInput::Finished { command, result: finish::finish(store, content) }
        }
        StoreCommand::Verify { command, content } => {
            StoreInput::Verified { command, result: verify_content(store, command, content) }
        }
        StoreCommand::Remove { command, content, delete_files } => {
            StoreInput::Done { command, result: remove(store, content, delete_files) }
        }
        StoreCommand::Write { command, put, delete } => StoreInput::Done { command, result: write(store, put, delete) },
        StoreCommand::Usage { command } => StoreInput::Usage { command, usage: usage(store) },
        StoreCommand::Sweep { command } => StoreInput::Done { command, result: sweep(store) },
        StoreCommand::Stop { .. } => return,
    };
    store.tell(answer);
}

/// Tells progress now and then, and says whether to go on.
fn progress(store: &Arc<Inner>, command: CommandId) -> impl FnMut(u64, u64) -> bool {
    let store = store.clone();
    let mut told = Instant::now();
    move |done_bytes, total_bytes| {
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            store.tell(StoreInput::Progress { command, done_bytes, total_bytes });
        }
        !store.closing.load(Ordering::Relaxed) && !store.stopped.lock().contains(&command)
    }
}

fn share_path(store: &Arc<Inner>, command: CommandId, path: &str) -> Result<StoredContent, Failure> {
    let path = PathBuf::from(path);
    if store.is_own(&path) {
        return Err(Failure::lasting(format!("{} belongs to the node itself and can't be shared", path.display())));
    }
    let number = store.next_number.fetch_add(1, Ordering::Relaxed);
    let mut on_progress = progress(store, command);
    let shared = share::share(&path, &store.manifests, number, &mut on_progress)?;
    let known = store.content(shared.stored.content);
    if let Some(known) = known.filter(|known| known.record.read().stored.complete) {
        // The same bytes are here already. If we received them, they stay ours; the person's copy is as good.
        let stored = known.record.read().stored.clone();
        if !stored.in_place && Path::new(&stored.path).exists() {
            return Ok(stored);
        }
    }
    let record = ContentRecord { stored: shared.stored.clone(), identity: shared.identity };
    store.append(&[Entry::Content(record)])?;
    store.forget_opened(shared.stored.content);
    store.insert(Content::new(shared.stored.clone(), shared.identity));
    Ok(shared.stored)
}

fn read_page(store: &Inner, content: ContentId, page: PageId) -> Option<Vec<u8>> {
    store.manifests.read(content).ok()?.remove(&page)
}

fn verify_content(store: &Arc<Inner>, command: CommandId, id: ContentId) -> Result<ChunkSet, Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("there is no such content"))?;
    let stored = content.record.read().stored.clone();
    let opened = match content.open(&store.manifests) {
        Ok(opened) => opened,
        // Its files are gone: nothing of it is good.
        Err(_) if !Path::new(&stored.path).exists() => return Ok(ChunkSet::new()),
        Err(error) => return Err(Failure::lasting(format!("can't read {}: {error}", stored.path))),
    };
    let mut on_progress = progress(store, command);
    let mut whole = true;
    let good = verify::good_chunks(&opened, &mut |done| {
        whole = on_progress(done, stored.total_bytes);
        whole
    });
    if !whole {
        return Err(Failure::passing("stopped"));
    }
    if good.len() == stored.chunk_count {
        content.changed.store(false, Ordering::Relaxed);
        if let Ok(metadata) = std::fs::metadata(&stored.path).map(|metadata| system::Identity::of(&metadata)) {
            let mut record = content.record.write();
            record.identity = record.identity.map(|_| metadata);
        }
    }
    Ok(good)
}

fn remove(store: &Inner, id: ContentId, delete_files: bool) -> Result<(), Failure> {
    let Some(content) = store.forget(id) else { return Ok(()) };
    if let Some(reception) = content.reception.write().take() {
        reception.progress.lock().closed = true;
    }
    store.append(&[Entry::Forget(id)])?;
    let stored = content.record.read().stored.clone();
    let _ = std::fs::remove_file(listing_path(&store.manifests, id));
    let _ = std::fs::remove_file(store.aside_path(id));
    store.manifests.remove(id);
    let path = Path::new(&stored.path);
    let doomed = match (stored.complete, stored.in_place) {
        (false, _) => Some(partial_path(path, id)),
        (true, false) if delete_files => Some(path.to_owned()),
        _ => None,
    };
    let Some(doomed) = doomed else { return Ok(()) };
    let deleted = match doomed.is_dir() {
        true => std::fs::remove_dir_all(&doomed),
        false => std::fs::remove_file(&doomed),
    };
    match deleted {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::lasting(format!("can't delete {}: {error}", doomed.display())))
        }
        _ => Ok(()),
    }
}

fn write(store: &Inner, put: Vec<Row>, delete: Vec<(Table, Vec<u8>)>) -> Result<(), Failure> {
    let deletions = delete.into_iter().map(|(table, key)| Entry::Delete(table, key));
    let entries: Vec<Entry> = put.into_iter().map(Entry::Put).chain(deletions).collect();
    store.append(&entries)
}

fn usage(store: &Inner) -> DiskUsage {
    let contents = store.contents();
    let received = contents.iter().map(|content| {
        let record = content.record.read();
        let reception = content.reception.read().clone();
        match (record.stored.in_place, reception) {
            (true, _) => 0,
            (false, None) => record.stored.total_bytes,
            (false, Some(reception)) => {
                let have = reception.progress.lock().have.clone();
                let layout = reception.layout.read();
                have.runs().iter().filter_map(|run| layout.bytes_of(*run)).sum()
            }
        }
    });
    DiskUsage {
        received_bytes: received.sum(),
        overhead_bytes: store.log_bytes(),
        free_bytes: system::free_bytes(&store.folder),
    }
}

/// Deletes what a share that was cut off left behind.
fn sweep(store: &Inner) -> Result<(), Failure> {
    let folder = store.folder.join("manifests");
    let entries = std::fs::read_dir(&folder).map_err(|error| Failure::lasting(error.to_string()))?;
    for entry in entries.flatten() {
        let fresh = store.next_number.load(Ordering::Relaxed);
        let number = entry.file_name().to_str().and_then(|name| name.strip_prefix("new-")?.parse::<u64>().ok());
        if number.is_some_and(|number| number >= fresh) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}
