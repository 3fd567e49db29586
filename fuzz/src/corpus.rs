//! The files of each target: `fuzz/corpora/TARGET/NAME`.
//!
//! | name | what |
//! |---|---|
//! | `seed-…` | what the encoders write; written by [`write_seeds`], never by hand |
//! | `find-…` | what once broke a property, and must not again |
//! | any other | what the fuzzer kept because it reached something that no other input did |

use std::io;
use std::path::PathBuf;

use crate::{Seed, Target};

/// Where a target's files are.
#[must_use]
pub fn folder(target: &Target) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpora").join(target.name)
}

/// A target's files, by name.
///
/// # Errors
/// The system's, also if there is no such folder.
pub fn files(target: &Target) -> io::Result<Vec<Seed>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder(target))? {
        let entry = entry?;
        files.push(Seed::new(entry.file_name().to_string_lossy(), std::fs::read(entry.path())?));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// What the seeds of a target are called and hold.
#[must_use]
pub fn seeds(target: &Target) -> Vec<Seed> {
    let named = (target.seeds)().into_iter().map(|seed| Seed { name: format!("seed-{}", seed.name), ..seed });
    let mut seeds: Vec<Seed> = named.collect();
    seeds.sort_by(|a, b| a.name.cmp(&b.name));
    seeds
}

/// Writes a target's seeds in the place of those that are there.
///
/// # Errors
/// The system's.
pub fn write_seeds(target: &Target) -> io::Result<()> {
    let folder = folder(target);
    std::fs::create_dir_all(&folder)?;
    for old in files(target)?.iter().filter(|file| file.name.starts_with("seed-")) {
        std::fs::remove_file(folder.join(&old.name))?;
    }
    seeds(target).iter().try_for_each(|seed| std::fs::write(folder.join(&seed.name), &seed.bytes))
}
