//! `cargo xtask tidy`: rules that the compiler does not know. Each rule lives in a file and gives back what it found.
//!
//! | rule | file |
//! |---|---|
//! | a crate depends only on crates below it | `layers` |
//! | heads, lengths and imports of source files | `sources` |
//! | the pure crates keep their bans | `bans` |
//! | generated documents are what the code says | `generated` |
//! | tests that documents name exist | `claims` |

mod bans;
mod claims;
mod generated;
mod layers;
mod sources;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::step;

/// What breaks a rule, in words for people.
type Findings = Vec<String>;

pub fn run() -> anyhow::Result<()> {
    eprintln!("=== tidy");
    let metadata = metadata()?;
    let mut findings = layers::check(&metadata);
    findings.extend(sources::check()?);
    findings.extend(bans::check());
    findings.extend(claims::check()?);
    findings.extend(generated::check()?);
    for finding in &findings {
        eprintln!("tidy: {finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("tidy found {count} breaches of the rules"),
    }
}

/// What cargo says of the workspace, without its dependencies.
pub fn metadata() -> anyhow::Result<Value> {
    let command = step::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let text = step::output_of(command).context("`cargo metadata` failed; run it to see why")?;
    serde_json::from_str(&text).context("`cargo metadata` printed something else than JSON")
}
