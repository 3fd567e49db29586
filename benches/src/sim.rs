//! The simulator's kernel with a machine that does next to nothing, beside its bare event queue: how many events a
//! second, what capturing each of them costs, and what a peer costs in memory.

use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_benches::setting;
use mesh_proto::{Machine, Timestamp, WakeReason};
use mesh_sim::kernel::queue::{EventQueue as _, Queue};
use mesh_sim::{Kernel, Member, Stage, Stream, World};
use serde_json::json;

/// Messages are under way for so long at most.
const DELAY_NS: u64 = 100_000_000;

/// The memory of fewer peers is lost in the noise.
const PEERS_MEASURED_MIN: u32 = 100_000;

/// Measures the simulator's kernel.
#[derive(Parser)]
struct Options {
    /// How many peers; may be given several times.
    #[arg(long, default_values_t = [1_000, 100_000, 1_000_000])]
    peers: Vec<u32>,
    /// How many events in each run.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    #[command(flatten)]
    repeating: Repeating,
    /// Only what the kernel needs at most, in this process: prints bytes per peer.
    #[arg(long, hide = true)]
    memory: bool,
}

/// A peer that answers each ping with a ping to somebody else.
struct Ping {
    luck: Stream,
    received: u64,
    peers: u32,
    output: Option<(u32, u64)>,
}

impl Machine for Ping {
    type Input = u64;
    type Output = (u32, u64);

    fn handle(&mut self, _: Timestamp, number: u64) {
        self.received += 1;
        self.output = Some((self.luck.below(u64::from(self.peers)) as u32, number + 1));
    }

    fn poll_output(&mut self) -> Option<(u32, u64)> {
        self.output.take()
    }

    fn poll_timeout(&self) -> Option<(Timestamp, WakeReason)> {
        None
    }
}

/// Carries pings, each with a delay by lot.
struct Air {
    luck: Stream,
}

impl World<Ping> for Air {
    type Event = ();

    fn tick(&self) -> u64 {
        0
    }

    fn carry_out(&mut self, stage: &mut Stage<Ping, ()>, _: Member, (to, number): (u32, u64)) {
        let at = Timestamp(stage.now().0 + 1 + self.luck.below(DELAY_NS));
        stage.deliver(at, Member(to), number);
    }

    fn happen(&mut self, _: &mut Stage<Ping, ()>, (): ()) {}

    fn print(input: &u64) -> u64 {
        *input
    }

    fn print_event((): &()) -> u64 {
        0
    }
}

#[derive(Default)]
struct Row {
    kernel: Figures,
    captured: Figures,
    queue: Figures,
    bytes_per_peer: Figures,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.memory {
        println!("{}", bytes_per_peer(options.peers[0], options.events));
        return ExitCode::SUCCESS;
    }
    let mut rows: Vec<(u32, Row)> = options.peers.iter().map(|peers| (*peers, Row::default())).collect();
    for run in 0..options.repeating.runs {
        for (peers, row) in &mut rows {
            let (plain, digest) = run_events(&mut world(*peers), options.events);
            let mut kernel = world(*peers);
            kernel.capture();
            let (captured, same) = run_events(&mut kernel, options.events);
            assert_eq!(digest, same, "capturing changed the run");
            row.kernel.add(plain / 1e6);
            row.captured.add(plain / captured);
            row.queue.add(hold(*peers, options.events) / 1e6);
            if *peers >= PEERS_MEASURED_MIN {
                row.bytes_per_peer.add(memory_of(*peers, options.events));
            }
            eprintln!("run {run}: {peers} peers: {:.2} million events/s", plain / 1e6);
        }
    }
    report(&options, &rows)
}

/// The same as [`bytes_per_peer`] in a process of its own: in this one, memory of earlier runs would serve again.
fn memory_of(peers: u32, events: u64) -> f64 {
    let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
    command.args(["--memory", "--peers", &peers.to_string(), "--events", &events.to_string()]);
    let output = command.output().expect("a program can call itself");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a run prints its figure")
}

/// What a run needs at most, per peer and beyond the peers' own state; the events that wait are part of it.
fn bytes_per_peer(peers: u32, events: u64) -> f64 {
    let before = setting::resident_bytes_max();
    run_events(&mut world(peers), events);
    let own = u64::from(peers) * size_of::<Ping>() as u64;
    let grown = setting::resident_bytes_max().saturating_sub(before).saturating_sub(own);
    grown as f64 / f64::from(peers)
}

fn world(peers: u32) -> Kernel<Ping, Air> {
    let mut kernel = Kernel::new(Air { luck: Stream::new(1, "air", 0) }, peers as usize);
    let (world, stage) = kernel.parts();
    for peer in 0..peers {
        let luck = Stream::new(1, "ping", u64::from(peer));
        let member = stage.add(Ping { luck, received: 0, peers, output: None }, 0);
        stage.deliver(Timestamp(world.luck.below(DELAY_NS)), member, 0);
    }
    kernel
}

/// Events per second, and the digest.
fn run_events(kernel: &mut Kernel<Ping, Air>, events: u64) -> (f64, u64) {
    let began = Instant::now();
    while kernel.stage().events() < events {
        assert!(kernel.step(Timestamp(u64::MAX)), "pings never end");
    }
    (events as f64 / began.elapsed().as_secs_f64(), kernel.stage().digest())
}

/// The raw limit: as many events out of and into the bare queue, per second.
fn hold(peers: u32, events: u64) -> f64 {
    let mut queue = Queue::for_pending(peers as usize);
    let mut luck = Stream::new(1, "air", 0);
    (0..peers).for_each(|peer| queue.push(Timestamp(luck.below(DELAY_NS)), peer));
    let began = Instant::now();
    for _ in 0..events {
        let Some((at, peer)) = queue.pop_until(Timestamp(u64::MAX)) else { break };
        queue.push(Timestamp(at.0 + 1 + luck.below(DELAY_NS)), peer);
    }
    events as f64 / began.elapsed().as_secs_f64()
}

fn report(options: &Options, rows: &[(u32, Row)]) -> ExitCode {
    let data = rows.iter().map(|(peers, row)| {
        json!({
            "peers": peers,
            "million_events_per_s": row.kernel.json(),
            "captured_wall_ratio": row.captured.json(),
            "bare_queue_million_events_per_s": row.queue.json(),
            "bytes_per_peer_beyond_its_state": row.bytes_per_peer.json(),
        })
    });
    let head = ["peers", "million events/s", "wall, captured ÷ not", "bare queue, million/s", "bytes per peer"];
    let cells = |(peers, row): &(u32, Row)| {
        vec![peers.to_string(), row.kernel.cell(), row.captured.cell(), row.queue.cell(), row.bytes_per_peer.cell()]
    };
    let asked = format!("{} events in each run, median (min–max), first run discarded", options.events);
    let mut report = Report::new("sim", asked)
        .table(&head, &rows.iter().map(cells).collect::<Vec<_>>())
        .data(data.collect::<Vec<_>>().into());
    for (peers, row) in rows {
        let (events, captured) = match peers {
            ..=1_000 => (Bound::AtLeast(5.0, 15.0), Bound::AtMost(1.25, 1.05)),
            1_000_000.. => (Bound::AtLeast(1.0, 3.0), Bound::AtMost(1.25, 1.05)),
            _ => continue,
        };
        report = report.bound(format!("million events/s with {peers} peers"), &row.kernel, events).bound(
            format!("wall, captured ÷ not, with {peers} peers"),
            &row.captured,
            captured,
        );
        if *peers >= PEERS_MEASURED_MIN {
            report = report.bound("bytes per peer", &row.bytes_per_peer, Bound::AtMost(200.0, 100.0));
        }
    }
    report.end(&options.repeating.saying)
}
