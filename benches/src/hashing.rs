//! What verification costs while bytes come as fast as a wire brings them: processor time inside BLAKE3 at each end, over
//! the wall time of the transfer. Nothing turns verification off, so it is counted by samples and not by leaving it out.
//!
//! Needs root, for network namespaces, and perf.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_tests::place::{system, try_system};
use mesh_tests::{Lan, Place, Running, TestNode, files, wait};
use serde_json::json;

const PEER_LIMIT: Duration = Duration::from_secs(30);
const START_LIMIT: Duration = Duration::from_secs(10);
/// Samples per second of processor time; no divisor of any clock's tick.
const SAMPLES_PER_S: u32 = 997;
/// In the name of every function of the hash.
const HASH: &str = "blake3";

/// Measures the processor time inside hashing.
#[derive(Parser)]
struct Options {
    /// The rate of both links in Mbit/s.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// The largest packet of the links, in bytes.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1280..=65535))]
    mtu: u32,
    /// The file's size.
    #[arg(long, default_value = "1GB")]
    size: ByteSize,
    #[command(flatten)]
    repeating: Repeating,
}

/// What one end used.
#[derive(Default)]
struct End {
    /// Seconds inside the hash, and in all.
    hashing_s: Figures,
    all_s: Figures,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !try_system("perf --version") {
        eprintln!("perf is not installed (apt-get install linux-perf); there is nothing to count with");
        return ExitCode::FAILURE;
    }
    let Some(mut lan) = Lan::new() else { return ExitCode::FAILURE };
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    files::write_random(&file, options.size.as_u64(), 1);
    let hosts = [lan.host(), lan.host()];
    for host in &hosts {
        host.set_mtu(options.mtu);
        host.limit_rate(options.rate);
    }
    let mut source = hosts[0].node(&folder.path().join("source")).without_journal();
    source.up();
    let ticket = source.share(&file);
    let (mut ends, mut wall, mut rate) = (<[End; 2]>::default(), Figures::default(), Figures::default());
    for run in 0..options.repeating.runs {
        let mut getter = hosts[1].node(&folder.path().join(format!("getter{run}"))).without_journal();
        getter.up();
        getter.wait_for_peers(1, PEER_LIMIT);
        let copy = getter.data().with_extension("copy");
        let counting = [&mut source, &mut getter].map(|node| Counting::start(node, folder.path()));
        let began = Instant::now();
        let _ = getter.fetch(&ticket, &copy);
        let seconds = began.elapsed().as_secs_f64();
        for (end, counting) in ends.iter_mut().zip(counting) {
            let (hashing_s, all_s) = counting.end();
            end.hashing_s.add(hashing_s);
            end.all_s.add(all_s);
        }
        wall.add(seconds);
        rate.add(options.size.as_u64() as f64 * 8.0 / seconds / 1e6);
        files::assert_same_file(&file, &copy);
        getter.stop();
        std::fs::remove_file(&copy).expect("the copy can be removed");
        eprintln!("run {run}: {seconds:.2} s, hashing {} and {} s", ends[0].hashing_s.cell(), ends[1].hashing_s.cell());
    }
    report(&options, &ends, &wall, &rate)
}

/// perf, sampling one process.
struct Counting {
    perf: Running,
    samples: PathBuf,
}

impl Counting {
    fn start(node: &mut TestNode, folder: &Path) -> Self {
        let id = node.process().id().to_string();
        let samples = folder.join(format!("samples-{id}"));
        let _ = std::fs::remove_file(&samples);
        let mut command = Place::Here.command("perf");
        command.args(["record", "--quiet", "--event", "cpu-clock", "--freq", &SAMPLES_PER_S.to_string(), "--pid", &id]);
        command.arg("--output").arg(&samples);
        let perf = Running::start(command);
        wait::until("perf's first word", START_LIMIT, || samples.exists().then_some(()));
        Self { perf, samples }
    }

    /// Seconds inside the hash, and in all.
    fn end(mut self) -> (f64, f64) {
        self.perf.interrupt();
        let _ = self.perf.wait(START_LIMIT);
        let symbols = system(&format!("perf script --input {} --fields ip,sym", self.samples.display()));
        let symbols = symbols.lines().map(str::trim).filter(|symbol| !symbol.is_empty());
        let (hashing, all) = symbols
            .fold((0_u32, 0_u32), |(hashing, all), symbol| (hashing + u32::from(symbol.contains(HASH)), all + 1));
        assert!(hashing > 0, "no sample is in {HASH}: the program has no symbols");
        [hashing, all].map(|samples| f64::from(samples) / f64::from(SAMPLES_PER_S)).into()
    }
}

fn report(options: &Options, ends: &[End; 2], wall: &Figures, rate: &Figures) -> ExitCode {
    let names = ["source", "getter"];
    let rows = names
        .iter()
        .zip(ends)
        .map(|(name, end)| vec![(*name).to_owned(), end.hashing_s.cell(), end.all_s.cell(), wall.cell(), rate.cell()]);
    let data = names
        .iter()
        .zip(ends)
        .map(|(name, end)| json!({"end": name, "hashing_s": end.hashing_s.json(), "processor_s": end.all_s.json()}));
    let asked = format!(
        "{} at {} Mbit/s, packets of {} bytes, {SAMPLES_PER_S} samples per second of processor time, median (min–max), \
         first run discarded",
        options.size, options.rate, options.mtu
    );
    let head = ["end", "in BLAKE3, s", "processor, s", "wall, s", "goodput, Mbit/s"];
    let mut report = Report::new("hashing", asked)
        .table(&head, &rows.collect::<Vec<_>>())
        .data(json!({"wall_s": wall.json(), "mbit_per_s": rate.json(), "ends": data.collect::<Vec<_>>()}));
    for (name, end) in names.iter().zip(ends) {
        let percent = end.hashing_s.over(wall).map(|ratio| ratio * 100.0);
        report = report.bound(format!("% of the time in BLAKE3, {name}"), &percent, Bound::AtMost(3.0, 2.0));
    }
    report.end(&options.repeating.saying)
}
