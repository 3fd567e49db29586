//! `cargo xtask fuzz`: gives the decoders bytes nobody thought of, one target after another.
//!
//! What a target is and what it asserts stands in `fuzz/`; this builds libFuzzer's program around them and calls it. Inputs
//! that reached something new are gathered below the target directory, so that the next run goes on where this one ended;
//! what breaks a property is kept in `fuzz/artifacts/TARGET`.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::step;

/// Where each target has a folder of inputs.
const CORPORA: &str = "fuzz/corpora";
const ARTIFACTS: &str = "fuzz/artifacts";
/// No decoder needs longer for so few bytes; libFuzzer counts in whole seconds.
const SECONDS_PER_INPUT_MAX: u32 = 5;
/// What the whole process may take. Each input's memory is counted more closely by the targets themselves.
const MEMORY_MIB_MAX: u32 = 512;
/// What `--keep` keeps for each target, besides seeds and finds, and how long a file it keeps.
const KEPT_MAX: usize = 16;
const KEPT_BYTES_MAX: usize = 2048;
/// The longest input that any target takes.
const INPUT_BYTES_MAX: u32 = 16 * 1024;

#[derive(Args)]
pub struct Options {
    /// Which targets; all by default. Each is a folder in fuzz/corpora.
    targets: Vec<String>,
    /// How long each is tried.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How many are tried at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    at_once: u8,
    /// Tries one file on the one target named, and nothing else.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Then takes into fuzz/corpora what reaches something that nothing in it reaches, as few files as will do.
    #[arg(long)]
    keep: bool,
    /// Only writes anew the inputs that the encoders make.
    #[arg(long)]
    seeds: bool,
}

/// How a target did.
struct Outcome {
    target: String,
    executions: String,
    edges: String,
    seconds: u64,
    findings: Vec<PathBuf>,
    ended_well: bool,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    if options.seeds {
        return write_seeds();
    }
    let all = names_in(Path::new(CORPORA))?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    let program = build()?;
    if let Some(file) = &options.replay {
        let [target] = options.targets.as_slice() else { bail!("name the target that {} is for", file.display()) };
        return step::run(fuzzer(&program, target, &[&file.to_string_lossy()]));
    }
    let chosen = if options.targets.is_empty() { all } else { options.targets.clone() };
    let outcomes = try_all(&program, &chosen, options)?;
    if options.keep {
        chosen.iter().try_for_each(|target| keep(&program, target))?;
    }
    report(&outcomes)
}

/// The seeds are written by the test that otherwise compares them.
fn write_seeds() -> anyhow::Result<()> {
    let mut test = step::cargo(&["test", "-p", "mesh-fuzz", "--test", "corpora", "seeds_are_what_the_encoders_write"]);
    test.env("MESH_FUZZ_SEEDS", "write");
    step::run(test)
}

/// Builds libFuzzer's program, our own crates instrumented.
fn build() -> anyhow::Result<PathBuf> {
    let wrapper = Path::new("fuzz/instrument.sh").canonicalize().context("fuzz/instrument.sh is missing")?;
    let mut build = step::cargo(&["build", "-p", "mesh-fuzz", "--features", "libfuzzer", "--bin", "mesh-fuzz"]);
    build.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    step::run(build)?;
    Ok(target_directory()?.join("debug/mesh-fuzz"))
}

fn target_directory() -> anyhow::Result<PathBuf> {
    let metadata = crate::tidy::metadata()?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(folder))
}

fn names_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {} failed", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn fuzzer(program: &Path, target: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env("MESH_FUZZ_TARGET", target);
    command.args([format!("-timeout={SECONDS_PER_INPUT_MAX}"), format!("-rss_limit_mb={MEMORY_MIB_MAX}")]);
    command.arg(format!("-artifact_prefix={ARTIFACTS}/{target}/"));
    command.args(words);
    command
}

/// Where what a target's runs gathered is.
fn gathered(target: &str) -> anyhow::Result<PathBuf> {
    let folder = target_directory()?.join("fuzz").join(target);
    fs::create_dir_all(&folder).with_context(|| format!("making {} failed", folder.display()))?;
    Ok(folder)
}

fn try_all(program: &Path, targets: &[String], options: &Options) -> anyhow::Result<Vec<Outcome>> {
    let waiting = Mutex::new(targets.iter().collect::<VecDeque<_>>());
    let work = || -> anyhow::Result<Vec<Outcome>> {
        let mut done = Vec::new();
        loop {
            // A lock held by nobody who panics: what is inside can't.
            let next = waiting.lock().map_or(None, |mut waiting| waiting.pop_front());
            let Some(target) = next else { return Ok(done) };
            done.push(try_one(program, target, options.minutes)?);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.at_once).map(|_| scope.spawn(work)).collect();
        let mut outcomes = Vec::new();
        for worker in workers {
            outcomes.extend(worker.join().map_err(|_| anyhow::anyhow!("a thread that waits for a fuzzer failed"))??);
        }
        outcomes.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(outcomes)
    })
}

fn try_one(program: &Path, target: &str, minutes: f64) -> anyhow::Result<Outcome> {
    let artifacts = Path::new(ARTIFACTS).join(target);
    fs::create_dir_all(&artifacts).with_context(|| format!("making {} failed", artifacts.display()))?;
    let before = names_in(&artifacts)?;
    let gathered = gathered(target)?;
    let log = gathered.with_extension("log");
    let words = [
        gathered.to_string_lossy().into_owned(),
        format!("{CORPORA}/{target}"),
        format!("-max_total_time={}", (minutes * 60.0).max(1.0) as u64),
        format!("-max_len={INPUT_BYTES_MAX}"),
        "-print_final_stats=1".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = fuzzer(program, target, &words);
    let out = File::create(&log).with_context(|| format!("making {} failed", log.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
    let began = Instant::now();
    let status = command.status().with_context(|| format!("starting the fuzzer for {target} failed"))?;
    let findings = names_in(&artifacts)?.into_iter().filter(|name| !before.contains(name));
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let outcome = Outcome {
        target: target.to_owned(),
        executions: last_behind(&said, "stat::number_of_executed_units:"),
        edges: last_behind(&said, " cov: "),
        seconds: began.elapsed().as_secs(),
        findings: findings.map(|name| artifacts.join(name)).collect(),
        ended_well: status.success(),
    };
    say(&outcome);
    if !outcome.ended_well {
        eprintln!("  what it said is in {}", log.display());
    }
    Ok(outcome)
}

/// The last word that stands behind `mark`; `?` if it stands nowhere.
fn last_behind(text: &str, mark: &str) -> String {
    let behind = text.rsplit_once(mark).and_then(|(_, behind)| behind.split_whitespace().next());
    behind.unwrap_or("?").to_owned()
}

fn say(outcome: &Outcome) {
    let Outcome { target, executions, edges, seconds, findings, .. } = outcome;
    eprintln!(
        "{target:<16} {seconds:>6} s {executions:>12} executions {edges:>7} edges {:>3} findings",
        findings.len()
    );
    for finding in findings {
        eprintln!("  {}", finding.display());
        eprintln!("  replay: cargo xtask fuzz {target} --replay {}", finding.display());
        eprintln!("  once it is mended, keep it as {CORPORA}/{target}/find-WHAT-IT-WAS");
    }
}

fn report(outcomes: &[Outcome]) -> anyhow::Result<()> {
    eprintln!("=== fuzzed");
    outcomes.iter().for_each(say);
    let failed: Vec<&str> =
        outcomes.iter().filter(|outcome| !outcome.ended_well).map(|outcome| outcome.target.as_str()).collect();
    ensure!(failed.is_empty(), "findings in {}", failed.join(", "));
    Ok(())
}

/// Takes over what was gathered: seeds and finds stay as they are, the rest are the fewest that reach all there is.
fn keep(program: &Path, target: &str) -> anyhow::Result<()> {
    let corpus = Path::new(CORPORA).join(target);
    let by_hand = |name: &String| name.starts_with("seed-") || name.starts_with("find-");
    let found: Vec<String> = names_in(&corpus)?.into_iter().filter(|name| !by_hand(name)).collect();
    let gathered = gathered(target)?;
    for name in found {
        let (from, to) = (corpus.join(&name), gathered.join(&name));
        fs::copy(&from, to).and_then(|_| fs::remove_file(&from)).with_context(|| format!("moving {name} failed"))?;
    }
    let words = [&corpus, &gathered].map(|folder| folder.to_string_lossy().into_owned());
    let length_max = format!("-max_len={KEPT_BYTES_MAX}");
    step::run(fuzzer(program, target, &["-set_cover_merge=1", &length_max, &words[0], &words[1]]))?;
    let length = |name: &String| fs::metadata(corpus.join(name)).map_or(0, |file| file.len());
    let mut kept: Vec<String> = names_in(&corpus)?.into_iter().filter(|name| !by_hand(name)).collect();
    // Of too many the longest: they reach most.
    kept.sort_by_key(|name| std::cmp::Reverse(length(name)));
    kept.iter().skip(KEPT_MAX).try_for_each(|name| fs::remove_file(corpus.join(name)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::last_behind;

    #[test]
    fn the_last_figure_is_the_one_that_counts() {
        let said = "#2 INITED cov: 5 ft: 6\n#9 DONE cov: 17 ft: 20\nstat::number_of_executed_units: 9\n";
        assert_eq!(last_behind(said, " cov: "), "17");
        assert_eq!(last_behind(said, "stat::number_of_executed_units:"), "9");
        assert_eq!(last_behind("", " cov: "), "?");
    }
}
