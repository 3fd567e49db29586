//! One source and one getter over a shaped link: goodput beside what TCP reaches on the same link in the same run.
//!
//! Needs root, for network namespaces, and iperf3. Runs are interleaved pairs, so that a machine that slows down slows
//! both.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::{Figures, print_table};
use mesh_benches::setting;
use mesh_tests::{Host, Lan, Running, TestNode, files, wait};
use serde_json::{Value, json};

const PEER_LIMIT: Duration = Duration::from_secs(10);
/// What the program has to reach of TCP's goodput.
const RATIO_MIN: f64 = 0.97;

/// Measures one source and one getter over a shaped link, beside iperf3.
#[derive(Parser)]
struct Options {
    /// The file's size.
    #[arg(long, default_value = "500MB")]
    size: ByteSize,
    /// How many pairs of runs; the first is discarded.
    #[arg(long, default_value_t = 6)]
    runs: u32,
    /// The link's rate in Mbit/s.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Prints data instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !mesh_tests::place::try_system("iperf3 --version") {
        eprintln!("iperf3 is not installed (apt-get install iperf3); there is nothing to compare with");
        return ExitCode::FAILURE;
    }
    let Some(mut lan) = Lan::new() else { return ExitCode::FAILURE };
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    files::write_random(&file, options.size.as_u64(), 1);
    let (source_host, getter_host) = (lan.host(), lan.host());
    source_host.limit_rate(options.rate);
    getter_host.limit_rate(options.rate);
    let mut source = source_host.node(&folder.path().join("source"));
    source.up();
    let ticket = source.share(&file);

    let (mut tcp, mut mesh, mut ratio) = (Figures::default(), Figures::default(), Figures::default());
    for run in 0..options.runs {
        let by_tcp = tcp_goodput(&source_host, &getter_host, options.size.as_u64());
        let data = folder.path().join(format!("getter{run}"));
        let by_mesh = mesh_goodput(&getter_host, &data, &ticket, &file);
        eprintln!("run {run}: iperf3 {by_tcp:.2} Mbit/s, mesh {by_mesh:.2} Mbit/s");
        tcp.add(by_tcp);
        mesh.add(by_mesh);
        ratio.add(by_mesh / by_tcp);
    }
    source.stop();
    report(&options, &tcp, &mesh, &ratio);
    if ratio.median() >= RATIO_MIN { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn report(options: &Options, tcp: &Figures, mesh: &Figures, ratio: &Figures) {
    let setting = setting::describe();
    if options.json {
        let figures = json!({"iperf3_mbit_per_s": tcp.json(), "mesh_mbit_per_s": mesh.json(), "ratio": ratio.json()});
        let asked = json!({"size_bytes": options.size.as_u64(), "rate_mbit_per_s": options.rate});
        println!("{}", json!({"bench": "lan", "setting": setting, "asked": asked, "figures": figures}));
        return;
    }
    setting::print(&setting);
    println!("{:<20}{} over {} Mbit/s, median (min–max), first run discarded", "asked", options.size, options.rate);
    print_table(
        &["what", "goodput, Mbit/s"],
        &[
            vec!["TCP, by iperf3".to_owned(), tcp.cell()],
            vec!["mesh".to_owned(), mesh.cell()],
            vec![format!("ratio (at least {RATIO_MIN})"), ratio.cell()],
        ],
    );
}

fn tcp_goodput(source: &Host, getter: &Host, bytes: u64) -> f64 {
    let mut listen = getter.place().command("iperf3");
    listen.args(["--server", "--one-off"]);
    let listener = Running::start(listen);
    let address = getter.address.to_string();
    let rate = wait::until("iperf3's server", Duration::from_secs(10), || {
        let mut send = source.place().command("iperf3");
        send.args(["--client", &address, "--bytes", &bytes.to_string(), "--json"]);
        let outcome = Running::start(send).wait(Duration::from_secs(600));
        let result = (outcome.code == Some(0)).then(|| outcome.json())?;
        result["end"]["sum_received"]["bits_per_second"].as_f64()
    });
    // It ends by itself after one client, but not always at once.
    drop(listener);
    rate / 1e6
}

/// With a fresh getter; by the whole time of its command, verification and the final name included.
fn mesh_goodput(host: &Host, data: &Path, ticket: &str, file: &Path) -> f64 {
    let mut getter: TestNode = host.node(data);
    getter.up();
    getter.wait_for_peers(1, PEER_LIMIT);
    let copy = data.with_extension("copy");
    let began = Instant::now();
    let report: Value = getter.fetch(ticket, &copy);
    let seconds = began.elapsed().as_secs_f64();
    files::assert_same_file(file, &copy);
    getter.stop();
    std::fs::remove_file(&copy).expect("the copy can be removed");
    mesh_tests::json::number(&report, "size_bytes") as f64 * 8.0 / seconds / 1e6
}
