//! `up`: runs a node until a signal or the API asks it to stop.

use std::io::Read as _;

use mesh_node::Config;
use mesh_node::api::outcome::Outcome;
use mesh_proto::address::with_node;
use serde_json::json;

use super::args::UpArgs;
use super::fault::Fault;
use super::interrupt::Interrupt;
use super::session::{self, Session, Stay};
use super::{Context, logging, output};

/// Runs it.
///
/// # Errors
/// A [`Fault`] if it can't start; another node on the folder is one.
pub async fn run(context: &Context, args: UpArgs) -> Result<(), Fault> {
    let config = Config::load(&context.data, &args.node.overrides())?;
    logging::start(config.log(), context.verbose);
    let started = session::start(config, Stay::Long).await.map_err(|fault| match fault.outcome {
        Outcome::InUse => {
            Fault { cure: "Stop that node, or give this one its own folder with --data.".into(), ..fault }
        }
        _ => fault,
    })?;
    if args.stop_with_stdin {
        stop_with_stdin(context.interrupt.clone());
    }
    announce(context, &started);
    notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        () = context.interrupt.wait() => {}
        () = started.stop_asked() => {}
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    started.close().await;
    if !context.quiet && !context.json {
        output::tell("stopped");
    }
    Ok(())
}

fn announce(context: &Context, session: &Session) {
    let Session::Own { node, server: Some(server) } = session else { return };
    let addresses: Vec<String> = node.listening().iter().map(|address| with_node(address, node.id())).collect();
    if context.json {
        let ready = json!({
            "node": node.id(), "addresses": addresses, "api": server.address().to_string(), "data": context.data,
        });
        output::say(&ready.to_string());
        return;
    }
    if context.quiet {
        return;
    }
    output::say(&format!("node   {}\ndata   {}", node.id(), context.data.display()));
    for address in &addresses {
        output::say(&format!("listen {address}"));
    }
    match addresses.first() {
        Some(address) => output::say(&format!(
            "Nodes on the same segment find this one by themselves. To join from elsewhere:\n  mesh-node up --peer \
             {address}\nCtrl-C stops it."
        )),
        None => output::say("It listens nowhere yet: see mesh-node doctor. Ctrl-C stops it."),
    }
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager can't be told");
    }
}

/// Stops when standard input ends. The thread is left behind: it holds nothing.
fn stop_with_stdin(interrupt: Interrupt) {
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while matches!(std::io::stdin().read(&mut bytes), Ok(count) if count > 0) {}
        interrupt.set();
    });
}
