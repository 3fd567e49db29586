//! `up`: runs a node until a signal or the API asks it to stop.

use std::io::Read as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mesh_node::Config;
use mesh_node::api::outcome::Outcome;
use mesh_proto::address::with_node;
use serde_json::json;

use super::args::UpArgs;
use super::fault::Fault;
use super::interrupt::Interrupt;
use super::session::{self, Session};
use super::{Context, logging, output};

/// How long to wait for the first address that others can reach, once there is one.
const ADDRESS_WAIT: Duration = Duration::from_millis(500);
const ADDRESS_DELAY: Duration = Duration::from_millis(20);

/// Runs it.
///
/// # Errors
/// A [`Fault`] if it can't start; another node on the folder is one.
pub async fn run(context: &Context, args: UpArgs) -> Result<(), Fault> {
    let overrides = args.node.overrides();
    let config = Config::load(&context.data, &overrides)?;
    logging::start(config.log(), context.verbose);
    let everywhere = config.listen().iter().any(|listen| ip_of(listen).is_some_and(|ip| ip.is_unspecified()));
    let started = session::start_to_stay(&context.data, &overrides, &context.interrupt).await.map_err(|fault| {
        match fault.outcome {
            Outcome::InUse => {
                Fault { cure: "Stop that node, or give this one its own folder with --data.".into(), ..fault }
            }
            _ => fault,
        }
    })?;
    if args.stop_with_stdin {
        stop_with_stdin(context.interrupt.clone());
    }
    if let Err(fault) = announce(context, &started, everywhere).await {
        started.close().await;
        return Err(fault);
    }
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

async fn announce(context: &Context, session: &Session, everywhere: bool) -> Result<(), Fault> {
    let Session::Own { node, server: Some(server) } = session else { return Ok(()) };
    let deadline = Instant::now() + ADDRESS_WAIT;
    // The system tells of them one by one, and of this machine's own first.
    while everywhere && best(&node.listening()).is_none() && Instant::now() < deadline {
        tokio::time::sleep(ADDRESS_DELAY).await;
    }
    let addresses: Vec<String> = node.listening().iter().map(|address| with_node(address, node.id())).collect();
    if context.json {
        let ready = json!({
            "node": node.id(), "addresses": addresses, "api": server.address().to_string(), "data": context.data,
        });
        return output::say(&ready.to_string());
    }
    if context.quiet {
        return Ok(());
    }
    output::say(&format!("node   {}\ndata   {}", node.id(), context.data.display()))?;
    for address in &addresses {
        output::say(&format!("listen {address}"))?;
    }
    match (best(&addresses), addresses.first()) {
        (Some(address), _) => output::say(&format!(
            "Nodes on the same segment find this one by themselves. To join from elsewhere:\n  mesh-node up --peer \
             {address}\nCtrl-C stops it."
        )),
        (None, Some(address)) => output::say(&format!(
            "It listens on this machine only, and nobody joins from elsewhere. To join from this machine:\n  mesh-node \
             up --peer {address}\nCtrl-C stops it."
        )),
        (None, None) => output::say("It listens nowhere yet: see mesh-node doctor. Ctrl-C stops it."),
    }
}

/// The address that others on the network are most likely to reach; none is one of this machine alone.
fn best(addresses: &[String]) -> Option<&String> {
    let rank = |address: &&String| match ip_of(address)? {
        ip if ip.is_loopback() || ip.is_unspecified() => None,
        IpAddr::V4(ip) => Some(if ip.is_link_local() { 2 } else { 0 }),
        // Of use only with the name of the other's interface.
        IpAddr::V6(ip) if ip.is_unicast_link_local() => None,
        IpAddr::V6(_) => Some(1),
    };
    let reachable = addresses.iter().filter_map(|address| Some((rank(&address)?, address)));
    reachable.min_by_key(|(rank, _)| *rank).map(|(_, address)| address)
}

/// The IP address a multiaddr begins with.
fn ip_of(address: &str) -> Option<IpAddr> {
    let mut parts = address.split('/').skip(1);
    match (parts.next()?, parts.next()?) {
        ("ip4" | "ip6", ip) => ip.parse().ok(),
        _ => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_an_address_they_can_reach() {
        let all = ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/ip6/fe80::1/tcp/1", "/ip4/169.254.1.2/tcp/1"];
        let mut all: Vec<String> = all.map(str::to_owned).to_vec();
        assert_eq!(best(&all[..3]), None);
        assert_eq!(best(&all), Some(&all[3]));
        all.push("/ip6/fd00::7/tcp/1".to_owned());
        assert_eq!(best(&all), Some(&all[4]));
        all.push("/ip4/192.168.1.4/tcp/1/p2p/x".to_owned());
        assert_eq!(best(&all), Some(&all[5]));
        assert_eq!(best(&[]), None);
    }
}
