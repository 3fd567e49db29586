//! Two nodes in one process: the first shares a file, the second gets it. `cargo run -p mesh-node --example embed`

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use mesh_node::{Config, Node, Overrides};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::{Event, UserCommand, UserReply};
use mesh_proto::record::Access;

/// Starts a node that keeps its files in `folder`, listens on this machine only, and knows `peers`.
async fn start(folder: &Path, peers: Vec<String>) -> Result<Node> {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let overrides = Overrides { listen, peers, no_mdns: true, ..Overrides::default() };
    Ok(Node::start(Config::load(folder, &overrides)?).await?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("mesh-embed-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (original, copy) = (folder.join("original.bin"), folder.join("copy.bin"));
    std::fs::write(&original, vec![42; 3_000_000])?;

    let giver = start(&folder.join("giver"), Vec::new()).await?;
    let taker = start(&folder.join("taker"), giver.listening()).await?;
    let mut events = taker.events();

    let share = UserCommand::Share {
        path: original.display().to_string(),
        name: None,
        listed: Some(false),
        tags: None,
        access: Some(Access::Ticket),
    };
    let UserReply::Shared(shared) = giver.request(share).await else { bail!("not shared") };
    println!("shared {} bytes as {}", shared.size_bytes, shared.ticket);

    let get = UserCommand::Get {
        ticket: shared.ticket,
        target: copy.display().to_string(),
        seed_seconds: None,
        class: TrafficClass::Interactive,
        priority: 128,
    };
    let UserReply::Getting(_) = taker.request(get).await else { bail!("not accepted") };
    loop {
        match events.recv().await.context("the node ended")? {
            Event::TransferComplete { report } => break println!("got {} in {} ms", report.path, report.elapsed_ms),
            Event::TransferFailed { error, .. } => bail!("{error}; {}", error.cure),
            _ => {}
        }
    }
    assert_eq!(std::fs::read(&original)?, std::fs::read(&copy)?);
    taker.stop().await;
    giver.stop().await;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
