//! One hop of 2 kbit/s that is cut again and again: whether a small file arrives, and what of the rate it used while the
//! link was up.
//!
//! Needs root, for network namespaces. The whole command counts, with finding the source anew after each cut; who they
//! are and what they hold, both ends said before, at the same rate.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_tests::{Host, Lan, Running, TestNode, files, wait};
use serde_json::json;

const MEETING: Duration = Duration::from_secs(300);
/// They have said what there is to say, at this rate.
const SETTLED: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);
/// A radio's frame, and what its modem holds back.
const BURST_BYTES: u64 = 1600;
const WAITING_BYTES_MAX: u64 = 4096;

/// Measures a transfer over a slow link that is cut.
#[derive(Parser)]
struct Options {
    /// The link's rate in bits per second, each way.
    #[arg(long, default_value_t = 2000)]
    rate: u64,
    /// The file's size.
    #[arg(long, default_value = "20KiB")]
    size: ByteSize,
    /// How long the link is up, in seconds.
    #[arg(long, default_value_t = 60)]
    up: u64,
    /// How long it then is down.
    #[arg(long, default_value_t = 20)]
    down: u64,
    /// After how many cuts to give up.
    #[arg(long, default_value_t = 20)]
    cuts_max: u32,
    #[command(flatten)]
    repeating: Repeating,
}

/// How one transfer went.
struct Course {
    /// Seconds with a link.
    up_s: f64,
    cuts: u32,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (mut share_of_rate, mut up_s, mut cuts) = (Figures::default(), Figures::default(), Figures::default());
    for run in 0..options.repeating.runs {
        let Some(course) = one_run(&options, run) else { return ExitCode::FAILURE };
        share_of_rate.add(options.size.as_u64() as f64 * 8.0 / course.up_s / options.rate as f64);
        up_s.add(course.up_s);
        cuts.add(f64::from(course.cuts));
        eprintln!("run {run}: there after {:.1} s of link and {} cuts", course.up_s, course.cuts);
    }
    let asked = format!(
        "{} at {} bit/s, {} s up and {} s down, median (min–max), first run discarded",
        options.size, options.rate, options.up, options.down
    );
    Report::new("cut", asked)
        .table(&["s of link", "cuts"], &[vec![up_s.cell(), cuts.cell()]])
        .data(json!({"up_s": up_s.json(), "cuts": cuts.json()}))
        .bound("goodput ÷ rate while up", &share_of_rate, Bound::AtLeast(0.6, 0.8))
        .end(&options.repeating.saying)
}

fn one_run(options: &Options, run: u32) -> Option<Course> {
    let mut lan = Lan::new()?;
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let hosts = [lan.host(), lan.host()];
    // One hop: the other host has no limit of its own.
    hosts[0].shape(options.rate, BURST_BYTES, WAITING_BYTES_MAX);
    let (file, copy) = (folder.path().join("file"), folder.path().join("copy"));
    files::write_random(&file, options.size.as_u64(), u64::from(run));
    let [mut source, mut getter] = [0, 1].map(|end: usize| node(&hosts[end], &folder.path().join(end.to_string())));
    source.up();
    let ticket = source.share(&file);
    getter.up();
    getter.wait_for_peers(1, MEETING);
    wait::let_pass(SETTLED);
    let mut running = getter.start_fetch(&ticket, &copy);
    let mut course = Course { up_s: 0.0, cuts: 0 };
    loop {
        course.up_s += runs_for(&mut running, Duration::from_secs(options.up));
        if !running.runs() {
            break;
        }
        assert!(course.cuts < options.cuts_max, "it is not there after {} cuts", options.cuts_max);
        hosts[0].unplug();
        wait::let_pass(Duration::from_secs(options.down));
        hosts[0].plug();
        course.cuts += 1;
    }
    let _ = running.wait(LOOK).success();
    files::assert_same_file(&file, &copy);
    Some(course)
}

fn node(host: &Host, data: &Path) -> TestNode {
    host.node(data).without_journal()
}

/// Waits for its end, so long at most; how many seconds that were.
fn runs_for(running: &mut Running, at_most: Duration) -> f64 {
    let began = Instant::now();
    while running.runs() && began.elapsed() < at_most {
        wait::let_pass(LOOK);
    }
    began.elapsed().as_secs_f64()
}
