//! Sharing a large file that lies in the page cache: bytes per second, beside what hashing alone reaches with two threads.

use std::process::ExitCode;
use std::time::Instant;

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_tests::place::{system, try_system};
use mesh_tests::{TestNode, files};
use serde_json::json;

/// Measures sharing a large file, beside b3sum.
#[derive(Parser)]
struct Options {
    /// The file's size.
    #[arg(long, default_value = "10GB")]
    size: ByteSize,
    #[command(flatten)]
    repeating: Repeating,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !try_system("b3sum --version") {
        eprintln!("b3sum is not installed (apt-get install b3sum); there is nothing to compare with");
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    files::write_random(&file, options.size.as_u64(), 1);
    let gb = options.size.as_u64() as f64 / 1e9;
    let (mut hashing, mut sharing, mut resident) = (Figures::default(), Figures::default(), Figures::default());
    for run in 0..options.repeating.runs {
        let began = Instant::now();
        system(&format!("b3sum --num-threads 2 {}", file.display()));
        hashing.add(gb / began.elapsed().as_secs_f64());
        let data = folder.path().join(format!("node{run}"));
        let mut node = TestNode::on_loopback(&data).without_journal();
        node.up();
        let began = Instant::now();
        let _ = node.share(&file);
        sharing.add(gb / began.elapsed().as_secs_f64());
        resident.add(node.process().resident_bytes_max() as f64 / f64::from(1 << 20));
        node.stop();
        eprintln!("run {run}: b3sum {}, share {} GB/s", hashing.cell(), sharing.cell());
    }
    let rows =
        [vec!["b3sum --num-threads 2".to_owned(), hashing.cell()], vec!["mesh-node share".to_owned(), sharing.cell()]];
    let asked = format!("{} in the page cache, median (min–max), first run discarded", options.size);
    Report::new("share", asked)
        .table(&["what", "GB/s"], &rows)
        .data(json!({"b3sum_gb_per_s": hashing.json(), "share_gb_per_s": sharing.json(), "resident_mib": resident.json()}))
        .bound("share ÷ b3sum, bytes per second", &sharing.over(&hashing), Bound::AtLeast(0.2, 0.35))
        .bound("MiB of the node at most", &resident, Bound::AtMost(128.0, 64.0))
        .end(&options.repeating.saying)
}
