//! `hunt` and `shrink`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mesh_sim::experiment::RunError;
use mesh_sim::experiment::hunt::{Failing, Shrunk, Size, case, fails, shrink as shrink_case};
use mesh_sim::scenario::Scenario;

use crate::report::{self, Outcome};
use crate::saying::say;
use crate::{files, running};

/// Where to look, and for how long.
#[derive(clap::Args)]
pub struct HuntOptions {
    /// How long to hunt: more than nothing, at most a week (10080).
    #[arg(long, default_value_t = 5.0, value_parser = minutes)]
    pub minutes: f64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub from: u64,
    /// Stops at the first failure.
    #[arg(long)]
    pub first: bool,
    /// Where failures are saved.
    #[arg(short, long, default_value = "target/sim/hunt")]
    pub output: PathBuf,
    /// Gives all nodes this defect and looks until it is found; `all`: one after the other, each for at most the minutes.
    #[cfg(feature = "planted")]
    #[arg(long)]
    pub plant: Option<String>,
}

/// What to make smaller.
#[derive(clap::Args)]
pub struct ShrinkOptions {
    /// The failing scenario, as the hunt saved it.
    scenario: String,
    /// Where the smallest goes; by default beside it, with `.small.toml` at its end. Of a scenario that comes with the
    /// simulator: into target/sim/shrink.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

/// A hunt under way.
pub struct Hunt<'a> {
    /// When it is over.
    pub end: Instant,
    /// Whether it is over with the first failure.
    pub first: bool,
    /// What becomes of each case before it is run.
    pub change: &'a (dyn Fn(&mut Scenario) + Sync),
    /// What is done with a failure; whether it counts.
    pub on_failure: &'a (dyn Fn(&Scenario, &Failing) -> anyhow::Result<bool> + Sync),
    next: AtomicU64,
    runs: AtomicU64,
    failures: AtomicU64,
    over: AtomicBool,
}

impl<'a> Hunt<'a> {
    /// A hunt from a seed on.
    pub fn new(
        options: &HuntOptions,
        change: &'a (dyn Fn(&mut Scenario) + Sync),
        on_failure: &'a (dyn Fn(&Scenario, &Failing) -> anyhow::Result<bool> + Sync),
    ) -> Self {
        Self {
            end: Instant::now() + Duration::from_secs_f64(options.minutes * 60.0),
            first: options.first,
            change,
            on_failure,
            next: AtomicU64::new(options.from),
            runs: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Hunts with as many threads as there are cores. Gives how many cases were run, and how many failures count.
    pub fn run(&self, stop: &AtomicBool) -> anyhow::Result<(u64, u64)> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.run_one_by_one(stop))).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a worker reports its errors"))
        })?;
        Ok((self.runs.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed)))
    }

    fn run_one_by_one(&self, stop: &AtomicBool) -> anyhow::Result<()> {
        let over = || stop.load(Ordering::Relaxed) || self.over.load(Ordering::Relaxed) || Instant::now() >= self.end;
        while !over() {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            let mut scenario = case(seed).with_context(|| format!("the case of seed {seed}"))?;
            (self.change)(&mut scenario);
            let watch = |_, _| if over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            let failing = match fails(&scenario, watch) {
                Ok(failing) => failing,
                Err(RunError::BrokenOff) => return Ok(()),
                Err(error) => return Err(error).with_context(|| format!("the case of seed {seed}")),
            };
            self.runs.fetch_add(1, Ordering::Relaxed);
            let Some(failing) = failing else { continue };
            if !over() && (self.on_failure)(&scenario, &failing)? {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.over.fetch_or(self.first, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// The longest hunt.
const MINUTES_MAX: f64 = 10_080.0;

fn minutes(text: &str) -> Result<f64, String> {
    let asked = text.parse::<f64>().ok().filter(|minutes| *minutes > 0.0 && *minutes <= MINUTES_MAX);
    asked.ok_or_else(|| format!("`{text}` is not a number of minutes above 0 and at most {MINUTES_MAX}"))
}

pub fn hunt(options: &HuntOptions) -> anyhow::Result<Outcome> {
    files::make_folder(&options.output)?;
    #[cfg(feature = "planted")]
    if let Some(name) = &options.plant {
        return crate::planting::hunt_planted(options, name);
    }
    let stop = running::stop_flag()?;
    let saved = Mutex::new(Vec::new());
    let on_failure = |scenario: &Scenario, failing: &Failing| {
        let path = options.output.join(format!("{}.toml", scenario.name));
        write(&path, scenario, &failing.why)?;
        say!("{} fails; saved as {}", scenario.name, path.display());
        failing.why.iter().for_each(|why| say!("  {why}"));
        saved.lock().map_err(|_| anyhow::anyhow!("another worker failed"))?.push(path);
        Ok(true)
    };
    let (runs, failures) = Hunt::new(options, &|_| (), &on_failure).run(&stop)?;
    say!("{runs} runs, {failures} failures");
    for path in saved.into_inner().unwrap_or_default() {
        say!("make it smaller with: cargo xtask sim shrink {}", path.display());
    }
    Ok(if failures == 0 { Outcome::Good } else { Outcome::Bad })
}

/// Writes a failing scenario with why it fails.
pub fn write(path: &Path, scenario: &Scenario, why: &[String]) -> anyhow::Result<()> {
    let said: String = why.iter().map(|line| format!("# {}\n", line.replace('\n', " "))).collect();
    let text = format!("{said}\n{}", scenario.to_toml());
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

pub fn shrink(options: &ShrinkOptions) -> anyhow::Result<Outcome> {
    let stop = running::stop_flag()?;
    let (path, scenario) = files::scenario(&options.scenario, &[], None)?;
    let output = options.output.clone().unwrap_or_else(|| match files::comes_with_the_simulator(&path) {
        true => report::folder(None, "shrink").join(format!("{}.small.toml", scenario.name)),
        false => path.with_extension("small.toml"),
    });
    files::make_folder(output.parent().unwrap_or(Path::new(".")))?;
    let shrunk = shrink_case(&scenario, |tried, tries| {
        eprintln!("try {tries}: {}", Size::of(tried));
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let Some(Shrunk { scenario: smallest, failing, tries, is_minimal }) = shrunk else {
        say!("it does not fail: nothing to make smaller");
        return Ok(Outcome::Bad);
    };
    write(&output, &smallest, &failing.why)?;
    let minimal = if is_minimal { "; nothing smaller fails" } else { "; smaller ones were not all tried" };
    say!("{} became {} in {tries} runs{minimal}", Size::of(&scenario), Size::of(&smallest));
    failing.why.iter().for_each(|why| say!("  {why}"));
    say!("saved as {}", output.display());
    Ok(Outcome::Good)
}
