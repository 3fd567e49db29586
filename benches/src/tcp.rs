//! What TCP itself reaches between two hosts, by iperf3.

use std::net::Ipv4Addr;
use std::time::Duration;

use mesh_tests::place::try_system;
use mesh_tests::{Host, Running, wait};

/// Of the first server of iperf3 on a host; others follow.
pub const PORT: u16 = 5201;
const START_LIMIT: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(600);

/// Why it can't be measured here; `None` if it can.
#[must_use]
pub fn obstacle() -> Option<String> {
    (!try_system("iperf3 --version")).then(|| "iperf3 is not installed (apt-get install iperf3)".to_owned())
}

/// Mbit/s of payload from one host to another at this address, with so many streams, for so long.
///
/// # Panics
/// If iperf3 fails.
#[must_use]
pub fn goodput(from: &Host, to: &Host, address: Ipv4Addr, port: u16, seconds: u64, streams: u32) -> f64 {
    let (address, port, seconds) = (address.to_string(), port.to_string(), seconds.to_string());
    let mut listen = to.place().command("iperf3");
    listen.args(["--server", "--one-off", "--port", &port]);
    let listener = Running::start(listen);
    let rate = wait::until("iperf3's server", START_LIMIT, || {
        let mut send = from.place().command("iperf3");
        send.args(["--client", &address, "--port", &port, "--time", &seconds, "--json"]);
        send.args(["--parallel", &streams.to_string()]);
        let outcome = Running::start(send).wait(LIMIT);
        let result = (outcome.code == Some(0)).then(|| outcome.json())?;
        result["end"]["sum_received"]["bits_per_second"].as_f64()
    });
    // It ends by itself after one client, but not always at once.
    drop(listener);
    rate / 1e6
}
