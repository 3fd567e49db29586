//! Roots and pages on disk: one append-only file a content, in folders by the first two digits of its id.
//!
//! A page is `u32 LE length | bytes`; its name is the hash of its bytes, so a damaged one is simply not found. Nothing
//! here needs a sync before it is used: a page that is lost is asked for again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use mesh_chunk::{Detail, Layout, Page, Root, page_id};
use mesh_proto::limits::PAGE_BYTES_MAX;
use mesh_proto::{ContentId, PageId};

/// The folder of manifests.
#[derive(Debug, Clone)]
pub struct Manifests {
    folder: PathBuf,
}

/// The pages of one content, by name.
pub type Pages = BTreeMap<PageId, Vec<u8>>;

impl Manifests {
    /// Opens or makes the folder.
    pub fn open(store: &Path) -> io::Result<Self> {
        let folder = store.join("manifests");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The file of a content's manifest.
    pub fn path(&self, content: ContentId) -> PathBuf {
        let name = content.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Appends a page.
    pub fn append(&self, content: ContentId, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(content);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut frame = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes().to_vec();
        frame.extend_from_slice(bytes);
        File::options().create(true).append(true).open(path)?.write_all(&frame)
    }

    /// Keeps a whole manifest, durably, replacing what is there.
    pub fn put(&self, content: ContentId, temporary: &Path) -> io::Result<()> {
        let path = self.path(content);
        let folder = path.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(folder)?;
        std::fs::rename(temporary, &path)?;
        crate::system::sync_folder(folder)
    }

    /// Makes a content's manifest durable.
    pub fn sync(&self, content: ContentId) -> io::Result<()> {
        let path = self.path(content);
        File::open(&path)?.sync_all()?;
        crate::system::sync_folder(path.parent().unwrap_or(&self.folder))
    }

    /// A file to write a manifest to before its content has a name.
    pub fn temporary(&self, number: u64) -> PathBuf {
        self.folder.join(format!("new-{number}"))
    }

    /// All undamaged pages of a content.
    pub fn read(&self, content: ContentId) -> io::Result<Pages> {
        let mut bytes = Vec::new();
        File::open(self.path(content))?.read_to_end(&mut bytes)?;
        let (mut pages, mut rest) = (Pages::new(), bytes.as_slice());
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some(page) = tail.get(..length).filter(|_| length <= PAGE_BYTES_MAX) else { break };
            pages.insert(page_id(page), page.to_vec());
            rest = &tail[length..];
        }
        Ok(pages)
    }

    /// Forgets a content's manifest.
    pub fn remove(&self, content: ContentId) {
        let _ = std::fs::remove_file(self.path(content));
    }

    /// The root of a content and as much of its layout as is kept.
    pub fn load(&self, content: ContentId) -> io::Result<(Root, Layout)> {
        let pages = self.read(content)?;
        let damaged = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let root = pages.get(&PageId(content.0)).ok_or_else(|| damaged("the manifest's root is missing".into()))?;
        let root = Root::decode(root, &content).map_err(|error| damaged(error.to_string()))?;
        let mut layout = Layout::new(&root, Detail::Full).map_err(|error| damaged(error.to_string()))?;
        loop {
            let known: Vec<_> =
                layout.missing_pages().into_iter().filter(|missing| pages.contains_key(&missing.page)).collect();
            if known.is_empty() {
                return Ok((root, layout));
            }
            for reference in known {
                let page = Page::decode(&pages[&reference.page], &reference);
                let page = page.map_err(|error| damaged(error.to_string()))?;
                layout.add_page(&reference, &page).map_err(|error| damaged(error.to_string()))?;
            }
        }
    }
}
