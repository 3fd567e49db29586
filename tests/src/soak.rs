//! How often a test tries something: a few times in every run, many times in a soak (`cargo xtask soak`).

use std::env;
use std::thread;

/// What the names of the tests end with that do more in a soak.
const ENDING: &str = "_soak";

/// `long` in a soak, which `MESH_SOAK` says it is, else `short`.
///
/// # Panics
/// If the test's name does not end with `_soak`: a soak would pass it by.
#[must_use]
pub fn count(short: u64, long: u64) -> u64 {
    // The test's thread is named like the test.
    let name = thread::current().name().map(str::to_owned);
    let known = name.is_none_or(|name| name == "main" || name.ends_with(ENDING));
    assert!(known, "the name of a test that counts otherwise in a soak ends with {ENDING}");
    if env::var_os("MESH_SOAK").is_some() { long } else { short }
}
