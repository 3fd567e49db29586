//! What the hostile peer is told, and what each of its fighters has.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libp2p::identity::Keypair;
use mesh_proto::ContentId;
use mesh_tests::random::Random;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::control::Control;
use crate::door::Door;
use crate::greedy::Greedy;
use crate::liar::Liar;
use crate::records::Forgery;
use crate::streams::Streams;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub enum Attack {
    Door(Door),
    Streams(Streams),
    Control(Control),
    Records(Forgery),
    Liar(Liar),
    Greedy(Greedy),
    Announcer,
}

const ATTACKS: &[(&str, Attack)] = &[
    ("silent", Attack::Door(Door::Silent)),
    ("random-bytes", Attack::Door(Door::RandomBytes)),
    ("slow-drip", Attack::Door(Door::SlowDrip)),
    ("half-select", Attack::Door(Door::HalfSelect)),
    ("half-noise", Attack::Door(Door::HalfNoise)),
    ("half-yamux", Attack::Streams(Streams::HalfYamux)),
    ("wild-frames", Attack::Streams(Streams::WildFrames)),
    ("absurd-windows", Attack::Streams(Streams::AbsurdWindows)),
    ("held-streams", Attack::Streams(Streams::Held)),
    ("huge-lengths", Attack::Streams(Streams::HugeLengths)),
    ("endless-message", Attack::Streams(Streams::Endless)),
    ("half-message", Attack::Streams(Streams::HalfMessage)),
    ("half-message-held", Attack::Streams(Streams::HalfMessageHeld)),
    ("message-drip", Attack::Streams(Streams::Drip)),
    ("random-streams", Attack::Streams(Streams::Random)),
    ("flipped-bytes", Attack::Control(Control::FlippedBytes)),
    ("wrong-lengths", Attack::Control(Control::WrongLengths)),
    ("huge-counts", Attack::Control(Control::HugeCounts)),
    ("asks-and-never-reads", Attack::Control(Control::NeverReads)),
    ("flood-of-wants", Attack::Control(Control::FloodOfWants)),
    ("flood-of-announcements", Attack::Records(Forgery::Announcements)),
    ("forged-records", Attack::Records(Forgery::Forged)),
    ("replayed-records", Attack::Records(Forgery::Replayed)),
    ("rolled-back-records", Attack::Records(Forgery::RolledBack)),
    ("liar-refuses", Attack::Liar(Liar::Refuses)),
    ("liar-wrong-bytes", Attack::Liar(Liar::WrongBytes)),
    ("liar-wrong-pages", Attack::Liar(Liar::WrongPages)),
    ("liar-unasked", Attack::Liar(Liar::Unasked)),
    ("liar-drips", Attack::Liar(Liar::Drips)),
    ("liar-stalls", Attack::Liar(Liar::Stalls)),
    ("greedy", Attack::Greedy(Greedy::Everything)),
    ("greedy-deaf", Attack::Greedy(Greedy::Deaf)),
    ("greedy-false-receipts", Attack::Greedy(Greedy::FalseReceipts)),
    ("greedy-no-receipts", Attack::Greedy(Greedy::NoReceipts)),
    ("multicast", Attack::Announcer),
    ("many-keys", Attack::Control(Control::ManyKeys)),
];

/// One of so many has to have done harm before it counts: in a crowd not everybody comes to it.
const STRUCK_SHARE: usize = 10;

/// What the command line says.
pub struct Orders {
    attack: Attack,
    target: SocketAddr,
    /// How many go on at once.
    pub at_once: usize,
    from: Vec<IpAddr>,
    content: Option<ContentId>,
    seed: u64,
    unstruck: Arc<AtomicUsize>,
}

impl Orders {
    /// Reads the words behind the program's name.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let name = words.next().ok_or("which attack?")?;
        let known = ATTACKS.iter().find(|(known, _)| *known == name);
        let (_, attack) = *known.ok_or_else(|| format!("no attack is called {name}"))?;
        let target = parsed(&words.next().ok_or("on whom?")?)?;
        let mut orders =
            Self { attack, target, at_once: 1, from: Vec::new(), content: None, seed: 1, unstruck: Arc::default() };
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("{option} wants a value"))?;
            match option.as_str() {
                "--at-once" => orders.at_once = parsed(&value)?,
                "--from" => orders.from.push(parsed(&value)?),
                "--content" => orders.content = Some(parsed(&value)?),
                "--seed" => orders.seed = parsed(&value)?,
                _ => return Err(format!("{option} is no option")),
            }
        }
        orders.unstruck.store(orders.at_once.div_ceil(STRUCK_SHARE), Ordering::Relaxed);
        Ok(orders)
    }

    /// One of those that go on at once.
    pub fn fighter(&self, number: usize) -> Fighter {
        let from = (!self.from.is_empty()).then(|| self.from[number % self.from.len()]);
        let random = Random::new((self.seed << 32) + number as u64);
        let (attack, target, content) = (self.attack, self.target, self.content);
        Fighter { attack, target, from, content, random, struck: false, unstruck: Arc::clone(&self.unstruck) }
    }
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} can't be understood"))
}

/// One of those that go on at once.
pub struct Fighter {
    pub attack: Attack,
    pub target: SocketAddr,
    pub from: Option<IpAddr>,
    pub content: Option<ContentId>,
    pub random: Random,
    struck: bool,
    unstruck: Arc<AtomicUsize>,
}

impl Fighter {
    /// Says, the first time, that the harm is done. When enough have said so, those who wait for it are told.
    pub fn strike(&mut self) {
        // Who comes later wraps around and says nothing more.
        if !self.struck && self.unstruck.fetch_sub(1, Ordering::Relaxed) == 1 {
            println!("struck");
        }
        self.struck = true;
    }

    /// A key nobody has seen.
    pub fn new_key(&mut self) -> Keypair {
        let mut secret = [0; 32];
        self.random.fill(&mut secret);
        Keypair::ed25519_from_bytes(secret).expect("any 32 bytes are a seed")
    }

    /// So many random bytes.
    pub fn random_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A random id.
    pub fn random_id(&mut self) -> [u8; 32] {
        let mut id = [0; 32];
        self.random.fill(&mut id);
        id
    }
}

/// As many connections as one wants.
pub fn raise_limit_of_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
