//! Carrying out commands.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mesh_proto::port::Failure;
use mesh_proto::port::store::{DiskUsage, Look, Row, StoreCommand, StoreInput, Table};
use mesh_proto::{ChunkSet, CommandId, ContentId};

use crate::content::Record;
use crate::disk::{Identity, Kind};
use crate::engine::{Engine, manifest_is_damaged};
use crate::truth::Entry;
use crate::{copy, finish, look, pieces, receive, remove, share, verify};

/// Progress is told at most so often.
const PROGRESS_EVERY_NS: i64 = 100_000_000;

/// The number of a command that may take long, and can be told to stop.
fn long(command: &StoreCommand) -> Option<CommandId> {
    match command {
        StoreCommand::Share { command, .. }
        | StoreCommand::Receive { command, .. }
        | StoreCommand::Repair { command, .. }
        | StoreCommand::Finish { command, .. }
        | StoreCommand::Copy { command, .. }
        | StoreCommand::Verify { command, .. } => Some(*command),
        _ => None,
    }
}

/// Answers a command that is not carried out.
pub fn refuse(store: &Engine, command: StoreCommand, failure: Failure) {
    if let Some(number) = long(&command) {
        store.end_long(number);
    }
    let answer = match command {
        StoreCommand::Share { command, .. } => StoreInput::Shared { command, result: Err(failure) },
        StoreCommand::Receive { command, .. } | StoreCommand::Repair { command, .. } => {
            StoreInput::Receiving { command, result: Err(failure) }
        }
        StoreCommand::PutPage { command, .. } => StoreInput::PagePut { command, result: Err(failure) },
        StoreCommand::ReadPage { command, .. } => StoreInput::PageRead { command, bytes: None },
        StoreCommand::Finish { command, .. } => StoreInput::Finished { command, result: Err(failure) },
        StoreCommand::Look { command, .. } => StoreInput::Looked { command, look: Look::Changed(failure.why) },
        StoreCommand::Verify { command, .. } => StoreInput::Verified { command, result: Err(failure) },
        StoreCommand::Copy { command, .. }
        | StoreCommand::Remove { command, .. }
        | StoreCommand::Write { command, .. }
        | StoreCommand::Sweep { command } => StoreInput::Done { command, result: Err(failure) },
        StoreCommand::Usage { command } => StoreInput::Usage { command, usage: DiskUsage::default() },
        StoreCommand::Stop { .. } => return,
    };
    store.tell(answer);
}

impl Engine {
    /// A command was taken that may wait a while before it is carried out: from now on it can be told to stop.
    pub fn begin(&self, command: &StoreCommand) {
        if let Some(number) = long(command) {
            self.begin_long(number);
        }
    }

    /// Carries out a command, and tells the answer before it returns.
    pub fn carry_out(self: &Arc<Self>, command: StoreCommand) {
        let number = long(&command);
        if number.is_some() && self.closing.load(Ordering::Relaxed) {
            return refuse(self, command, Failure::passing("the node stops"));
        }
        carry_out(self, command);
        if let Some(number) = number {
            self.end_long(number);
        }
    }
}

impl Engine {
    /// Carries out commands that write rows, all with one sync: all of them happen, or none.
    pub(crate) fn write_together(&self, group: Vec<StoreCommand>) {
        let (mut numbers, mut entries) = (Vec::new(), Vec::new());
        for command in group {
            if let StoreCommand::Write { command, put, delete } = command {
                numbers.push(command);
                entries.extend(row_entries(put, delete));
            }
        }
        let result = self.append(&entries);
        numbers.into_iter().for_each(|command| self.tell(StoreInput::Done { command, result: result.clone() }));
    }
}

fn row_entries(put: Vec<Row>, delete: Vec<(Table, Vec<u8>)>) -> impl Iterator<Item = Entry> {
    let deletions = delete.into_iter().map(|(table, key)| Entry::Delete(table, key));
    put.into_iter().map(Entry::Put).chain(deletions)
}

fn carry_out(store: &Arc<Engine>, command: StoreCommand) {
    let number = long(&command);
    let keep_going = || number.is_none_or(|number| !store.is_stopped(number));
    let answer = match command {
        StoreCommand::Share { command, path } => {
            let mut on_progress = progress(store, command);
            StoreInput::Shared { command, result: share::share(store, Path::new(&path), &mut on_progress) }
        }
        StoreCommand::Receive { command, content, root, target } => {
            let result = match root {
                Some(root) => receive::begin(store, content, &root, Path::new(&target), &keep_going),
                None => receive::resume(store, content, &keep_going),
            };
            StoreInput::Receiving { command, result }
        }
        StoreCommand::Repair { command, content } => {
            StoreInput::Receiving { command, result: receive::repair(store, content, &keep_going) }
        }
        StoreCommand::PutPage { command, content, page, bytes } => {
            StoreInput::PagePut { command, result: pieces::put_page(store, content, page, &bytes) }
        }
        StoreCommand::ReadPage { command, content, page } => {
            let bytes = store.manifests.page(content, page);
            if bytes.is_none() {
                store.check_manifest(content);
            }
            StoreInput::PageRead { command, bytes }
        }
        StoreCommand::Finish { command, content } => {
            StoreInput::Finished { command, result: finish::finish(store, content, &keep_going) }
        }
        StoreCommand::Copy { command, content, target } => {
            let mut on_progress = progress(store, command);
            StoreInput::Done { command, result: copy::copy(store, content, Path::new(&target), &mut on_progress) }
        }
        StoreCommand::Look { command, content } => StoreInput::Looked { command, look: look::look(store, content) },
        StoreCommand::Verify { command, content } => {
            StoreInput::Verified { command, result: verify_content(store, command, content) }
        }
        StoreCommand::Remove { command, content, delete_files } => {
            StoreInput::Done { command, result: remove::remove(store, content, delete_files) }
        }
        StoreCommand::Write { command, put, delete } => StoreInput::Done { command, result: write(store, put, delete) },
        StoreCommand::Usage { command } => StoreInput::Usage { command, usage: usage(store) },
        StoreCommand::Sweep { command } => StoreInput::Done { command, result: sweep(store) },
        StoreCommand::Stop { command } => return store.stop_long(command),
    };
    store.tell(answer);
}

/// Tells progress now and then, and says whether to go on.
fn progress(store: &Arc<Engine>, command: CommandId) -> impl FnMut(u64, u64) -> bool {
    let store = store.clone();
    let mut told_ns = store.disk.now_ns();
    move |done_bytes, total_bytes| {
        let now_ns = store.disk.now_ns();
        if !(0..PROGRESS_EVERY_NS).contains(&now_ns.wrapping_sub(told_ns)) {
            told_ns = now_ns;
            store.tell(StoreInput::Progress { command, done_bytes, total_bytes });
        }
        !store.is_stopped(command)
    }
}

fn verify_content(store: &Arc<Engine>, command: CommandId, id: ContentId) -> Result<ChunkSet, Failure> {
    let content = store.content(id).ok_or_else(|| Failure::lasting("there is no such content"))?;
    let stored = content.record.read().stored.clone();
    let opened = match content.open(&store.disk, &store.manifests) {
        Ok(opened) => opened,
        // Its files are gone: nothing of it is good.
        Err(_) if store.disk.metadata(Path::new(&stored.path)).is_err() => return Ok(ChunkSet::new()),
        Err(_) if store.check_manifest(id) => return Err(Failure::lasting(manifest_is_damaged(&stored.path))),
        Err(error) => return Err(Failure::lasting(format!("can't read {}: {error}", stored.path))),
    };
    // Looked at before it is read: what changes meanwhile is not what was read.
    let before = store.disk.metadata(Path::new(&stored.path)).ok();
    let mut on_progress = progress(store, command);
    let mut whole = true;
    let good = verify::good_chunks(&opened, &mut |done| {
        whole = on_progress(done, stored.total_bytes);
        whole
    });
    if !whole {
        return Err(receive::stopped());
    }
    if good.len() == stored.chunk_count
        && let Some(before) = before
    {
        let identity = (before.kind == Kind::File).then(|| Identity::of(&before));
        if before.kind == Kind::File && before.size_bytes > stored.total_bytes {
            return Err(receive::longer(&stored));
        }
        let after = store.disk.metadata(Path::new(&stored.path));
        if identity.is_some_and(|identity| !after.is_ok_and(|after| identity.looks_like(&after))) {
            return Err(Failure::passing(format!("{} changed while it was read; verify it again", stored.path)));
        }
        store.renew_identity(&content, Record { stored, identity, repairing: false })?;
    }
    Ok(good)
}

fn write(store: &Engine, put: Vec<Row>, delete: Vec<(Table, Vec<u8>)>) -> Result<(), Failure> {
    store.append(&row_entries(put, delete).collect::<Vec<_>>())
}

fn usage(store: &Engine) -> DiskUsage {
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
        overhead_bytes: store.overhead_bytes(),
        free_bytes: store.disk.free_bytes(&store.folder),
    }
}

/// Deletes what belongs to no content: manifests of shares that were cut off, files of contents forgotten since.
fn sweep(store: &Engine) -> Result<(), Failure> {
    let _naming = store.naming.write();
    let (fresh, known) = (store.next_number.load(Ordering::Relaxed), store.known_names());
    let swept = store.manifests.sweep(fresh, &|content| known.contains(content));
    swept.map_err(|error| Failure::passing(format!("can't sweep {}: {error}", store.folder.display())))
}
