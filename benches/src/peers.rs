//! Programs of this kind that a person could use instead. Neither is part of this workspace: `cargo install rqbit
//! sendme`. Both run without trackers, relays or discovery: the getter is told where the source is.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mesh_tests::place::try_system;
use mesh_tests::{Place, Running};

use crate::contestant::{Contestant, Cost, time};

/// Importing or hashing the file comes before the source is ready.
const READY_LIMIT: Duration = Duration::from_secs(300);

/// rqbit, a BitTorrent client: SHA-1 of pieces, no encryption.
#[derive(Debug)]
pub struct Rqbit;

impl Contestant for Rqbit {
    fn name(&self) -> &'static str {
        "rqbit"
    }

    fn obstacle(&self) -> Option<String> {
        (!try_system("rqbit --version")).then(|| "not installed: cargo install rqbit".to_owned())
    }

    fn carry(&self, file: &Path, copy: &Path, folder: &Path) -> Cost {
        let port = free_port();
        let mut share = rqbit(folder);
        share.args(["--listen-ip", "127.0.0.1", "--listen-port", &port.to_string(), "share"]).arg(file);
        let mut source = Running::start(share);
        let magnet = source.wait_for_text("a magnet link", READY_LIMIT, |line| {
            line.find("magnet:").map(|start| line[start..].trim().to_owned())
        });
        let target = folder.join("rqbit");
        let (cost, _) = time(&source, || {
            let mut fetch = rqbit(folder);
            fetch.args(["--disable-tcp-listen", "download", "--exit-on-finish", "--disable-http-api"]);
            fetch.args(["--initial-peers", &format!("127.0.0.1:{port}"), "--output-folder"]).arg(&target).arg(&magnet);
            Running::start(fetch)
        });
        take(&target, file, copy);
        cost
    }
}

fn rqbit(home: &Path) -> Command {
    let mut command = Place::Here.command("rqbit");
    command.args(["--disable-dht", "--disable-trackers", "--disable-lsd", "--disable-upnp-port-forward"]);
    command.env("HOME", home);
    command
}

/// sendme, of the iroh family: QUIC with TLS, BLAKE3 trees; the source first copies the file into its store.
#[derive(Debug)]
pub struct Sendme;

impl Contestant for Sendme {
    fn name(&self) -> &'static str {
        "sendme"
    }

    fn obstacle(&self) -> Option<String> {
        (!try_system("sendme --version")).then(|| "not installed: cargo install sendme".to_owned())
    }

    fn carry(&self, file: &Path, copy: &Path, folder: &Path) -> Cost {
        let (from, target) = (folder.join("from"), folder.join("to"));
        fs::create_dir_all(&from).expect("the folder can be made");
        fs::create_dir_all(&target).expect("the folder can be made");
        let mut send = Place::Here.command("sendme");
        send.args(["send", "--no-progress", "--relay", "disabled"]).arg(file).current_dir(&from);
        let mut source = Running::start(send);
        let ticket = source.wait_for_text("a ticket", READY_LIMIT, |line| {
            line.strip_prefix("sendme receive ").map(|ticket| ticket.trim().to_owned())
        });
        let (cost, _) = time(&source, || {
            let mut receive = Place::Here.command("sendme");
            receive.args(["receive", "--no-progress", "--relay", "disabled", &ticket]).current_dir(&target);
            Running::start(receive)
        });
        take(&target, file, copy);
        cost
    }
}

/// A port of this machine that nobody listens on.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    socket.local_addr().expect("a socket has an address").port()
}

/// Puts what was fetched under the name the measurement looks for.
fn take(folder: &Path, file: &Path, copy: &Path) {
    let name = file.file_name().expect("a file has a name");
    fs::rename(folder.join(name), copy).expect("the file was fetched");
}
