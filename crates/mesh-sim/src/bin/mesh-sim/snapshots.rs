//! `snapshots`: how the network stands at times of a run, as files for other programs.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use mesh_sim::experiment;
use mesh_sim::result::write_text;

use crate::files::OneRun;
use crate::report::{self, Outcome};
use crate::saying::say;

/// About how many are written if nothing is said.
const SNAPSHOTS: f64 = 20.0;

/// Of which run, and how often.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    run: OneRun,
    /// Seconds of the world between two; by default a twentieth of the run.
    #[arg(long)]
    every_s: Option<f64>,
    /// The folder; by default target/sim/NAME/snapshots-SEED. There, SECONDS.json is NetJSON and SECONDS.graphml GraphML.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

pub fn snapshots(options: &Options) -> anyhow::Result<Outcome> {
    let (scenario, seed, traces) = options.run.read()?;
    let every_s = options.every_s.unwrap_or(scenario.duration_s / SNAPSHOTS);
    let every = Duration::try_from_secs_f64(every_s).ok().filter(|every| every.as_millis() > 0);
    let every = every.with_context(|| format!("there can't be a snapshot every {every_s} s; the least is 0.001"))?;
    let own = || report::folder(None, &scenario.name).join(format!("snapshots-{seed}"));
    let folder = options.output.clone().unwrap_or_else(own);
    let (mut written, mut failed) = (0u32, None);
    experiment::snapshots(&scenario, seed, &traces, every, |sim| {
        let graph = sim.graph();
        let name = format!("{:010.3}", sim.now().0 as f64 / 1e9);
        let files = [(format!("{name}.json"), graph.netjson()), (format!("{name}.graphml"), graph.graphml())];
        written += 1;
        match files.iter().try_for_each(|(name, text)| write_text(&folder, name, text).map(|_| ())) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    say!("{written} snapshots of seed {seed} in {}", folder.display());
    Ok(Outcome::Good)
}
