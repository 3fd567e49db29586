//! One content in the store: how it stands, its chunks, its files, and its reception while it is being received.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_chunk::{FileHasher, Layout, RootKind};
use mesh_proto::port::store::StoredContent;
use mesh_proto::{ChunkSet, ContentId};
use parking_lot::{Mutex, RwLock};

use crate::disk::{Disk, Identity};
use crate::manifests::Manifests;
use crate::space::Space;
use crate::truth::{ContentRecord, Entry};

/// A content. Shared between commands, sources and sinks.
#[derive(Debug)]
pub struct Content {
    /// Which.
    pub id: ContentId,
    /// How it stands.
    pub record: RwLock<Record>,
    /// Present while it is being received.
    pub reception: RwLock<Option<Arc<Reception>>>,
    /// Whether its files were found changed, which is told once.
    changed: AtomicBool,
    /// Whether that was only because they could not be read: their disk may come back.
    away: AtomicBool,
}

/// How a content stands.
#[derive(Debug, Clone)]
pub struct Record {
    /// As the brain knows it.
    pub stored: StoredContent,
    /// Of a single complete file.
    pub identity: Option<Identity>,
    /// Whether it was complete before and is being repaired: what lies under the partial name is a person's file.
    pub repairing: bool,
}

impl Record {
    /// What the log says of it.
    pub fn entries(&self) -> Vec<Entry> {
        let Self { stored, identity, repairing } = self.clone();
        let id = stored.content;
        let content = Entry::Content(ContentRecord { stored, identity });
        std::iter::once(content).chain(repairing.then_some(Entry::Repairing(id))).collect()
    }
}

/// A content ready to be read: chunks and files.
#[derive(Debug)]
pub struct Opened {
    /// All chunks.
    pub layout: Layout,
    /// The files.
    pub space: Space,
}

/// A content that is being received.
#[derive(Debug)]
pub struct Reception {
    /// Which.
    pub content: ContentId,
    /// Where its bytes go until it is complete.
    pub partial: PathBuf,
    /// File or tree.
    pub kind: RootKind,
    /// The hash all bytes must have.
    pub whole_hash: [u8; 32],
    /// The chunks known so far.
    pub layout: RwLock<Layout>,
    /// The files; absent while a tree's listing is not known.
    pub space: RwLock<Option<Arc<Space>>>,
    /// What is here.
    pub progress: Mutex<Progress>,
    /// Held for reading while bytes are written, so that who closes it knows that nobody writes any more.
    pub writing: RwLock<()>,
}

impl Reception {
    /// Lets nothing more be written, and waits for what is being written.
    pub fn close(&self) {
        let _writing = self.writing.write();
        self.progress.lock().closed = true;
    }
}

/// What is here of a reception.
#[derive(Debug)]
pub struct Progress {
    /// Chunks verified and written.
    pub have: ChunkSet,
    /// Of those, synced and noted.
    pub kept: ChunkSet,
    /// Bytes written since the last sync.
    pub unsynced_bytes: u64,
    /// The hash of the content's first bytes as far as they came in order.
    pub prefix: FileHasher,
    /// How far that is.
    pub prefix_bytes: u64,
    /// A tree's listing while it is gathered.
    pub listing: Vec<u8>,
    /// Unverified bytes of unfinished chunks.
    pub aside: BTreeMap<u32, Vec<u8>>,
    /// A sync failed. What the system then still calls written may be lost, so nothing more is noted as kept until the
    /// reception is begun again, which reads and writes anew what was not.
    pub sync_failed: bool,
    /// Nothing more may be written: it is being finished, or it was given up.
    pub closed: bool,
}

/// The partial file or folder of a content that will lie at `target`.
pub fn partial_path(target: &Path, content: ContentId) -> PathBuf {
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // File systems count bytes: a name may have 255.
    let mut end = name.len().min(200);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let short = &name[..end];
    target.with_file_name(format!(".{short}.{}.mesh-part", &content.to_string()[..8]))
}

impl Content {
    /// A content that is complete or will be received.
    pub fn new(record: Record) -> Self {
        Self {
            id: record.stored.content,
            record: RwLock::new(record),
            reception: RwLock::new(None),
            changed: AtomicBool::new(false),
            away: AtomicBool::new(false),
        }
    }

    /// Notes that the files changed, or are `away`. Returns whether that is news.
    pub fn set_changed(&self, away: bool) -> bool {
        let news = !self.changed.swap(true, Ordering::Relaxed);
        // What was read and is wrong stays wrong when its disk was away besides.
        self.away.store(away && (news || self.is_away()), Ordering::Relaxed);
        news
    }

    /// Whether its files could not be read, and nothing else was found wrong with them.
    pub fn is_away(&self) -> bool {
        self.is_changed() && self.away.load(Ordering::Relaxed)
    }

    /// Notes that the files are as they were.
    pub fn set_unchanged(&self) {
        self.changed.store(false, Ordering::Relaxed);
    }

    /// Whether its files were found changed.
    pub fn is_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Opens a complete content for reading.
    pub fn open(&self, disk: &Arc<dyn Disk>, manifests: &Manifests) -> io::Result<Opened> {
        let path = PathBuf::from(&self.record.read().stored.path);
        let (root, layout) = manifests.load(self.id)?;
        if !layout.is_complete() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the manifest kept here is not complete"));
        }
        let space = match root.kind {
            RootKind::File => Space::open_file(&**disk, &path)?,
            RootKind::Tree { listing_bytes } => {
                let (listing, bytes) = manifests.listing(self.id, listing_bytes)?;
                Space::tree(disk, &path, listing, bytes, false)
            }
        };
        Ok(Opened { layout, space })
    }
}
