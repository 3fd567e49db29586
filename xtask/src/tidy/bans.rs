//! The pure crates ban clocks, threads and unordered maps in a clippy.toml of their own.
//!
//! A nested clippy.toml replaces the one above it instead of adding to it, so each must name every ban.

use std::fs;

use super::Findings;

const PURE: [&str; 5] = ["mesh-chunk", "mesh-fair", "mesh-analytics", "mesh-core", "mesh-sim"];

const BANNED: [(&str, &str); 5] = [
    ("disallowed-types", "std::collections::HashMap"),
    ("disallowed-types", "std::collections::HashSet"),
    ("disallowed-methods", "std::time::Instant::now"),
    ("disallowed-methods", "std::time::SystemTime::now"),
    ("disallowed-methods", "std::thread::spawn"),
];

pub fn check() -> Findings {
    PURE.iter().flat_map(|name| check_crate(name)).collect()
}

fn check_crate(name: &str) -> Findings {
    let path = format!("crates/{name}/clippy.toml");
    let Ok(text) = fs::read_to_string(&path) else {
        return vec![format!("{path} is missing; a pure crate bans clocks, threads and unordered maps there")];
    };
    let Ok(bans) = text.parse::<toml::Table>() else {
        return vec![format!("{path} is not TOML")];
    };
    let missing = BANNED.iter().filter(|(list, banned)| !names(&bans, list, banned));
    missing.map(|(list, banned)| format!("{path} does not name {banned} in {list}")).collect()
}

fn names(bans: &toml::Table, list: &str, banned: &str) -> bool {
    let entries = bans.get(list).and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().any(|entry| entry.as_str().or_else(|| entry.get("path")?.as_str()) == Some(banned))
}
