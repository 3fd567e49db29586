//! The files, folders and links of a disk in memory.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::unsynced::{Chance, Change, settle_file};
use super::{Kind, Metadata};

/// A file, a folder or a link.
#[derive(Debug)]
pub struct Node {
    /// Its inode.
    pub number: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    body: Body,
    mode: u32,
    modified_ns: i64,
    changed_ns: i64,
}

/// What is in it.
#[derive(Debug)]
pub enum Body {
    /// A file's bytes, and the changes to them that were not synced.
    File { bytes: Vec<u8>, unsynced: Vec<Change> },
    /// A folder's names.
    Folder(BTreeMap<String, Arc<Node>>),
    /// Where a link points.
    Link(String),
}

impl Node {
    /// A node that was just made.
    pub fn new(number: u64, body: Body, mode: u32, now_ns: i64) -> Self {
        let inner = Inner { body, mode, modified_ns: now_ns, changed_ns: now_ns };
        Self { number, inner: Mutex::new(inner) }
    }

    /// What a name in this folder stands for.
    pub fn entry(&self, name: &str) -> io::Result<Option<Arc<Node>>> {
        match &self.inner.lock().body {
            Body::Folder(entries) => Ok(entries.get(name).cloned()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Sets what a name stands for; nothing if this is no folder.
    pub fn set_entry(&self, name: &str, node: Option<Arc<Node>>) {
        if let Body::Folder(entries) = &mut self.inner.lock().body {
            match node {
                Some(node) => drop(entries.insert(name.to_owned(), node)),
                None => drop(entries.remove(name)),
            }
        }
    }

    /// Where it points, if it is a link.
    pub fn link(&self) -> Option<String> {
        match &self.inner.lock().body {
            Body::Link(target) => Some(target.clone()),
            _ => None,
        }
    }

    /// Nothing of its bytes can be lost any more.
    pub fn sync(&self) {
        if let Body::File { unsynced, .. } = &mut self.inner.lock().body {
            unsynced.clear();
        }
    }

    /// All names of a folder.
    pub fn entries(&self) -> Vec<(String, Arc<Node>)> {
        match &self.inner.lock().body {
            Body::Folder(entries) => entries.iter().map(|(name, node)| (name.clone(), node.clone())).collect(),
            _ => Vec::new(),
        }
    }

    /// What is known of it.
    pub fn metadata(&self) -> Metadata {
        let inner = self.inner.lock();
        let (kind, size_bytes) = match &inner.body {
            Body::File { bytes, .. } => (Kind::File, bytes.len() as u64),
            Body::Folder(_) => (Kind::Folder, 0),
            Body::Link(target) => (Kind::Link, target.len() as u64),
        };
        let (mode, modified_ns, changed_ns) = (inner.mode, inner.modified_ns, inner.changed_ns);
        Metadata { kind, size_bytes, mode, modified_ns, changed_ns, inode: self.number, device: 1 }
    }

    /// Sets permission bits, or a modification time, or both.
    pub fn set_attributes(&self, mode: Option<u32>, modified_ns: Option<i64>, now_ns: i64) {
        let mut inner = self.inner.lock();
        inner.mode = mode.unwrap_or(inner.mode);
        inner.modified_ns = modified_ns.unwrap_or(inner.modified_ns);
        inner.changed_ns = now_ns;
    }

    /// Reads what is there of a file.
    pub fn read_some_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inner = self.inner.lock();
        let Body::File { bytes, .. } = &inner.body else { return Err(io::ErrorKind::IsADirectory.into()) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let count = buffer.len().min(bytes.len() - start);
        buffer[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    /// Changes a file's bytes, and remembers the change if asked.
    pub fn change(&self, now_ns: i64, remember: bool, make: impl FnOnce(&mut Vec<u8>) -> Change) {
        let mut inner = self.inner.lock();
        (inner.modified_ns, inner.changed_ns) = (now_ns, now_ns);
        if let Body::File { bytes, unsynced } = &mut inner.body {
            let change = make(bytes);
            if remember {
                unsynced.push(change);
            }
        }
    }

    /// After a power cut: some of what was not synced is lost.
    pub fn settle(&self, chance: &mut Chance) {
        if let Body::File { bytes, unsynced } = &mut self.inner.lock().body {
            settle_file(bytes, std::mem::take(unsynced), chance);
        }
    }

    /// Flips one bit of a file.
    pub fn flip(&self, bit: usize) -> io::Result<()> {
        match &mut self.inner.lock().body {
            Body::File { bytes, .. } if !bytes.is_empty() => {
                let bit = bit % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                Ok(())
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}
