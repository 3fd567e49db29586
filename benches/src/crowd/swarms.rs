//! Programs that a crowd can use, each the way its makers mean it: everybody who fetches gives, too, until all have it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mesh_tests::place::{system, try_system};
use mesh_tests::{Host, Running, TestNode, files, wait};

const MEETING: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(1200);
const TRACKER_PORT: u16 = 6969;
/// Each is in a network namespace of its own.
const RQBIT_API: &str = "127.0.0.1:3030";

/// What came of a run.
pub struct Course {
    /// How long each getter took.
    pub finished: Vec<Duration>,
    /// What left the seed's link.
    pub seed_sent_bytes: u64,
    /// What reached the getters' links.
    pub received_bytes: u64,
}

impl Course {
    /// Seconds until the last has it.
    pub fn last_s(&self) -> f64 {
        self.finished.iter().max().map_or(0.0, Duration::as_secs_f64)
    }

    /// Seconds until one has it, in the mean.
    pub fn mean_s(&self) -> f64 {
        self.finished.iter().map(Duration::as_secs_f64).sum::<f64>() / self.finished.len().max(1) as f64
    }
}

/// One program.
pub trait Swarm {
    /// Its name in the table.
    fn name(&self) -> &'static str;

    /// Why it can't take part here; `None` if it can.
    fn obstacle(&self) -> Option<String>;

    /// Lets all getters fetch the file at once, and says how long each took. `third` may introduce them to each other.
    fn run(&self, seed: &Host, getters: &[Host], third: &Host, file: &Path, folder: &Path) -> Vec<Duration>;
}

/// This program.
pub struct Mesh;

impl Swarm for Mesh {
    fn name(&self) -> &'static str {
        "mesh"
    }

    fn obstacle(&self) -> Option<String> {
        None
    }

    fn run(&self, seed: &Host, getters: &[Host], _: &Host, file: &Path, folder: &Path) -> Vec<Duration> {
        let up = |(number, host): (usize, &Host)| {
            let mut node = host.node(&folder.join(format!("node-{number}"))).without_journal();
            node.up();
            node
        };
        let nodes: Vec<TestNode> = std::iter::once(seed).chain(getters).enumerate().map(up).collect();
        nodes.iter().for_each(|node| node.wait_for_peers(getters.len() as u64, MEETING));
        let ticket = nodes[0].share(file);
        let copies: Vec<PathBuf> = (1..nodes.len()).map(|number| folder.join(format!("copy-{number}"))).collect();
        let began = Instant::now();
        let mut fetches: Vec<Running> =
            nodes[1..].iter().zip(&copies).map(|(node, copy)| node.start_fetch(&ticket, copy)).collect();
        let took = until_all(began, &mut fetches, |fetch| !fetch.runs());
        for (fetch, copy) in fetches.into_iter().zip(copies) {
            let _ = fetch.wait(LIMIT).success();
            files::assert_same_file(file, &copy);
        }
        took
    }
}

/// A torrent of the file, whose tracker runs on `third`.
fn torrent(third: &Host, file: &Path, folder: &Path) -> (PathBuf, Running) {
    let torrent = folder.join("file.torrent");
    let announce = format!("http://{}:{TRACKER_PORT}/announce", third.address);
    system(&format!("mktorrent -a {announce} -o {} {}", torrent.display(), file.display()));
    // Debian's tracker tracks only what is listed, does not run as root, and must be able to read the list.
    let listed = folder.join("listed");
    fs::write(&listed, info_hash(&torrent, folder)).expect("a list can be written");
    system(&format!("chmod a+rx {}", folder.display()));
    let mut command = third.place().command("opentracker");
    let (address, port) = (third.address.to_string(), TRACKER_PORT.to_string());
    command.args(["-i", &address, "-p", &port, "-u", "nobody", "-w"]).arg(&listed);
    let tracker = Running::start(command);
    wait::until("opentracker", MEETING, || {
        try_system(&format!("ip netns exec {} bash -c :</dev/tcp/{address}/{port}", third.namespace)).then_some(())
    });
    (torrent, tracker)
}

/// The SHA-1 of a torrent's `info`, which mktorrent writes last.
fn info_hash(torrent: &Path, folder: &Path) -> String {
    const KEY: &[u8] = b"4:info";
    let bytes = fs::read(torrent).expect("the torrent can be read");
    let at = bytes.windows(KEY.len()).position(|window| window == KEY).expect("a torrent has an info");
    let info = folder.join("info");
    fs::write(&info, &bytes[at + KEY.len()..bytes.len() - 1]).expect("a file can be written");
    let printed = system(&format!("sha1sum {}", info.display()));
    printed.split_whitespace().next().expect("sha1sum prints the sum").to_owned()
}

fn lacks(programs: &[&str]) -> Option<String> {
    let lacking: Vec<&str> =
        programs.iter().copied().filter(|program| !try_system(&format!("which {program}"))).collect();
    (!lacking.is_empty()).then(|| format!("not installed: {}", lacking.join(", ")))
}

/// A folder that holds the file under its own name, as a seed's must.
fn seeded(file: &Path, folder: &Path) -> PathBuf {
    let seed = folder.join("seed");
    fs::create_dir_all(&seed).expect("a folder can be made");
    fs::hard_link(file, seed.join(file.file_name().expect("a file has a name"))).expect("a file can be linked to");
    seed
}

/// aria2: SHA-1 of pieces, no encryption.
pub struct Aria2;

impl Swarm for Aria2 {
    fn name(&self) -> &'static str {
        "aria2"
    }

    fn obstacle(&self) -> Option<String> {
        lacks(&["aria2c", "mktorrent", "opentracker"])
            .map(|lacking| format!("{lacking} (apt-get install aria2 mktorrent opentracker)"))
    }

    fn run(&self, seed: &Host, getters: &[Host], third: &Host, file: &Path, folder: &Path) -> Vec<Duration> {
        let (torrent, _tracker) = torrent(third, file, folder);
        let start = |host: &Host, target: &Path, more: &[String]| {
            let mut command = host.place().command("aria2c");
            command.args(["--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false"]);
            command.args([
                "--seed-ratio=0",
                "--file-allocation=none",
                "--summary-interval=0",
                "--console-log-level=notice",
            ]);
            command.args(more).arg("--dir").arg(target).arg(&torrent);
            Running::start(command)
        };
        let _seed = start(seed, &seeded(file, folder), &["--check-integrity=true".to_owned()]);
        wait::let_pass(Duration::from_secs(5));
        let hook = folder.join("done.sh");
        fs::write(&hook, "#!/bin/sh\ntouch \"$(dirname \"$3\")/done\"\n").expect("a script can be written");
        system(&format!("chmod +x {}", hook.display()));
        let hook = format!("--on-bt-download-complete={}", hook.display());
        let mut targets = numbered(folder, "getter", getters.len());
        let began = Instant::now();
        let running: Vec<Running> = getters
            .iter()
            .zip(&targets)
            .map(|(host, target)| start(host, target, std::slice::from_ref(&hook)))
            .collect();
        let took = until_all(began, &mut targets, |target| target.join("done").is_file());
        drop(running);
        assert_all_have(file, &targets);
        took
    }
}

/// rqbit: SHA-1 of pieces, no encryption.
pub struct Rqbit;

impl Swarm for Rqbit {
    fn name(&self) -> &'static str {
        "rqbit"
    }

    fn obstacle(&self) -> Option<String> {
        lacks(&["rqbit", "mktorrent", "opentracker", "curl"])
            .map(|lacking| format!("{lacking} (cargo install rqbit; apt-get install mktorrent opentracker curl)"))
    }

    fn run(&self, seed: &Host, getters: &[Host], third: &Host, file: &Path, folder: &Path) -> Vec<Duration> {
        let (torrent, _tracker) = torrent(third, file, folder);
        let start = |host: &Host, target: &Path, home: &Path| {
            let mut command = host.place().command("rqbit");
            command.env("HOME", home).args(["--disable-dht", "--disable-lsd", "--disable-upnp-port-forward"]);
            command.args(["--http-api-listen-addr", RQBIT_API]);
            command.args(["download", "--overwrite", "--output-folder"]).arg(target).arg(&torrent);
            Running::start(command)
        };
        let is_finished = |host: &mut Host| {
            let get = format!("ip netns exec {} curl -sf http://{RQBIT_API}/torrents/0/stats/v1", host.namespace);
            try_system(&get) && system(&get).contains("\"finished\":true")
        };
        let _seed = start(seed, &seeded(file, folder), &folder.join("home-seed"));
        wait::until("rqbit's seed", MEETING, || is_finished(&mut seed.clone()).then_some(()));
        let targets = numbered(folder, "getter", getters.len());
        let homes = numbered(folder, "home", getters.len());
        let began = Instant::now();
        let starts = getters.iter().zip(&targets).zip(&homes);
        let running: Vec<Running> = starts.map(|((host, target), home)| start(host, target, home)).collect();
        let took = until_all(began, &mut getters.to_vec(), is_finished);
        drop(running);
        assert_all_have(file, &targets);
        took
    }
}

fn numbered(folder: &Path, name: &str, count: usize) -> Vec<PathBuf> {
    (0..count).map(|number| folder.join(format!("{name}-{number}"))).collect()
}

/// When each of them was seen to be done.
fn until_all<T>(began: Instant, all: &mut [T], mut is_done: impl FnMut(&mut T) -> bool) -> Vec<Duration> {
    let mut ended: Vec<Option<Duration>> = vec![None; all.len()];
    wait::until("all getters", LIMIT, || {
        for (one, ended) in all.iter_mut().zip(&mut ended).filter(|(_, ended)| ended.is_none()) {
            *ended = is_done(one).then(|| began.elapsed());
        }
        ended.iter().copied().collect::<Option<Vec<_>>>()
    })
}

fn assert_all_have(file: &Path, folders: &[PathBuf]) {
    let name = file.file_name().expect("a file has a name");
    folders.iter().for_each(|folder| files::assert_same_file(file, &folder.join(name)));
}
