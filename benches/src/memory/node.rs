//! A node whose payload is made up ([`generated`]): an end of a transfer of more bytes than a disk has.
//!
//! `share DATA BYTES` prints a ticket and serves; `get DATA TICKET` fetches, prints how it ended, and stays, so that it
//! can be asked what it used. Both end when they are killed.

mod generated;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, Subcommand};
use generated::GeneratedDisk;
use mesh_node::{Config, Node, Overrides};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::{Event, UserCommand, UserReply};
use mesh_proto::record::Access;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

/// An end of a transfer of bytes that are made up.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    end: End,
}

#[derive(Subcommand)]
enum End {
    /// Gives.
    Share {
        /// The node's folder.
        data: PathBuf,
        /// How large the file is.
        bytes: u64,
    },
    /// Takes.
    Get {
        /// The node's folder.
        data: PathBuf,
        /// What `share` printed.
        ticket: String,
    },
}

#[tokio::main]
async fn main() {
    match Options::parse().end {
        End::Share { data, bytes } => {
            let (node, file) = start(&data).await;
            let sparse = File::create(&file).expect("the file can be made");
            sparse.set_len(bytes).expect("the file system has sparse files");
            println!("{}", json!({"ticket": share(&node, &file).await}));
            std::future::pending().await
        }
        End::Get { data, ticket } => {
            let (node, file) = start(&data).await;
            println!("{}", json!({"fetched_bytes": get(&node, ticket, &file).await}));
            std::future::pending().await
        }
    }
}

/// A node, and the path of the one file that is made up.
async fn start(data: &Path) -> (Node, PathBuf) {
    let made_up = data.join("made-up");
    fs::create_dir_all(&made_up).expect("folders can be made");
    let made_up = made_up.canonicalize().expect("it was just made");
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let overrides = Overrides { listen, no_mdns: true, ..Overrides::default() };
    let config = Config::load(&data.join("node"), &overrides).expect("the configuration is right");
    let disk = Arc::new(GeneratedDisk::new(made_up.clone()));
    (Node::start_on(disk, config).await.expect("the node starts"), made_up.join("file"))
}

async fn share(node: &Node, file: &Path) -> String {
    let command = UserCommand::Share {
        path: file.display().to_string(),
        name: None,
        listed: None,
        tags: None,
        access: Some(Access::Ticket),
    };
    match node.request(command).await {
        UserReply::Shared(shared) => shared.ticket,
        other => panic!("not shared: {other:?}"),
    }
}

async fn get(node: &Node, ticket: String, file: &Path) -> u64 {
    let mut events = node.events();
    let command = UserCommand::Get {
        ticket,
        target: file.display().to_string(),
        seed_seconds: None,
        class: TrafficClass::Interactive,
        priority: 128,
    };
    let reply = node.request(command).await;
    assert!(matches!(reply, UserReply::Getting(_)), "not accepted: {reply:?}");
    loop {
        match events.recv().await {
            Ok(Event::TransferComplete { report }) => return report.size_bytes,
            Ok(Event::TransferFailed { error, .. }) => panic!("{error}; {}", error.cure),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => panic!("the node ended"),
        }
    }
}
