//! `hunt` and `shrink`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mesh_sim::experiment::hunt::{case, fails, shrink as shrink_case};
use mesh_sim::scenario::Scenario;

use crate::report::Outcome;
use crate::{files, running};

/// Where to look, and for how long.
#[derive(clap::Args)]
pub struct HuntOptions {
    /// How long to hunt.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Stops at the first failure.
    #[arg(long)]
    first: bool,
    /// Where failures are saved.
    #[arg(short, long, default_value = "target/sim/hunt")]
    output: PathBuf,
}

/// What to make smaller.
#[derive(clap::Args)]
pub struct ShrinkOptions {
    /// The failing scenario, as the hunt saved it.
    scenario: String,
    /// Where the smallest goes; by default beside it, with `.small.toml` at its end.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

/// What a hunt came to.
struct Hunt {
    end: Instant,
    next: AtomicU64,
    runs: AtomicU64,
    failures: Mutex<Vec<PathBuf>>,
    over: AtomicBool,
}

pub fn hunt(options: &HuntOptions) -> anyhow::Result<Outcome> {
    let stop = running::stop_flag()?;
    std::fs::create_dir_all(&options.output)?;
    let state = Hunt {
        end: Instant::now() + Duration::from_secs_f64(options.minutes * 60.0),
        next: AtomicU64::new(options.from),
        runs: AtomicU64::new(0),
        failures: Mutex::new(Vec::new()),
        over: AtomicBool::new(false),
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| hunt_on(&state, options, &stop))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker reports its errors"))
    })?;
    let failures = state.failures.into_inner().unwrap_or_default();
    println!("{} runs, {} failures", state.runs.load(Ordering::Relaxed), failures.len());
    for path in &failures {
        println!("make it smaller with: cargo xtask sim shrink {}", path.display());
    }
    Ok(if failures.is_empty() { Outcome::Good } else { Outcome::Bad })
}

fn hunt_on(state: &Hunt, options: &HuntOptions, stop: &AtomicBool) -> anyhow::Result<()> {
    let over = || stop.load(Ordering::Relaxed) || state.over.load(Ordering::Relaxed) || Instant::now() >= state.end;
    while !over() {
        let seed = state.next.fetch_add(1, Ordering::Relaxed);
        let scenario = case(seed).with_context(|| format!("the case of seed {seed}"))?;
        let watch = |_, _| if over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let failing = match fails(&scenario, watch) {
            Ok(failing) => failing,
            Err(mesh_sim::experiment::RunError::BrokenOff) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("the case of seed {seed}")),
        };
        state.runs.fetch_add(1, Ordering::Relaxed);
        let Some(failing) = failing else { continue };
        let path = save(&options.output, &scenario, &failing.why)?;
        println!("seed {seed} fails; saved as {}", path.display());
        failing.why.iter().for_each(|why| println!("  {why}"));
        if let Ok(mut failures) = state.failures.lock() {
            failures.push(path);
        }
        state.over.fetch_or(options.first, Ordering::Relaxed);
    }
    Ok(())
}

/// Writes a failing scenario with why it fails.
fn save(folder: &Path, scenario: &Scenario, why: &[String]) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{}.toml", scenario.name));
    write(&path, scenario, why)?;
    Ok(path)
}

fn write(path: &Path, scenario: &Scenario, why: &[String]) -> anyhow::Result<()> {
    let said: String = why.iter().map(|line| format!("# {}\n", line.replace('\n', " "))).collect();
    let text = format!("{said}\n{}", scenario.to_toml());
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

pub fn shrink(options: &ShrinkOptions) -> anyhow::Result<Outcome> {
    let stop = running::stop_flag()?;
    let (path, scenario) = files::scenario(&options.scenario, &[], None)?;
    let shrunk = shrink_case(&scenario, |case, tries| {
        eprintln!("try {tries}: {} faults, {:.0} s", case.plan.faults.len(), case.run_s);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let Some(shrunk) = shrunk else {
        println!("it does not fail: nothing to make smaller");
        return Ok(Outcome::Bad);
    };
    let output = options.output.clone().unwrap_or_else(|| path.with_extension("small.toml"));
    write(&output, &shrunk.scenario, &shrunk.failing.why)?;
    let (before, after) = (scenario.faults.len(), shrunk.scenario.faults.len());
    println!(
        "{before} faults became {after}, {:.0} s became {:.0} s, in {} runs{}",
        scenario.duration_s,
        shrunk.scenario.duration_s,
        shrunk.tries,
        if shrunk.is_minimal { "; nothing smaller fails" } else { "; smaller ones were not all tried" }
    );
    shrunk.failing.why.iter().for_each(|why| println!("  {why}"));
    println!("saved as {}", output.display());
    Ok(Outcome::Good)
}
