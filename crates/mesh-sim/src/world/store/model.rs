//! A store without bytes: which chunks are here, which of them would survive a power cut, and which are wrong.
//!
//! Invariant: a chunk is held only if its manifest page is, every byte of it came, and none of them was wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use mesh_proto::payload::{SinkError, SinkProgress, SourceError, SpanAddress};
use mesh_proto::port::Failure;
use mesh_proto::port::store::{DiskUsage, Look, Received, Row, StoreCommand, StoreInput, StoredContent, Table};
use mesh_proto::{ChunkRange, ChunkSet, CommandId, ContentId, PageId};

use super::library::{Manifest, SharedLibrary};
use super::{Defect, DiskTrouble, Ending, NodeStore, Slice};

/// Bytes on an empty disk.
const DISK_BYTES: u64 = 1 << 40;

/// What is here of one content.
#[derive(Debug)]
struct Kept {
    manifest: Rc<Manifest>,
    path: String,
    complete: bool,
    in_place: bool,
    have: ChunkSet,
    /// What a power cut leaves of `have`.
    synced: ChunkSet,
    /// Chunks whose place is known; pages that are here.
    known: ChunkSet,
    pages: BTreeSet<PageId>,
    /// Bytes of unfinished chunks, and whether one of them is wrong.
    aside: BTreeMap<u32, (u32, bool)>,
    /// Held, and wrong: what must never be.
    wrong: ChunkSet,
    repairing: bool,
}

impl Kept {
    fn stored(&self) -> StoredContent {
        StoredContent {
            path: self.path.clone(),
            complete: self.complete,
            in_place: self.in_place,
            ..self.manifest.stored.clone()
        }
    }

    fn received(&self) -> Received {
        let aside = self.aside.iter().map(|(chunk, (bytes, _))| (*chunk, *bytes)).collect();
        Received { stored: self.stored(), have: self.have.clone(), aside, listing_checked: true }
    }

    fn has_page(&self, page: PageId) -> bool {
        self.complete || self.pages.contains(&page) || page.0 == self.manifest.stored.content.0
    }

    fn bytes_here(&self) -> u64 {
        self.have.runs().iter().filter_map(|run| self.manifest.layout.bytes_of(*run)).sum()
    }
}

/// A span being written.
#[derive(Debug)]
struct Sink {
    content: ContentId,
    next: u32,
    end: u32,
    partial_bytes: u32,
    partial_wrong: bool,
    progress: SinkProgress,
    failed: bool,
}

/// A file that a person has, and its seed.
#[derive(Debug, Clone, Copy)]
struct PersonsFile {
    bytes: u64,
    seed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct ModelStore {
    library: SharedLibrary,
    files: BTreeMap<String, PersonsFile>,
    rows: BTreeMap<(Table, Vec<u8>), Arc<[u8]>>,
    contents: BTreeMap<ContentId, Kept>,
    sinks: BTreeMap<u64, Sink>,
    troubles: BTreeSet<DiskTrouble>,
    verifies: bool,
}

impl ModelStore {
    /// An empty one.
    #[must_use]
    pub fn new(library: SharedLibrary) -> Self {
        Self {
            library,
            files: BTreeMap::new(),
            rows: BTreeMap::new(),
            contents: BTreeMap::new(),
            sinks: BTreeMap::new(),
            troubles: BTreeSet::new(),
            verifies: true,
        }
    }

    /// A planted defect: from now on chunks are believed without being verified.
    pub fn skip_verification(&mut self) {
        self.verifies = false;
    }

    fn why_not_written(&self) -> Option<Failure> {
        let why = match self.troubles.first()? {
            DiskTrouble::Full => "no space left on the disk",
            DiskTrouble::ReadOnly => "the disk can't be written to",
            DiskTrouble::Removed => "the disk is gone",
            DiskTrouble::SyncFails => "the disk did not sync",
        };
        Some(Failure::passing(why))
    }

    fn share(&mut self, path: &str) -> Result<StoredContent, Failure> {
        let file = self.files.get(path).ok_or_else(|| Failure::lasting(format!("there is no {path}")))?;
        if let Some(failure) = self.why_not_written() {
            return Err(failure);
        }
        let manifest = self.library.borrow_mut().manifest_of_file(file.bytes, file.seed);
        let all = ChunkSet::full(manifest.stored.chunk_count);
        let id = manifest.stored.content;
        let kept = Kept {
            manifest,
            path: path.to_owned(),
            complete: true,
            in_place: true,
            have: all.clone(),
            synced: all.clone(),
            known: all,
            pages: BTreeSet::new(),
            aside: BTreeMap::new(),
            wrong: ChunkSet::new(),
            repairing: false,
        };
        let stored = kept.stored();
        self.contents.insert(id, kept);
        Ok(stored)
    }

    fn receive(&mut self, content: ContentId, root: Option<&[u8]>, target: &str) -> Result<Received, Failure> {
        if let Some(kept) = self.contents.get(&content).filter(|kept| !kept.complete) {
            return Ok(kept.received());
        }
        let root = root.ok_or_else(|| Failure::lasting("nothing is kept of this content"))?;
        if self.files.contains_key(target) {
            return Err(Failure::lasting(format!("{target} exists already")));
        }
        if let Some(failure) = self.why_not_written() {
            return Err(failure);
        }
        let manifest = self.library.borrow().manifest(content);
        let manifest =
            manifest.filter(|manifest| manifest.pages.get(&PageId(content.0)).is_some_and(|own| **own == *root));
        let manifest = manifest.ok_or_else(|| Failure::lasting("this root belongs to nothing that was ever shared"))?;
        let known = match manifest.root_lists_chunks {
            true => ChunkSet::full(manifest.stored.chunk_count),
            false => ChunkSet::new(),
        };
        let kept = Kept {
            manifest,
            path: target.to_owned(),
            complete: false,
            in_place: false,
            have: ChunkSet::new(),
            synced: ChunkSet::new(),
            known,
            pages: BTreeSet::new(),
            aside: BTreeMap::new(),
            wrong: ChunkSet::new(),
            repairing: false,
        };
        let received = kept.received();
        self.contents.insert(content, kept);
        Ok(received)
    }

    fn repair(&mut self, content: ContentId) -> Result<Received, Failure> {
        let kept = self.contents.get_mut(&content).ok_or_else(unknown)?;
        kept.complete = false;
        kept.repairing = true;
        kept.have = kept.have.difference(&kept.wrong);
        kept.synced = kept.synced.intersection(&kept.have);
        kept.wrong = ChunkSet::new();
        kept.pages = kept.manifest.pages.keys().copied().collect();
        kept.known = ChunkSet::full(kept.manifest.stored.chunk_count);
        Ok(kept.received())
    }

    fn put_page(&mut self, content: ContentId, page: PageId, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(failure) = self.why_not_written() {
            return Err(failure);
        }
        let kept = self.contents.get_mut(&content).ok_or_else(unknown)?;
        let is_one = kept.manifest.pages.get(&page).is_some_and(|own| **own == *bytes);
        if !is_one {
            return Err(Failure::lasting("this page does not belong to the content"));
        }
        kept.pages.insert(page);
        if let Some(range) = kept.manifest.leaves.get(&page) {
            kept.known.insert(*range);
        }
        Ok(())
    }

    fn finish(&mut self, content: ContentId) -> Result<StoredContent, Failure> {
        if let Some(failure) = self.why_not_written() {
            return Err(failure);
        }
        let kept = self.contents.get_mut(&content).ok_or_else(unknown)?;
        if kept.have.len() != kept.manifest.stored.chunk_count {
            return Err(Failure::passing("chunks are missing"));
        }
        if self.files.contains_key(&kept.path) {
            return Err(Failure::lasting(format!("{} came into being meanwhile", kept.path)));
        }
        (kept.complete, kept.repairing) = (true, false);
        kept.synced = kept.have.clone();
        kept.pages = BTreeSet::new();
        kept.aside = BTreeMap::new();
        Ok(kept.stored())
    }

    fn verify(&self, content: ContentId) -> Result<ChunkSet, Failure> {
        let kept = self.contents.get(&content).ok_or_else(unknown)?;
        Ok(kept.have.difference(&kept.wrong))
    }

    fn remove(&mut self, content: ContentId) -> Result<(), Failure> {
        self.sinks.retain(|_, sink| sink.content != content);
        match self.contents.remove(&content) {
            Some(_) => Ok(()),
            None => Err(unknown()),
        }
    }

    fn put_rows(&mut self, put: Vec<Row>, delete: &[(Table, Vec<u8>)]) -> Result<(), Failure> {
        if let Some(failure) = self.why_not_written() {
            return Err(failure);
        }
        let mut library = self.library.borrow_mut();
        for Row { table, key, value } in put {
            self.rows.insert((table, key), library.intern(&value));
        }
        for key in delete {
            self.rows.remove(key);
        }
        Ok(())
    }

    fn usage(&self) -> DiskUsage {
        let received_bytes = self.contents.values().filter(|kept| !kept.in_place).map(Kept::bytes_here).sum();
        let free_bytes = match self.troubles.is_empty() {
            true => DISK_BYTES.saturating_sub(received_bytes),
            false => 0,
        };
        DiskUsage { received_bytes, overhead_bytes: 0, free_bytes }
    }

    fn sink(&mut self, fetch: u64, span: SpanAddress) -> Result<&mut Sink, SinkError> {
        if !self.sinks.contains_key(&fetch) {
            let sink = self.begin(span)?;
            self.sinks.insert(fetch, sink);
        }
        Ok(self.sinks.get_mut(&fetch).expect("it was just put there"))
    }

    fn begin(&mut self, span: SpanAddress) -> Result<Sink, SinkError> {
        let kept = self.contents.get_mut(&span.content).filter(|kept| !kept.complete).ok_or(SinkError::NotOpen)?;
        if !kept.known.contains_range(span.chunks) {
            return Err(SinkError::NotOpen);
        }
        let (mut partial_bytes, mut partial_wrong) = (0, false);
        if span.skip_bytes > 0 {
            let (bytes, wrong) = kept.aside.remove(&span.chunks.start).unwrap_or_default();
            if bytes < span.skip_bytes {
                return Err(SinkError::NotOpen);
            }
            (partial_bytes, partial_wrong) = (span.skip_bytes, wrong);
        }
        Ok(Sink {
            content: span.content,
            next: span.chunks.start,
            end: span.chunks.end(),
            partial_bytes,
            partial_wrong,
            progress: SinkProgress::default(),
            failed: false,
        })
    }
}

fn unknown() -> Failure {
    Failure::lasting("there is no such content")
}

/// Takes a slice into its span chunk by chunk.
fn take(sink: &mut Sink, kept: &mut Kept, slice: &Slice, verifies: bool) -> Result<(), SinkError> {
    let Slice::Counted { bytes, wrong_at } = slice else { return Err(SinkError::NotOpen) };
    let mut at = 0;
    while at < *bytes {
        if sink.next >= sink.end {
            return Err(SinkError::TooMany);
        }
        let length = kept.manifest.layout.length(sink.next).ok_or(SinkError::NotOpen)?;
        let missing = u64::from(length.saturating_sub(sink.partial_bytes)).min(bytes - at);
        sink.partial_wrong |= wrong_at.is_some_and(|wrong| (at..at + missing).contains(&wrong));
        sink.partial_bytes += missing as u32;
        at += missing;
        if sink.partial_bytes == length {
            let chunk = ChunkRange { start: sink.next, count: 1 };
            if sink.partial_wrong && verifies {
                return Err(SinkError::Mismatch { chunk: sink.next });
            }
            if sink.partial_wrong {
                kept.wrong.insert(chunk);
            }
            kept.have.insert(chunk);
            sink.progress.chunks_verified += 1;
            sink.progress.bytes_verified += u64::from(length);
            (sink.next, sink.partial_bytes, sink.partial_wrong) = (sink.next + 1, 0, false);
        }
    }
    Ok(())
}

impl NodeStore for ModelStore {
    fn open(&mut self) -> Result<Vec<StoreInput>, String> {
        if self.troubles.contains(&DiskTrouble::Removed) {
            return Err("the disk is gone".to_owned());
        }
        let row = |((table, key), value): (&(Table, Vec<u8>), &Arc<[u8]>)| Row {
            table: *table,
            key: key.clone(),
            value: value.to_vec(),
        };
        Ok(vec![StoreInput::Opened {
            rows: self.rows.iter().map(row).collect(),
            contents: self.contents.values().map(Kept::stored).collect(),
            repairs: Vec::new(),
        }])
    }

    fn end(&mut self, ending: Ending) {
        self.sinks.clear();
        match ending {
            Ending::Closed => self.checkpoint(),
            Ending::Killed | Ending::MachineOff => {}
            Ending::PowerCut { .. } => {
                for kept in self.contents.values_mut().filter(|kept| !kept.complete) {
                    kept.have = kept.synced.clone();
                    kept.wrong = kept.wrong.intersection(&kept.have);
                    kept.aside.clear();
                }
            }
            Ending::DiskLost => {
                (self.rows, self.contents) = (BTreeMap::new(), BTreeMap::new());
                self.files.clear();
            }
        }
    }

    fn carry_out(&mut self, command: StoreCommand) -> Vec<StoreInput> {
        let done = |command: CommandId, result| StoreInput::Done { command, result };
        let answer = match command {
            StoreCommand::Share { command, path } => StoreInput::Shared { command, result: self.share(&path) },
            StoreCommand::Receive { command, content, root, target } => {
                let result = self.receive(content, root.as_deref(), &target);
                StoreInput::Receiving { command, result }
            }
            StoreCommand::Repair { command, content } => {
                StoreInput::Receiving { command, result: self.repair(content) }
            }
            StoreCommand::PutPage { command, content, page, bytes } => {
                StoreInput::PagePut { command, result: self.put_page(content, page, &bytes) }
            }
            StoreCommand::ReadPage { command, content, page } => {
                let kept = self.contents.get(&content).filter(|kept| kept.has_page(page));
                let bytes = kept.and_then(|kept| kept.manifest.pages.get(&page)).map(|bytes| bytes.to_vec());
                StoreInput::PageRead { command, bytes }
            }
            StoreCommand::Finish { command, content } => StoreInput::Finished { command, result: self.finish(content) },
            StoreCommand::Look { command, content } => {
                let look = match self.contents.get(&content) {
                    Some(kept) if !kept.in_place || self.files.contains_key(&kept.path) => Look::Same,
                    Some(kept) => Look::Gone(kept.path.clone()),
                    None => Look::Gone("there is no such content".to_owned()),
                };
                StoreInput::Looked { command, look }
            }
            StoreCommand::Verify { command, content } => StoreInput::Verified { command, result: self.verify(content) },
            StoreCommand::Copy { command, content, target } => {
                let held = self.contents.get(&content).filter(|kept| kept.complete).ok_or_else(unknown);
                let free = match self.files.contains_key(&target) {
                    true => Err(Failure::lasting(format!("{target} exists already"))),
                    false => Ok(()),
                };
                done(command, held.and(free))
            }
            StoreCommand::Remove { command, content, .. } => done(command, self.remove(content)),
            StoreCommand::Write { command, put, delete } => done(command, self.put_rows(put, &delete)),
            StoreCommand::Usage { command } => StoreInput::Usage { command, usage: self.usage() },
            StoreCommand::Sweep { command } => done(command, Ok(())),
            StoreCommand::Stop { .. } => return Vec::new(),
        };
        vec![answer]
    }

    fn put_file(&mut self, path: &str, bytes: u64, seed: u64) {
        self.files.insert(path.to_owned(), PersonsFile { bytes, seed });
    }

    fn read(&mut self, _: u64, span: SpanAddress, given: u64, bytes: u64) -> Result<Slice, SourceError> {
        let kept = self.contents.get(&span.content).ok_or(SourceError::NotHeld)?;
        if self.troubles.contains(&DiskTrouble::Removed) {
            return Err(SourceError::Io { path: kept.path.clone(), why: "the disk is gone".to_owned() });
        }
        if !kept.have.contains_range(span.chunks) {
            return Err(SourceError::NotHeld);
        }
        let whole = kept.manifest.layout.bytes_of(span.chunks).ok_or(SourceError::NotHeld)?;
        let left = whole.saturating_sub(u64::from(span.skip_bytes) + given);
        // Chunks are hashed as they are read: what is wrong on the disk is not given.
        let wrong = span.chunks.start..span.chunks.end();
        if self.verifies && kept.wrong.iter().any(|chunk| wrong.contains(&chunk)) {
            return Err(SourceError::Changed { path: kept.path.clone() });
        }
        let wrong_at = kept.wrong.iter().any(|chunk| wrong.contains(&chunk)).then_some(0);
        Ok(Slice::Counted { bytes: bytes.min(left), wrong_at })
    }

    fn end_read(&mut self, _: u64) {}

    fn write(&mut self, fetch: u64, span: SpanAddress, slice: &Slice) -> Result<SinkProgress, SinkError> {
        let (trouble, verifies) = (self.troubles.first().copied(), self.verifies);
        self.sink(fetch, span)?;
        let sink = self.sinks.get_mut(&fetch).expect("it was just looked up");
        let kept = self.contents.get_mut(&span.content).ok_or(SinkError::NotOpen)?;
        if sink.failed || kept.complete {
            return Err(SinkError::NotOpen);
        }
        let path = || kept.path.clone();
        let taken = match trouble {
            None | Some(DiskTrouble::SyncFails) => take(sink, kept, slice, verifies),
            Some(DiskTrouble::Full) => Err(SinkError::NoSpace { path: path() }),
            Some(DiskTrouble::ReadOnly) => Err(SinkError::Io { path: path(), why: "it is read-only".to_owned() }),
            Some(DiskTrouble::Removed) => Err(SinkError::Io { path: path(), why: "the disk is gone".to_owned() }),
        };
        if let Err(error) = taken {
            (sink.failed, sink.partial_bytes) = (true, 0);
            return Err(error);
        }
        Ok(sink.progress)
    }

    fn end_write(&mut self, fetch: u64, keeps_aside: bool) -> u32 {
        let Some(sink) = self.sinks.remove(&fetch) else { return 0 };
        let keeps = keeps_aside && !sink.failed && sink.partial_bytes > 0 && sink.next < sink.end;
        let Some(kept) = self.contents.get_mut(&sink.content).filter(|_| keeps) else { return 0 };
        kept.aside.insert(sink.next, (sink.partial_bytes, sink.partial_wrong));
        sink.partial_bytes
    }

    fn take_news(&mut self) -> Vec<StoreInput> {
        Vec::new()
    }

    fn checkpoint(&mut self) {
        if self.troubles.is_empty() {
            self.contents.values_mut().filter(|kept| !kept.complete).for_each(|kept| kept.synced = kept.have.clone());
        }
    }

    fn set_trouble(&mut self, trouble: DiskTrouble, on: bool) {
        match on {
            true => self.troubles.insert(trouble),
            false => self.troubles.remove(&trouble),
        };
    }

    fn holds(&self, content: ContentId, chunks: &ChunkSet) -> bool {
        self.contents.get(&content).is_some_and(|kept| chunks.difference(&kept.have).is_empty())
    }

    fn audit(&mut self) -> Vec<Defect> {
        let wrong = self.contents.values().filter(|kept| !kept.wrong.is_empty());
        wrong.map(|kept| Defect::WrongBytesVisible(format!("{} holds wrong chunks", kept.path))).collect()
    }
}
