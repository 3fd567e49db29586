//! Made again of the same tree, elsewhere, later and with another mask of modes, the package has the same bytes.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

use super::super::Package;
use super::{folder, word};
use crate::step;

/// A day: further than any rounding of times in archives.
const LATER: Duration = Duration::from_secs(24 * 60 * 60);

pub fn check(package: &Package) -> anyhow::Result<()> {
    eprintln!("=== check: made again, the same bytes");
    let elsewhere = folder(package, "again/elsewhere")?;
    let tree = elsewhere.join("tree");
    step::run(step::program("cp", ["--recursive", word(&package.source)?, word(&tree)?]))?;
    // What debhelper made the first time.
    step::read({
        let mut clean = step::program("dh", ["clean"]);
        clean.current_dir(&tree);
        clean
    })?;
    age(&tree, SystemTime::now() + LATER)?;
    let build = "umask 077 && exec dpkg-buildpackage --build=binary --no-sign";
    let mut command = step::program("sh", ["-c", build]);
    command.current_dir(&tree).env("SOURCE_DATE_EPOCH", package.epoch.to_string());
    step::read(command)?;
    let name = package.file.file_name().context("a package has a file name")?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {} failed", path.display()));
    let (first, second) = (read(&package.file)?, read(&elsewhere.join(name))?);
    ensure!(
        first == second,
        "made again, the package has other bytes: compare {} with {}, for example with diffoscope",
        package.file.display(),
        elsewhere.join(name).display()
    );
    Ok(())
}

/// Gives everything in a folder another time.
fn age(folder: &Path, time: SystemTime) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            age(&path, time)?;
        } else {
            fs::File::open(&path).and_then(|file| file.set_modified(time))?;
        }
    }
    Ok(())
}
