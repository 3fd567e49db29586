//! Logs on standard error, filtered by `MESH_LOG`, else by how often `-v` was given, else by a default.
//!
//! What peers say stands in fields only, which the formatter escapes.

use mesh_node::config::check_log;
use tracing_subscriber::EnvFilter;

const VARIABLE: &str = "MESH_LOG";

/// Starts logging; a filter that can't be read is told and replaced.
pub fn start(default: &str, verbose: u8) {
    let default = match verbose {
        0 => default,
        1 => "info,mesh_node=debug,mesh_core=debug,mesh_net=debug,mesh_store=debug",
        _ => "debug,mesh_node=trace,mesh_core=trace,mesh_net=trace,mesh_store=trace",
    };
    let filter = match std::env::var(VARIABLE) {
        Ok(text) => match check_log(&text) {
            Ok(()) => EnvFilter::new(text),
            Err(why) => {
                super::output::tell(&format!("warning: {VARIABLE}: {why}; {default} is used"));
                EnvFilter::new(default)
            }
        },
        Err(_) => EnvFilter::new(default),
    };
    let started = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    if let Err(error) = started {
        super::output::tell(&format!("warning: no logs: {error}"));
    }
}
