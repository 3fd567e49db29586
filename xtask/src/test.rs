//! `cargo xtask test`: every test, by whichever runner is there.
//!
//! The binary `mesh-node` is built first and its path handed to the tests in `MESH_NODE_BIN`, since cargo tells a
//! package's tests only about binaries of the same package.
//!
//! `cargo xtask soak`: the same for the tests that try more then. `MESH_SOAK` tells them to.

use std::env;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::step;

#[derive(Args, Default)]
pub struct Options {
    /// Uses Cargo.lock as it is and fails if it would have to change.
    #[arg(long)]
    pub locked: bool,
    /// Further words for the test runner, for example part of a test's name.
    #[arg(trailing_var_arg = true)]
    pub words: Vec<String>,
}

/// Shows that the simulator finds three defects that are planted on purpose.
pub fn run_planted(locked: bool) -> anyhow::Result<()> {
    let locked: &[&str] = if locked { &["--locked"] } else { &[] };
    let runner: &[&str] = if step::has_cargo_command("nextest") { &["nextest", "run"] } else { &["test"] };
    let which = ["-p", "mesh-sim", "--features", "planted", "--test", "planted"];
    step::run(step::cargo(&[runner, &which, locked].concat()))
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let lacking = lacking_for_network_tests();
    say_skipped(lacking.as_deref());
    let locked: &[&str] = if options.locked { &["--locked"] } else { &[] };
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();

    // The same selection of targets as the tests', so that dependencies are built once.
    step::run(step::cargo(&[&["build", "--workspace", "--bins", "--tests"], locked].concat()))?;
    let binary = node_binary("debug")?;

    let nextest = step::has_cargo_command("nextest");
    if words.is_empty() {
        step::run(step::cargo(&[&["test", "--workspace", "--doc", "--quiet"], locked].concat()))?;
    }
    let mut tests = match nextest {
        true => step::cargo(&[&["nextest", "run", "--workspace"], locked, &words].concat()),
        false => {
            eprintln!("cargo-nextest is not installed; using cargo test");
            step::cargo(
                &[&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"], locked, &words].concat(),
            )
        }
    };
    tests.env("MESH_NODE_BIN", binary);
    if lacking.is_none() {
        // Everything is there: a test that skips itself all the same has failed.
        tests.env("MESH_REQUIRE_NETWORK", "1");
    }
    say_skipped(lacking.as_deref());
    // Last, so that the runner's own summary closes the output.
    step::run(tests)
}

/// Runs the tests that try more in a soak: those whose names end with `_soak`. The program they run is a release build.
pub fn run_soak(options: &Options) -> anyhow::Result<()> {
    let lacking = lacking_for_network_tests();
    if let Some(what) = lacking {
        anyhow::bail!("a soak without tests between network namespaces shows little; for want of {what}");
    }
    let locked: &[&str] = if options.locked { &["--locked"] } else { &[] };
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    step::run(step::cargo(&[&["build", "--release", "-p", "mesh-node", "--bin", "mesh-node"], locked].concat()))?;
    let mut tests = match step::has_cargo_command("nextest") {
        true => {
            let which = ["nextest", "run", "--workspace", "--profile", "soak", "-E", "test(/_soak$/)"];
            step::cargo(&[&which, locked, &words].concat())
        }
        false => {
            anyhow::ensure!(words.is_empty(), "without cargo-nextest all soaks are run, or none");
            step::cargo(&[&["test", "--workspace", "--tests", "--no-fail-fast"], locked, &["--", "_soak"]].concat())
        }
    };
    tests.env("MESH_NODE_BIN", node_binary("release")?).env("MESH_REQUIRE_NETWORK", "1").env("MESH_SOAK", "1");
    step::run(tests)
}

fn say_skipped(lacking: Option<&str>) {
    match lacking {
        Some(what) => eprintln!("SKIPPED: tests between network namespaces, for want of {what}"),
        None => eprintln!("tests between network namespaces: part of this run"),
    }
}

/// What the tests between namespaces would need and is not there.
fn lacking_for_network_tests() -> Option<String> {
    let mut lacking = Vec::new();
    let mut id = std::process::Command::new("id");
    id.arg("-u");
    if step::output_of(id).is_none_or(|user| user.trim() != "0") {
        lacking.push("root");
    }
    lacking.extend(["ip", "tc", "nft"].into_iter().filter(|program| step::find_program(program).is_none()));
    if lacking.is_empty() && !may_make_namespaces() {
        lacking.push("the right to make network namespaces");
    }
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

fn may_make_namespaces() -> bool {
    let name = format!("mesh-xtask-{}", std::process::id());
    let netns = |word: &str| {
        let mut ip = std::process::Command::new("ip");
        ip.args(["netns", word, &name]);
        step::output_of(ip).is_some()
    };
    netns("add") && netns("del")
}

/// Where cargo put the program; `profile` is the name of its folder.
pub fn node_binary(profile: &str) -> anyhow::Result<PathBuf> {
    let metadata = crate::tidy::metadata()?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    let binary = PathBuf::from(folder).join(profile).join(format!("mesh-node{}", env::consts::EXE_SUFFIX));
    anyhow::ensure!(binary.is_file(), "{} was not built; is mesh-node a member of the workspace?", binary.display());
    Ok(binary)
}
