//! Compares what was fetched with the original, byte by byte, files and folders alike.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

const PART_BYTES: usize = 1024 * 1024;

/// Why the two differ; `None` if they don't.
///
/// # Errors
/// The system's.
pub fn difference(original: &Path, copy: &Path) -> io::Result<Option<String>> {
    let (ours, theirs) = (fs::symlink_metadata(original)?, fs::symlink_metadata(copy)?);
    let shown = copy.display();
    if ours.is_dir() != theirs.is_dir() || ours.is_symlink() != theirs.is_symlink() {
        return Ok(Some(format!("{shown} is of another kind")));
    }
    if ours.is_symlink() {
        let same = fs::read_link(original)? == fs::read_link(copy)?;
        return Ok((!same).then(|| format!("{shown} points elsewhere")));
    }
    if ours.is_dir() { folders(original, copy) } else { files(original, copy) }
}

fn folders(original: &Path, copy: &Path) -> io::Result<Option<String>> {
    let names = |folder: &Path| -> io::Result<BTreeSet<OsString>> {
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    };
    let (ours, theirs) = (names(original)?, names(copy)?);
    if ours != theirs {
        return Ok(Some(format!("{} holds other files", copy.display())));
    }
    for name in ours {
        if let Some(difference) = difference(&original.join(&name), &copy.join(&name))? {
            return Ok(Some(difference));
        }
    }
    Ok(None)
}

fn files(original: &Path, copy: &Path) -> io::Result<Option<String>> {
    let (mut ours, mut theirs) = (File::open(original)?, File::open(copy)?);
    let (mut our_part, mut their_part) = (Vec::new(), Vec::new());
    let mut offset = 0_u64;
    loop {
        our_part.clear();
        their_part.clear();
        ours.by_ref().take(PART_BYTES as u64).read_to_end(&mut our_part)?;
        theirs.by_ref().take(PART_BYTES as u64).read_to_end(&mut their_part)?;
        if our_part != their_part {
            let same = our_part.iter().zip(&their_part).take_while(|(ours, theirs)| ours == theirs).count();
            return Ok(Some(format!("{} differs from byte {} on", copy.display(), offset + same as u64)));
        }
        if our_part.is_empty() {
            return Ok(None);
        }
        offset += our_part.len() as u64;
    }
}

/// BLAKE3 of a file, as hex.
///
/// # Errors
/// The system's.
pub fn hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_flipped_byte_or_one_file_more_is_seen() {
        let root = tempfile::tempdir().unwrap();
        let (left, right) = (root.path().join("left"), root.path().join("right"));
        for side in [&left, &right] {
            fs::create_dir_all(side.join("sub")).unwrap();
            fs::write(side.join("sub/file"), vec![7; PART_BYTES + 10]).unwrap();
        }
        assert_eq!(difference(&left, &right).unwrap(), None);
        let mut bytes = vec![7; PART_BYTES + 10];
        bytes[PART_BYTES + 3] = 8;
        fs::write(right.join("sub/file"), bytes).unwrap();
        assert!(difference(&left, &right).unwrap().unwrap().ends_with("from byte 1048579 on"));
        fs::write(right.join("more"), "").unwrap();
        assert!(difference(&left, &right).unwrap().unwrap().contains("other files"));
    }
}
