//! Ways to carry one file from one process to another over loopback, and what each costs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mesh_tests::place::try_system;
use mesh_tests::{Place, Running, TestNode, wait};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(1200);
const START_LIMIT: Duration = Duration::from_secs(20);
const TICKS_PER_S: f64 = 100.0;

/// What one run cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Seconds from the getter's start to its end.
    pub wall_s: f64,
    /// Processor seconds of both ends in that time.
    pub processor_s: f64,
    /// The most memory each end had resident: source, getter; `None` if it ended before it could be asked.
    pub resident_bytes_max: [Option<u64>; 2],
}

/// One way.
pub trait Contestant {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Why it can't take part here; `None` if it can.
    fn obstacle(&self) -> Option<String>;

    /// Carries `file` to `copy` once, using `folder` for what it needs besides.
    fn carry(&self, file: &Path, copy: &Path, folder: &Path) -> Cost;
}

/// Times a getter that runs to its end beside a source that goes on.
pub(crate) fn time(source: &Running, start_getter: impl FnOnce() -> Running) -> (Cost, String) {
    let (source_before, children_before) = (source.processor_seconds(), waited_children_seconds());
    let began = Instant::now();
    let outcome = start_getter().wait(LIMIT).success();
    let wall_s = began.elapsed().as_secs_f64();
    let processor_s = source.processor_seconds() - source_before + waited_children_seconds() - children_before;
    (Cost { wall_s, processor_s, resident_bytes_max: [Some(source.resident_bytes_max()), None] }, outcome.stdout)
}

/// Processor seconds of all processes that this one has started and waited for.
fn waited_children_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("this process runs");
    let (_, fields) = stat.rsplit_once(')').expect("the program's name stands in parentheses");
    let ticks = fields.split_whitespace().skip(13).take(2).map(|field| field.parse::<f64>().unwrap_or(0.0));
    ticks.sum::<f64>() / TICKS_PER_S
}

/// This program: two running nodes, and the `get` command beside them.
#[derive(Debug)]
pub struct Mesh;

impl Contestant for Mesh {
    fn name(&self) -> &'static str {
        "mesh"
    }

    fn obstacle(&self) -> Option<String> {
        None
    }

    fn carry(&self, file: &Path, copy: &Path, folder: &Path) -> Cost {
        let node = |name: &str| TestNode::on_loopback(&folder.join(name)).without_journal();
        let mut source = node("source");
        source.up();
        let ticket = source.share(file);
        let mut getter = node("getter");
        getter.up();
        let before = [source.process().processor_seconds(), getter.process().processor_seconds()];
        let children_before = waited_children_seconds();
        let began = Instant::now();
        let _ = getter.fetch(&ticket, copy);
        let wall_s = began.elapsed().as_secs_f64();
        let after = [source.process().processor_seconds(), getter.process().processor_seconds()];
        let command = waited_children_seconds() - children_before;
        let resident = [source.process().resident_bytes_max(), getter.process().resident_bytes_max()];
        getter.stop();
        source.stop();
        let processor_s = command + after.iter().sum::<f64>() - before.iter().sum::<f64>();
        Cost { wall_s, processor_s, resident_bytes_max: resident.map(Some) }
    }
}

/// One stream of TCP, Noise and Yamux that also reads, hashes at both ends and writes: the floor for any program on
/// this stack.
#[derive(Debug)]
pub struct BareStream;

impl Contestant for BareStream {
    fn name(&self) -> &'static str {
        "bare libp2p stream"
    }

    fn obstacle(&self) -> Option<String> {
        (!bare_stream().is_file()).then(|| "bench-bare-stream lies not beside this program".to_owned())
    }

    fn carry(&self, file: &Path, copy: &Path, _folder: &Path) -> Cost {
        let mut serve = Place::Here.command(bare_stream());
        serve.arg("serve").arg(file);
        let mut source = Running::start(serve);
        let ready = source.wait_for_line("its address", START_LIMIT, |line| line["address"].is_string());
        let address = ready["address"].as_str().unwrap_or_default().to_owned();
        let (cost, said) = time(&source, || {
            let mut fetch = Place::Here.command(bare_stream());
            fetch.arg("fetch").arg(&address).arg(copy);
            Running::start(fetch)
        });
        let said: Value = serde_json::from_str(&said).expect("the getter prints JSON");
        assert_eq!(said["blake3"], mesh_tests::files::blake3_of(file), "the bare stream carried something else");
        cost
    }
}

fn bare_stream() -> std::path::PathBuf {
    std::env::current_exe().expect("a running program has a path").with_file_name("bench-bare-stream")
}

/// curl from nginx: no encryption, no verification.
#[derive(Debug)]
pub struct Curl;

impl Contestant for Curl {
    fn name(&self) -> &'static str {
        "curl from nginx"
    }

    fn obstacle(&self) -> Option<String> {
        let there = try_system("nginx -v") && try_system("curl --version");
        (!there).then(|| "nginx or curl is not installed (apt-get install nginx-light curl)".to_owned())
    }

    fn carry(&self, file: &Path, copy: &Path, folder: &Path) -> Cost {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = socket.local_addr().expect("a socket has an address").port();
        drop(socket);
        let root = file.parent().expect("a file lies in a folder").display();
        let here = folder.display();
        let configuration = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log; events {{}}\n\
             http {{ access_log off; sendfile on; client_body_temp_path {here}/a; proxy_temp_path {here}/b;\n\
             fastcgi_temp_path {here}/c; uwsgi_temp_path {here}/d; scgi_temp_path {here}/e;\n\
             server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
        );
        let path = folder.join("nginx.conf");
        fs::write(&path, configuration).expect("the disk takes the configuration");
        let mut serve = Place::Here.command("nginx");
        serve.arg("-c").arg(&path).arg("-p").arg(folder);
        let source = Running::start(serve);
        wait::until("nginx", START_LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        let name = file.file_name().expect("a file has a name").to_string_lossy();
        let (cost, _) = time(&source, || {
            let mut fetch = Place::Here.command("curl");
            fetch.args(["--fail", "--silent", "--output"]).arg(copy).arg(format!("http://127.0.0.1:{port}/{name}"));
            Running::start(fetch)
        });
        cost
    }
}
