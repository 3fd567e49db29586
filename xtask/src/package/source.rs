//! The tree that debhelper reads: the program, its pages, and `debian/` with what `packaging/` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::licences;
use super::program::{self, Linking};
use super::revision::Revision;

/// What is copied from the workspace: from where, and to where in the tree.
const FILES: [(&str, &str); 9] = [
    ("packaging/debian/source/format", "debian/source/format"),
    ("packaging/systemd/system/mesh-node.service", "debian/mesh-node.service"),
    ("packaging/systemd/user/mesh-node.service", "debian/mesh-node.user.service"),
    ("packaging/systemd/mesh-node.sysusers.conf", "debian/mesh-node.sysusers"),
    ("packaging/systemd/mesh-node.tmpfiles.conf", "debian/mesh-node.tmpfiles"),
    ("packaging/systemd/folders.conf", "folders.conf"),
    ("docs/packaging.md", "packaging.md"),
    ("docs/config.md", "config.md"),
    ("packaging/debian/rules", "debian/rules"),
];

/// Files of `packaging/debian/` that go into `debian/` as they are.
const DEBIAN: [&str; 7] = [
    "control",
    "copyright",
    "mesh-node.docs",
    "mesh-node.examples",
    "mesh-node.install",
    "mesh-node.manpages",
    "mesh-node.prerm",
];

/// Where what users notice is written down, one file for each change.
const CHANGES: &str = "changelog/unreleased";

/// Lays it out anew.
///
/// # Errors
/// If a file can't be copied, or the program can't tell of itself.
pub fn lay_out(tree: &Path, program: &Path, revision: &Revision, linking: Linking) -> anyhow::Result<()> {
    // With what debhelper made of the last one beside it.
    let above = tree.parent().context("the tree lies in a folder")?;
    match fs::remove_dir_all(above) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {} failed", above.display()));
        }
        _ => {}
    }
    for (from, to) in FILES {
        copy(Path::new(from), &tree.join(to))?;
    }
    for name in DEBIAN {
        copy(&Path::new("packaging/debian").join(name), &tree.join("debian").join(name))?;
    }
    let overrides = ["mesh-node.lintian-overrides", "static.lintian-overrides"];
    let overrides = &overrides[..if linking == Linking::Static { 2 } else { 1 }];
    let overrides = overrides.iter().map(|name| read(&Path::new("packaging/debian").join(name)));
    let overrides = overrides.collect::<anyhow::Result<String>>()?;
    program::write(&tree.join("debian/mesh-node.lintian-overrides"), &overrides)?;
    copy(program, &tree.join("mesh-node"))?;
    program::describe(program, tree)?;
    program::write(&tree.join("third-party-licences"), &licences::text()?)?;
    program::write(&tree.join("changelog"), &changes()?)?;
    program::write(&tree.join("debian/changelog"), &debian_changelog(revision)?)
}

/// Keeps the modes: that of `rules` matters.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    let copied = fs::create_dir_all(folder).and_then(|()| fs::copy(from, to));
    copied.map(|_| ()).with_context(|| format!("copying {} to {} failed", from.display(), to.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {} failed", path.display()))
}

/// All that users notice, newest first.
fn changes() -> anyhow::Result<String> {
    let entries = fs::read_dir(CHANGES).with_context(|| format!("reading {CHANGES} failed"))?;
    let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<PathBuf>, _>>()?;
    files.sort();
    let texts = files.iter().rev().map(|file| read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(texts.join("\n"))
}

/// One entry: the version and its time are what debhelper takes from it.
fn debian_changelog(revision: &Revision) -> anyhow::Result<String> {
    let control = read(Path::new("packaging/debian/control"))?;
    let maintainer = control.lines().find_map(|line| line.strip_prefix("Maintainer: "));
    let maintainer = maintainer.context("packaging/debian/control names no maintainer")?;
    let Revision { what, date, .. } = revision;
    let version = revision.debian();
    Ok(format!("mesh-node ({version}) unstable; urgency=medium\n\n  * {what}\n\n -- {maintainer}  {date}\n"))
}
