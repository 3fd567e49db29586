//! Which bytes of a content lie in which file: one file, or a tree's listing and files.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_chunk::{Listing, TreeMap, TreePart};
use parking_lot::Mutex;

use crate::system;

/// Files of one tree kept open at once.
const OPEN_FILES_MAX: usize = 64;

/// The files of one content.
#[derive(Debug)]
pub enum Space {
    /// One file.
    File {
        /// Where.
        path: PathBuf,
        /// Open, for reading or for both.
        file: File,
    },
    /// A tree's files below a folder.
    Tree(Tree),
}

/// A tree on disk.
#[derive(Debug)]
pub struct Tree {
    /// The folder.
    pub base: PathBuf,
    /// What should be in it.
    pub listing: Listing,
    listing_bytes: Vec<u8>,
    map: TreeMap,
    writable: bool,
    open: Mutex<VecDeque<(usize, Arc<File>)>>,
}

impl Space {
    /// One file, to read.
    pub fn open_file(path: &Path) -> io::Result<Self> {
        Ok(Self::File { path: path.to_owned(), file: File::open(path)? })
    }

    /// One file, to write; made if it is not there.
    pub fn receive_file(path: &Path) -> io::Result<Self> {
        Ok(Self::File { path: path.to_owned(), file: system::open_read_write(path)? })
    }

    /// A tree. `listing_bytes` are the listing as it was hashed.
    pub fn tree(base: &Path, listing: Listing, listing_bytes: Vec<u8>, writable: bool) -> Self {
        let map = TreeMap::new(&listing, listing_bytes.len() as u64);
        let open = Mutex::new(VecDeque::new());
        Self::Tree(Tree { base: base.to_owned(), listing, listing_bytes, map, writable, open })
    }

    /// The path people know it by.
    pub fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } => path,
            Self::Tree(tree) => &tree.base,
        }
    }

    /// Fills `buffer` with the content's bytes from `offset` on.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File { file, .. } => system::read_at(file, buffer, offset),
            Self::Tree(tree) => {
                let mut rest = buffer;
                for slice in tree.map.locate(offset, rest.len() as u64) {
                    let length = usize::try_from(slice.length).map_err(io::Error::other)?;
                    let (head, tail) = rest.split_at_mut(length);
                    match slice.part {
                        TreePart::Listing => head.copy_from_slice(tree.listing_part(slice.offset, length)?),
                        TreePart::File(index) => system::read_at(&*tree.file(index)?, head, slice.offset)?,
                    }
                    rest = tail;
                }
                if rest.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
            }
        }
    }

    /// Writes the content's bytes from `offset` on. A tree's listing is not written: it is known.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File { file, .. } => system::write_at(file, bytes, offset),
            Self::Tree(tree) => {
                let mut rest = bytes;
                for slice in tree.map.locate(offset, rest.len() as u64) {
                    let length = usize::try_from(slice.length).map_err(io::Error::other)?;
                    let (head, tail) = rest.split_at(length);
                    if let TreePart::File(index) = slice.part {
                        system::write_at(&*tree.file(index)?, head, slice.offset)?;
                    }
                    rest = tail;
                }
                Ok(())
            }
        }
    }

    /// Makes what was written so far durable. A tree's files not open any more were synced when they were closed.
    pub fn sync(&self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.sync_data(),
            Self::Tree(tree) => {
                let open: Vec<Arc<File>> = tree.open.lock().iter().map(|(_, file)| file.clone()).collect();
                open.iter().try_for_each(|file| file.sync_data())
            }
        }
    }
}

impl Tree {
    fn listing_part(&self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        self.listing_bytes.get(start..start + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Where an entry lies. The listing was checked: no path leaves the folder.
    pub fn path_of(&self, index: usize) -> PathBuf {
        let path = &self.listing.entries()[index].path;
        path.split('/').fold(self.base.clone(), |folder, part| folder.join(part))
    }

    fn file(&self, index: usize) -> io::Result<Arc<File>> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|(known, _)| *known == index) {
            let entry = open.remove(at).expect("just found");
            let file = entry.1.clone();
            open.push_back(entry);
            return Ok(file);
        }
        let path = self.path_of(index);
        let file = match self.writable {
            false => File::open(&path)?,
            true => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                system::open_read_write(&path)?
            }
        };
        let file = Arc::new(file);
        open.push_back((index, file.clone()));
        if open.len() > OPEN_FILES_MAX
            && let Some((_, oldest)) = open.pop_front()
            && self.writable
        {
            drop(open);
            oldest.sync_data()?;
        }
        Ok(file)
    }
}
