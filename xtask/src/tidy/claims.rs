//! A test that a document names as proof must exist: every name in backticks with three words or more is looked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::{Findings, sources};

const PAGES: [&str; 1] = ["docs/security.md"];

pub fn check() -> anyhow::Result<Findings> {
    let mut functions = BTreeSet::new();
    for file in sources::files()? {
        let source = fs::read_to_string(&file).with_context(|| format!("reading {} failed", file.display()))?;
        functions.extend(source.lines().filter_map(function_name).map(ToOwned::to_owned));
    }
    let mut findings = Findings::new();
    for page in PAGES.iter().filter(|page| Path::new(page).exists()) {
        let text = fs::read_to_string(page).with_context(|| format!("reading {page} failed"))?;
        let missing = claimed(&text).filter(|name| !functions.contains(*name));
        findings.extend(missing.map(|name| format!("{page} names the test `{name}`, which does not exist")));
    }
    Ok(findings)
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("async ").unwrap_or(rest).strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

/// Words between backticks that look like the names of tests.
fn claimed(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.matches('_').count() >= 2 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tests_are_told_from_other_words() {
        let text = "| x | `mesh-core` `max_size` | `a_liar_is_banned` |";
        assert_eq!(claimed(text).collect::<Vec<_>>(), ["a_liar_is_banned"]);
        assert_eq!(function_name("    async fn a_b_c() {"), Some("a_b_c"));
    }
}
