//! Where and when something was measured: a figure without it says nothing.

use std::fs;

use mesh_tests::place::{system, try_system};
use serde_json::{Value, json};

/// Machine, date, commit and congestion control, as data.
#[must_use]
pub fn describe() -> Value {
    let commit = match try_system("git rev-parse --short HEAD") {
        true => system("git rev-parse --short HEAD").trim().to_owned(),
        false => "none".to_owned(),
    };
    // The document that measurements write is no part of what they measure.
    let status = "git status --short -- :/ :!/docs/performance.md";
    let changed = try_system(status) && !system(status).is_empty();
    json!({
        "processor": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field("/proc/meminfo", "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "congestion_control": congestion_control(),
        "date": system("date -u +%FT%TZ").trim(),
        "commit": if changed { format!("{commit} with changes") } else { commit },
    })
}

/// The TCP congestion control that new namespaces get, too.
#[must_use]
pub fn congestion_control() -> String {
    read("/proc/sys/net/ipv4/tcp_congestion_control")
}

/// Bytes this process has resident now.
#[must_use]
pub fn resident_bytes() -> u64 {
    status_bytes("VmRSS")
}

/// Bytes this process had resident at most.
#[must_use]
pub fn resident_bytes_max() -> u64 {
    status_bytes("VmHWM")
}

fn status_bytes(name: &str) -> u64 {
    let kib = field("/proc/self/status", name);
    kib.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Prints a setting as lines.
pub fn print(setting: &Value) {
    for (name, value) in setting.as_object().into_iter().flatten() {
        println!("{:<20}{}", name, value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}
