//! An index in sled 0.34: dormant, and not durable by itself, so it holds only what can be found out again.
//!
//! What is known to go wrong with it, and what is done:
//!
//! | sled | here |
//! |---|---|
//! | `flush` does not reach the disk on Linux | its file is synced after it |
//! | a half-written `snap.*.generating` makes every later open fail | deleted before each open |
//! | a damaged file makes opening fail, or panic | caught; the folder is moved aside and an empty index begun |
//! | space is never given back | written anew into a fresh folder when it is bloated |
//! | its cache takes a gibibyte, its flusher wakes twice a second | a small cache; flushed by us when there is something |

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Index, IndexTable, VALUE_BYTES_MAX};

/// What sled may keep in memory.
const CACHE_BYTES: u64 = 8 << 20;
/// Below this its size is no matter.
const BLOATED_BYTES_MIN: u64 = 32 << 20;
/// It is bloated when it takes more than so many times what its rows take.
const BLOAT_MAX: u64 = 4;
/// sled's threads may hold its lock for a moment after it was closed: that is no damage.
const LOCK_TRIES_MAX: u32 = 20;
const LOCK_TRY_DELAY: Duration = Duration::from_millis(50);
/// The layout of rows. An index of another layout is begun anew: it is only a hint.
const LAYOUT: &[u8] = b"1";

/// An index in sled.
pub struct SledIndex {
    db: sled::Db,
    trees: Vec<(IndexTable, sled::Tree)>,
    folder: PathBuf,
    dirty: AtomicBool,
    /// It failed: from now on it is empty.
    failed: AtomicBool,
}

impl SledIndex {
    /// Opens or makes the index in `folder`. Never fails for what is in it: what can't be read is moved to `folder`
    /// with `.damaged` behind its name, and said in `repairs`.
    ///
    /// # Errors
    /// If not even an empty one can be made.
    pub fn open(folder: &Path, repairs: &mut Vec<String>) -> std::io::Result<Self> {
        remove_half_snapshots(folder);
        let index = open_caught(folder).or_else(|why| {
            let aside = folder.with_extension("damaged");
            let _ = std::fs::remove_dir_all(&aside);
            std::fs::rename(folder, &aside)?;
            repairs.push(format!(
                "the index could not be read ({why}); it was moved to {} and is built anew as it is needed",
                aside.display()
            ));
            open_caught(folder).map_err(std::io::Error::other)
        })?;
        if index.is_bloated() { index.rewrite() } else { Ok(index) }
    }

    fn tree(&self, table: IndexTable) -> Option<&sled::Tree> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        self.trees.iter().find(|(known, _)| *known == table).map(|(_, tree)| tree)
    }

    /// Carries out `work`; an error or a panic inside sled ends its use until the next start.
    fn guarded<T>(&self, table: IndexTable, work: impl FnOnce(&sled::Tree) -> sled::Result<T>) -> Option<T> {
        let tree = self.tree(table)?;
        let why = match catch_unwind(AssertUnwindSafe(|| work(tree))) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "a panic inside sled".to_owned(),
        };
        if !self.failed.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "the index failed; going on without it");
        }
        None
    }

    fn is_bloated(&self) -> bool {
        let size = self.size_bytes();
        size > BLOATED_BYTES_MIN && {
            let rows = self.trees.iter().flat_map(|(_, tree)| tree.iter().flatten());
            let live: u64 = rows.map(|(key, value)| (key.len() + value.len()) as u64).sum();
            size > BLOAT_MAX * live
        }
    }

    /// Copies the rows into a fresh folder that takes this one's place.
    fn rewrite(self) -> std::io::Result<Self> {
        let (folder, fresh_folder) = (self.folder.clone(), self.folder.with_extension("new"));
        let _ = std::fs::remove_dir_all(&fresh_folder);
        let fresh = open_caught(&fresh_folder).map_err(std::io::Error::other)?;
        for ((table, tree), (_, to)) in self.trees.iter().zip(&fresh.trees) {
            for (key, value) in tree.iter().flatten() {
                to.insert(key, value).map_err(|error| std::io::Error::other(format!("{table:?}: {error}")))?;
            }
        }
        fresh.dirty.store(true, Ordering::Relaxed);
        fresh.flush();
        drop((fresh, self));
        std::fs::remove_dir_all(&folder)?;
        std::fs::rename(&fresh_folder, &folder)?;
        open_caught(&folder).map_err(std::io::Error::other)
    }
}

fn remove_half_snapshots(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".generating")) {
        let _ = std::fs::remove_file(entry.path());
    }
}

fn open_caught(folder: &Path) -> Result<SledIndex, String> {
    // sled prints nothing of its own, but a panic in it would print a backtrace nobody can do anything with.
    let once = || {
        catch_unwind(|| open(folder)).map_err(|_| "a panic inside sled".to_owned())?.map_err(|error| error.to_string())
    };
    let mut opened = once();
    for _ in 0..LOCK_TRIES_MAX {
        if !opened.as_ref().is_err_and(|why| why.contains("could not acquire lock")) {
            break;
        }
        std::thread::sleep(LOCK_TRY_DELAY);
        opened = once();
    }
    opened
}

fn open(folder: &Path) -> sled::Result<SledIndex> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let db = config.open()?;
    if db.get(b"layout")?.as_deref() != Some(LAYOUT) {
        for table in IndexTable::ALL {
            db.drop_tree(table.name())?;
        }
        db.insert(b"layout", LAYOUT)?;
    }
    let trees = IndexTable::ALL.into_iter().map(|table| Ok((table, db.open_tree(table.name())?)));
    let trees = trees.collect::<sled::Result<_>>()?;
    let (dirty, failed) = (AtomicBool::new(false), AtomicBool::new(false));
    Ok(SledIndex { db, trees, folder: folder.to_owned(), dirty, failed })
}

impl Index for SledIndex {
    fn get(&self, table: IndexTable, key: &[u8]) -> Option<Vec<u8>> {
        self.guarded(table, |tree| tree.get(key))?.map(|value| value.to_vec())
    }

    fn put(&self, table: IndexTable, key: &[u8], value: &[u8]) {
        if value.len() <= VALUE_BYTES_MAX {
            self.dirty.store(true, Ordering::Relaxed);
            let _ = self.guarded(table, |tree| tree.insert(key, value));
        }
    }

    fn remove(&self, table: IndexTable, prefix: &[u8]) {
        self.dirty.store(true, Ordering::Relaxed);
        let _ = self.guarded(table, |tree| {
            let keys: Vec<sled::IVec> = tree.scan_prefix(prefix).keys().collect::<sled::Result<_>>()?;
            keys.into_iter().try_for_each(|key| tree.remove(key).map(drop))
        });
    }

    fn flush(&self) {
        if self.dirty.swap(false, Ordering::Relaxed) {
            let file = self.folder.join("db");
            let _ = self.guarded(IndexTable::Shares, |_| {
                self.db.flush()?;
                File::open(file)?.sync_all()?;
                Ok(())
            });
        }
    }

    fn size_bytes(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }
}

impl Drop for SledIndex {
    fn drop(&mut self) {
        self.flush();
    }
}
