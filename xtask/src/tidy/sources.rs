//! Source files: each opens with its purpose, stays short, and imports by name outside tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Findings;

const FOLDERS: [&str; 5] = ["crates", "tests", "benches", "fuzz", "xtask"];
const LINES_MAX: usize = 600;

/// Files that may be longer, each with its reason and its own ceiling, which only ever goes down.
const LONGER: [(&str, usize, &str); 0] = [];

pub fn check() -> anyhow::Result<Findings> {
    let mut findings = Findings::new();
    for file in files()? {
        let source = fs::read_to_string(&file).with_context(|| format!("reading {} failed", file.display()))?;
        findings.extend(check_file(&file.to_string_lossy(), &source));
    }
    Ok(findings)
}

/// Every Rust file of the workspace, in order.
pub(super) fn files() -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(Path::new(folder), &mut files)?;
    }
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("reading {} failed", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(name: &str, source: &str) -> Findings {
    let mut findings = Findings::new();
    if !source.starts_with("//!") {
        findings.push(format!("{name} does not open with `//!`"));
    }
    let lines = source.lines().count();
    let lines_max = LONGER.iter().find(|(file, ..)| *file == name).map_or(LINES_MAX, |(_, lines, _)| *lines);
    if lines > lines_max {
        findings.push(format!("{name} has {lines} lines, more than {lines_max}; look for the second concern in it"));
    }
    if !is_test_file(name) {
        findings.extend(glob_imports(source).map(|line| format!("{name}:{line} imports with a glob")));
    }
    findings
}

fn is_test_file(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs") || name.ends_with("_tests.rs")
}

/// Lines before the tests that import everything of a module.
fn glob_imports(source: &str) -> impl Iterator<Item = usize> + '_ {
    let before_tests = source.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    before_tests.filter(|(_, line)| is_glob_import(line.trim())).map(|(index, _)| index + 1)
}

fn is_glob_import(line: &str) -> bool {
    let statement = line.strip_prefix("pub ").unwrap_or(line);
    statement.starts_with("use ")
        && (statement.contains("::*;") || statement.contains("::{*") || statement.contains(" *}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_imports_are_found_outside_tests_only() {
        let source = "//! x\nuse a::*;\npub use b::{c, *};\n#[cfg(test)]\nmod tests { use super::*; }\n";
        assert_eq!(check_file("crates/x/src/lib.rs", source).len(), 2);
        assert!(check_file("tests/tests/x.rs", "//! x\nuse a::*;\n").is_empty());
    }

    #[test]
    fn heads_and_lengths_are_checked() {
        assert_eq!(check_file("crates/x/src/lib.rs", "mod a;\n").len(), 1);
        let long = format!("//! x\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(check_file("crates/x/src/lib.rs", &long).len(), 1);
    }
}
