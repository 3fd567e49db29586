//! What commands, sources and sinks share: the contents, the log, the disk. No threads: [`Store`](crate::Store) and a
//! simulated machine both drive it.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mesh_proto::payload::{PayloadSink, PayloadSource, PayloadStore, SinkError, SourceError, SpanAddress};
use mesh_proto::planted::Planted;
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Row, StoreInput};
use mesh_proto::{ChunkSet, CommandId, ContentId};
use parking_lot::{Mutex, RwLock};

use crate::chunk_buffers::ChunkBuffers;
use crate::content::{Content, Opened, Reception, Record};
use crate::disk::{self, Disk, SystemDisk};
use crate::index::{Index, MemoryIndex, SledIndex};
use crate::log::Log;
use crate::manifests::Manifests;
use crate::pace::Pace;
use crate::truth::Entry;
use crate::{sink, source};

/// Complete contents kept open for serving: each holds a file open, a tree up to 64.
const OPENED_MAX: usize = 32;
/// Chunks of those, over all of them: some 50 bytes each.
const OPENED_CHUNKS_MAX: u32 = 1 << 20;

/// Where the store lies, and on what.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// The disk it and all shared and received files lie on.
    pub disk: Arc<dyn Disk>,
    /// The folder on the operating system's disk where the index lies, in sled; `None` = in memory.
    pub index: Option<PathBuf>,
    /// What is broken in it, on purpose.
    pub planted: Planted,
}

impl StoreConfig {
    /// A store on the operating system's disk.
    #[must_use]
    pub fn on_disk(folder: PathBuf) -> Self {
        let index = Some(folder.join("index"));
        Self { folder, disk: Arc::new(SystemDisk), index, planted: Planted::default() }
    }

    /// A store on a disk of your own, its index in memory.
    #[must_use]
    pub fn on(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { folder, disk, index: None, planted: Planted::default() }
    }
}

/// Why the store can't be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("the store in {folder} is in use by another process")]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk said no, or what is there is no store of this version.
    #[error("can't open the store in {folder}: {source}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// A function that takes the store's answers. Called from several threads, and must not block for long.
pub type Inputs = Arc<dyn Fn(StoreInput) + Send + Sync>;

/// A store without threads. Commands are carried out where they are called; whoever drives it calls
/// [`checkpoint`](Self::checkpoint) every two seconds while something is received.
pub struct Engine {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) folder: PathBuf,
    pub(crate) manifests: Manifests,
    pub(crate) pace: Pace,
    pub(crate) chunk_buffers: ChunkBuffers,
    log: Mutex<Log>,
    /// Held while it is noted how a content stands: what the log says and what is here are one.
    noting: Mutex<()>,
    /// Bits kept as of the start; receptions hold what came since.
    kept: Mutex<BTreeMap<ContentId, ChunkSet>>,
    contents: RwLock<BTreeMap<ContentId, Arc<Content>>>,
    opened: Mutex<VecDeque<(Arc<Content>, Arc<Opened>)>>,
    inputs: Inputs,
    pub(crate) next_number: AtomicU64,
    /// Held for reading while a manifest is there whose content is not known yet, for writing while unknown ones are
    /// deleted.
    pub(crate) naming: RwLock<()>,
    /// Long commands waiting or under way, and whether they were told to stop.
    long: Mutex<BTreeMap<CommandId, bool>>,
    pub(crate) closing: AtomicBool,
    pub(crate) planted: Planted,
    _lock: Box<dyn Any + Send + Sync>,
}

impl Engine {
    /// Opens or makes the store, and tells [`StoreInput::Opened`] before anything else.
    ///
    /// # Errors
    /// [`OpenError`] if it is in use, of another version, or the disk says no.
    pub fn open(config: StoreConfig, inputs: Inputs) -> Result<Arc<Self>, OpenError> {
        let place = config.index.clone();
        Self::open_with(config, inputs, |repairs| open_index(place.as_deref(), repairs))
    }

    /// The same over an index of your own, whatever the configuration says of one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_over(config: StoreConfig, index: Arc<dyn Index>, inputs: Inputs) -> Result<Arc<Self>, OpenError> {
        Self::open_with(config, inputs, |_| index)
    }

    fn open_with(
        config: StoreConfig,
        inputs: Inputs,
        index: impl FnOnce(&mut Vec<String>) -> Arc<dyn Index>,
    ) -> Result<Arc<Self>, OpenError> {
        let StoreConfig { folder, disk, planted, .. } = config;
        let failed = |source: io::Error| OpenError::Io { folder: folder.clone(), source };
        disk::create_folders_durably(&*disk, &folder).map_err(failed)?;
        let lock = disk.lock(&folder.join("lock")).map_err(failed)?;
        let lock = lock.ok_or_else(|| OpenError::Locked { folder: folder.clone() })?;
        let mut repairs = Vec::new();
        let (log, state) = Log::open(&disk, &folder, &mut repairs).map_err(failed)?;
        // An earlier start may have made all this and failed to sync it.
        disk::sync_names(&*disk, &folder).map_err(failed)?;
        let index = index(&mut repairs);
        let manifests = Manifests::open(&disk, &index, &folder).map_err(failed)?;
        let stored = state.contents.values().map(|record| record.stored.clone()).collect();
        let rows = state.rows.into_iter().map(|((table, key), value)| Row { table, key, value }).collect();
        let contents = state.contents.into_values().map(|record| {
            let repairing = state.repairing.contains(&record.stored.content);
            let content = Content::new(Record { stored: record.stored, identity: record.identity, repairing });
            (content.id, Arc::new(content))
        });
        let engine = Arc::new(Self {
            disk,
            index,
            manifests,
            pace: Pace::default(),
            chunk_buffers: ChunkBuffers::default(),
            log: Mutex::new(log),
            noting: Mutex::new(()),
            kept: Mutex::new(state.kept),
            contents: RwLock::new(contents.collect()),
            opened: Mutex::default(),
            inputs,
            next_number: AtomicU64::new(1),
            naming: RwLock::new(()),
            long: Mutex::default(),
            closing: AtomicBool::new(false),
            folder,
            planted,
            _lock: lock,
        });
        for repair in &repairs {
            tracing::warn!(repair, "the store was repaired");
        }
        engine.tell(StoreInput::Opened { rows, contents: stored, repairs });
        Ok(engine)
    }

    /// The way of payload.
    #[must_use]
    pub fn payload(self: &Arc<Self>) -> Arc<dyn PayloadStore> {
        Arc::new(Payload(self.clone()))
    }

    /// How many paths were read and hashed since the start; others that were shared were known by their looks.
    #[must_use]
    pub fn paths_read(&self) -> u64 {
        self.next_number.load(Ordering::Relaxed) - 1
    }

    pub(crate) fn tell(&self, input: StoreInput) {
        (self.inputs)(input);
    }

    pub(crate) fn append(&self, entries: &[Entry]) -> Result<(), Failure> {
        self.log
            .lock()
            .append(entries)
            .map_err(|error| Failure::passing(format!("can't write the store's log: {error}")))
    }

    pub(crate) fn overhead_bytes(&self) -> u64 {
        self.log.lock().length_bytes() + self.index.size_bytes()
    }

    pub(crate) fn content(&self, id: ContentId) -> Option<Arc<Content>> {
        self.contents.read().get(&id).cloned()
    }

    pub(crate) fn contents(&self) -> Vec<Arc<Content>> {
        self.contents.read().values().cloned().collect()
    }

    pub(crate) fn known_names(&self) -> BTreeSet<String> {
        self.contents.read().keys().map(ContentId::to_string).collect()
    }

    /// Enters a content, new or in the place of what was known of it, on disk and then here.
    pub(crate) fn enter(&self, record: Record) -> Result<(), Failure> {
        let _noting = self.noting.lock();
        self.append(&record.entries())?;
        let id = record.stored.content;
        self.forget_opened(id);
        self.kept.lock().remove(&id);
        self.contents.write().insert(id, Arc::new(Content::new(record)));
        Ok(())
    }

    /// Forgets a content, on disk and then here.
    pub(crate) fn forget(&self, id: ContentId) -> Result<(), Failure> {
        let _noting = self.noting.lock();
        self.append(&[Entry::Forget(id)])?;
        self.forget_opened(id);
        self.kept.lock().remove(&id);
        self.contents.write().remove(&id);
        Ok(())
    }

    pub(crate) fn kept(&self, id: ContentId) -> ChunkSet {
        self.kept.lock().get(&id).cloned().unwrap_or_default()
    }

    /// Notes how a content stands now, on disk and then here, unless it was removed or entered anew meanwhile.
    pub(crate) fn set_record(&self, content: &Arc<Content>, record: Record) -> Result<(), Failure> {
        let _noting = self.noting.lock();
        if !self.content(content.id).is_some_and(|known| Arc::ptr_eq(&known, content)) {
            return Err(Failure::lasting("it was removed meanwhile"));
        }
        self.append(&record.entries())?;
        if record.stored.complete != content.record.read().stored.complete {
            self.kept.lock().remove(&content.id);
        }
        *content.record.write() = record;
        Ok(())
    }

    /// Notes what a content that was read again looks like, unless it stands otherwise by now.
    pub(crate) fn renew_identity(&self, content: &Arc<Content>, record: Record) -> Result<(), Failure> {
        if content.record.read().stored != record.stored {
            return Err(Failure::passing("it is being changed; verify it again"));
        }
        self.set_record(content, record)?;
        content.set_unchanged();
        Ok(())
    }

    /// Forgets which chunks of a reception were noted as kept.
    pub(crate) fn distrust(&self, record: &Record) -> Result<(), Failure> {
        let _noting = self.noting.lock();
        let id = record.stored.content;
        let entries: Vec<Entry> = std::iter::once(Entry::Forget(id)).chain(record.entries()).collect();
        self.append(&entries)?;
        self.kept.lock().remove(&id);
        Ok(())
    }

    /// Notes chunks of a reception as kept, unless it was closed meanwhile.
    pub(crate) fn note_kept(&self, reception: &Reception, fresh: &ChunkSet) -> Result<(), Failure> {
        let _noting = self.noting.lock();
        if reception.progress.lock().closed {
            return Ok(());
        }
        let id = reception.content;
        self.append(&[Entry::Kept(id, fresh.runs().to_vec())])?;
        self.kept.lock().entry(id).or_default().union_with(fresh);
        Ok(())
    }

    /// A complete content, open for reading; a few stay open.
    pub(crate) fn opened(&self, content: &Arc<Content>) -> io::Result<Arc<Opened>> {
        let mut opened = self.opened.lock();
        if let Some(at) = opened.iter().position(|(known, _)| Arc::ptr_eq(known, content)) {
            let entry = opened.remove(at).expect("just found");
            let found = entry.1.clone();
            opened.push_back(entry);
            return Ok(found);
        }
        let fresh = Arc::new(content.open(&self.disk, &self.manifests)?);
        opened.push_back((content.clone(), fresh.clone()));
        let mut chunks: u32 = opened.iter().map(|(_, opened)| opened.layout.chunk_count()).sum();
        while opened.len() > OPENED_MAX || chunks > OPENED_CHUNKS_MAX && opened.len() > 1 {
            chunks -= opened.pop_front().map_or(0, |(_, oldest)| oldest.layout.chunk_count());
        }
        Ok(fresh)
    }

    pub(crate) fn forget_opened(&self, id: ContentId) {
        self.opened.lock().retain(|(known, _)| known.id != id);
    }

    /// Whether a single shared file is still what it was; if not, it is said once.
    pub(crate) fn check_identity(&self, content: &Arc<Content>) -> Result<(), SourceError> {
        let (path, identity) = {
            let record = content.record.read();
            (record.stored.path.clone(), record.identity)
        };
        if content.is_changed() {
            return Err(SourceError::Changed { path });
        }
        let Some(identity) = identity else { return Ok(()) };
        match self.disk.metadata(Path::new(&path)) {
            Ok(metadata) if identity.looks_like(&metadata) => Ok(()),
            Ok(_) => {
                self.report_changed(content, format!("{path} was changed after it was shared"));
                Err(SourceError::Changed { path })
            }
            Err(error) => {
                self.report_away(content, format!("{path} can't be read: {error}"));
                Err(SourceError::Io { path, why: error.to_string() })
            }
        }
    }

    /// Looks whether what is kept of a complete content is damaged, which is said once; it can't be given to anybody then.
    pub(crate) fn check_manifest(&self, id: ContentId) -> bool {
        let Some(content) = self.content(id) else { return false };
        let stored = content.record.read().stored.clone();
        let damaged = stored.complete && content.reception.read().is_none() && !self.manifests.is_whole(id);
        if damaged {
            self.report_changed(&content, manifest_is_damaged(&stored.path));
        }
        damaged
    }

    /// What is shared or was received is no longer what it was.
    pub(crate) fn report_changed(&self, content: &Arc<Content>, why: String) {
        self.report(content, false, why);
    }

    /// It can't be read: its disk may have been taken out, and come back.
    pub(crate) fn report_away(&self, content: &Arc<Content>, why: String) {
        self.report(content, true, why);
    }

    fn report(&self, content: &Arc<Content>, away: bool, why: String) {
        self.forget_opened(content.id);
        if content.reception.read().is_none() && content.set_changed(away) {
            self.tell(StoreInput::Changed { content: content.id, why });
        }
    }

    pub(crate) fn receptions(&self) -> Vec<Arc<Reception>> {
        self.contents().iter().filter_map(|content| content.reception.read().clone()).collect()
    }

    /// A long command was taken: from now on it can be told to stop.
    pub(crate) fn begin_long(&self, command: CommandId) {
        self.long.lock().insert(command, false);
    }

    /// Tells a long command to stop; nothing if it has ended.
    pub(crate) fn stop_long(&self, command: CommandId) {
        if let Some(stop) = self.long.lock().get_mut(&command) {
            *stop = true;
        }
    }

    pub(crate) fn end_long(&self, command: CommandId) {
        self.long.lock().remove(&command);
    }

    pub(crate) fn is_stopped(&self, command: CommandId) -> bool {
        self.closing.load(Ordering::Relaxed) || self.long.lock().get(&command).is_some_and(|stop| *stop)
    }

    /// Whether a path is a copy of standard input, which lies beside the store.
    pub(crate) fn is_from_stdin(&self, path: &Path) -> bool {
        let own = self.folder.parent().unwrap_or(&self.folder);
        path.starts_with(own.join("stdin-shares"))
    }

    /// Whether a path lies in the store itself.
    pub(crate) fn is_own(&self, path: &Path) -> bool {
        let own = self.folder.parent().unwrap_or(&self.folder);
        match (self.disk.canonical(path), self.disk.canonical(own)) {
            (Ok(path), Ok(own)) => {
                path.starts_with(&own) && !path.starts_with(own.join("stdin-shares")) || own.starts_with(&path)
            }
            _ => false,
        }
    }
}

/// Why a content whose files may be whole is not given.
pub(crate) fn manifest_is_damaged(path: &str) -> String {
    format!("what the store keeps of {path} is damaged or gone; `mesh-node share` the same path to make it anew")
}

fn open_index(folder: Option<&Path>, repairs: &mut Vec<String>) -> Arc<dyn Index> {
    let Some(folder) = folder else { return Arc::new(MemoryIndex::default()) };
    match SledIndex::open(folder, repairs) {
        Ok(index) => Arc::new(index),
        Err(error) => {
            repairs.push(format!("there is no index on disk ({error}); going on with one in memory"));
            Arc::new(MemoryIndex::default())
        }
    }
}

struct Payload(Arc<Engine>);

impl PayloadStore for Payload {
    fn open_source(&self, span: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
        source::open(&self.0, span).map(|source| Box::new(source) as Box<dyn PayloadSource>)
    }

    fn open_sink(&self, span: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
        sink::open(&self.0, span).map(|sink| Box::new(sink) as Box<dyn PayloadSink>)
    }
}
