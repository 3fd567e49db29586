//! One getter and its sources over shaped links: goodput beside what TCP reaches on the same links in the same run.
//!
//! Needs root, for network namespaces, and iperf3. Runs are interleaved pairs, so that a machine that slows down slows
//! both.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_benches::{setting, tcp};
use mesh_tests::{Congestion, Host, Lan, TestNode, files};
use serde_json::{Value, json};

const ETHERNET_MTU: u32 = 1500;
/// With it the kernel does a sixth of its work for the same bytes: what is measured is then the programs and not the
/// machine, which has to be source, wire and getter at once.
const JUMBO_MTU: u32 = 9000;
const PEER_LIMIT: Duration = Duration::from_secs(30);

/// Links, and what of TCP's goodput on them the program has to reach.
struct Condition {
    name: &'static str,
    sources_mbit_per_s: &'static [u32],
    getter_mbit_per_s: u32,
    lost_percent: u32,
    /// The largest packet, in bytes.
    mtu: u32,
    /// As this system has it, if none is named.
    congestion: Option<&'static str>,
    size: ByteSize,
    bound: Bound,
}

impl Condition {
    /// What the links let through at most.
    fn mbit_per_s(&self) -> u32 {
        self.sources_mbit_per_s.iter().sum::<u32>().min(self.getter_mbit_per_s)
    }
}

const CLEAN: Condition = Condition {
    name: "100 Mbit/s",
    sources_mbit_per_s: &[100],
    getter_mbit_per_s: 100,
    lost_percent: 0,
    mtu: ETHERNET_MTU,
    congestion: None,
    size: ByteSize::mb(500),
    bound: Bound::AtLeast(0.98, 0.995),
};

const LOSSY: Condition = Condition { lost_percent: 1, bound: Bound::AtLeast(0.95, 0.99), ..CLEAN };

const FAST: Condition = Condition {
    name: "1 Gbit/s",
    sources_mbit_per_s: &[1000],
    getter_mbit_per_s: 1000,
    size: ByteSize::mb(2000),
    bound: Bound::AtLeast(0.95, 0.99),
    ..CLEAN
};

const FOUR: Condition = Condition {
    name: "four sources at 100 Mbit/s",
    sources_mbit_per_s: &[100; 4],
    getter_mbit_per_s: 1000,
    bound: Bound::AtLeast(0.95, 0.99),
    ..CLEAN
};

const CONDITIONS: [Condition; 10] = [
    CLEAN,
    FAST,
    Condition { name: "1 Gbit/s, packets of 9000 bytes", mtu: JUMBO_MTU, ..FAST },
    Condition { name: "100 Mbit/s, 1 % lost, bbr", congestion: Some("bbr"), ..LOSSY },
    Condition { name: "100 Mbit/s, 1 % lost, cubic", congestion: Some("cubic"), ..LOSSY },
    Condition {
        name: "1 Gbit/s, 1 % lost, bbr",
        sources_mbit_per_s: &[1000],
        getter_mbit_per_s: 1000,
        congestion: Some("bbr"),
        ..LOSSY
    },
    Condition {
        name: "1 Gbit/s, 1 % lost, cubic",
        sources_mbit_per_s: &[1000],
        getter_mbit_per_s: 1000,
        congestion: Some("cubic"),
        ..LOSSY
    },
    FOUR,
    Condition { name: "four sources at 100 Mbit/s, packets of 9000 bytes", mtu: JUMBO_MTU, ..FOUR },
    Condition {
        name: "sources at 5, 20, 50 and 100 Mbit/s",
        sources_mbit_per_s: &[5, 20, 50, 100],
        getter_mbit_per_s: 1000,
        bound: Bound::AtLeast(0.93, 0.98),
        ..CLEAN
    },
];

/// Measures a getter and its sources over shaped links, beside iperf3.
#[derive(Parser)]
struct Options {
    /// Only links whose name begins like this; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// The file's size, instead of each link's own.
    #[arg(long)]
    size: Option<ByteSize>,
    #[command(flatten)]
    repeating: Repeating,
}

#[derive(Default)]
struct Row {
    tcp: Figures,
    mesh: Figures,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(why) = tcp::obstacle() {
        eprintln!("{why}; there is nothing to compare with");
        return ExitCode::FAILURE;
    }
    let chosen = |condition: &&Condition| {
        options.only.is_empty() || options.only.iter().any(|only| condition.name.starts_with(only.as_str()))
    };
    let mut rows = Vec::new();
    for condition in CONDITIONS.iter().filter(chosen) {
        let Some(row) = measure(condition, &options) else { return ExitCode::FAILURE };
        rows.push((condition, row));
    }
    report(&options, &rows)
}

fn measure(condition: &Condition, options: &Options) -> Option<Row> {
    let mut lan = Lan::new()?;
    let congestion = Congestion::allow(condition.congestion.unwrap_or(&setting::congestion_control()));
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    let bytes = options.size.unwrap_or(condition.size).as_u64();
    files::write_random(&file, bytes, 1);
    // As long as the file would take, so that the beginning counts as much in both.
    let tcp_seconds = (bytes * 8).div_ceil(u64::from(condition.mbit_per_s()) * 1_000_000);
    let mut host = |mbit_per_s: &u32| {
        let host = lan.host();
        host.set_mtu(condition.mtu);
        host.limit_rate(*mbit_per_s);
        congestion.set(&host);
        if condition.lost_percent > 0 {
            host.lose(condition.lost_percent);
        }
        host
    };
    let getter_host = host(&condition.getter_mbit_per_s);
    let source_hosts: Vec<Host> = condition.sources_mbit_per_s.iter().map(&mut host).collect();
    let start = |(number, host): (usize, &Host)| {
        let mut source = node(host, &folder.path().join(format!("source{number}")));
        source.up();
        (source.share(&file), source)
    };
    let sources: Vec<(String, TestNode)> = source_hosts.iter().enumerate().map(start).collect();
    let mut row = Row::default();
    for run in 0..options.repeating.runs {
        let tcp = tcp_goodput(&source_hosts, &getter_host, tcp_seconds);
        let getter = node(&getter_host, &folder.path().join(format!("getter{run}")));
        let mesh = mesh_goodput(getter, sources.len() as u64, &sources[0].0, &file);
        eprintln!("{}, run {run}: iperf3 {tcp:.2} Mbit/s, mesh {mesh:.2} Mbit/s", condition.name);
        row.tcp.add(tcp);
        row.mesh.add(mesh);
    }
    Some(row)
}

fn node(host: &Host, data: &Path) -> TestNode {
    host.node(data).without_journal()
}

fn report(options: &Options, rows: &[(&Condition, Row)]) -> ExitCode {
    let data = rows.iter().map(|(condition, row)| {
        json!({
            "link": condition.name,
            "size_bytes": options.size.unwrap_or(condition.size).as_u64(),
            "iperf3_mbit_per_s": row.tcp.json(),
            "mesh_mbit_per_s": row.mesh.json(),
        })
    });
    let cells = |(condition, row): &(&Condition, Row)| {
        let size = options.size.unwrap_or(condition.size).to_string();
        vec![condition.name.to_owned(), size, row.tcp.cell(), row.mesh.cell()]
    };
    let asked = format!("{} pairs of runs, median (min–max), first pair discarded", options.repeating.runs);
    let mut report = Report::new("lan", asked)
        .table(&["link", "file", "iperf3, Mbit/s", "mesh, Mbit/s"], &rows.iter().map(cells).collect::<Vec<_>>())
        .data(data.collect::<Vec<_>>().into());
    for (condition, row) in rows {
        report =
            report.bound(format!("goodput ÷ iperf3, {}", condition.name), &row.mesh.over(&row.tcp), condition.bound);
    }
    report.end(&options.repeating.saying)
}

/// Of all sources at once.
fn tcp_goodput(sources: &[Host], getter: &Host, seconds: u64) -> f64 {
    let rates = std::thread::scope(|scope| {
        let start =
            |(port, source)| scope.spawn(move || tcp::goodput(source, getter, getter.address, port, seconds, 1));
        let running: Vec<_> = (tcp::PORT..).zip(sources).map(start).collect();
        running.into_iter().map(|one| one.join().expect("iperf3 says how fast it was")).collect::<Vec<f64>>()
    });
    rates.iter().sum()
}

/// With a fresh getter; by the whole time of its command, verification and the final name included.
fn mesh_goodput(mut getter: TestNode, sources: u64, ticket: &str, file: &Path) -> f64 {
    getter.up();
    getter.wait_for_peers(sources, PEER_LIMIT);
    let copy = getter.data().with_extension("copy");
    let began = Instant::now();
    let report: Value = getter.fetch(ticket, &copy);
    let seconds = began.elapsed().as_secs_f64();
    files::assert_same_file(file, &copy);
    getter.stop();
    std::fs::remove_file(&copy).expect("the copy can be removed");
    mesh_tests::json::number(&report, "size_bytes") as f64 * 8.0 / seconds / 1e6
}
