//! Files and trees to share, the same for the same seed, and whether two of them are the same.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::io::{BufWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::random::Random;

const BUFFER_BYTES: usize = 1 << 20;

/// Writes a file of random bytes.
///
/// # Panics
/// If the disk refuses.
pub fn write_random(path: &Path, bytes: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path).expect("the file can be made"));
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let take = usize::try_from(left.min(BUFFER_BYTES as u64)).expect("a buffer's length fits");
        random.fill(&mut buffer[..take]);
        file.write_all(&buffer[..take]).expect("the disk takes the file");
        left -= take as u64;
    }
    file.flush().expect("the disk takes the file");
}

/// BLAKE3 of a file, as `b3sum` prints it.
///
/// # Panics
/// If it can't be read.
#[must_use]
pub fn blake3_of(path: &Path) -> String {
    let mut file = File::open(path).unwrap_or_else(|error| panic!("opening {} failed: {error}", path.display()));
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer).expect("the file can be read") {
            0 => return hasher.finalize().to_hex().to_string(),
            count => hasher.update(&buffer[..count]),
        };
    }
}

/// # Panics
/// If the two files differ.
pub fn assert_same_file(left: &Path, right: &Path) {
    assert_eq!(blake3_of(left), blake3_of(right), "{} and {} differ", left.display(), right.display());
}

/// Makes `files` files of `bytes_each`, in folders of a hundred, with modes and times that differ.
///
/// # Panics
/// If the disk refuses.
pub fn write_tree(root: &Path, files: u32, bytes_each: u64, seed: u64) {
    const MODES: [u32; 3] = [0o644, 0o755, 0o600];
    let mut random = Random::new(seed);
    let mut buffer = vec![0; usize::try_from(bytes_each).expect("a small file")];
    for number in 0..files {
        let folder = root.join(format!("folder-{:03}", number / 100));
        fs::create_dir_all(&folder).expect("the folder can be made");
        let path = folder.join(format!("file-{number:05}"));
        random.fill(&mut buffer);
        fs::write(&path, &buffer).expect("the disk takes the file");
        let mode = MODES[number as usize % MODES.len()];
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode can be set");
        let modified = UNIX_EPOCH + Duration::from_secs(1_500_000_000 + u64::from(number) * 1000);
        let file = File::options().write(true).open(&path).expect("the file can be opened");
        file.set_times(FileTimes::new().set_modified(modified)).expect("the time can be set");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Attributes {
    blake3: String,
    mode: u32,
    modified_s: u64,
}

/// # Panics
/// If the two trees differ in names, bytes, modes or times.
pub fn assert_same_tree(left: &Path, right: &Path) {
    let (left, right) = (files_of(left), files_of(right));
    assert_eq!(left.len(), right.len(), "the trees have different numbers of files");
    for (path, attributes) in &left {
        assert_eq!(Some(attributes), right.get(path), "{}", path.display());
    }
}

fn files_of(root: &Path) -> BTreeMap<PathBuf, Attributes> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            let metadata = fs::symlink_metadata(&path).expect("the file is there");
            if metadata.is_dir() {
                folders.push(path);
                continue;
            }
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let modified_s = modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
            let mode = metadata.permissions().mode() & 0o777;
            let relative = path.strip_prefix(root).expect("it lies below the root").to_owned();
            found.insert(relative, Attributes { blake3: blake3_of(&path), mode, modified_s });
        }
    }
    found
}
