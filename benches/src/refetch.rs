//! What has to be fetched again after `kill -9`, and after a power cut: what was verified before, and is not here after.
//!
//! The kill strikes the real program. The power goes at a node on a disk in memory that loses what was not synced, or part
//! of it, as the worst disk may. The source is away when the getter comes back, so that what is here is what was kept.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_node::{Config, Node, Overrides};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::{UserCommand, UserReply};
use mesh_store::disk::{Disk as _, FaultyDisk};
use mesh_tests::random::Random;
use mesh_tests::{TestNode, files, json, wait};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// By then some of what is here was read again, if there is any.
const BEGUN: Duration = Duration::from_secs(10);
/// What is here no longer grows: all of it was read again.
const SETTLED: Duration = Duration::from_secs(1);
const SEED: u64 = 0x6d65_7368;
const MIB: f64 = 1024.0 * 1024.0;
/// The largest chunk of a file of up to 1 GiB.
const CHUNK_MIB: f64 = 0.25;
/// Bytes are kept after so many at the latest, or so long.
const KEPT_MIB: f64 = 16.0;
const KEPT_S: f64 = 2.0;

/// Measures what is fetched again after a crash.
#[derive(Parser)]
struct Options {
    /// The file's size, 1 GiB at most.
    #[arg(long, default_value = "128MiB")]
    size: ByteSize,
    /// What the source sends, in bytes per second.
    #[arg(long, default_value = "20MiB")]
    rate: ByteSize,
    #[command(flatten)]
    repeating: Repeating,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    files::write_random(&file, options.size.as_u64(), 1);
    let mut random = Random::new(SEED);
    let (mut killed, mut cut) = (Figures::default(), Figures::default());
    for run in 0..options.repeating.runs {
        let strike_at = options.size.as_u64() * random.between(20, 80) / 100;
        for (figures, way) in [(&mut killed, "kill"), (&mut cut, "cut")] {
            let here = folder.path().join(format!("{way}{run}"));
            std::fs::create_dir(&here).expect("folders can be made");
            let mut source = TestNode::on_loopback(&here.join("source")).without_journal();
            source.up();
            let _ = source.run(&["limit", "--up", &options.rate.as_u64().to_string()]);
            let ticket = source.share(&file);
            let [before, after] = match way {
                "kill" => kill(&here, &ticket, strike_at, source),
                _ => runtime.block_on(cut_power(&here, &ticket, strike_at, source, random.between(0, u64::MAX))),
            };
            eprintln!("run {run}: {way} after {before} bytes, {after} were kept");
            figures.add(before.saturating_sub(after) as f64 / MIB);
        }
    }
    report(&options, &killed, &cut)
}

/// Bytes verified before, and here after.
fn kill(here: &Path, ticket: &str, strike_at: u64, mut source: TestNode) -> [u64; 2] {
    let mut getter = TestNode::on_loopback(&here.join("getter")).without_journal();
    getter.up();
    let fetch = getter.start_fetch(ticket, &here.join("copy"));
    let done = |getter: &TestNode| json::find(&getter.status(), "done_bytes").and_then(serde_json::Value::as_u64);
    let _ = wait::until("enough of it", LIMIT, || done(&getter).filter(|done| *done >= strike_at));
    // Nothing comes any more, so this is what had been verified when the kill strikes.
    source.crash();
    let before = done(&getter).unwrap_or(0);
    getter.crash();
    let _ = fetch.kill();
    getter.up();
    let (began, mut after, mut since) = (Instant::now(), 0, Instant::now());
    while goes_on(began, after, since) {
        let now = done(&getter).unwrap_or(0);
        if now != after {
            (after, since) = (now, Instant::now());
        }
        wait::let_pass(LOOK);
    }
    getter.stop();
    [before, after]
}

/// Whether what is here may still grow: nothing was read again yet, or some was a moment ago.
fn goes_on(began: Instant, after: u64, since: Instant) -> bool {
    let settled = if after == 0 { BEGUN } else { SETTLED };
    assert!(began.elapsed() < LIMIT, "what is here grows without a source");
    since.elapsed() < settled
}

/// The same of a node that loses what was not synced.
async fn cut_power(here: &Path, ticket: &str, strike_at: u64, mut source: TestNode, seed: u64) -> [u64; 2] {
    let disk = FaultyDisk::default();
    disk.create_folders(here).expect("a disk in memory takes folders");
    let getter = start(here, &disk).await;
    let command = UserCommand::Get {
        ticket: ticket.to_owned(),
        target: here.join("copy").display().to_string(),
        seed_seconds: None,
        class: TrafficClass::Interactive,
        priority: 128,
    };
    let reply = getter.request(command).await;
    assert!(matches!(reply, UserReply::Getting(_)), "not accepted: {reply:?}");
    let began = Instant::now();
    while done_bytes(&getter).await < strike_at {
        assert!(began.elapsed() < LIMIT, "waited in vain for {strike_at} bytes");
        tokio::time::sleep(LOOK).await;
    }
    disk.stop_at(disk.steps());
    // Nothing can be written any more, so this is what had been.
    let before = done_bytes(&getter).await;
    getter.stop().await;
    source.stop();
    disk.power_cut(seed);
    let getter = start(here, &disk).await;
    let (began, mut after, mut since) = (Instant::now(), 0, Instant::now());
    while goes_on(began, after, since) {
        let now = done_bytes(&getter).await;
        if now != after {
            (after, since) = (now, Instant::now());
        }
        tokio::time::sleep(LOOK).await;
    }
    getter.stop().await;
    [before, after]
}

async fn start(here: &Path, disk: &FaultyDisk) -> Node {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let overrides = Overrides { listen, no_mdns: true, ..Overrides::default() };
    let config = Config::load(&here.join("getter"), &overrides).expect("the configuration is right");
    Node::start_on(Arc::new(disk.clone()), config).await.expect("the node starts")
}

async fn done_bytes(node: &Node) -> u64 {
    match node.request(UserCommand::Status).await {
        UserReply::Status(status) => status.transfers.first().map_or(0, |transfer| transfer.done_bytes),
        other => panic!("no status: {other:?}"),
    }
}

fn report(options: &Options, killed: &Figures, cut: &Figures) -> ExitCode {
    let kept_mib = KEPT_MIB.max(KEPT_S * options.rate.as_u64() as f64 / MIB);
    let asked = format!(
        "{} from one source at {}/s, struck at random, median (min–max), first run discarded",
        options.size, options.rate
    );
    let rows = [vec!["kill -9".to_owned(), killed.cell()], vec!["power cut".to_owned(), cut.cell()]];
    Report::new("refetch", asked)
        .table(&["after", "MiB to fetch again"], &rows)
        .data(json!({"killed_mib": killed.json(), "power_cut_mib": cut.json()}))
        .bound("MiB after kill -9, one chunk at most", killed, Bound::AtMost(CHUNK_MIB, 0.0))
        .bound("MiB after a power cut, 16 MiB or 2 s at most", cut, Bound::AtMost(kept_mib, kept_mib))
        .end(&options.repeating.saying)
}
