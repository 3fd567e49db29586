//! Nodes that come and go at random while transfers run: every transfer of a node that lives completes, every byte
//! right, and those who stay throughout are left with nothing of those who went.
//!
//! Five minutes with thirty nodes in a soak. `MESH_SEED` repeats a run.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mesh_tests::node::bare_ticket;
use mesh_tests::random::Random;
use mesh_tests::{Folder, Host, Lan, Running, TestNode, files, json, soak, wait};

const DISCOVERY_LIMIT: Duration = Duration::from_secs(20);
const FETCH_LIMIT: Duration = Duration::from_secs(180);
const QUIET_LIMIT: Duration = Duration::from_secs(120);
/// How often a long run says how it stands.
const TELL_EVERY: Duration = Duration::from_secs(30);
const LINK_MBIT_PER_S: u32 = 100;
const MIB: u64 = 1 << 20;
/// From what is one span to what takes some seconds on a link that is shared.
const CONTENT_BYTES: [u64; 6] = [100_000, MIB, 3 * MIB, 6 * MIB, 10 * MIB, 16 * MIB];

/// What those who stay may have more of at the end than before anybody came.
///
/// Files: the store's log may have begun a segment, and a folder of received files be open. A connection that leaked
/// would be one each, and many nodes have come and gone.
const OPEN_FILES_MORE_MAX: usize = 6;
/// Each connection has some ten tasks; what runs beside all connections may differ by a few that are about to end.
const TASKS_MORE_MAX: u64 = 8;
/// Who was ever seen is remembered with its records and addresses, some KiB each, and the allocator keeps pages of
/// several threads that were needed at once. Contents went through many times over: had they stayed, it would be more.
const RESIDENT_BYTES_MORE_MAX: u64 = 32 * MIB;

struct Content {
    file: PathBuf,
    ticket: String,
}

/// What a process has of what can leak.
#[derive(Debug, Clone, Copy)]
struct Load {
    open_files: usize,
    tasks: u64,
    resident_bytes: u64,
}

fn load(node: &mut TestNode) -> Load {
    let tasks = node.metric("mesh_tasks");
    let process = node.process();
    Load { open_files: process.open_files(), tasks, resident_bytes: process.resident_bytes() }
}

/// A host whose node comes and goes.
struct Visitor {
    host: Host,
    data: PathBuf,
    node: TestNode,
    is_up: bool,
    lives: u32,
    /// What its node was asked for in this life, by content.
    targets: BTreeMap<usize, PathBuf>,
    /// The commands that asked.
    commands: Vec<Running>,
}

impl Visitor {
    fn new(host: Host, data: PathBuf) -> Self {
        let node = host.node(&data.join("0")).without_journal();
        Self { host, data, node, is_up: false, lives: 0, targets: BTreeMap::new(), commands: Vec::new() }
    }

    fn come(&mut self) {
        self.node.up();
        self.is_up = true;
    }

    /// Comes as somebody else, with nothing.
    fn come_anew(&mut self) {
        fs::remove_dir_all(&self.data).expect("the folder can be removed");
        self.lives += 1;
        self.targets.clear();
        self.node = self.host.node(&self.data.join(self.lives.to_string())).without_journal();
        self.come();
    }

    fn leave(&mut self, cleanly: bool) {
        match cleanly {
            true => self.node.terminate(),
            false => self.node.crash(),
        }
        self.is_up = false;
        self.commands.clear();
    }

    fn want(&mut self, number: usize, content: &Content) {
        let target = self.data.join(format!("{}-content-{number}", self.lives));
        self.commands.push(self.node.start_fetch(&bare_ticket(&content.ticket), &target));
        self.targets.insert(number, target);
    }

    /// Whether all that it was asked for is there; each file gets its name only when it is complete.
    fn has_all(&self) -> bool {
        self.targets.values().all(|target| target.exists())
    }
}

/// Who stays and fetches one content after the other, each anew.
struct Stayer {
    node: TestNode,
    target: PathBuf,
    number: usize,
    fetch: Option<Running>,
    fetched: u32,
}

impl Stayer {
    fn begin(&mut self, contents: &[Content]) {
        let ticket = bare_ticket(&contents[self.number].ticket);
        self.fetch = Some(self.node.start_fetch(&ticket, &self.target));
    }

    /// Ends the fetch under way if it is done, forgets what it brought, and begins the next.
    fn go_on(&mut self, contents: &[Content]) {
        if self.fetch.as_mut().is_some_and(Running::runs) {
            return;
        }
        self.finish(contents);
        self.begin(contents);
    }

    fn finish(&mut self, contents: &[Content]) {
        let Some(fetch) = self.fetch.take() else { return };
        let _ = fetch.wait(FETCH_LIMIT).success();
        let content = &contents[self.number];
        files::assert_same_file(&content.file, &self.target);
        let _ = self.node.run(&["rm", "--delete", &bare_ticket(&content.ticket)]);
        assert!(!self.target.exists(), "what was removed is still there");
        self.number = (self.number + 1) % contents.len();
        self.fetched += 1;
    }
}

struct Plan {
    nodes: usize,
    lasts: Duration,
    random: Random,
}

fn plan() -> Plan {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| u64::from(time.subsec_nanos()));
    let seed = env::var("MESH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(clock);
    println!("MESH_SEED={seed}");
    let (nodes, seconds) = (soak::count(8, 30) as usize, soak::count(25, 300));
    Plan { nodes, lasts: Duration::from_secs(seconds), random: Random::new(seed) }
}

/// Who stays and has everything from the beginning, and everything it has.
fn anchor(lan: &mut Lan, folder: &Folder) -> (TestNode, Vec<Content>) {
    let host = lan.host();
    host.limit_rate(LINK_MBIT_PER_S);
    let mut node = host.node(&folder.path("anchor"));
    node.up();
    let share = |(number, bytes): (usize, u64)| {
        let file = folder.path(&format!("content-{number}"));
        files::write_random(&file, bytes, 100 + number as u64);
        let ticket = node.share(&file);
        Content { file, ticket }
    };
    let contents = CONTENT_BYTES.into_iter().enumerate().map(share).collect();
    (node, contents)
}

fn stayer(lan: &mut Lan, folder: &Folder, contents: &[Content]) -> Stayer {
    let host = lan.host();
    host.limit_rate(LINK_MBIT_PER_S);
    let mut node = host.node(&folder.path("stayer"));
    node.up();
    node.wait_for_peers(1, DISCOVERY_LIMIT);
    let mut stayer = Stayer { node, target: folder.path("stayed"), number: 0, fetch: None, fetched: 0 };
    // What is only made at the first transfer is no leak.
    for _ in contents {
        stayer.begin(contents);
        stayer.finish(contents);
    }
    stayer
}

/// One thing that one of the visitors does.
fn happen(visitor: &mut Visitor, contents: &[Content], random: &mut Random) {
    let draw = random.draw() % 8;
    match (visitor.is_up, draw) {
        (true, 0) => visitor.leave(true),
        (true, 1) => visitor.leave(false),
        (true, _) => {
            let number = usize::try_from(random.between(0, contents.len() as u64)).expect("a small number");
            if !visitor.targets.contains_key(&number) {
                visitor.want(number, &contents[number]);
            }
        }
        (false, 0..=2) => visitor.come_anew(),
        (false, _) => visitor.come(),
    }
}

#[test]
fn nodes_come_and_go_and_who_stays_keeps_nothing_of_them_soak() {
    let Some(mut lan) = Lan::new() else { return };
    let folder = Folder::new();
    let Plan { nodes, lasts, mut random } = plan();
    let (mut anchor, contents) = anchor(&mut lan, &folder);
    let mut stayer = stayer(&mut lan, &folder, &contents);
    let before = [load(&mut anchor), load(&mut stayer.node)];
    let visitor = |number: usize| {
        let host = lan.host();
        host.limit_rate(LINK_MBIT_PER_S);
        Visitor::new(host, folder.path(&format!("visitor-{number}")))
    };
    let mut visitors: Vec<Visitor> = (2..nodes).map(visitor).collect();
    let began = Instant::now();
    let (mut events, mut alone, mut told) = (0u32, true, began);
    while began.elapsed() < lasts {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            println!("after {:?}: {:?}", began.elapsed(), [load(&mut anchor), load(&mut stayer.node)]);
        }
        let which = usize::try_from(random.between(0, visitors.len() as u64)).expect("a small number");
        happen(&mut visitors[which], &contents, &mut random);
        stayer.go_on(&contents);
        alone &= visitors.iter().all(|visitor| !visitor.is_up);
        events += 1;
        wait::let_pass(Duration::from_millis(random.between(0, 200)));
    }
    assert!(!alone && events > 20, "{events} things happened");
    // Who is away with something half fetched comes back and goes on by itself.
    for visitor in visitors.iter_mut().filter(|visitor| !visitor.is_up && !visitor.targets.is_empty()) {
        visitor.come();
    }
    stayer.finish(&contents);
    let mut fetched = stayer.fetched;
    for (number, visitor) in visitors.iter_mut().enumerate().filter(|(_, visitor)| visitor.is_up) {
        let began = Instant::now();
        while !visitor.has_all() {
            assert!(began.elapsed() < FETCH_LIMIT, "visitor {number} lacks something: {}", visitor.node.run(&["ls"]));
            wait::let_pass(Duration::from_millis(100));
        }
        for (content, target) in &visitor.targets {
            files::assert_same_file(&contents[*content].file, target);
            fetched += 1;
        }
        visitor.leave(true);
    }
    println!("{events} things happened to {} visitors, {fetched} contents were fetched", visitors.len());
    for (node, before) in [&mut anchor, &mut stayer.node].into_iter().zip(before) {
        assert_back(node, before);
    }
    anchor.stop_and_replay();
    stayer.node.stop_and_replay();
}

/// Waits until a node has no more than it had before.
fn assert_back(node: &mut TestNode, before: Load) {
    let began = Instant::now();
    loop {
        let now = load(node);
        let is_back = now.open_files <= before.open_files + OPEN_FILES_MORE_MAX
            && now.tasks <= before.tasks + TASKS_MORE_MAX
            && now.resident_bytes <= before.resident_bytes + RESIDENT_BYTES_MORE_MAX;
        if is_back {
            println!("{before:?}, at the end {now:?} after {:?}", began.elapsed());
            return;
        }
        let peers = json::number(&node.status(), "peers_connected");
        assert!(began.elapsed() < QUIET_LIMIT, "before {before:?}, still {now:?} with {peers} peers");
        wait::let_pass(Duration::from_millis(500));
    }
}
