//! `cargo xtask ci`: what a change must pass, cheapest first; the tests come last so that their summary closes the output.

use clap::Args;

use crate::{step, test, tidy};

#[derive(Args)]
pub struct Options {
    /// Lets cargo change Cargo.lock; without it the committed one must do.
    #[arg(long)]
    unlocked: bool,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let locked: &[&str] = if options.unlocked { &[] } else { &["--locked"] };
    step::run(step::cargo(&["fmt", "--all", "--check"]))?;
    step::run(step::cargo(&[&["clippy", "--workspace", "--all-targets"], locked, &["--", "-D", "warnings"]].concat()))?;
    let mut doc = step::cargo(&[&["doc", "--workspace", "--no-deps"], locked].concat());
    doc.env("RUSTDOCFLAGS", "-D warnings");
    step::run(doc)?;
    tidy::run()?;
    match step::has_cargo_command("deny") {
        true => step::run(step::cargo(&["deny", "check", "bans", "licenses", "sources"]))?,
        false => eprintln!("SKIPPED: dependency policy; cargo-deny is not installed (cargo install cargo-deny)"),
    }
    test::run_planted(!options.unlocked)?;
    test::run(&test::Options { locked: !options.unlocked, words: Vec::new() })
}
