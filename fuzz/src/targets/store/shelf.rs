//! A store in memory, driven without threads, and what is shared and received in it.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use mesh_chunk::{ChunkEntry, ChunkParameters, ManifestBuilder, RootKind, chunk_id};
use mesh_proto::port::store::{Row, StoreCommand, StoreInput, StoredContent};
use mesh_proto::{CommandId, ContentId};
use mesh_store::disk::{Access, Disk, MemoryDisk, read_whole};
use mesh_store::index::{Index, IndexTable, MemoryIndex};
use mesh_store::{Engine, StoreConfig};
use parking_lot::Mutex;

/// What is shared: two small files in a folder.
const FILES: [(&str, &[u8]); 2] = [("a", b"first"), ("b/c", b"second")];
/// Far more than any file here has.
const FILE_BYTES_MAX: u64 = 1 << 24;

/// A store and what it told.
pub struct Shelf {
    pub engine: Arc<Engine>,
    told: Arc<Mutex<Vec<StoreInput>>>,
    disk: MemoryDisk,
}

impl Shelf {
    /// Opens the store on a disk; `None` if it refuses.
    pub fn open(disk: &MemoryDisk, index: Option<Arc<LyingIndex>>) -> Option<Self> {
        let told: Arc<Mutex<Vec<StoreInput>>> = Arc::default();
        let inputs = Arc::clone(&told);
        let config = StoreConfig::on(Arc::new(disk.clone()), "/home/node/store".into());
        let index: Arc<dyn Index> = match index {
            Some(index) => index,
            None => Arc::new(MemoryIndex::default()),
        };
        let engine = Engine::open_over(config, index, Arc::new(move |input| inputs.lock().push(input))).ok()?;
        Some(Self { engine, told, disk: disk.clone() })
    }

    /// What it told first.
    pub fn opened(&self) -> (Vec<Row>, Vec<StoredContent>, Vec<String>) {
        match self.told.lock().first() {
            Some(StoreInput::Opened { rows, contents, repairs }) => (rows.clone(), contents.clone(), repairs.clone()),
            other => panic!("the store began with {other:?}"),
        }
    }

    /// Carries out a command and gives what was told meanwhile.
    pub fn carry_out(&self, command: StoreCommand) -> Vec<StoreInput> {
        self.told.lock().clear();
        self.engine.begin(&command);
        self.engine.carry_out(command);
        std::mem::take(&mut *self.told.lock())
    }

    /// Shares the folder.
    pub fn share(&self) -> StoredContent {
        for (name, bytes) in FILES {
            let path = Path::new("/home/shared").join(name);
            if self.disk.symlink_metadata(&path).is_err() {
                write_file(&self.disk, &path, bytes);
            }
        }
        let answers = self.carry_out(StoreCommand::Share { command: CommandId(99), path: "/home/shared".to_owned() });
        match answers.last() {
            Some(StoreInput::Shared { result: Ok(stored), .. }) => stored.clone(),
            other => panic!("a folder can't be shared: {other:?}"),
        }
    }
}

/// The bytes of the shared folder's content.
pub static STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let disk = MemoryDisk::default();
    let shelf = Shelf::open(&disk, None).expect("an empty disk");
    let name = shelf.share().content.to_string();
    let listing = Path::new("/home/node/store/manifests").join(&name[..2]).join(name + ".listing");
    let files = FILES.iter().flat_map(|(_, bytes)| bytes.iter().copied());
    read_file(&disk, &listing).into_iter().chain(files).collect()
});

/// A chunk of the content that is received.
pub fn received_chunk(chunk: u32) -> Vec<u8> {
    (0u8..100).map(|byte| byte.wrapping_mul(chunk as u8 + 3)).collect()
}

/// The content that is received: two chunks.
pub fn received_root() -> (ContentId, Vec<u8>) {
    let mut builder = ManifestBuilder::new(ChunkParameters::for_size(0));
    let mut whole = mesh_chunk::FileHasher::new();
    for chunk in 0..2 {
        let bytes = received_chunk(chunk);
        whole.update(&bytes);
        let entry = ChunkEntry { id: chunk_id(&bytes), length: 100 };
        assert!(builder.push(entry).is_ok_and(|pages| pages.is_empty()), "two chunks fit a root");
    }
    let built = builder.finish(RootKind::File, whole.finish());
    (built.id, built.root_bytes)
}

/// Writes a file, folders on the way included.
pub fn write_file(disk: &MemoryDisk, path: &Path, bytes: &[u8]) {
    let written = disk.create_folders(path.parent().unwrap_or(Path::new("/")));
    let written = written.and_then(|()| disk.open(path, Access::Fresh)).and_then(|file| file.write_at(bytes, 0));
    written.expect("a disk in memory does not fail");
}

/// Reads a file.
pub fn read_file(disk: &MemoryDisk, path: &Path) -> Vec<u8> {
    read_whole(disk, path, FILE_BYTES_MAX).expect("it was written")
}

/// An index that says the same of everything, as one from another store would.
pub struct LyingIndex(pub Vec<u8>);

impl Index for LyingIndex {
    fn get(&self, _: IndexTable, _: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.clone())
    }

    fn put(&self, _: IndexTable, _: &[u8], _: &[u8]) {}

    fn remove(&self, _: IndexTable, _: &[u8]) {}

    fn flush(&self) {}

    fn size_bytes(&self) -> u64 {
        0
    }
}
