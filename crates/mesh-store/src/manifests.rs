//! Roots and pages on disk: one append-only file a content, in folders by the first two digits of its id.
//!
//! A page is `u32 LE length | bytes`; its name is the hash of its bytes, so a damaged one is simply not found. Nothing
//! here needs a sync before it is used: a page that is lost is asked for again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_chunk::{Detail, Layout, Listing, Page, Root, RootKind, page_id};
use mesh_proto::limits::PAGE_BYTES_MAX;
use mesh_proto::{ContentId, PageId};

use crate::disk::{self, Access, Disk, DiskFile, create_folders_durably, read_whole};
use crate::index::{Index, IndexTable};

/// The length before each page.
const HEADER_BYTES: usize = 4;
/// A manifest: over a billion chunks.
const MANIFEST_BYTES_MAX: u64 = 64 << 30;
/// A smaller manifest is read whole to find a page; of a larger one the index knows where pages lie.
const INDEXED_BYTES_MIN: u64 = 16 << 10;

/// The folder of manifests.
#[derive(Clone)]
pub struct Manifests {
    disk: Arc<dyn Disk>,
    index: Arc<dyn Index>,
    folder: PathBuf,
}

/// A manifest that is being written before its content has a name.
pub struct NewManifest {
    file: Arc<dyn DiskFile>,
    /// Where, for now.
    pub path: PathBuf,
    length: u64,
}

impl NewManifest {
    /// Appends a page.
    pub fn push(&mut self, page: &[u8]) -> io::Result<()> {
        let frame = frame(page)?;
        self.file.write_at(&frame, self.length)?;
        self.length += frame.len() as u64;
        Ok(())
    }

    /// When it was begun, by the disk's clock.
    pub fn begun_ns(&self) -> io::Result<i64> {
        Ok(self.file.metadata()?.modified_ns)
    }
}

fn frame(page: &[u8]) -> io::Result<Vec<u8>> {
    let mut frame = u32::try_from(page.len()).map_err(io::Error::other)?.to_le_bytes().to_vec();
    frame.extend_from_slice(page);
    Ok(frame)
}

/// The pages in a manifest's bytes, each with its place; ends at a frame that can't be.
fn frames(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (length, rest) = bytes.get(at..)?.split_first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let page = rest.get(..length).filter(|_| length <= PAGE_BYTES_MAX)?;
        let place = at + HEADER_BYTES;
        at = place + length;
        Some((place, page))
    })
}

fn damaged(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

impl Manifests {
    /// Opens or makes the folder.
    pub fn open(disk: &Arc<dyn Disk>, index: &Arc<dyn Index>, store: &Path) -> io::Result<Self> {
        let folder = store.join("manifests");
        create_folders_durably(&**disk, &folder)?;
        Ok(Self { disk: disk.clone(), index: index.clone(), folder })
    }

    /// The file of a content's manifest.
    pub fn path(&self, content: ContentId) -> PathBuf {
        let name = content.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Where a tree's listing is kept.
    pub fn listing_path(&self, content: ContentId) -> PathBuf {
        self.path(content).with_extension("listing")
    }

    /// Where bytes of unfinished chunks are kept.
    pub fn aside_path(&self, content: ContentId) -> PathBuf {
        self.path(content).with_extension("aside")
    }

    fn make_folder(&self, content: ContentId) -> io::Result<()> {
        self.path(content).parent().map_or(Ok(()), |folder| create_folders_durably(&*self.disk, folder))
    }

    /// Begins the manifest of a content being received: its root alone, durably.
    pub fn begin(&self, content: ContentId, root: &[u8]) -> io::Result<()> {
        self.make_folder(content)?;
        disk::write_durably(&*self.disk, &self.path(content), &frame(root)?)
    }

    /// Appends a page.
    pub fn append(&self, content: ContentId, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk.open(&self.path(content), Access::ReadWrite)?;
        let end = file.metadata()?.size_bytes;
        let written = file.write_at(&frame(bytes)?, end);
        if written.is_err() {
            // Half a page would hide those appended behind it.
            let _ = file.set_length(end);
        }
        written
    }

    /// Begins a manifest whose content has no name yet.
    pub fn new_manifest(&self, number: u64) -> io::Result<NewManifest> {
        let path = self.folder.join(format!("new-{number}"));
        Ok(NewManifest { file: self.disk.open(&path, Access::Fresh)?, path, length: 0 })
    }

    /// Keeps a whole manifest under its name, durably, replacing what is there.
    pub fn keep(&self, content: ContentId, fresh: &NewManifest) -> io::Result<()> {
        fresh.file.sync()?;
        self.make_folder(content)?;
        let path = self.path(content);
        self.disk.rename(&fresh.path, &path)?;
        self.index.remove(IndexTable::Pages, &content.0[..16]);
        self.disk.sync_folder(path.parent().unwrap_or(&self.folder))
    }

    /// Makes a content's manifest durable.
    pub fn sync(&self, content: ContentId) -> io::Result<()> {
        self.disk.open(&self.path(content), Access::ReadWrite)?.sync()
    }

    /// Keeps a tree's listing, durably.
    pub fn keep_listing(&self, content: ContentId, bytes: &[u8]) -> io::Result<()> {
        self.make_folder(content)?;
        disk::write_durably(&*self.disk, &self.listing_path(content), bytes)
    }

    /// A tree's listing, and its bytes as they were hashed.
    pub fn listing(&self, content: ContentId, listing_bytes: u64) -> io::Result<(Listing, Vec<u8>)> {
        let bytes = read_whole(&*self.disk, &self.listing_path(content), listing_bytes)?;
        Ok((Listing::decode(&bytes).map_err(damaged)?, bytes))
    }

    /// A page, if it is here and undamaged.
    pub fn page(&self, content: ContentId, page: PageId) -> Option<Vec<u8>> {
        let path = self.path(content);
        let file = self.disk.open(&path, Access::Read).ok()?;
        if file.metadata().ok()?.size_bytes < INDEXED_BYTES_MIN {
            return self.read(content).ok()?.remove(&page);
        }
        if let Some(found) = self.page_by_index(content, page, &*file) {
            return Some(found);
        }
        // Not known, or no longer there: look once and note where everything is.
        let bytes = read_whole(&*self.disk, &path, MANIFEST_BYTES_MAX).ok()?;
        let mut found = None;
        for (at, frame) in frames(&bytes) {
            let id = page_id(frame);
            let mut place = (at as u64).to_le_bytes().to_vec();
            place.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(0).to_le_bytes());
            self.index.put(IndexTable::Pages, &place_key(content, id), &place);
            if id == page {
                found = Some(frame.to_vec());
            }
        }
        found
    }

    fn page_by_index(&self, content: ContentId, page: PageId, file: &dyn DiskFile) -> Option<Vec<u8>> {
        let place = self.index.get(IndexTable::Pages, &place_key(content, page))?;
        let (at, length) = place.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let mut bytes = vec![0; Some(length).filter(|length| *length <= PAGE_BYTES_MAX)?];
        file.read_at(&mut bytes, u64::from_le_bytes(*at)).ok()?;
        (page_id(&bytes) == page).then_some(bytes)
    }

    /// All undamaged pages of a content.
    fn read(&self, content: ContentId) -> io::Result<BTreeMap<PageId, Vec<u8>>> {
        let bytes = read_whole(&*self.disk, &self.path(content), MANIFEST_BYTES_MAX)?;
        Ok(frames(&bytes).map(|(_, page)| (page_id(page), page.to_vec())).collect())
    }

    /// Cuts off what a power cut left of the last page, so that pages appended later are found.
    pub fn mend(&self, content: ContentId) -> io::Result<()> {
        let bytes = read_whole(&*self.disk, &self.path(content), MANIFEST_BYTES_MAX)?;
        let good = frames(&bytes).last().map_or(0, |(at, page)| at + page.len());
        if good < bytes.len() {
            self.disk.open(&self.path(content), Access::ReadWrite)?.set_length(good as u64)?;
        }
        Ok(())
    }

    /// Forgets everything kept of a content.
    pub fn remove(&self, content: ContentId) {
        self.index.remove(IndexTable::Pages, &content.0[..16]);
        for path in [self.path(content), self.listing_path(content), self.aside_path(content)] {
            let _ = self.disk.remove_file(&path);
        }
    }

    /// Deletes what belongs to no content that is `known`, and manifests never named from before `number`.
    pub fn sweep(&self, number: u64, known: &dyn Fn(&str) -> bool) -> io::Result<()> {
        for name in self.disk.list(&self.folder)? {
            let path = self.folder.join(&name);
            if let Some(old) = name.strip_prefix("new-") {
                if old.parse::<u64>().is_ok_and(|old| old >= number) {
                    self.disk.remove_file(&path)?;
                }
                continue;
            }
            for file in self.disk.list(&path).unwrap_or_default() {
                let content = file.split('.').next().unwrap_or_default();
                if !known(content) {
                    self.disk.remove_file(&path.join(&file))?;
                }
            }
        }
        Ok(())
    }

    /// Whether all that is kept of a complete content is here.
    pub fn is_whole(&self, content: ContentId) -> bool {
        self.load(content).is_ok_and(|(root, layout)| {
            layout.is_complete()
                && match root.kind {
                    RootKind::File => true,
                    RootKind::Tree { listing_bytes } => self.listing(content, listing_bytes).is_ok(),
                }
        })
    }

    /// The root of a content and as much of its layout as is kept.
    pub fn load(&self, content: ContentId) -> io::Result<(Root, Layout)> {
        let pages = self.read(content)?;
        let root = pages.get(&PageId(content.0)).ok_or_else(|| damaged("the manifest's root is missing"))?;
        let root = Root::decode(root, &content).map_err(damaged)?;
        let mut layout = Layout::new(&root, Detail::Full).map_err(damaged)?;
        loop {
            let known: Vec<_> =
                layout.missing_pages().into_iter().filter(|missing| pages.contains_key(&missing.page)).collect();
            if known.is_empty() {
                return Ok((root, layout));
            }
            for reference in known {
                let page = Page::decode(&pages[&reference.page], &reference).map_err(damaged)?;
                layout.add_page(&reference, &page).map_err(damaged)?;
            }
        }
    }
}

fn place_key(content: ContentId, page: PageId) -> Vec<u8> {
    [&content.0[..16], &page.0[..16]].concat()
}
