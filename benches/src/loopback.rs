//! One source and one getter on this machine: wall and processor seconds per GiB, beside other programs.
//!
//! What is not installed is left out with a word. Runs are interleaved: each contestant once, then all again.

use std::fs;
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::contestant::{BareStream, Contestant, Cost, Curl, Mesh};
use mesh_benches::figures::Figures;
use mesh_benches::peers::{Rqbit, Sendme};
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_tests::files;
use serde_json::{Value, json};

/// Measures one source and one getter on this machine, beside other programs.
#[derive(Parser)]
struct Options {
    /// The file's size.
    #[arg(long, default_value = "4GiB")]
    size: ByteSize,
    #[command(flatten)]
    repeating: Repeating,
    /// Only the contestants whose name holds this.
    #[arg(long)]
    only: Option<String>,
}

#[derive(Default)]
struct Result {
    wall: Figures,
    processor: Figures,
    resident_bytes_max: [Option<u64>; 2],
}

impl Result {
    fn add(&mut self, cost: &Cost, gib: f64) {
        self.wall.add(cost.wall_s / gib);
        self.processor.add(cost.processor_s / gib);
        for (most, now) in self.resident_bytes_max.iter_mut().zip(cost.resident_bytes_max) {
            *most = (*most).max(now);
        }
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "name": name,
            "wall_s_per_gib": self.wall.json(),
            "processor_s_per_gib": self.processor.json(),
            "resident_bytes_max": {"source": self.resident_bytes_max[0], "getter": self.resident_bytes_max[1]},
        })
    }

    fn row(&self, name: &str) -> Vec<String> {
        let mib = |bytes: Option<u64>| bytes.map_or_else(|| "–".to_owned(), |bytes| (bytes >> 20).to_string());
        let [source, getter] = self.resident_bytes_max.map(mib);
        vec![name.to_owned(), self.wall.cell(), self.processor.cell(), source, getter]
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let all: Vec<Box<dyn Contestant>> =
        vec![Box::new(Mesh), Box::new(BareStream), Box::new(Curl), Box::new(Rqbit), Box::new(Sendme)];
    let asked = all.into_iter().filter(|one| options.only.as_ref().is_none_or(|part| one.name().contains(part)));
    let mut results: Vec<(Box<dyn Contestant>, Result)> = Vec::new();
    for contestant in asked {
        match contestant.obstacle() {
            Some(why) => eprintln!("left out: {} ({why})", contestant.name()),
            None => results.push((contestant, Result::default())),
        }
    }
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    files::write_random(&file, options.size.as_u64(), 1);
    let hash = files::blake3_of(&file);
    let gib = options.size.as_u64() as f64 / f64::from(1 << 30);
    for run in 0..options.repeating.runs {
        for (contestant, result) in &mut results {
            let scratch = tempfile::tempdir_in(folder.path()).expect("temporary folders can be made");
            let copy = scratch.path().join("copy");
            let cost = contestant.carry(&file, &copy, scratch.path());
            assert_eq!(files::blake3_of(&copy), hash, "{} carried something else", contestant.name());
            fs::remove_file(&copy).expect("the copy can be removed");
            eprintln!(
                "run {run}: {}: {:.2} s wall, {:.2} s processor",
                contestant.name(),
                cost.wall_s,
                cost.processor_s
            );
            result.add(&cost, gib);
        }
    }
    report(&options, &results)
}

fn report(options: &Options, results: &[(Box<dyn Contestant>, Result)]) -> ExitCode {
    let data: Vec<Value> = results.iter().map(|(one, result)| result.json(one.name())).collect();
    let rows: Vec<Vec<String>> = results.iter().map(|(one, result)| result.row(one.name())).collect();
    let head = ["what", "wall s/GiB", "processor s/GiB", "source MiB at most", "getter MiB at most"];
    let asked = format!("{}, median (min–max), first run discarded; both ends", options.size);
    let mut report = Report::new("loopback", asked).table(&head, &rows).data(data.into());
    let found = |name: &str| results.iter().find(|(one, _)| one.name() == name).map(|(_, result)| result);
    let Some(ours) = found(Mesh.name()) else { return report.end(&options.repeating.saying) };
    for (peer, bound) in [(Rqbit.name(), Bound::AtMost(1.0, 0.7)), (Sendme.name(), Bound::AtMost(0.25, 0.12))] {
        if let Some(theirs) = found(peer) {
            report = report.bound(format!("wall ÷ {peer}"), &ours.wall.over(&theirs.wall), bound);
        }
    }
    if let Some(floor) = found(BareStream.name()) {
        let ratio = ours.processor.over(&floor.processor);
        report = report.bound(format!("processor ÷ {}", BareStream.name()), &ratio, Bound::AtMost(1.2, 1.05));
    }
    for (end, most) in ["source", "getter"].into_iter().zip(ours.resident_bytes_max) {
        let mib = Figures::of(most.map(|bytes| (bytes >> 20) as f64));
        report = report.bound(format!("MiB of the {end} at most"), &mib, Bound::AtMost(128.0, 64.0));
    }
    report.end(&options.repeating.saying)
}
