//! `trace` and `replay`: what happened in one run, and whether it happens again.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Context as _;
use mesh_sim::experiment::hunt::judge;
use mesh_sim::experiment::{run, tapped};
use mesh_sim::result::trace::TraceRow;
use mesh_sim::result::write_trace;
use mesh_sim::world::tap::Tapped;

use crate::files::OneRun;
use crate::report::Outcome;
use crate::saying::say;

/// Which events of which run.
#[derive(clap::Args)]
pub struct TraceOptions {
    #[command(flatten)]
    run: OneRun,
    /// Only from this time on, in seconds of the world.
    #[arg(long)]
    from_s: Option<f64>,
    /// Only until this time; the run ends there.
    #[arg(long)]
    until_s: Option<f64>,
    /// Only events of this node, by number; may be given several times.
    #[arg(long)]
    node: Vec<u32>,
    /// Only events of these kinds: message names such as Have, or words such as connected; may be given several times.
    #[arg(long = "type")]
    kinds: Vec<String>,
    /// Only events about a content whose id begins so.
    #[arg(long)]
    content: Option<String>,
    /// Shows at most so many; 0 = all.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Prints one object in JSON per line.
    #[arg(long)]
    json: bool,
    /// Writes them as Parquet into this folder instead of printing them.
    #[arg(short, long)]
    output: Option<PathBuf>,
}

/// Which run to repeat.
#[derive(clap::Args)]
pub struct ReplayOptions {
    #[command(flatten)]
    run: OneRun,
}

impl TraceOptions {
    fn wants(&self, event: &Tapped) -> bool {
        let time_s = event.at.0 as f64 / 1e9;
        let in_time = self.from_s.is_none_or(|from_s| time_s >= from_s);
        let of_node = self.node.is_empty() || event.node.is_some_and(|node| self.node.contains(&node.0));
        let of_kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.eq_ignore_ascii_case(event.what));
        let of_content = self
            .content
            .as_ref()
            .is_none_or(|prefix| event.content.is_some_and(|content| content.to_string().starts_with(prefix.as_str())));
        in_time && of_node && of_kind && of_content
    }
}

pub fn trace(options: &TraceOptions) -> anyhow::Result<Outcome> {
    let (scenario, seed, traces) = options.run.read()?;
    let limit = if options.limit == 0 || options.output.is_some() { usize::MAX } else { options.limit };
    let mut chosen: Vec<(Tapped, Option<u32>)> = Vec::new();
    let (mut more, mut all) = (0u64, 0u64);
    tapped(&scenario, seed, &traces, |world, event| {
        if options.until_s.is_some_and(|until_s| event.at.0 as f64 / 1e9 > until_s) {
            return ControlFlow::Break(());
        }
        all += 1;
        match options.wants(&event) {
            true if chosen.len() < limit => {
                let peer = event.peer.and_then(|peer| world.member_of(peer)).map(|member| member.0);
                chosen.push((event, peer));
            }
            true => more += 1,
            false => {}
        }
        ControlFlow::Continue(())
    })?;
    match &options.output {
        Some(folder) => write(folder, &chosen)?,
        None => chosen.iter().for_each(|(event, peer)| print(event, *peer, options.json)),
    }
    if chosen.is_empty() {
        eprintln!("none of the run's {all} events passes the filters");
    }
    if more > 0 {
        eprintln!("{more} more events; see them with --limit 0, a narrower filter, or -o FOLDER");
    }
    Ok(Outcome::Good)
}

fn write(folder: &std::path::Path, events: &[(Tapped, Option<u32>)]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let contents: Vec<Option<String>> =
        events.iter().map(|(event, _)| event.content.map(|content| content.short())).collect();
    let rows = events.iter().zip(&contents).map(|((event, peer), content)| TraceRow {
        time_ns: event.at.0,
        kind: event.kind,
        node: event.node.map(|node| node.0),
        peer: *peer,
        what: event.what,
        content: content.as_deref(),
        bytes: event.bytes,
        print: event.print,
    });
    let path = write_trace(rows, folder)?;
    say!("{} events in {}", events.len(), path.display());
    Ok(())
}

fn print(event: &Tapped, peer: Option<u32>, json: bool) {
    let content = event.content.map(|content| content.short());
    if json {
        let node = event.node.map(|node| node.0);
        say!(
            "{}",
            serde_json::json!({
                "time_ns": event.at.0, "node": node, "peer": peer, "what": event.what, "content": content,
                "bytes": event.bytes,
            })
        );
        return;
    }
    let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
    let bytes = event.bytes.map_or_else(String::new, |bytes| format!("{bytes} B"));
    say!(
        "{:>16.9} {:>6} ← {:<6} {:<20} {:<12} {bytes}",
        event.at.0 as f64 / 1e9,
        number(event.node.map(|node| node.0)),
        number(peer),
        event.what,
        content.unwrap_or_default(),
    );
}

pub fn replay(options: &ReplayOptions) -> anyhow::Result<Outcome> {
    let (scenario, seed, traces) = options.run.read()?;
    let go_on = |_, _| ControlFlow::Continue(());
    let first = run(&scenario, seed, &traces, true, go_on)?;
    // The second run is not watched: watching must change nothing.
    let blind = run(&scenario, seed, &traces, false, go_on)?;
    say!("seed {seed}: {} events, digest {:016x}", first.measured.events, first.measured.digest);
    let failing = judge(&scenario, &first);
    if let Some(failing) = &failing {
        say!("fails, by what the hunt asks of a run:");
        failing.why.iter().for_each(|why| say!("  {why}"));
    }
    if first.measured.digest == blind.measured.digest {
        say!("again: the same");
        return Ok(if failing.is_none() { Outcome::Good } else { Outcome::Bad });
    }
    let second = run(&scenario, seed, &traces, true, go_on)?;
    let (one, other) = (first.capture.context("it was watched")?, second.capture.context("it was watched")?);
    match one.first_difference(&other) {
        Some((number, ours, theirs)) => say!("event {number} differs: {ours:?}, and again {theirs:?}"),
        None => say!("watched twice the same, but not unwatched: watching changes the run"),
    }
    Ok(Outcome::Bad)
}
