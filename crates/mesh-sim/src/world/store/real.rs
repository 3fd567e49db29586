//! The real store over a faulty disk in memory: what recovers here is the code that recovers on a Raspberry Pi.
//!
//! Invariant: it has no thread; everything happens when it is called.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mesh_proto::payload::{PayloadSink, PayloadSource, SinkError, SinkProgress, SourceError, SpanAddress};
use mesh_proto::planted::Planted;
use mesh_proto::port::store::{StoreCommand, StoreInput, StoredContent};
use mesh_proto::{ChunkSet, ContentId};
use mesh_store::disk::{Access, Disk, FaultyDisk};
use mesh_store::{Engine, StoreConfig};

use super::{Defect, DiskTrouble, Ending, NodeStore, Slice};
use crate::random::Stream;

/// Bytes written to a person's file at a time.
const WRITE_BYTES: usize = 1 << 16;

/// See the module.
#[derive(Default)]
pub struct RealStore {
    disk: FaultyDisk,
    engine: Option<Arc<Engine>>,
    told: Arc<Mutex<Vec<StoreInput>>>,
    sources: BTreeMap<u64, Box<dyn PayloadSource>>,
    sinks: BTreeMap<u64, Box<dyn PayloadSink>>,
    /// Files whose bytes the world knows, by whole hash: what a finished file must be.
    finished: BTreeMap<ContentId, StoredContent>,
    troubles: BTreeSet<DiskTrouble>,
    planted: Planted,
}

impl RealStore {
    /// A store with a defect, for a test that must find it.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn with_defect(defect: Option<mesh_proto::planted::Defect>) -> Self {
        Self { planted: Planted::new(defect), ..Self::default() }
    }

    /// The disk, to look at and to flip bits on.
    #[must_use]
    pub fn disk(&self) -> &FaultyDisk {
        &self.disk
    }

    fn take_told(&self) -> Vec<StoreInput> {
        std::mem::take(&mut *self.told.lock().expect("nobody panics while holding it"))
    }

    /// What a file or folder hashes to now, or why it can't be read.
    fn hash_of(&self, path: &str) -> Result<[u8; 32], String> {
        let disk = self.disk.inside();
        let file = disk.open(Path::new(path), Access::Read).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.size_bytes;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; WRITE_BYTES];
        let mut at = 0;
        while at < length {
            let room = buffer.len().min(usize::try_from(length - at).unwrap_or(usize::MAX));
            file.read_at(&mut buffer[..room], at).map_err(|error| error.to_string())?;
            hasher.update(&buffer[..room]);
            at += room as u64;
        }
        Ok(*hasher.finalize().as_bytes())
    }
}

impl NodeStore for RealStore {
    fn open(&mut self) -> Result<Vec<StoreInput>, String> {
        let told = self.told.clone();
        let inputs = Arc::new(move |input| told.lock().expect("nobody panics while holding it").push(input));
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        // Where shared and received files lie, as a home folder does.
        self.disk.inside().create_folders(Path::new("/home")).map_err(|error| error.to_string())?;
        self.disk.inside().sync_folder(Path::new("/")).map_err(|error| error.to_string())?;
        let config = StoreConfig { planted: self.planted, ..StoreConfig::on(disk, PathBuf::from("/data/store")) };
        let engine = Engine::open(config, inputs);
        self.engine = Some(engine.map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))?);
        Ok(self.take_told())
    }

    fn end(&mut self, ending: Ending) {
        self.sources.clear();
        match ending {
            Ending::Closed => {
                let sinks = std::mem::take(&mut self.sinks);
                sinks.into_values().for_each(|sink| {
                    sink.set_aside();
                });
                self.checkpoint();
            }
            Ending::Killed | Ending::MachineOff => {}
            Ending::PowerCut { seed } => {
                // Everything open is of no use after it, the store's lock included.
                self.sinks.clear();
                self.engine = None;
                self.disk.power_cut(seed);
                self.troubles.clone().into_iter().for_each(|trouble| self.set_trouble(trouble, true));
            }
            Ending::DiskLost => {
                self.engine = None;
                self.disk = FaultyDisk::default();
                self.troubles.clone().into_iter().for_each(|trouble| self.set_trouble(trouble, true));
                self.finished.clear();
            }
        }
        self.sinks.clear();
        self.engine = None;
        self.take_told();
    }

    fn carry_out(&mut self, command: StoreCommand) -> Vec<StoreInput> {
        let Some(engine) = &self.engine else { return Vec::new() };
        let removed = match &command {
            StoreCommand::Remove { content, .. } => Some(*content),
            _ => None,
        };
        engine.begin(&command);
        engine.carry_out(command);
        let told = self.take_told();
        for input in &told {
            if let StoreInput::Finished { result: Ok(stored), .. } = input {
                self.finished.insert(stored.content, stored.clone());
            }
            if let StoreInput::Receiving { result: Ok(received), .. } = input {
                self.finished.remove(&received.stored.content);
            }
            if let (StoreInput::Done { .. }, Some(content)) = (input, removed) {
                self.finished.remove(&content);
            }
        }
        told
    }

    fn put_file(&mut self, path: &str, bytes: u64, seed: u64) {
        let disk = self.disk.inside();
        let path = Path::new(path);
        let folder = path.parent().expect("a file lies in a folder");
        disk.create_folders(folder).expect("the disk below does not fail");
        let file = disk.open(path, Access::Fresh).expect("the disk below does not fail");
        let luck = Stream::new(seed, "bytes", bytes);
        let mut written = 0;
        while written < bytes {
            let room = WRITE_BYTES.min(usize::try_from(bytes - written).unwrap_or(WRITE_BYTES));
            let words = (written / 8..).take(room.div_ceil(8)).flat_map(|word| luck.at(word).to_le_bytes());
            let noise: Vec<u8> = words.take(room).collect();
            file.write_at(&noise, written).expect("the disk below does not fail");
            written += room as u64;
        }
        file.sync_all().expect("the disk below does not fail");
        disk.sync_folder(folder).expect("the disk below does not fail");
    }

    fn read(&mut self, serve: u64, span: SpanAddress, _: u64, bytes: u64) -> Result<Slice, SourceError> {
        let engine = self.engine.as_ref().ok_or(SourceError::NotHeld)?;
        let source = match self.sources.entry(serve) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(engine.payload().open_source(span)?),
        };
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let mut filled = 0;
        while filled < buffer.len() {
            match source.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        buffer.truncate(filled);
        Ok(Slice::Bytes(buffer))
    }

    fn end_read(&mut self, serve: u64) {
        self.sources.remove(&serve);
    }

    fn write(&mut self, fetch: u64, span: SpanAddress, slice: &Slice) -> Result<SinkProgress, SinkError> {
        let engine = self.engine.as_ref().ok_or(SinkError::NotOpen)?;
        let sink = match self.sinks.entry(fetch) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(engine.payload().open_sink(span)?),
        };
        match slice {
            Slice::Bytes(bytes) => sink.write(bytes),
            Slice::Counted { .. } => Err(SinkError::NotOpen),
        }
    }

    fn end_write(&mut self, fetch: u64, keeps_aside: bool) -> u32 {
        match self.sinks.remove(&fetch) {
            Some(sink) if keeps_aside => sink.set_aside(),
            _ => 0,
        }
    }

    fn take_news(&mut self) -> Vec<StoreInput> {
        self.take_told()
    }

    fn checkpoint(&mut self) {
        if let Some(engine) = &self.engine {
            engine.checkpoint();
        }
    }

    fn set_trouble(&mut self, trouble: DiskTrouble, on: bool) {
        match on {
            true => self.troubles.insert(trouble),
            false => self.troubles.remove(&trouble),
        };
        match trouble {
            DiskTrouble::Full => self.disk.set_full(on),
            DiskTrouble::ReadOnly => self.disk.set_read_only(on),
            DiskTrouble::Removed => self.disk.set_removed(on),
            DiskTrouble::SyncFails => self.disk.set_sync_fails(on),
        }
    }

    fn holds(&self, _: ContentId, _: &ChunkSet) -> bool {
        true
    }

    fn audit(&mut self) -> Vec<Defect> {
        let defect = |stored: &StoredContent| match self.hash_of(&stored.path) {
            Ok(hash) if hash == stored.whole_hash => None,
            Ok(_) => Some(Defect::WrongBytesVisible(format!("{} is not what it should be", stored.path))),
            Err(_) if !self.troubles.is_empty() => None,
            Err(why) => Some(Defect::KeptLost(format!("{}: {why}", stored.path))),
        };
        self.finished.values().filter_map(defect).collect()
    }
}
