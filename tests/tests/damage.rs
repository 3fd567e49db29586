//! Whatever is damaged of what a node keeps: it starts and gives out only right bytes, or says which file and what to do.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_tests::node::bare_ticket;
use mesh_tests::random::Random;
use mesh_tests::{Folder, Outcome, Running, TestNode, files, json, soak, wait};

const MIB: u64 = 1 << 20;
const SEED: u64 = 0x6461_6d61;
const LIMIT: Duration = Duration::from_secs(20);
/// Of a content that is damaged beyond serving nothing comes for so long.
const SERVED_WITHIN: Duration = Duration::from_secs(3);

/// What can happen to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    BitFlipped,
    Truncated,
    Deleted,
    Zeroed,
}

const DAMAGES: [Damage; 4] = [Damage::BitFlipped, Damage::Truncated, Damage::Deleted, Damage::Zeroed];

impl Damage {
    fn strike(self, path: &Path, random: &mut Random) {
        let length = fs::metadata(path).expect("the file is there").len();
        let file = || File::options().read(true).write(true).open(path).expect("the file can be opened");
        match self {
            Self::Deleted => fs::remove_file(path).expect("the file can be deleted"),
            _ if length == 0 => {}
            Self::Truncated => file().set_len(random.between(0, length)).expect("the file can be cut"),
            Self::Zeroed => fs::write(path, vec![0; usize::try_from(length).expect("a short file")]).expect("writes"),
            Self::BitFlipped => {
                let (at, mut byte) = (random.between(0, length), [0]);
                file().read_exact_at(&mut byte, at).expect("the file can be read");
                byte[0] ^= 1 << random.between(0, 8);
                file().write_all_at(&byte, at).expect("the file can be written");
            }
        }
    }
}

/// A node that keeps a few things, stopped, and its data folder as it was then.
struct Kept {
    folder: Folder,
    node: TestNode,
    /// What it holds: ids, and where the same lies whole.
    whole: Vec<(String, PathBuf)>,
    getter: TestNode,
}

impl Kept {
    fn new() -> Self {
        let folder = Folder::new();
        let mut source = TestNode::on_loopback(&folder.path("source"));
        let mut node = TestNode::on_loopback(&folder.path("node")).without_journal();
        let mut getter = TestNode::on_loopback(&folder.path("getter")).without_journal();
        source.up();
        node.up();
        getter.up();
        // Large enough for a manifest of several pages.
        let (file, tree) = (folder.random_file("file", 20 * MIB), folder.path("tree"));
        files::write_tree(&tree, 40, 30_000, SEED);
        let fetched = folder.random_file("fetched", 2 * MIB);
        let mut whole = Vec::new();
        for path in [&file, &tree] {
            let shared = node.run(&["share", "--listed", &path.to_string_lossy()]);
            whole.push((json::text(&shared, "content_id").to_owned(), path.clone()));
        }
        let ticket = source.share(&fetched);
        let _ = node.fetch(&ticket, &folder.path("fetched-copy"));
        whole.push((bare_ticket(&ticket).trim_start_matches("mesh:").to_owned(), fetched));
        let _ = node.run(&["member", "new", "somebody"]);
        // One that stays unfinished.
        let ticket = source.share(&folder.random_file("slow", 8 * MIB));
        let _ = source.run(&["limit", "--up", "1MiB/s"]);
        let mut unfinished = node.start_fetch(&ticket, &folder.path("slow-copy"));
        let _ = unfinished.wait_for_bytes(2 * MIB, LIMIT);
        source.stop();
        node.stop();
        let kept = Self { folder, node, whole, getter };
        copy_folder(kept.node.data(), &kept.folder.path("as-it-was"));
        kept
    }

    /// All files, by their paths in the data folder.
    fn files(&self) -> Vec<PathBuf> {
        files_below(&self.folder.path("as-it-was"))
    }

    fn restore(&self) {
        fs::remove_dir_all(self.node.data()).expect("the folder can be deleted");
        copy_folder(&self.folder.path("as-it-was"), self.node.data());
    }

    /// Starts the node; the error is how it ended.
    fn start(&self) -> Result<Running, Outcome> {
        let mut starting = Running::start(self.node.node_command(&["up"]));
        let runs = wait::until("a node that answers or ends", LIMIT, || {
            let runs = starting.runs();
            (!runs || self.node.data().join("api.address").exists()).then_some(runs)
        });
        if runs { Ok(starting) } else { Err(starting.wait(LIMIT)) }
    }

    /// Fetches all that is given out; none of it may be wrong. How many came.
    fn fetch_all(&self) -> usize {
        let address = self.node.address();
        let mut came = 0;
        for (number, (id, whole)) in self.whole.iter().enumerate() {
            let copy = self.folder.path(&format!("copy-{number}"));
            let ticket = format!("mesh:{id}?peer={address}");
            let mut fetch = self.getter.start_fetch(&ticket, &copy);
            let began = std::time::Instant::now();
            while fetch.runs() && began.elapsed() < SERVED_WITHIN {
                wait::let_pass(Duration::from_millis(20));
            }
            if fetch.runs() {
                let _ = self.getter.try_run(&["cancel", id]);
                drop(fetch.kill());
            } else {
                let report = fetch.wait(LIMIT).success().json();
                assert_eq!(json::number(&report, "rejected_bytes"), 0, "a wrong byte was served: {report}");
            }
            // On a busy machine it may have come just as it was given up.
            if !copy.exists() {
                continue;
            }
            match whole.is_dir() {
                true => files::assert_same_tree(whole, &copy),
                false => files::assert_same_file(whole, &copy),
            }
            let _ = self.getter.run(&["rm", id, "--delete"]);
            came += 1;
        }
        came
    }
}

fn files_below(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path.strip_prefix(root).expect("below").to_owned())
            }
        }
    }
    found.sort();
    found
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").args(["-a", "--"]).args([from, to]).status();
    assert!(copied.is_ok_and(|status| status.success()), "{} can't be copied", from.display());
}

#[test]
fn any_damaged_file_is_rebuilt_or_refused_and_said_soak() {
    let mut random = Random::new(SEED);
    let mut kept = Kept::new();
    let files = kept.files();
    // In a short run a few of each kind of damage; in a soak all several times.
    let all = (files.len() * DAMAGES.len()) as u64;
    let trials = soak::count(16, 5 * all).min(5 * all);
    let stride = if trials < all { all / trials } else { 1 };
    let mut wrong = Vec::new();
    for trial in 0..trials {
        let which = usize::try_from(trial * stride % all).expect("few trials");
        let (file, damage) = (&files[which / DAMAGES.len()], DAMAGES[(which + which / 4) % DAMAGES.len()]);
        kept.restore();
        damage.strike(&kept.node.data().join(file), &mut random);
        let told = format!("trial {trial} (seed {SEED:#x}): {} {damage:?}", file.display());
        match kept.start() {
            Err(outcome) => {
                let said = outcome.all();
                println!("{told}: refused: {}", said.trim());
                let name = file.file_name().expect("a file has a name").to_string_lossy();
                // What to do stands behind an arrow, or behind a semicolon.
                if said.contains("panicked") || !said.contains(&*name) || !said.contains(['→', ';']) {
                    wrong.push(format!("{told}: {said}"));
                }
            }
            Ok(running) => {
                let came = kept.fetch_all();
                let outcome = {
                    let mut running = running;
                    running.interrupt();
                    running.wait(LIMIT)
                };
                println!("{told}: {came} served; {}", outcome.stderr.trim());
                // What is no longer given out is said.
                let silent = came < kept.whole.len() && !outcome.stderr.contains("WARN");
                if silent || outcome.all().contains("panicked") || outcome.code != Some(0) {
                    wrong.push(format!("{told}: {}", outcome.all()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    kept.getter.stop();
}
