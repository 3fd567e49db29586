//! Which libraries of others are linked in, under which licences, with the texts they come with.
//!
//! Most licences ask that their text goes with the program; nearly every crate brings it along.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::step;

/// How the names of such files begin, in whatever case.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// The whole document.
///
/// # Errors
/// If cargo does not say what is linked in, or a licence can't be read.
pub fn text() -> anyhow::Result<String> {
    let linked = linked()?;
    // Of this platform only: sources of the others need not be here.
    let words = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform()?];
    let metadata = step::read(step::cargo(&words))?;
    let metadata: Value = serde_json::from_str(&metadata).context("`cargo metadata` printed no JSON")?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let name = format!("{} v{}", text_of(&package["name"]), text_of(&package["version"]));
        // What has no source is ours.
        if package["source"].is_null() || !linked.contains(&name) {
            continue;
        }
        let found = files(Path::new(text_of(&package["manifest_path"])))?;
        let none = if found.is_empty() { ", and no text with it" } else { "" };
        writeln!(list, "{name}: {}{none}", package["license"].as_str().unwrap_or("see its text"))?;
        for text in found {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut document = format!("Libraries of others in mesh-node, and their licences\n\n{list}");
    for (text, names) in &texts {
        write!(document, "\n{}\n{}\n\n{}\n", "=".repeat(80), names.join(", "), text.trim_end())?;
    }
    Ok(document)
}

fn platform() -> anyhow::Result<String> {
    let text = step::read(step::program("rustc", ["-vV"]))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(ToOwned::to_owned).context("rustc does not say for which platform it is")
}

/// What goes into the program, as `name vVERSION`.
fn linked() -> anyhow::Result<BTreeSet<String>> {
    let words = ["tree", "-p", "mesh-node", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--locked"];
    let tree = step::read(step::cargo(&words))?;
    Ok(tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect())
}

/// The texts beside a manifest.
fn files(manifest: &Path) -> anyhow::Result<Vec<String>> {
    let folder = manifest.parent().context("a manifest lies in a folder")?;
    let entries = fs::read_dir(folder).with_context(|| format!("reading {} failed", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.is_file() && is_licence(path));
    paths.sort();
    let texts = paths.iter().map(|path| {
        let bytes = fs::read(path).with_context(|| format!("reading {} failed", path.display()))?;
        // Some bear a mark of byte order, or lines as Windows ends them.
        Ok(String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').replace("\r\n", "\n"))
    });
    texts.collect()
}

fn is_licence(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_uppercase()).unwrap_or_default();
    NAMES.iter().any(|beginning| name.starts_with(beginning))
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_told_from_other_files() {
        for name in ["LICENSE", "license-mit.txt", "COPYING", "Unlicense"] {
            assert!(is_licence(Path::new(name)), "{name}");
        }
        for name in ["README.md", "Cargo.toml", "lib.rs"] {
            assert!(!is_licence(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn what_is_linked_in_is_found_with_its_texts() {
        let document = text().unwrap();
        assert!(document.contains("libp2p v"), "{}", &document[..200]);
        assert!(document.contains("Permission is hereby granted, free of charge"));
        // For tests only.
        assert!(!document.contains("proptest v"));
    }
}
