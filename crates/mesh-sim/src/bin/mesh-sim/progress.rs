//! How far a batch is: a bar on a terminal, a line now and then elsewhere.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_proto::Timestamp;
use mesh_sim::experiment::{Progress, Run, RunError};

/// Without a terminal a line is printed so often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The progress of a batch. See the module.
pub struct Bar {
    bar: ProgressBar,
    state: Mutex<State>,
    is_terminal: bool,
    quiet: bool,
}

struct State {
    /// How far each run is, in thousandths, by variant and seed.
    under_way: BTreeMap<(String, u64), (u64, Timestamp)>,
    ended: u64,
    runs: u64,
    began: Instant,
    last_line: Instant,
}

impl Bar {
    /// For so many runs.
    pub fn new(runs: usize, quiet: bool) -> Self {
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let target = match is_terminal && !quiet {
            true => ProgressDrawTarget::stderr_with_hz(8),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(runs as u64 * 1000), target);
        let style = ProgressStyle::with_template("{bar:30} {msg}  {elapsed} spent, {eta} to go");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        let state = State { under_way: BTreeMap::new(), ended: 0, runs: runs as u64, began: now, last_line: now };
        Self { bar, state: Mutex::new(state), is_terminal, quiet }
    }

    /// The batch is over.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self, state: &mut State) {
        let parts: u64 = state.under_way.values().map(|(part, _)| part).sum();
        let virtual_s: u64 = state.under_way.values().map(|(_, now)| now.0 / 1_000_000_000).max().unwrap_or(0);
        self.bar.set_position(state.ended * 1000 + parts);
        let words = format!("{}/{} runs, at {virtual_s} s of the world", state.ended, state.runs);
        self.bar.set_message(words.clone());
        if !self.is_terminal && !self.quiet && state.last_line.elapsed() >= LINE_EVERY {
            state.last_line = Instant::now();
            eprintln!("{words}, {} s spent", state.began.elapsed().as_secs());
        }
    }
}

impl Progress for Bar {
    fn goes_on(&self, variant: &str, seed: u64, now: Timestamp, until: Timestamp) {
        let part = now.0.saturating_mul(1000) / until.0.max(1);
        let Ok(mut state) = self.state.lock() else { return };
        let before = state.under_way.insert((variant.to_owned(), seed), (part, now));
        if before.is_none_or(|(before, _)| before != part) {
            self.show(&mut state);
        }
    }

    fn is_over(&self, variant: &str, seed: u64, _: &Result<Run, RunError>) {
        let Ok(mut state) = self.state.lock() else { return };
        state.under_way.remove(&(variant.to_owned(), seed));
        state.ended += 1;
        self.show(&mut state);
    }
}
