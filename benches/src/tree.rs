//! A tree of many small files on this machine: fetched by this program, and by rsync from its daemon, followed by a sync
//! of its file system, for what this program says it has is on disk.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_tests::place::{is_root, system, try_system};
use mesh_tests::{Place, Running, TestNode, files, wait};
use serde_json::json;

const START_LIMIT: Duration = Duration::from_secs(20);

/// Measures fetching a tree of small files, beside rsync.
#[derive(Parser)]
struct Options {
    /// How many files.
    #[arg(long, default_value_t = 10_000)]
    files: u32,
    /// The size of each.
    #[arg(long, default_value = "4KiB")]
    size: ByteSize,
    #[command(flatten)]
    repeating: Repeating,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !try_system("rsync --version") {
        eprintln!("rsync is not installed (apt-get install rsync); there is nothing to compare with");
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let tree = folder.path().join("tree");
    files::write_tree(&tree, options.files, options.size.as_u64(), 1);
    let daemon = Daemon::start(&tree, folder.path());
    let node = |name: &str| TestNode::on_loopback(&folder.path().join(name)).without_journal();
    let mut source = node("source");
    source.up();
    let ticket = source.share(&tree);
    let (mut rsync, mut mesh) = (Figures::default(), Figures::default());
    for run in 0..options.repeating.runs {
        let copy = folder.path().join(format!("rsync{run}"));
        let began = Instant::now();
        daemon.fetch(&copy);
        rsync.add(began.elapsed().as_secs_f64());
        end(&tree, &copy);
        let mut getter = node(&format!("getter{run}"));
        getter.up();
        let copy = folder.path().join(format!("mesh{run}"));
        let began = Instant::now();
        let _ = getter.fetch(&ticket, &copy);
        mesh.add(began.elapsed().as_secs_f64());
        getter.stop();
        end(&tree, &copy);
        eprintln!("run {run}: rsync {}, mesh {}", rsync.cell(), mesh.cell());
    }
    let rows =
        [vec!["rsync from its daemon, then sync -f".to_owned(), rsync.cell()], vec!["mesh".to_owned(), mesh.cell()]];
    let asked = format!("{} files of {}, median (min–max), first run discarded", options.files, options.size);
    Report::new("tree", asked)
        .table(&["what", "seconds"], &rows)
        .data(json!({"rsync_s": rsync.json(), "mesh_s": mesh.json()}))
        .bound("mesh ÷ rsync and sync", &mesh.over(&rsync), Bound::AtMost(1.5, 0.7))
        .end(&options.repeating.saying)
}

/// What was fetched is right, and all is on the disk before the next clock starts. Nothing is deleted meanwhile: a file
/// system that discards at once what was deleted makes whoever syncs next wait for that.
fn end(tree: &Path, copy: &Path) {
    files::assert_same_tree(tree, copy);
    system(&format!("sync -f {}", tree.display()));
}

/// rsync's daemon, serving one folder.
struct Daemon {
    port: u16,
    _running: Running,
}

impl Daemon {
    fn start(tree: &Path, folder: &Path) -> Self {
        let port = mesh_benches::peers::free_port();
        let configuration = folder.join("rsyncd.conf");
        // Started by root it would serve as somebody who may not read the tree.
        let user = if is_root() { "uid = root\ngid = root\n" } else { "" };
        let text = format!("use chroot = no\n{user}[tree]\npath = {}\nread only = yes\n", tree.display());
        fs::write(&configuration, text).expect("the disk takes the configuration");
        let mut command = Place::Here.command("rsync");
        command.args(["--daemon", "--no-detach", "--address", "127.0.0.1", "--port", &port.to_string()]);
        command.arg("--config").arg(&configuration);
        let running = Running::start(command);
        wait::until("rsync's daemon", START_LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { port, _running: running }
    }

    fn fetch(&self, copy: &Path) {
        let (port, copy) = (self.port, copy.display());
        system(&format!("rsync --archive rsync://127.0.0.1:{port}/tree/ {copy}"));
        system(&format!("sync -f {copy}"));
    }
}
