//! A store on a disk of choice, driven without threads, and two of them that pass a content between them.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_proto::payload::{PayloadSink, PayloadSource, SinkError, SourceError, SpanAddress};
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Look, Received, Row, StoreCommand, StoreInput, StoredContent, Table};
use mesh_proto::{ChunkRange, ChunkSet, CommandId, ContentId, PageId};
use mesh_store::disk::{Access, Disk, FaultyDisk, MemoryDisk, SystemDisk, read_whole};
use mesh_store::{Engine, OpenError, StoreConfig};
use parking_lot::Mutex;

/// A disk with a place for files on it, and where the index lies.
pub struct World {
    pub disk: Arc<dyn Disk>,
    pub root: PathBuf,
    pub sled: Option<PathBuf>,
    _temporary: Option<tempfile::TempDir>,
}

impl World {
    fn new(disk: Arc<dyn Disk>, on_system: bool, sled: bool) -> Self {
        let temporary = (on_system || sled).then(|| tempfile::tempdir().expect("a folder"));
        let place = temporary.as_ref().map(|folder| folder.path().to_owned());
        let root = place.clone().filter(|_| on_system).unwrap_or_else(|| PathBuf::from("/home"));
        disk.create_folders(&root).expect("a folder");
        disk.sync_below(&root).expect("syncs");
        if let Some(above) = root.parent() {
            let _ = disk.sync_folder(above);
        }
        Self { disk, root, sled: place.filter(|_| sled), _temporary: temporary }
    }

    pub fn system_and_sled() -> Self {
        Self::new(Arc::new(SystemDisk), true, true)
    }

    pub fn system_and_memory() -> Self {
        Self::new(Arc::new(SystemDisk), true, false)
    }

    pub fn faulty_and_sled() -> Self {
        Self::new(Arc::new(FaultyDisk::default()), false, true)
    }

    pub fn faulty_and_memory() -> Self {
        Self::on(&FaultyDisk::default())
    }

    pub fn all_in_memory() -> Self {
        Self::new(Arc::new(MemoryDisk::default()), false, false)
    }

    /// Over a faulty disk that the test holds, too.
    pub fn on(disk: &FaultyDisk) -> Self {
        Self::new(Arc::new(disk.clone()), false, false)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A store of this name.
    pub fn try_open(&self, name: &str) -> Result<Bench, OpenError> {
        let index = self.sled.as_ref().map(|folder| folder.join(format!("{name}-index")));
        let config = StoreConfig {
            folder: self.path(name).join("store"),
            disk: self.disk.clone(),
            index,
            planted: Default::default(),
        };
        let inputs: Arc<Mutex<Vec<StoreInput>>> = Arc::default();
        let told = inputs.clone();
        let engine = Engine::open(config, Arc::new(move |input| told.lock().push(input)))?;
        Ok(Bench { engine, inputs, next: std::cell::Cell::new(1) })
    }

    pub fn open(&self, name: &str) -> Bench {
        self.try_open(name).expect("opens")
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        let file = self.disk.open(&path, Access::Fresh).expect("opens");
        file.write_at(bytes, 0).expect("writes");
        file.sync().expect("syncs");
        self.disk.sync_folder(path.parent().expect("a folder")).expect("syncs");
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        read_whole(&*self.disk, &self.path(name), 1 << 32).expect("reads")
    }

    pub fn exists(&self, name: &str) -> bool {
        self.disk.symlink_metadata(&self.path(name)).is_ok()
    }
}

/// A store and what it answered.
pub struct Bench {
    pub engine: Arc<Engine>,
    pub inputs: Arc<Mutex<Vec<StoreInput>>>,
    next: std::cell::Cell<u64>,
}

impl Bench {
    fn ask(&self, make: impl FnOnce(CommandId) -> StoreCommand) -> StoreInput {
        self.next.set(self.next.get() + 1);
        self.engine.carry_out(make(CommandId(self.next.get())));
        self.inputs.lock().pop().expect("an answer")
    }

    /// What was kept when it opened.
    pub fn opened(&self) -> (Vec<Row>, Vec<StoredContent>, Vec<String>) {
        match &self.inputs.lock()[0] {
            StoreInput::Opened { rows, contents, repairs } => (rows.clone(), contents.clone(), repairs.clone()),
            other => panic!("{other:?} came first"),
        }
    }

    pub fn share(&self, path: &Path) -> Result<StoredContent, Failure> {
        let path = path.to_string_lossy().into_owned();
        match self.ask(|command| StoreCommand::Share { command, path }) {
            StoreInput::Shared { result, .. } => result,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn page(&self, content: ContentId, page: PageId) -> Option<Vec<u8>> {
        match self.ask(|command| StoreCommand::ReadPage { command, content, page }) {
            StoreInput::PageRead { bytes, .. } => bytes,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn root(&self, content: ContentId) -> Option<Vec<u8>> {
        self.page(content, PageId(content.0))
    }

    pub fn put_page(&self, content: ContentId, page: PageId, bytes: Vec<u8>) -> Result<(), Failure> {
        match self.ask(|command| StoreCommand::PutPage { command, content, page, bytes }) {
            StoreInput::PagePut { result, .. } => result,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn receive(&self, content: ContentId, root: Option<Vec<u8>>, target: &Path) -> Result<Received, Failure> {
        let target = target.to_string_lossy().into_owned();
        self.receiving(|command| StoreCommand::Receive { command, content, root, target })
    }

    pub fn repair(&self, content: ContentId) -> Result<Received, Failure> {
        self.receiving(|command| StoreCommand::Repair { command, content })
    }

    fn receiving(&self, make: impl FnOnce(CommandId) -> StoreCommand) -> Result<Received, Failure> {
        match self.ask(make) {
            StoreInput::Receiving { result, .. } => result,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn finish(&self, content: ContentId) -> Result<StoredContent, Failure> {
        match self.ask(|command| StoreCommand::Finish { command, content }) {
            StoreInput::Finished { result, .. } => result,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn verify(&self, content: ContentId) -> Result<ChunkSet, Failure> {
        match self.ask(|command| StoreCommand::Verify { command, content }) {
            StoreInput::Verified { result, .. } => result,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn look(&self, content: ContentId) -> Look {
        match self.ask(|command| StoreCommand::Look { command, content }) {
            StoreInput::Looked { look, .. } => look,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let put = vec![Row { table: Table::Setting, key: key.to_vec(), value: value.to_vec() }];
        self.done(|command| StoreCommand::Write { command, put, delete: Vec::new() })
    }

    pub fn remove(&self, content: ContentId, delete_files: bool) -> Result<(), Failure> {
        self.done(|command| StoreCommand::Remove { command, content, delete_files })
    }

    pub fn copy(&self, content: ContentId, target: &Path) -> Result<(), Failure> {
        let target = target.to_string_lossy().into_owned();
        self.done(|command| StoreCommand::Copy { command, content, target })
    }

    pub fn sweep(&self) -> Result<(), Failure> {
        self.done(|command| StoreCommand::Sweep { command })
    }

    fn done(&self, make: impl FnOnce(CommandId) -> StoreCommand) -> Result<(), Failure> {
        match self.ask(make) {
            StoreInput::Done { result, .. } => result,
            other => panic!("{other:?} is no answer"),
        }
    }

    pub fn source(
        &self,
        content: ContentId,
        chunks: ChunkRange,
        skip: u32,
    ) -> Result<Box<dyn PayloadSource>, SourceError> {
        self.engine.payload().open_source(SpanAddress { content, chunks, skip_bytes: skip })
    }

    pub fn sink(&self, content: ContentId, chunks: ChunkRange, skip: u32) -> Result<Box<dyn PayloadSink>, SinkError> {
        self.engine.payload().open_sink(SpanAddress { content, chunks, skip_bytes: skip })
    }

    /// The bytes of some chunks.
    pub fn bytes(&self, content: ContentId, chunks: ChunkRange) -> Result<Vec<u8>, SourceError> {
        read_all(&mut *self.source(content, chunks, 0)?)
    }
}

pub fn read_all(source: &mut dyn PayloadSource) -> Result<Vec<u8>, SourceError> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 100_000]);
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Bytes that look random: the same seed, the same bytes.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

pub fn one(chunk: u32) -> ChunkRange {
    ChunkRange { start: chunk, count: 1 }
}

/// Moves one chunk, in two parts.
pub fn copy_chunk(from: &Bench, to: &Bench, content: ContentId, chunk: u32) -> Result<(), SinkError> {
    let bytes = from.bytes(content, one(chunk)).expect("the source holds it");
    let mut sink = to.sink(content, one(chunk), 0)?;
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    sink.write(head)?;
    assert_eq!(sink.write(tail)?.chunks_verified, 1);
    Ok(())
}

/// Moves every chunk that is not in `have`, one at a time.
pub fn copy_all(from: &Bench, to: &Bench, stored: &StoredContent, have: &ChunkSet) {
    for chunk in ChunkSet::full(stored.chunk_count).difference(have).iter() {
        copy_chunk(from, to, stored.content, chunk).expect("takes");
    }
}

/// Moves every page below the root.
pub fn copy_pages(from: &Bench, to: &Bench, content: ContentId) -> Result<(), Failure> {
    let root = from.root(content).expect("a root");
    let root = mesh_chunk::Root::decode(&root, &content).expect("decodes");
    let mut layout = mesh_chunk::Layout::new(&root, mesh_chunk::Detail::Full).expect("a layout");
    while let Some(reference) = layout.missing_pages().first().cloned() {
        let bytes = from.page(content, reference.page).expect("a page");
        let page = mesh_chunk::Page::decode(&bytes, &reference).expect("decodes");
        layout.add_page(&reference, &page).expect("fits");
        to.put_page(content, reference.page, bytes)?;
    }
    Ok(())
}

/// A source and a getter on one disk.
pub struct Two<'a> {
    pub world: &'a World,
    pub source: Bench,
    pub getter: Bench,
}

impl<'a> Two<'a> {
    pub fn new(world: &'a World) -> Self {
        Self { world, source: world.open("a"), getter: world.open("b") }
    }

    pub fn shared(&self, bytes: &[u8]) -> StoredContent {
        let path = self.world.write("file", bytes);
        self.source.share(&path).expect("shares")
    }

    /// Begins to get it as `copy`, pages included.
    pub fn begin(&self, stored: &StoredContent) -> Received {
        let root = self.source.root(stored.content);
        let received = self.getter.receive(stored.content, root, &self.world.path("copy")).expect("begins");
        copy_pages(&self.source, &self.getter, stored.content).expect("takes pages");
        received
    }

    /// The getter stops and starts again.
    pub fn restart_getter(self) -> Self {
        let Self { world, source, getter } = self;
        drop(getter);
        Self { world, source, getter: world.open("b") }
    }

    /// Goes on with what was begun.
    pub fn resume(&self, stored: &StoredContent) -> Received {
        self.getter.receive(stored.content, None, &self.world.path("copy")).expect("goes on")
    }
}
