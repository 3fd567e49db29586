//! How a long command shows that it goes on: a bar on a terminal, a line every few seconds in a pipe, or nothing.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_proto::port::view::TransferView;

use super::Context;
use super::output::{self, duration, printable, rate, size};

/// How often a pipe gets a line.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows progress on standard error.
pub enum Progress {
    /// Nothing is shown.
    Silent,
    /// A bar.
    Bar(ProgressBar),
    /// Lines.
    Lines {
        /// When the last one was printed, or the first might have been.
        last: Instant,
        /// Whether that said that the transfer is paused.
        paused: bool,
    },
}

impl Progress {
    /// The kind that fits where standard error goes; `silent` if other output takes its place.
    #[must_use]
    pub fn new(context: &Context, silent: bool) -> Self {
        if silent || context.quiet || context.json {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            // What takes less than a line's time needs none.
            return Self::Lines { last: Instant::now(), paused: false };
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
        let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
        Self::Bar(bar)
    }

    /// Shows how a transfer stands.
    pub fn transfer(&mut self, view: &TransferView) {
        let mut text = format!(
            "{} of {}  {}  {} sources",
            size(view.done_bytes),
            if view.total_bytes == 0 { "?".to_owned() } else { size(view.total_bytes) },
            rate(view.rate_bytes_per_s),
            view.sources,
        );
        if let Some(left_ms) = view.left_ms {
            text.push_str(&format!("  {} left", duration(left_ms)));
        }
        if view.state == "paused" {
            text.push_str("  paused: mesh-node resume goes on");
        }
        if !view.waiting_for.is_empty() {
            text.push_str(&format!("  waits for {}", printable(&view.waiting_for)));
        }
        let news = matches!(self, Self::Lines { paused, .. } if *paused != (view.state == "paused"));
        if let Self::Lines { paused, .. } = self {
            *paused = view.state == "paused";
        }
        self.show(view.done_bytes, view.total_bytes, text, news);
    }

    /// Shows how far something is read.
    pub fn reading(&mut self, done_bytes: u64, total_bytes: u64) {
        self.show(done_bytes, total_bytes, format!("hashed {} of {}", size(done_bytes), size(total_bytes)), false);
    }

    /// Shows how far it is; `news` are said at once.
    fn show(&mut self, done_bytes: u64, total_bytes: u64, text: String, news: bool) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => {
                bar.set_length(total_bytes.max(1));
                bar.set_position(done_bytes);
                bar.set_message(text);
            }
            Self::Lines { last, .. } => {
                if news || last.elapsed() >= LINE_INTERVAL {
                    *last = Instant::now();
                    output::tell(&text);
                }
            }
        }
    }

    /// Says something that stays on the screen.
    pub fn note(&self, text: &str) {
        match self {
            Self::Silent => {}
            Self::Bar(bar) => bar.suspend(|| output::tell(text)),
            Self::Lines { .. } => output::tell(text),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
