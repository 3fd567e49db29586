//! The most memory either end of a transfer ever has resident: of a large file on the disk, and of one larger than the
//! disk, whose bytes are made up behind the store's port at both ends.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::contestant::{Contestant as _, Mesh};
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Report, Saying};
use mesh_tests::{Place, Running, files};
use serde_json::json;

const MIB: f64 = 1024.0 * 1024.0;
const START_LIMIT: Duration = Duration::from_secs(20);
/// Slower than this and it is stuck.
const LEAST_BYTES_PER_S: u64 = 20_000_000;

/// Measures the memory of both ends of large transfers.
#[derive(Parser)]
struct Options {
    /// The size of the file on the disk.
    #[arg(long, default_value = "10GB")]
    size: ByteSize,
    /// The size of the file that is made up.
    #[arg(long, default_value = "100GB")]
    generated: ByteSize,
    #[command(flatten)]
    saying: Saying,
}

/// What one transfer took.
struct Row {
    what: String,
    wall_s: f64,
    /// Source, getter.
    mib_max: [f64; 2],
}

fn main() -> ExitCode {
    let options = Options::parse();
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let rows = [on_disk(folder.path(), options.size), generated(folder.path(), options.generated)];
    let cells = |row: &Row| {
        let [source, getter] = row.mib_max.map(|mib| format!("{mib:.1}"));
        vec![row.what.clone(), format!("{:.0}", row.wall_s), source, getter]
    };
    let data = rows.iter().map(|row| json!({"what": row.what, "wall_s": row.wall_s, "mib_max": row.mib_max}));
    let mut report = Report::new("memory", "both ends on this machine, over loopback; one run each")
        .table(
            &["what", "wall s", "source MiB at most", "getter MiB at most"],
            &rows.iter().map(cells).collect::<Vec<_>>(),
        )
        .data(data.collect::<Vec<_>>().into());
    for row in &rows {
        let most = Figures::of([row.mib_max[0].max(row.mib_max[1])]);
        report = report.bound(format!("MiB of either end at most, {}", row.what), &most, Bound::AtMost(128.0, 64.0));
    }
    report.end(&options.saying)
}

fn on_disk(folder: &Path, size: ByteSize) -> Row {
    let (file, copy) = (folder.join("file"), folder.join("copy"));
    files::write_random(&file, size.as_u64(), 1);
    let cost = Mesh.carry(&file, &copy, folder);
    files::assert_same_file(&file, &copy);
    for path in [file, copy] {
        std::fs::remove_file(path).expect("the files can be removed");
    }
    let mib_max = cost.resident_bytes_max.map(|bytes| bytes.expect("both nodes ran on") as f64 / MIB);
    Row { what: format!("{size} on the disk"), wall_s: cost.wall_s, mib_max }
}

fn generated(folder: &Path, size: ByteSize) -> Row {
    let bytes = size.as_u64();
    let limit = START_LIMIT + Duration::from_secs(bytes / LEAST_BYTES_PER_S);
    let mut source = end(&["share", &folder.join("source").to_string_lossy(), &bytes.to_string()]);
    let shared = source.wait_for_line("its ticket", limit, |line| line["ticket"].is_string());
    let ticket = shared["ticket"].as_str().unwrap_or_default();
    let began = Instant::now();
    let mut getter = end(&["get", &folder.join("getter").to_string_lossy(), ticket]);
    let ended = getter.wait_for_line("its end", limit, |line| line["fetched_bytes"].is_u64());
    assert_eq!(ended["fetched_bytes"], bytes, "the file arrived with another length");
    let mib_max = [&source, &getter].map(|end| end.resident_bytes_max() as f64 / MIB);
    Row { what: format!("{size} made up"), wall_s: began.elapsed().as_secs_f64(), mib_max }
}

fn end(words: &[&str]) -> Running {
    let program = std::env::current_exe().expect("a running program has a path").with_file_name("bench-generated-node");
    let mut command = Place::Here.command(program);
    command.args(words);
    Running::start(command)
}
