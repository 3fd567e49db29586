//! What is in the archive: everything that should be, owned by root, writable by nobody else, with honest dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::super::{Linking, Package};
use super::word;
use crate::step;

/// Besides the manual pages, which the program names itself.
const FILES: [&str; 14] = [
    "usr/bin/mesh-node",
    "usr/lib/systemd/user/mesh-node.service",
    "usr/lib/sysusers.d/mesh-node.conf",
    "usr/lib/tmpfiles.d/mesh-node.conf",
    "usr/share/bash-completion/completions/mesh-node",
    "usr/share/doc/mesh-node/changelog.Debian.gz",
    "usr/share/doc/mesh-node/changelog.gz",
    "usr/share/doc/mesh-node/config.md",
    "usr/share/doc/mesh-node/copyright",
    "usr/share/doc/mesh-node/examples/folders.conf",
    "usr/share/doc/mesh-node/packaging.md",
    "usr/share/doc/mesh-node/third-party-licences",
    "usr/share/fish/vendor_completions.d/mesh-node.fish",
    "usr/share/zsh/vendor-completions/_mesh-node",
];

/// Where debhelper puts services of the system: before Debian 13, and since.
const SYSTEM_UNITS: [&str; 2] = ["lib/systemd/system/mesh-node.service", "usr/lib/systemd/system/mesh-node.service"];

pub fn check(package: &Package) -> anyhow::Result<()> {
    eprintln!("=== check: contents");
    let file = word(&package.file)?;
    let list = step::read(step::program("dpkg-deb", ["--contents", file]))?;
    let mut names = BTreeSet::new();
    for line in list.lines() {
        let entry = Entry::of(line).with_context(|| format!("dpkg-deb lists what can't be read: {line}"))?;
        ensure!(entry.owner == "root/root", "{} belongs to {}", entry.name, entry.owner);
        ensure!(matches!(entry.mode, "drwxr-xr-x" | "-rw-r--r--" | "-rwxr-xr-x"), "{}: {}", entry.name, entry.mode);
        names.insert(entry.name);
    }
    let pages = pages(&package.source)?;
    ensure!(pages.iter().any(|page| page == "mesh-node.1"), "the program wrote no manual page of itself");
    let pages = pages.iter().map(|page| format!("usr/share/man/man1/{page}.gz"));
    let missing: Vec<String> = pages
        .chain(FILES.map(ToOwned::to_owned))
        // Documents are compressed from some size on.
        .filter(|name| !names.contains(name.as_str()) && !names.contains(format!("{name}.gz").as_str()))
        .collect();
    ensure!(missing.is_empty(), "not in the package: {}", missing.join(", "));
    ensure!(SYSTEM_UNITS.iter().any(|name| names.contains(name)), "the service of the system is not in the package");
    let strangers: Vec<&str> = names.into_iter().filter(|name| name.starts_with("etc/")).collect();
    ensure!(strangers.is_empty(), "what is configuration belongs to whoever runs the node: {}", strangers.join(", "));
    depends(file, package.linking)
}

/// A dynamic program says which C library it needs at least, and a static one needs none.
fn depends(file: &str, linking: Linking) -> anyhow::Result<()> {
    let depends = step::read(step::program("dpkg-deb", ["--field", file, "Depends"]))?;
    eprintln!("Depends: {}", depends.trim());
    let library = depends.split(", ").any(|one| one.starts_with("libc6 (>= "));
    ensure!(library == (linking == Linking::Dynamic), "linked as {linking:?}, it depends on: {}", depends.trim());
    Ok(())
}

/// Every page that the program wrote, by its file name.
fn pages(tree: &Path) -> anyhow::Result<Vec<String>> {
    let folder = tree.join("man");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {} failed", folder.display()))?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

struct Entry<'a> {
    mode: &'a str,
    owner: &'a str,
    name: &'a str,
}

impl<'a> Entry<'a> {
    /// Reads a line such as `-rwxr-xr-x root/root 123 2026-11-22 16:04 ./usr/bin/mesh-node`.
    fn of(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (mode, owner) = (words.next()?, words.next()?);
        let name = words.nth(3)?.trim_start_matches("./");
        Some(Self { mode, owner, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_dpkg_deb_are_read() {
        let entry = Entry::of("-rwxr-xr-x root/root  17 2026-11-22 16:04 ./usr/bin/mesh-node").unwrap();
        assert_eq!((entry.mode, entry.owner, entry.name), ("-rwxr-xr-x", "root/root", "usr/bin/mesh-node"));
        assert!(Entry::of("total 0").is_none());
    }
}
