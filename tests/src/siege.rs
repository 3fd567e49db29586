//! Honest nodes under attack: what a transfer usually takes, what it takes while hostile peers do what they can, and what
//! is left of the nodes afterwards.
//!
//! Hostile peers are processes of the program `mesh-hostile` on hosts of their own. Their links are slower than those of
//! the honest: that a link can be filled by others is nothing that a node could prevent.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::node::{TestNode, bare_ticket};
use crate::place::system;
use crate::{Folder, Host, Lan, Running, files, wait};

const HONEST_MBIT_PER_S: u32 = 100;
const HOSTILE_MBIT_PER_S: u32 = 20;
const FILE_BYTES: u64 = 32 << 20;
/// Of more than this, waiting for a program to start is no longer a large part.
const USUAL_MIN: Duration = Duration::from_secs(3);
const STRIKE_LIMIT: Duration = Duration::from_secs(60);
/// To say how much longer it took than it may, a transfer is waited for.
const FETCH_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const RESIDENT_BYTES_MAX: u64 = 128 << 20;
/// Longer than the node's patience with a handshake.
const LEAVE_LIMIT: Duration = Duration::from_secs(60);
/// Files that a node may have opened meanwhile on account of honest peers.
const FILES_BESIDES: usize = 12;
/// Files a node may have open, as on systems that let nobody have more.
const OPEN_FILES_MAX: usize = 1024;
/// Addresses a hostile host has besides its own.
const ADDRESSES_MORE: u8 = 8;

/// Whom an attack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The node that shares.
    Source,
    /// The node that fetches.
    Getter,
}

/// One attack.
#[derive(Debug, Clone, Copy)]
pub struct Blow {
    /// What `mesh-hostile` calls it.
    pub attack: &'static str,
    /// For whom it is.
    pub victim: Victim,
    /// How many go on at once.
    pub at_once: usize,
    /// Whether they come from several addresses.
    pub spread: bool,
}

/// Two honest nodes that know each other, one more that is to come, and hosts for hostile peers. Fields end in their
/// order: processes before what they run on.
#[derive(Debug)]
pub struct Siege {
    hostile: Vec<(Blow, Running)>,
    source: TestNode,
    getter: TestNode,
    usual: Duration,
    files_made: u64,
    program: PathBuf,
    source_host: Host,
    getter_host: Host,
    newcomer_host: Host,
    hostile_host: Host,
    folder: Folder,
    _lan: Lan,
}

impl Siege {
    /// Starts the honest nodes and measures what a transfer usually takes; `None`, with the reason printed, if this
    /// process may not make networks. `program` is the path of `mesh-hostile`.
    #[must_use]
    pub fn new(program: &str) -> Option<Self> {
        let mut lan = Lan::new()?;
        let (source_host, getter_host, newcomer_host) = (lan.host(), lan.host(), lan.host());
        for host in [&source_host, &getter_host, &newcomer_host] {
            host.limit_rate(HONEST_MBIT_PER_S);
        }
        let hostile_host = lan.host();
        hostile_host.limit_rate(HOSTILE_MBIT_PER_S);
        for number in 1..=ADDRESSES_MORE {
            let address = Ipv4Addr::new(10, 77, 0, 200 + number);
            system(&format!("ip -n {} addr add {address}/24 dev eth0", hostile_host.namespace));
        }
        let folder = Folder::new();
        let mut source = source_host.node(&folder.path("source"));
        let mut getter = getter_host.node(&folder.path("getter"));
        source.up();
        getter.up();
        for node in [&mut source, &mut getter] {
            system(&format!("prlimit --pid {} --nofile={OPEN_FILES_MAX}:{OPEN_FILES_MAX}", node.process().id()));
        }
        let mut siege = Self {
            hostile: Vec::new(),
            source,
            getter,
            usual: USUAL_MIN,
            files_made: 0,
            program: program.into(),
            source_host,
            getter_host,
            newcomer_host,
            hostile_host,
            folder,
            _lan: lan,
        };
        siege.usual = siege.transfer().min(siege.transfer()).max(USUAL_MIN);
        println!("a transfer usually takes {:?}", siege.usual);
        Some(siege)
    }

    /// Carries these attacks out at once, has honest nodes do what they usually do meanwhile, and sees that all is as
    /// before when the attackers are gone. By how many bytes the getter grew.
    ///
    /// # Panics
    /// If an honest transfer takes more than twice its usual time, or a node does not bear it.
    pub fn endure(&mut self, blows: &[Blow]) -> u64 {
        let before = self.open_files();
        let resident_before = self.getter.process().resident_bytes_max();
        let (ticket, file) = self.share();
        let content = bare_ticket(&ticket).trim_start_matches("mesh:").to_owned();
        for (seed, blow) in (1..).zip(blows) {
            let attacker = Running::start(self.command(*blow, &content, seed));
            self.hostile.push((*blow, attacker));
        }
        for (blow, attacker) in &mut self.hostile {
            let began = Instant::now();
            while attacker.runs() && !attacker.printed("struck") {
                let log = attacker.log();
                assert!(began.elapsed() < STRIKE_LIMIT, "{} on the {:?} did no harm: {log}", blow.attack, blow.victim);
                wait::let_pass(Duration::from_millis(20));
            }
        }
        let names: Vec<&str> = blows.iter().map(|blow| blow.attack).collect();
        let took = self.fetch(&self.getter, &ticket, &file);
        println!("{took:?} under {names:?}");
        self.answers();
        let mut newcomer = self.newcomer_host.node(&self.folder.path("newcomer")).with_options(&["--no-mdns"]);
        newcomer.up();
        let came = self.fetch(&newcomer, &ticket, &file);
        println!("{came:?} for one who comes meanwhile");
        newcomer.stop_and_replay();
        let _ = std::fs::remove_dir_all(self.folder.path("newcomer"));
        for (node, who) in [(&mut self.source, "source"), (&mut self.getter, "getter")] {
            let resident = node.process().resident_bytes_max();
            let (files, seconds) = (node.process().open_files(), node.process().processor_seconds());
            println!("{who}: {} MiB resident at most, {files} files open, {seconds} s of a processor", resident >> 20);
            assert!(resident <= RESIDENT_BYTES_MAX, "the {who} had {resident} bytes resident under {names:?}");
        }
        for (blow, attacker) in &mut self.hostile {
            assert!(attacker.runs(), "{} ended: {}", blow.attack, attacker.log());
        }
        assert!(took <= self.usual * 2, "{took:?} instead of {:?} under {names:?}", self.usual);
        assert!(came <= self.usual * 2, "{came:?} instead of {:?} for a newcomer under {names:?}", self.usual);
        self.hostile.clear();
        wait::until("the files to be closed that attackers had open", LEAVE_LIMIT, || {
            let now = self.open_files();
            (now.iter().zip(&before).all(|(now, before)| *now <= before + FILES_BESIDES)).then_some(())
        });
        self.answers();
        self.getter.process().resident_bytes_max() - resident_before
    }

    /// Stops all nodes, and replays what their brains did.
    pub fn end(self) {
        self.source.stop_and_replay();
        self.getter.stop_and_replay();
    }

    fn command(&self, blow: Blow, content: &str, seed: u64) -> std::process::Command {
        let victim = match blow.victim {
            Victim::Source => &self.source_host,
            Victim::Getter => &self.getter_host,
        };
        // On a machine of its own it would take no processor time from the honest.
        let mut command = self.hostile_host.place().command("nice");
        command.args(["-n", "19"]).arg(&self.program);
        command.arg(blow.attack).arg(format!("{}:{}", victim.address, Host::PORT));
        command.args(["--content", content, "--at-once", &blow.at_once.to_string()]);
        // With the seed of another it would have the other's keys.
        command.args(["--seed", &seed.to_string()]);
        if blow.spread {
            for number in 1..=ADDRESSES_MORE {
                command.args(["--from", &Ipv4Addr::new(10, 77, 0, 200 + number).to_string()]);
            }
        }
        command
    }

    fn transfer(&mut self) -> Duration {
        let (ticket, file) = self.share();
        self.fetch(&self.getter, &ticket, &file)
    }

    fn share(&mut self) -> (String, PathBuf) {
        self.files_made += 1;
        let file = self.folder.path(&format!("file-{}", self.files_made));
        files::write_random(&file, FILE_BYTES, self.files_made);
        (self.source.share(&file), file)
    }

    fn fetch(&self, node: &TestNode, ticket: &str, file: &std::path::Path) -> Duration {
        let copy = self.folder.path("copy");
        let began = Instant::now();
        let get = node.command(&["get", ticket, "-o", &copy.to_string_lossy()]);
        let _ = Running::start(get).wait(FETCH_LIMIT).success();
        let took = began.elapsed();
        files::assert_same_file(file, &copy);
        std::fs::remove_file(&copy).expect("the copy is there");
        took
    }

    fn answers(&self) {
        for node in [&self.source, &self.getter] {
            let began = Instant::now();
            let _ = node.status();
            assert!(began.elapsed() < ANSWER_LIMIT, "a node took {:?} to say how it is", began.elapsed());
        }
    }

    fn open_files(&mut self) -> Vec<usize> {
        [&mut self.source, &mut self.getter].map(|node| node.process().open_files()).to_vec()
    }
}
