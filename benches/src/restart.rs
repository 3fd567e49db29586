//! A node with many shared files comes back: how long until it answers, and until it serves, beside reading and hashing
//! the same bytes of its store without any program of ours.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_tests::{Running, TestNode, files, http, wait};
use serde_json::json;

/// Shares under way at once while the store is filled.
const SHARES_AT_ONCE: usize = 16;
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Measures how long a node with many shared files takes to come back.
#[derive(Parser)]
struct Options {
    /// How many files are shared, each as a content of its own.
    #[arg(long, default_value_t = 100_000)]
    files: u32,
    #[command(flatten)]
    repeating: Repeating,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let tree = folder.path().join("files");
    let paths = write_files(&tree, options.files);
    let mut node = node(&folder.path().join("source"));
    node.up();
    let began = Instant::now();
    share_all(&node, &paths);
    eprintln!("{} files shared in {:.1} s", options.files, began.elapsed().as_secs_f64());
    let ticket = node.share(&paths[0]);
    node.stop();

    let (mut floor, mut answers, mut serves) = (Figures::default(), Figures::default(), Figures::default());
    let mut resident_bytes = 0;
    for run in 0..options.repeating.runs {
        floor.add(read_and_hash(&node.data().join("store/log")));
        let began = Instant::now();
        let up = Running::start(node.node_command(&["up"]));
        wait::until("a node that knows all its contents", READY_LIMIT, || knows(&node, options.files).then_some(()));
        answers.add(began.elapsed().as_secs_f64());
        let copy = folder.path().join(format!("copy{run}"));
        fetch(&folder.path().join(format!("getter{run}")), &node.address(), &ticket, &copy);
        serves.add(began.elapsed().as_secs_f64());
        files::assert_same_file(&paths[0], &copy);
        resident_bytes = up.resident_bytes_max().max(resident_bytes);
        let mut up = up;
        up.interrupt();
        let _ = up.wait(READY_LIMIT).success();
    }
    report(&options, [&floor, &answers, &serves], resident_bytes)
}

/// As a person runs it: without a journal.
fn node(data: &Path) -> TestNode {
    TestNode::on_loopback(data).without_journal()
}

fn write_files(folder: &Path, count: u32) -> Vec<PathBuf> {
    let path = |number: u32| folder.join(format!("{}/{number}", number / 1000));
    for number in 0..count {
        let path = path(number);
        if number % 1000 == 0 {
            std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
        }
        std::fs::write(path, format!("the content of file {number}\n")).expect("a file can be written");
    }
    (0..count).map(path).collect()
}

/// Shares through the control API, several at once.
fn share_all(node: &TestNode, paths: &[PathBuf]) {
    let parts = paths.chunks(paths.len().div_ceil(SHARES_AT_ONCE).max(1));
    std::thread::scope(|scope| {
        for part in parts {
            scope.spawn(move || {
                for path in part {
                    let body = json!({"path": path}).to_string();
                    let answer = node.api_request("POST", "/v1/share", &body);
                    assert_eq!(answer.status, 200, "{}", answer.body);
                }
            });
        }
    });
}

fn knows(node: &TestNode, count: u32) -> bool {
    // A stale address of the last run, or none: nobody answers yet.
    let Ok(address) = std::fs::read_to_string(node.data().join("api.address")) else { return false };
    let address = address.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let token = std::fs::read_to_string(node.data().join("api.token")).unwrap_or_default();
    let bearer = format!("Bearer {}", token.trim());
    let headers = [("Host", address.as_str()), ("Authorization", &bearer)];
    let Some(answer) = http::try_request(&address, "GET", "/v1/status", &headers, "") else { return false };
    let status: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    mesh_tests::json::find(&status, "contents").and_then(serde_json::Value::as_u64) >= Some(u64::from(count))
}

fn fetch(data: &Path, source: &str, ticket: &str, copy: &Path) {
    let getter = TestNode::new(mesh_tests::Place::Here, data).without_journal().with_options(&[
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--no-mdns",
        "--peer",
        source,
    ]);
    let get = getter.node_command(&["get", ticket, "-o", &copy.to_string_lossy(), "--json"]);
    let _ = Running::start(get).wait(READY_LIMIT).success();
}

/// The floor: what no program that reads its truths at start can beat.
fn read_and_hash(path: &Path) -> f64 {
    let began = Instant::now();
    let bytes = std::fs::read(path).expect("the log can be read");
    let _ = std::hint::black_box(blake3::hash(&bytes));
    began.elapsed().as_secs_f64()
}

fn report(options: &Options, [floor, answers, serves]: [&Figures; 3], resident_bytes: u64) -> ExitCode {
    let data = json!({
        "times": {"log_read_and_hashed_s": floor.json(), "answers_s": answers.json(), "serves_s": serves.json()},
        "resident_bytes_max": resident_bytes,
    });
    let rows = [
        vec!["its log read and hashed, nothing else".to_owned(), floor.cell()],
        vec!["the node answers and knows all".to_owned(), answers.cell()],
        vec!["a fresh getter has a file from it".to_owned(), serves.cell()],
    ];
    let asked = format!("{} shared files, median (min–max), first run discarded", options.files);
    Report::new("restart", asked)
        .table(&["what", "seconds"], &rows)
        .table(&["what", "MiB"], &[vec!["resident at most".to_owned(), (resident_bytes >> 20).to_string()]])
        .data(data)
        .bound("seconds until it answers and knows all", answers, Bound::AtMost(2.0, 0.5))
        .end(&options.repeating.saying)
}
