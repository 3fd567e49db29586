//! A flash crowd on real links: one seed, and getters that all begin at once. When the last of them has the file, and what
//! the seed had to send, beside other programs of this kind on the same links in the same run.
//!
//! What the machine carries at all is measured, too: iperf3 round a ring of all hosts, so that each link is full both ways.
//!
//! Needs root, for network namespaces. The least time there can be is max(F ÷ u_seed, F ÷ d, N·F ÷ Σu): the seed must
//! send the file once, each getter receive it, and all together send it to all (Mundinger, Weber, Weiss 2008).

mod swarms;

use std::process::ExitCode;

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_benches::tcp;
use mesh_tests::{Host, Lan, files};
use serde_json::json;

use swarms::{Aria2, Course, Mesh, Rqbit, Swarm};

/// Measures a flash crowd, beside other programs.
#[derive(Parser)]
struct Options {
    /// How many fetch at once.
    #[arg(long, default_value_t = 8)]
    getters: u8,
    /// The rate of every link in Mbit/s, each way.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// The largest packet of the links, in bytes. The kernel's work is by the packet, and with those of Ethernet few
    /// machines are nine hosts and their links at once.
    #[arg(long, default_value_t = 9000, value_parser = clap::value_parser!(u32).range(1280..=65535))]
    mtu: u32,
    /// The file's size.
    #[arg(long, default_value = "200MB")]
    size: ByteSize,
    /// Only the programs whose name holds this.
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    repeating: Repeating,
}

impl Options {
    /// The least time in which all can have the file, in seconds.
    fn least_seconds(&self) -> f64 {
        let (file_bits, getters) = (self.size.as_u64() as f64 * 8.0, f64::from(self.getters));
        let rate = f64::from(self.rate) * 1e6;
        (file_bits / rate).max(getters * file_bits / ((getters + 1.0) * rate))
    }
}

/// How long iperf3 fills the ring.
const RING_S: u64 = 10;

#[derive(Default)]
struct Row {
    last_s: Figures,
    mean_s: Figures,
    /// What the seed sent, and all getters received, in files.
    uploads: Figures,
    received: Figures,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let all: [Box<dyn Swarm>; 3] = [Box::new(Mesh), Box::new(Rqbit), Box::new(Aria2)];
    let mut rows: Vec<(Box<dyn Swarm>, Row)> = Vec::new();
    for swarm in all.into_iter().filter(|one| options.only.as_ref().is_none_or(|part| one.name().contains(part))) {
        match swarm.obstacle() {
            Some(why) => eprintln!("left out: {} ({why})", swarm.name()),
            None => rows.push((swarm, Row::default())),
        }
    }
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    files::write_random(&file, options.size.as_u64(), 1);
    let mut carried = Figures::default();
    for run in 0..options.repeating.runs {
        if let Some(why) = tcp::obstacle() {
            eprintln!("left out: what the links carry ({why})");
        } else {
            let Some(mbit_per_s) = ring(&options) else { return ExitCode::FAILURE };
            eprintln!("run {run}: iperf3: {mbit_per_s:.2} Mbit/s on each link, both ways");
            carried.add(mbit_per_s);
        }
        for (swarm, row) in &mut rows {
            let Some(course) = one_run(swarm.as_ref(), &options, &file) else { return ExitCode::FAILURE };
            eprintln!("run {run}: {}: last after {:.2} s", swarm.name(), course.last_s());
            row.last_s.add(course.last_s());
            row.mean_s.add(course.mean_s());
            row.uploads.add(course.seed_sent_bytes as f64 / options.size.as_u64() as f64);
            row.received.add(course.received_bytes as f64 / options.size.as_u64() as f64 / f64::from(options.getters));
        }
    }
    report(&options, &rows, &carried)
}

/// The seed's host and the getters', behind their links. `None`, with the reason printed, if this process may not.
fn network(options: &Options) -> Option<(Lan, Vec<Host>)> {
    let mut lan = Lan::new()?;
    let hosts: Vec<Host> = (0..=options.getters).map(|_| lan.host()).collect();
    for host in &hosts {
        host.set_mtu(options.mtu);
        host.limit_rate(options.rate);
    }
    Some((lan, hosts))
}

/// What each link carries in the mean, in Mbit/s, while each host sends to the next and all links are full both ways.
fn ring(options: &Options) -> Option<f64> {
    let (_lan, hosts) = network(options)?;
    let sum: f64 = std::thread::scope(|scope| {
        let next = hosts.iter().cycle().skip(1);
        let start = |(from, to)| scope.spawn(move || tcp::goodput(from, to, to.address, tcp::PORT, RING_S, 1));
        let running: Vec<_> = hosts.iter().zip(next).map(start).collect();
        running.into_iter().map(|one| one.join().expect("iperf3 says how fast it was")).sum()
    });
    Some(sum / hosts.len() as f64)
}

/// On a network of its own. `None`, with the reason printed, if this process may not make one.
fn one_run(swarm: &dyn Swarm, options: &Options, file: &std::path::Path) -> Option<Course> {
    let (mut lan, hosts) = network(options)?;
    let (seed, getters) = hosts.split_first()?;
    // Whoever introduces the others carries no payload, and is not slowed.
    let third = lan.host();
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let sent_before = seed.sent_bytes();
    let received = || getters.iter().map(mesh_tests::Host::received_bytes).sum::<u64>();
    let received_before = received();
    let finished = swarm.run(seed, getters, &third, file, folder.path());
    let course = Course {
        finished,
        seed_sent_bytes: seed.sent_bytes() - sent_before,
        received_bytes: received() - received_before,
    };
    Some(course)
}

fn report(options: &Options, rows: &[(Box<dyn Swarm>, Row)], carried: &Figures) -> ExitCode {
    let least_s = options.least_seconds();
    let data = rows.iter().map(|(swarm, row)| {
        json!({
            "name": swarm.name(),
            "last_s": row.last_s.json(),
            "mean_s": row.mean_s.json(),
            "seed_sent_files": row.uploads.json(),
            "received_files_per_getter": row.received.json(),
        })
    });
    let data = json!({"least_s": least_s, "mbit_per_s": carried.json(), "programs": data.collect::<Vec<_>>()});
    let cells = |(swarm, row): &(Box<dyn Swarm>, Row)| {
        let figures = [&row.last_s, &row.mean_s, &row.uploads, &row.received];
        std::iter::once(swarm.name().to_owned()).chain(figures.map(Figures::cell)).collect::<Vec<_>>()
    };
    let asked = format!(
        "{} to {} getters at once, {} Mbit/s each way, packets of {} bytes, least possible {least_s:.2} s, {} runs, \
         median (min–max), first run discarded; bytes as the links count them",
        options.size, options.getters, options.rate, options.mtu, options.repeating.runs
    );
    let head = ["program", "last has it after, s", "mean, s", "seed sent, files", "received by each, files"];
    let mut report = Report::new("crowd", asked)
        .table(&head, &rows.iter().map(cells).collect::<Vec<_>>())
        .table(&["all links full both ways, iperf3, Mbit/s each"], &[vec![carried.cell()]])
        .data(data);
    if let Some((_, ours)) = rows.iter().find(|(swarm, _)| swarm.name() == Mesh.name()) {
        let bound = Bound::AtMost(1.3, 1.1);
        report = report
            .bound("last finish ÷ least possible", &ours.last_s.map(|seconds| seconds / least_s), bound)
            .bound("seed's upload ÷ file", &ours.uploads, Bound::AtMost(1.4, 1.05));
        for (swarm, row) in rows.iter().filter(|(swarm, _)| swarm.name() != Mesh.name()) {
            let what = format!("last finish ÷ {}", swarm.name());
            report = report.bound(what, &ours.last_s.over(&row.last_s), Bound::AtMost(0.95, 0.8));
        }
    }
    report.end(&options.repeating.saying)
}
