//! Logs on standard error, filtered by `MESH_LOG`, else by how often `-v` was given, else by a default.
//!
//! What peers say stands in fields only, which the formatter escapes.

use mesh_node::config::read_log;
use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "MESH_LOG";

/// What the configuration or the command line chose, which was checked there.
fn chosen(default: &str) -> EnvFilter {
    read_log(default).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Starts logging; a filter that can't be read is told and replaced.
pub fn start(default: &str, verbose: u8) {
    let default = match verbose {
        0 => default,
        1 => "info,mesh_node=debug,mesh_core=debug,mesh_net=debug,mesh_store=debug",
        _ => "debug,mesh_node=trace,mesh_core=trace,mesh_net=trace,mesh_store=trace",
    };
    let filter = match std::env::var(VARIABLE) {
        Ok(text) => read_log(&text).unwrap_or_else(|why| {
            super::output::tell(&format!("warning: {VARIABLE}: {why}; {default} is used"));
            chosen(default)
        }),
        Err(_) => chosen(default),
    };
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    if let Err(error) = started {
        super::output::tell(&format!("warning: no logs: {error}"));
    }
}
