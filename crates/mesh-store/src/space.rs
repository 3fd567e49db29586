//! Which bytes of a content lie in which file: one file, or a tree's listing and files.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_chunk::{Listing, TreeMap, TreePart};
use parking_lot::Mutex;

use crate::disk::{Access, Disk, DiskFile};

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
        file: Arc<dyn DiskFile>,
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
    disk: Arc<dyn Disk>,
    open: Mutex<VecDeque<(usize, Arc<dyn DiskFile>)>>,
}

impl Space {
    /// One file, to read.
    pub fn open_file(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        Ok(Self::File { path: path.to_owned(), file: disk.open(path, Access::Read)? })
    }

    /// One file, to write; made if it is not there.
    pub fn receive_file(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        Ok(Self::File { path: path.to_owned(), file: disk.open(path, Access::ReadWrite)? })
    }

    /// A tree. `listing_bytes` are the listing as it was hashed.
    pub fn tree(disk: &Arc<dyn Disk>, base: &Path, listing: Listing, listing_bytes: Vec<u8>, writable: bool) -> Self {
        let map = TreeMap::new(&listing, listing_bytes.len() as u64);
        let open = Mutex::new(VecDeque::new());
        Self::Tree(Tree { base: base.to_owned(), listing, listing_bytes, map, writable, disk: disk.clone(), open })
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
            Self::File { file, .. } => file.read_at(buffer, offset),
            Self::Tree(tree) => {
                let mut rest = buffer;
                for slice in tree.map.locate(offset, rest.len() as u64) {
                    let length = usize::try_from(slice.length).map_err(io::Error::other)?;
                    let (head, tail) = rest.split_at_mut(length);
                    match slice.part {
                        TreePart::Listing => head.copy_from_slice(tree.listing_part(slice.offset, length)?),
                        TreePart::File(index) => tree.file(index)?.read_at(head, slice.offset)?,
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
            Self::File { file, .. } => file.write_at(bytes, offset),
            Self::Tree(tree) => {
                let mut rest = bytes;
                for slice in tree.map.locate(offset, rest.len() as u64) {
                    let length = usize::try_from(slice.length).map_err(io::Error::other)?;
                    let (head, tail) = rest.split_at(length);
                    if let TreePart::File(index) = slice.part {
                        tree.file(index)?.write_at(head, slice.offset)?;
                    }
                    rest = tail;
                }
                Ok(())
            }
        }
    }

    /// Makes what was written so far durable, names included.
    pub fn sync(&self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.sync(),
            Self::Tree(tree) => tree.disk.sync_below(&tree.base),
        }
    }
}

impl Tree {
    /// The same tree elsewhere, to write.
    pub fn at(&self, base: &Path) -> Self {
        let map = TreeMap::new(&self.listing, self.listing_bytes.len() as u64);
        Self {
            base: base.to_owned(),
            listing: self.listing.clone(),
            listing_bytes: self.listing_bytes.clone(),
            map,
            writable: true,
            disk: self.disk.clone(),
            open: Mutex::default(),
        }
    }

    fn listing_part(&self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        self.listing_bytes.get(start..start + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Where an entry lies. The listing was checked: no path leaves the folder.
    pub fn path_of(&self, index: usize) -> PathBuf {
        let path = &self.listing.entries()[index].path;
        path.split('/').fold(self.base.clone(), |folder, part| folder.join(part))
    }

    /// Opens a file to write. If it was given its final rights already (and then the machine stopped), they are taken
    /// back until it is given them again.
    pub fn open_writable(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        match self.disk.open(path, Access::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.disk.set_mode(path, 0o600)?;
                self.disk.open(path, Access::ReadWrite)
            }
            opened => opened,
        }
    }

    fn file(&self, index: usize) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|(known, _)| *known == index) {
            let entry = open.remove(at).expect("just found");
            let file = entry.1.clone();
            open.push_back(entry);
            return Ok(file);
        }
        let path = self.path_of(index);
        let file = match self.writable {
            false => self.disk.open(&path, Access::Read)?,
            true => {
                if let Some(folder) = path.parent() {
                    self.disk.create_folders(folder)?;
                }
                self.open_writable(&path)?
            }
        };
        open.push_back((index, file.clone()));
        if open.len() > OPEN_FILES_MAX {
            open.pop_front();
        }
        Ok(file)
    }
}
