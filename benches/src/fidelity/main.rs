//! Seven experiments, each on real nodes in network namespaces and in the simulator: how far they agree.
//!
//! Needs root, for network namespaces. The same steps are done in both worlds (`experiments`); only the world differs
//! (`real`, `simulated`).

mod experiments;
mod lab;
mod real;
mod simulated;

use std::process::ExitCode;

use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Repeating, Report};
use mesh_benches::setting;
use mesh_sim::flow::Congestion;
use serde_json::json;

use experiments::{EXPERIMENTS, Experiment};
use real::Real;
use simulated::Simulated;

/// How far the medians may be apart.
const APART_MAX: f64 = 0.1;

/// Does seven experiments on real nodes and in the simulator, and compares.
#[derive(Parser)]
struct Options {
    /// Only these experiments; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Only in the simulator.
    #[arg(long)]
    simulated: bool,
    #[command(flatten)]
    repeating: Repeating,
}

struct Row {
    experiment: &'static Experiment,
    real: Figures,
    simulated: Figures,
}

impl Row {
    /// Simulated over real.
    fn ratio(&self) -> f64 {
        self.simulated.median() / self.real.median()
    }

    fn agrees(&self) -> bool {
        (self.ratio() - 1.0).abs() <= APART_MAX
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let congestion = match setting::congestion_control().as_str() {
        "bbr" => Congestion::Bbr,
        "cubic" => Congestion::Cubic,
        other => {
            eprintln!(
                "this system's TCP uses {other}; the simulator knows bbr and cubic (sysctl net.ipv4.tcp_congestion_control)"
            );
            return ExitCode::FAILURE;
        }
    };
    let chosen =
        |experiment: &&Experiment| options.only.is_empty() || options.only.iter().any(|only| only == experiment.name);
    let mut rows = Vec::new();
    for experiment in EXPERIMENTS.iter().filter(chosen) {
        let mut row = Row { experiment, real: Figures::default(), simulated: Figures::default() };
        let links = (experiment.links)();
        for run in 0..options.repeating.runs {
            let simulated = (experiment.act)(&mut Simulated::new(&links, u64::from(run) + 1, congestion));
            row.simulated.add(simulated);
            eprintln!("{}, run {run}: simulated {simulated:.3}", experiment.name);
            if !options.simulated {
                let Some(mut world) = Real::new(&links) else { return ExitCode::FAILURE };
                let real = (experiment.act)(&mut world);
                row.real.add(real);
                eprintln!("{}, run {run}: real {real:.3}", experiment.name);
            }
        }
        rows.push(row);
    }
    let said = report(&options, &rows);
    match options.simulated || rows.iter().all(Row::agrees) {
        true => said,
        false => ExitCode::FAILURE,
    }
}

fn report(options: &Options, rows: &[Row]) -> ExitCode {
    let data = rows.iter().map(|row| {
        json!({
            "experiment": row.experiment.name,
            "figure": row.experiment.figure,
            "real": row.real.json(),
            "simulated": row.simulated.json(),
            "ratio": row.ratio(),
            "agrees": row.agrees(),
        })
    });
    let cells = |row: &Row| {
        let verdict = if row.agrees() { "yes" } else { "no" };
        vec![
            row.experiment.name.to_owned(),
            row.experiment.figure.to_owned(),
            row.real.cell(),
            row.simulated.cell(),
            format!("{:.3}", row.ratio()),
            verdict.to_owned(),
        ]
    };
    let head = ["experiment", "figure", "real", "simulated", "simulated ÷ real", "within 10 %"];
    let asked = format!(
        "median (min–max) of {} runs in each world, beside one that is discarded",
        options.repeating.runs.saturating_sub(1)
    );
    Report::new("fidelity", asked)
        .table(&head, &rows.iter().map(cells).collect::<Vec<_>>())
        .data(data.collect::<Vec<_>>().into())
        .end(&options.repeating.saying)
}
