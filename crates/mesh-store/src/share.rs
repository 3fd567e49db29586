//! What a person shares: read, cut and hashed, and kept as a manifest; the bytes stay where they are.
//!
//! A path shared before whose files look as they did then is not read again: the index knows which content it was. A
//! file that changes while it is read is refused.

use std::io;
use std::path::{Path, PathBuf};

use mesh_chunk::{ChunkParameters, Cutter, EntryKind, Listing, RootKind, TreeEntry, TreeMap};
use mesh_proto::ContentId;
use mesh_proto::port::Failure;
use mesh_proto::port::store::{Look, StoredContent};
use mesh_proto::record::ContentKind;
use parking_lot::RwLockReadGuard;

use crate::content::Record;
use crate::cut::{Named, Part, Unnamed, cut};
use crate::disk::{Disk, Identity, Kind, Metadata};
use crate::engine::Engine;
use crate::index::IndexTable;
use crate::look;

/// A file changed so shortly before it was read may change again within the same tick of its clock, unnoticed; the
/// coarsest clock in use (FAT's) ticks every two seconds.
const SETTLED_NS: i64 = 2_000_000_000;

/// How the reader tells how far it is, of how much; returns `false` to stop.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// What a path looks like: two looks that are equal mean that nothing below it changed.
struct Seen {
    metadata: Metadata,
    entries: Vec<TreeEntry>,
    hasher: blake3::Hasher,
    /// When anything of it last changed.
    changed_ns: i64,
}

impl Seen {
    fn at(disk: &dyn Disk, path: &Path) -> Result<Self, Failure> {
        let metadata = disk.metadata(path).map_err(|error| cannot(path, &error))?;
        let mut seen = Self { metadata, entries: Vec::new(), hasher: blake3::Hasher::new(), changed_ns: i64::MIN };
        seen.see("", &metadata);
        if metadata.kind == Kind::Folder {
            seen.walk(disk, path, "")?;
        }
        Ok(seen)
    }

    fn see(&mut self, name: &str, metadata: &Metadata) {
        self.changed_ns = self.changed_ns.max(metadata.changed_ns);
        let Metadata { size_bytes, mode, modified_ns, changed_ns, device, .. } = metadata;
        self.hasher.update(&(name.len() as u64).to_le_bytes());
        self.hasher.update(name.as_bytes());
        for figure in [*size_bytes, u64::from(*mode), *device] {
            self.hasher.update(&figure.to_le_bytes());
        }
        for time in [modified_ns, changed_ns] {
            self.hasher.update(&time.to_le_bytes());
        }
    }

    fn fingerprint(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }

    /// Everything below `folder`, names in order.
    fn walk(&mut self, disk: &dyn Disk, folder: &Path, prefix: &str) -> Result<(), Failure> {
        let mut names = disk.list(folder).map_err(|error| cannot(folder, &error))?;
        names.sort_unstable();
        for name in names {
            let place = folder.join(&name);
            let metadata = disk.symlink_metadata(&place).map_err(|error| cannot(&place, &error))?;
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            self.see(&path, &metadata);
            let kind = match metadata.kind {
                Kind::Link => {
                    let target = disk.read_link(&place).map_err(|error| cannot(&place, &error))?;
                    EntryKind::Symlink { target }
                }
                Kind::Folder => {
                    self.walk(disk, &place, &path)?;
                    EntryKind::Directory { mode: metadata.mode }
                }
                Kind::File => EntryKind::File { size_bytes: metadata.size_bytes, mode: metadata.mode },
                Kind::Other => {
                    let why = "is neither a file, a folder nor a link; move it away to share";
                    return Err(Failure::lasting(format!("{} {why}", place.display())));
                }
            };
            self.entries.push(TreeEntry { path, kind, modified_unix_ms: metadata.modified_ms() });
        }
        Ok(())
    }
}

/// A content that was read, not yet entered.
struct Cut<'a> {
    record: Record,
    begun_ns: i64,
    /// Until it is entered its manifest belongs to no content the store knows of.
    _naming: RwLockReadGuard<'a, ()>,
}

/// Shares the file or folder at `path`.
pub fn share(store: &Engine, path: &Path, on_progress: OnProgress<'_>) -> Result<StoredContent, Failure> {
    if store.is_own(path) {
        return Err(Failure::lasting(format!("{} belongs to the node itself and can't be shared", path.display())));
    }
    let seen = Seen::at(&*store.disk, path)?;
    if let Some(record) = known(store, path, &seen) {
        return enter(store, record);
    }
    let Cut { record, begun_ns, _naming } = match seen.metadata.kind {
        Kind::File => share_file(store, path, &seen, on_progress)?,
        Kind::Folder => share_tree(store, path, &seen, on_progress)?,
        _ => return Err(Failure::lasting(format!("{} is neither a file nor a folder", path.display()))),
    };
    if seen.changed_ns.saturating_add(SETTLED_NS) < begun_ns {
        let row = [seen.fingerprint(), record.stored.content.0].concat();
        store.index.put(IndexTable::Shares, &key(path), &row);
        store.pace.note(0);
    }
    enter(store, record)
}

/// Enters a shared content into the store.
fn enter(store: &Engine, record: Record) -> Result<StoredContent, Failure> {
    if let Some(known) = store.content(record.stored.content) {
        let stored = known.record.read().stored.clone();
        if !stored.complete {
            let why = "these bytes are being fetched to";
            let cure = "wait for that, or cancel it first";
            return Err(Failure::lasting(format!("{why} {}; {cure}", stored.path)));
        }
        // The same bytes are here already, and stay where they are known to be as long as they look as they did.
        if !stored.in_place && stored.path == record.stored.path {
            let record = Record { stored: stored.clone(), ..record };
            store.enter(record)?;
            return Ok(stored);
        }
        if stored.path != record.stored.path && look::at(store, &known) == Look::Same {
            return Ok(stored);
        }
    }
    let stored = record.stored.clone();
    store.enter(record)?;
    Ok(stored)
}

fn key(path: &Path) -> [u8; 32] {
    *blake3::hash(path.as_os_str().as_encoded_bytes()).as_bytes()
}

/// The content `path` was when it last looked like this, if it is still here.
fn known(store: &Engine, path: &Path, seen: &Seen) -> Option<Record> {
    let row = store.index.get(IndexTable::Shares, &key(path))?;
    let (fingerprint, content) = row.split_first_chunk::<32>()?;
    let content = store.content(ContentId(content.try_into().ok()?))?;
    let mut stored = content.record.read().stored.clone();
    if *fingerprint != seen.fingerprint() || !stored.complete || content.reception.read().is_some() {
        return None;
    }
    // What is damaged of what was kept is made anew by reading the files.
    if !store.manifests.is_whole(content.id) {
        return None;
    }
    (stored.path, stored.in_place) = (path.to_string_lossy().into_owned(), true);
    let identity = (stored.kind == ContentKind::File).then(|| Identity::of(&seen.metadata));
    Some(Record { stored, identity, repairing: false })
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::lasting(format!("can't read {}: {error}", path.display()))
}

fn cannot_keep(store: &Engine, error: &io::Error) -> Failure {
    Failure::passing(format!("can't write to {}: {error}", store.folder.display()))
}

fn unchanged(store: &Engine, path: &Path, before: &Seen) -> Result<(), Failure> {
    match Seen::at(&*store.disk, path) {
        Ok(after) if after.fingerprint() == before.fingerprint() => Ok(()),
        _ => {
            let why = "changed while it was read; share it again when it is at rest";
            Err(Failure::lasting(format!("{} {why}", path.display())))
        }
    }
}

/// Reads what is to be shared and cuts it. What changed meanwhile is refused.
fn read<'a>(
    store: &'a Engine,
    path: &Path,
    seen: &Seen,
    (parts, cutter, total_bytes): (Vec<Part>, Cutter, u64),
    on_progress: OnProgress<'_>,
) -> Result<Unnamed<'a>, Failure> {
    let read = cut(store, parts, total_bytes, cutter, &mut |done| on_progress(done, total_bytes));
    let read = read.map_err(|error| cannot(path, &error))?;
    unchanged(store, path, seen)?;
    Ok(read)
}

fn share_file<'a>(
    store: &'a Engine,
    path: &Path,
    seen: &Seen,
    on_progress: OnProgress<'_>,
) -> Result<Cut<'a>, Failure> {
    let total_bytes = seen.metadata.size_bytes;
    let cutter = Cutter::new(ChunkParameters::for_size(total_bytes));
    let parts = vec![Part::Path(path.to_owned())];
    let read = read(store, path, seen, (parts, cutter, total_bytes), on_progress)?;
    let (begun_ns, _naming) = (read.begun_ns, store.naming.read());
    let named = read.keep(RootKind::File).map_err(|error| cannot_keep(store, &error))?;
    let identity = Some(Identity::of(&seen.metadata));
    let record = Record { stored: stored(&named, ContentKind::File, path), identity, repairing: false };
    Ok(Cut { record, begun_ns, _naming })
}

fn share_tree<'a>(
    store: &'a Engine,
    path: &Path,
    seen: &Seen,
    on_progress: OnProgress<'_>,
) -> Result<Cut<'a>, Failure> {
    let refused = |why: String| Failure::lasting(format!("{}: {why}", path.display()));
    let listing = Listing::new(seen.entries.clone()).map_err(|error| refused(error.to_string()))?;
    let bytes = listing.encode().map_err(|error| refused(error.to_string()))?;
    let map = TreeMap::new(&listing, bytes.len() as u64);
    let total_bytes = map.total_bytes();
    let cutter = Cutter::with_borders(ChunkParameters::for_size(total_bytes), map.forced_borders());
    let files = listing.entries().iter().filter(|entry| matches!(entry.kind, EntryKind::File { .. }));
    let mut parts = vec![Part::Bytes(bytes.clone())];
    parts.extend(files.map(|entry| Part::Path(path.join(PathBuf::from(&entry.path)))));
    let read = read(store, path, seen, (parts, cutter, total_bytes), on_progress)?;
    let (begun_ns, _naming) = (read.begun_ns, store.naming.read());
    let kind = RootKind::Tree { listing_bytes: bytes.len() as u64 };
    let named = read.keep(kind).map_err(|error| cannot_keep(store, &error))?;
    store.manifests.keep_listing(named.id, &bytes).map_err(|error| cannot_keep(store, &error))?;
    let record = Record { stored: stored(&named, ContentKind::Tree, path), identity: None, repairing: false };
    Ok(Cut { record, begun_ns, _naming })
}

fn stored(named: &Named, kind: ContentKind, path: &Path) -> StoredContent {
    StoredContent {
        content: named.id,
        kind,
        total_bytes: named.total_bytes,
        chunk_count: named.chunk_count,
        whole_hash: named.whole_hash,
        path: path.to_string_lossy().into_owned(),
        complete: true,
        in_place: true,
    }
}
