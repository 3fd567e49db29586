//! A disk in memory: for a store that keeps nothing, and for simulated machines.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::node::{Body, Node};
use super::unsynced::{Chance, Change, NameChange, NameEdit, settle_names};
use super::{Access, Disk, DiskFile, Kind, Metadata};

/// A link that leads to a link, and so on, ends here.
const LINKS_MAX: usize = 16;
/// What the disk says it has room for.
const FREE_BYTES: u64 = 1 << 40;
/// Its clock moves by this with each change, so that no two changes look alike.
const TICK_NS: i64 = 1_000_000;

/// A disk in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: Arc<Node>,
    next_number: AtomicU64,
    now_ns: Arc<AtomicI64>,
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Whether it remembers what was not synced.
    remembers: bool,
    /// Changed names that were not synced. Its lock is held while names change.
    names: Mutex<Vec<NameChange>>,
}

fn names_of(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned()),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir => drop(names.pop()),
            Component::Prefix(_) => return Err(io::ErrorKind::InvalidFilename.into()),
        }
    }
    Ok(names)
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new(false)
    }
}

impl MemoryDisk {
    /// An empty disk. If it remembers what was not synced, a power cut can be played on it.
    pub(super) fn new(remembers: bool) -> Self {
        let shared = Shared {
            root: Arc::new(Node::new(1, Body::Folder(BTreeMap::new()), 0o755, 0)),
            next_number: AtomicU64::new(2),
            now_ns: Arc::new(AtomicI64::new(1_000_000_000)),
            locks: Arc::default(),
            remembers,
            names: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets the clock files get their times from, in nanoseconds since 1970.
    pub fn set_now_ns(&self, now_ns: i64) {
        self.shared.now_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Takes away what was not synced, or part of it: the same seed takes the same.
    pub(super) fn power_cut(&self, seed: u64) {
        let mut chance = Chance(seed);
        let changes = std::mem::take(&mut *self.shared.names.lock());
        // Files that stand under no name any more may stand under one again: settle them all, each once.
        let mut nodes: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
        let edited = changes.iter().flatten().flat_map(|edit| [edit.before.clone(), edit.after.clone()]).flatten();
        let mut open: Vec<Arc<Node>> = edited.chain([self.shared.root.clone()]).collect();
        while let Some(node) = open.pop() {
            if nodes.insert(node.number, node.clone()).is_none() {
                open.extend(node.entries().into_iter().map(|(_, node)| node));
            }
        }
        settle_names(changes, &mut chance);
        nodes.values().for_each(|node| node.settle(&mut chance));
        self.shared.locks.lock().clear();
    }

    /// Flips one bit of a file, past every sync.
    pub(super) fn flip(&self, path: &Path, bit: usize) -> io::Result<()> {
        self.find(path, true)?.flip(bit)
    }

    fn tick(&self) -> i64 {
        self.shared.now_ns.fetch_add(TICK_NS, Ordering::Relaxed)
    }

    fn node(&self, body: Body, mode: u32) -> Arc<Node> {
        let number = self.shared.next_number.fetch_add(1, Ordering::Relaxed);
        Arc::new(Node::new(number, body, mode, self.tick()))
    }

    fn find(&self, path: &Path, follow: bool) -> io::Result<Arc<Node>> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            match self.walk(&path, follow)? {
                Ok(node) => return Ok(node),
                Err(elsewhere) => path = elsewhere,
            }
        }
        Err(io::Error::other("too many links"))
    }

    /// Walks to `path`; at a link that is followed gives the path it leads to instead.
    fn walk(&self, path: &Path, follow: bool) -> io::Result<Result<Arc<Node>, PathBuf>> {
        let names = names_of(path)?;
        let mut node = self.shared.root.clone();
        for (index, name) in names.iter().enumerate() {
            let next = node.entry(name)?.ok_or(io::ErrorKind::NotFound)?;
            let last = index + 1 == names.len();
            if let Some(target) = next.link().filter(|_| follow || !last) {
                let above: PathBuf = Path::new("/").join(names[..index].iter().collect::<PathBuf>());
                return Ok(Err(above.join(target).join(names[index + 1..].iter().collect::<PathBuf>())));
            }
            node = next;
        }
        Ok(Ok(node))
    }

    fn place(&self, path: &Path) -> io::Result<(Arc<Node>, String)> {
        let name = names_of(path)?.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = path.parent().map_or_else(|| Ok(self.shared.root.clone()), |folder| self.find(folder, true))?;
        Ok((folder, name))
    }

    fn edit(&self, names: &mut Vec<NameChange>, edits: NameChange) {
        let now = self.tick();
        for edit in &edits {
            edit.folder.set_entry(&edit.name, edit.after.clone());
            edit.folder.set_attributes(None, Some(now), now);
        }
        if self.shared.remembers {
            names.push(edits);
        }
    }

    fn set_name(&self, names: &mut Vec<NameChange>, path: &Path, after: Option<Arc<Node>>) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        let before = folder.entry(&name)?;
        self.edit(names, vec![NameEdit { folder, name, before, after }]);
        Ok(())
    }

    fn move_name(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let mut names = self.shared.names.lock();
        let (old_folder, old_name) = self.place(from)?;
        let (new_folder, new_name) = self.place(to)?;
        let node = old_folder.entry(&old_name)?.ok_or(io::ErrorKind::NotFound)?;
        let replaced = new_folder.entry(&new_name)?;
        if replaced.is_some() && !replace {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let gone = NameEdit { folder: old_folder, name: old_name, before: Some(node.clone()), after: None };
        let fresh = NameEdit { folder: new_folder, name: new_name, before: replaced, after: Some(node) };
        self.edit(&mut names, vec![gone, fresh]);
        Ok(())
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut names = self.shared.names.lock();
        let node = match self.find(path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && access != Access::Read => {
                let node = self.node(Body::File { bytes: Vec::new(), unsynced: Vec::new() }, 0o644);
                self.set_name(&mut names, path, Some(node.clone()))?;
                node
            }
            found => found?,
        };
        drop(names);
        if node.metadata().kind != Kind::File {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let file = MemoryFile { disk: self.clone(), node };
        if access == Access::Fresh {
            file.set_length(0)?;
        }
        Ok(Arc::new(file))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(self.find(path, true)?.metadata())
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(self.find(path, false)?.metadata())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let folder = self.find(folder, true)?;
        match folder.metadata().kind {
            Kind::Folder => Ok(folder.entries().into_iter().map(|(name, _)| name).collect()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn read_link(&self, path: &Path) -> io::Result<String> {
        self.find(path, false)?.link().ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            match self.walk(&path, true)? {
                Ok(_) => return Ok(Path::new("/").join(names_of(&path)?.iter().collect::<PathBuf>())),
                Err(elsewhere) => path = elsewhere,
            }
        }
        Err(io::Error::other("too many links"))
    }

    fn create_folders(&self, folder: &Path) -> io::Result<()> {
        let above: Vec<&Path> = folder.ancestors().filter(|path| path.file_name().is_some()).collect();
        for path in above.into_iter().rev() {
            let mut names = self.shared.names.lock();
            match self.find(path, true) {
                Ok(node) if node.metadata().kind == Kind::Folder => {}
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => {
                    let node = self.node(Body::Folder(BTreeMap::new()), 0o755);
                    self.set_name(&mut names, path, Some(node))?;
                }
            }
        }
        Ok(())
    }

    fn symlink(&self, target: &str, link: &Path) -> io::Result<()> {
        let mut names = self.shared.names.lock();
        let (folder, name) = self.place(link)?;
        if folder.entry(&name)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = self.node(Body::Link(target.to_owned()), 0o777);
        self.set_name(&mut names, link, Some(node))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut names = self.shared.names.lock();
        match self.find(path, false)?.metadata().kind {
            Kind::Folder => Err(io::ErrorKind::IsADirectory.into()),
            _ => self.set_name(&mut names, path, None),
        }
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let mut names = self.shared.names.lock();
        match self.find(folder, false)?.metadata().kind {
            Kind::Folder => self.set_name(&mut names, folder, None),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.move_name(from, to, true)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.move_name(from, to, false)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.find(path, true)?.set_attributes(Some(mode), None, self.tick());
        Ok(())
    }

    fn set_modified(&self, path: &Path, unix_ms: i64) -> io::Result<()> {
        self.find(path, true)?.set_attributes(None, Some(unix_ms.saturating_mul(1_000_000)), self.tick());
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let number = self.find(folder, true)?.number;
        let mut names = self.shared.names.lock();
        names.retain(|change| change.iter().all(|edit| edit.folder.number != number));
        Ok(())
    }

    fn sync_below(&self, folder: &Path) -> io::Result<()> {
        let (mut below, mut names) = (vec![self.find(folder, true)?], self.shared.names.lock());
        while let Some(node) = below.pop() {
            names.retain(|change| change.iter().all(|edit| edit.folder.number != node.number));
            below.extend(node.entries().into_iter().map(|(_, node)| node));
            node.sync();
        }
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> u64 {
        FREE_BYTES
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let fresh = self.shared.locks.lock().insert(path.to_owned());
        let held = Held { locks: self.shared.locks.clone(), path: path.to_owned() };
        Ok(fresh.then(|| Box::new(held) as Box<dyn Any + Send + Sync>))
    }

    fn now_ns(&self) -> i64 {
        self.shared.now_ns.load(Ordering::Relaxed)
    }
}

/// A lock that is held.
struct Held {
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.lock().remove(&self.path);
    }
}

/// An open file.
#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    node: Arc<Node>,
}

impl MemoryFile {
    fn change(&self, make: impl FnOnce(&mut Vec<u8>) -> Change) {
        self.node.change(self.disk.tick(), self.disk.shared.remembers, make);
    }
}

impl DiskFile for MemoryFile {
    fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.node.read_some_at(buffer, offset)
    }

    fn write_at(&self, fresh: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        self.change(|bytes| {
            let (length_before, end) = (bytes.len(), offset + fresh.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            let kept = end.min(length_before).saturating_sub(offset);
            let before = bytes[offset..offset + kept].to_vec();
            bytes[offset..end].copy_from_slice(fresh);
            Change::Write { offset, before, after: fresh.to_vec(), length_before }
        });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.node.sync();
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let after = usize::try_from(length).map_err(io::Error::other)?;
        self.change(|bytes| {
            let before = bytes.len();
            let cut = bytes.get(after..).unwrap_or_default().to_vec();
            bytes.resize(after, 0);
            Change::Length { cut, before, after }
        });
        Ok(())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        Ok(self.node.metadata())
    }
}
