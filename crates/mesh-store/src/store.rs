//! The store itself: opening, what its parts share, closing.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use mesh_proto::payload::{PayloadSink, PayloadSource, PayloadStore, SinkError, SourceError, SpanAddress};
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Row, StoreCommand, StoreInput, StoredContent};
use mesh_proto::{ChunkSet, CommandId, ContentId};
use parking_lot::{Condvar, Mutex, RwLock};

use crate::content::{Content, Opened, Reception};
use crate::log::{ContentRecord, Entry, Log};
use crate::manifests::Manifests;
use crate::system::Identity;
use crate::{checkpoint, sink, source, work};

/// Complete contents kept open for serving at once.
const OPENED_MAX: usize = 64;

/// Where the store lies.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
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

/// What sources, sinks and commands share.
pub struct Inner {
    pub(crate) folder: PathBuf,
    pub(crate) manifests: Manifests,
    log: Mutex<Log>,
    /// Bits kept as of the start; receptions hold what came since.
    kept: Mutex<BTreeMap<ContentId, ChunkSet>>,
    contents: RwLock<BTreeMap<ContentId, Arc<Content>>>,
    opened: Mutex<VecDeque<(ContentId, Arc<Opened>)>>,
    inputs: Inputs,
    pub(crate) next_number: AtomicU64,
    /// Long commands that were told to stop.
    pub(crate) stopped: Mutex<Vec<CommandId>>,
    pub(crate) closing: AtomicBool,
    due: Mutex<bool>,
    due_changed: Condvar,
}

/// A running store. See the crate.
pub struct Store {
    inner: Arc<Inner>,
    commands: Mutex<Option<Sender<StoreCommand>>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    _lock: File,
}

impl Store {
    /// Opens or makes the store, and tells [`StoreInput::Opened`] before anything else.
    ///
    /// # Errors
    /// [`OpenError`] if it is in use, of another version, or the disk says no.
    pub fn open(config: StoreConfig, inputs: Inputs) -> Result<Self, OpenError> {
        let folder = config.folder;
        let failed = |source: io::Error| OpenError::Io { folder: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|_| OpenError::Locked { folder: folder.clone() })?;
        let mut repairs = Vec::new();
        let (log, state) = Log::open(&folder, &mut repairs).map_err(failed)?;
        let manifests = Manifests::open(&folder).map_err(failed)?;
        let stored = state.contents.values().map(|record| record.stored.clone()).collect();
        let rows = state.rows.into_iter().map(|((table, key), value)| Row { table, key, value }).collect();
        let contents = state.contents.into_values().map(|record| {
            let content = Content::new(record.stored, record.identity);
            (content.id, Arc::new(content))
        });
        let inner = Arc::new(Inner {
            manifests,
            log: Mutex::new(log),
            kept: Mutex::new(state.kept),
            contents: RwLock::new(contents.collect()),
            opened: Mutex::new(VecDeque::new()),
            inputs,
            next_number: AtomicU64::new(1),
            stopped: Mutex::new(Vec::new()),
            closing: AtomicBool::new(false),
            due: Mutex::new(false),
            due_changed: Condvar::new(),
            folder,
        });
        inner.tell(StoreInput::Opened { rows, contents: stored, repairs });
        let (commands, queue) = channel();
        let (worker, keeper) = (inner.clone(), inner.clone());
        let threads = vec![
            std::thread::spawn(move || work::run(&worker, &queue)),
            std::thread::spawn(move || checkpoint::run(&keeper)),
        ];
        Ok(Self { inner, commands: Mutex::new(Some(commands)), threads: Mutex::new(threads), _lock: lock })
    }

    /// Takes a command; the answer comes as an input. Never blocks. (The brain bounds how many are under way.)
    pub fn command(&self, command: StoreCommand) {
        if let StoreCommand::Stop { command } = command {
            self.inner.stopped.lock().push(command);
            return;
        }
        if let Some(commands) = &*self.commands.lock() {
            let _ = commands.send(command);
        }
    }

    /// The way of payload.
    #[must_use]
    pub fn payload(&self) -> Arc<dyn PayloadStore> {
        Arc::new(Payload(self.inner.clone()))
    }

    /// Stops long work, keeps what was received, and waits for both.
    pub fn close(&self) {
        self.inner.closing.store(true, Ordering::Relaxed);
        self.commands.lock().take();
        self.inner.wake_checkpoint();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

struct Payload(Arc<Inner>);

impl PayloadStore for Payload {
    fn open_source(&self, span: SpanAddress) -> Result<Box<dyn PayloadSource>, SourceError> {
        source::open(&self.0, span).map(|source| Box::new(source) as Box<dyn PayloadSource>)
    }

    fn open_sink(&self, span: SpanAddress) -> Result<Box<dyn PayloadSink>, SinkError> {
        sink::open(&self.0, span).map(|sink| Box::new(sink) as Box<dyn PayloadSink>)
    }
}

impl Inner {
    pub(crate) fn tell(&self, input: StoreInput) {
        (self.inputs)(input);
    }

    pub(crate) fn append(&self, entries: &[Entry]) -> Result<(), Failure> {
        self.log
            .lock()
            .append(entries)
            .map_err(|error| Failure::passing(format!("can't write the store's log: {error}")))
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log.lock().length_bytes()
    }

    pub(crate) fn content(&self, id: ContentId) -> Option<Arc<Content>> {
        self.contents.read().get(&id).cloned()
    }

    pub(crate) fn contents(&self) -> Vec<Arc<Content>> {
        self.contents.read().values().cloned().collect()
    }

    pub(crate) fn insert(&self, content: Content) {
        self.contents.write().insert(content.id, Arc::new(content));
    }

    pub(crate) fn forget(&self, id: ContentId) -> Option<Arc<Content>> {
        self.forget_opened(id);
        self.kept.lock().remove(&id);
        self.contents.write().remove(&id)
    }

    pub(crate) fn kept(&self, id: ContentId) -> ChunkSet {
        self.kept.lock().get(&id).cloned().unwrap_or_default()
    }

    /// Forgets which chunks of a reception were noted as kept.
    pub(crate) fn distrust(&self, stored: &StoredContent) -> Result<(), Failure> {
        self.kept.lock().remove(&stored.content);
        let record = ContentRecord { stored: stored.clone(), identity: None };
        self.append(&[Entry::Forget(stored.content), Entry::Content(record)])
    }

    pub(crate) fn aside_path(&self, id: ContentId) -> PathBuf {
        self.manifests.path(id).with_extension("aside")
    }

    /// A complete content, open for reading; a few stay open.
    pub(crate) fn opened(&self, content: &Content) -> io::Result<Arc<Opened>> {
        let mut opened = self.opened.lock();
        if let Some(at) = opened.iter().position(|(id, _)| *id == content.id) {
            let entry = opened.remove(at).expect("just found");
            let found = entry.1.clone();
            opened.push_back(entry);
            return Ok(found);
        }
        let fresh = Arc::new(content.open(&self.manifests)?);
        opened.push_back((content.id, fresh.clone()));
        if opened.len() > OPENED_MAX {
            opened.pop_front();
        }
        Ok(fresh)
    }

    pub(crate) fn forget_opened(&self, id: ContentId) {
        self.opened.lock().retain(|(known, _)| *known != id);
    }

    /// Whether a single shared file is still what it was; if not, it is said once.
    pub(crate) fn check_identity(&self, content: &Arc<Content>) -> Result<(), SourceError> {
        let (path, identity) = {
            let record = content.record.read();
            (record.stored.path.clone(), record.identity)
        };
        if content.changed.load(Ordering::Relaxed) {
            return Err(SourceError::Changed { path });
        }
        let Some(identity) = identity else { return Ok(()) };
        match std::fs::metadata(&path) {
            Ok(metadata) if Identity::of(&metadata) == identity => Ok(()),
            Ok(_) => {
                self.report_changed(content, format!("{path} was changed after it was shared"));
                Err(SourceError::Changed { path })
            }
            Err(error) => {
                self.report_changed(content, format!("{path} can't be read: {error}"));
                Err(SourceError::Io { path, why: error.to_string() })
            }
        }
    }

    pub(crate) fn report_changed(&self, content: &Arc<Content>, why: String) {
        self.forget_opened(content.id);
        if content.reception.read().is_none() && content.set_changed() {
            self.tell(StoreInput::Changed { content: content.id, why });
        }
    }

    pub(crate) fn receptions(&self) -> Vec<Arc<Reception>> {
        self.contents().iter().filter_map(|content| content.reception.read().clone()).collect()
    }

    /// Bytes were received: if many wait, they are synced now.
    pub(crate) fn note_unsynced(&self, reception: &Reception) {
        if reception.progress.lock().unsynced_bytes >= checkpoint::BYTES {
            self.wake_checkpoint();
        }
    }

    pub(crate) fn wake_checkpoint(&self) {
        *self.due.lock() = true;
        self.due_changed.notify_all();
    }

    /// Waits until a checkpoint is due. Says whether the store is closing.
    pub(crate) fn wait_for_checkpoint(&self, time: Duration) -> bool {
        let mut due = self.due.lock();
        if !*due {
            let _ = self.due_changed.wait_for(&mut due, time);
        }
        *due = false;
        self.closing.load(Ordering::Relaxed)
    }

    /// Whether a path lies in the store itself.
    pub(crate) fn is_own(&self, path: &Path) -> bool {
        let own = self.folder.parent().unwrap_or(&self.folder);
        match (path.canonicalize(), own.canonicalize()) {
            (Ok(path), Ok(own)) => {
                path.starts_with(&own) && !path.starts_with(own.join("stdin-shares")) || own.starts_with(&path)
            }
            _ => false,
        }
    }
}
