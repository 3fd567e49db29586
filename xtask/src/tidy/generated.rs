//! Documents generated from the code must be what the code says now.

use std::fs;

use super::Findings;
use crate::step;

const CONFIG_PAGE: &str = "docs/config.md";

pub fn check() -> anyhow::Result<Findings> {
    let command = step::cargo(&["run", "--quiet", "-p", "mesh-node", "--", "config-doc"]);
    let Some(now) = step::output_of(command) else {
        eprintln!("SKIPPED: {CONFIG_PAGE} against the code; `mesh-node config-doc` does not run");
        return Ok(Findings::new());
    };
    let kept = fs::read_to_string(CONFIG_PAGE).unwrap_or_default();
    if kept == now {
        return Ok(Findings::new());
    }
    Ok(vec![format!("{CONFIG_PAGE} is out of date: cargo run -q -p mesh-node -- config-doc > {CONFIG_PAGE}")])
}
