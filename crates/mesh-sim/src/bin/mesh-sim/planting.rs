//! `hunt --plant`: whether the hunt finds a defect that all nodes have, and how small the case can be made.
//!
//! Invariant: what is shown as found fails with the defect and holds without it.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use mesh_proto::planted::Defect;
use mesh_sim::experiment::hunt::{Failing, Size, fails, shrink};
use mesh_sim::scenario::Scenario;

use crate::hunting::{Hunt, HuntOptions, write};
use crate::report::Outcome;
use crate::running;
use crate::saying::say;

/// A defect that was found.
struct Found {
    scenario: Scenario,
    failing: Failing,
    after_s: f64,
}

pub fn hunt_planted(options: &HuntOptions, name: &str) -> anyhow::Result<Outcome> {
    let stop = running::stop_flag()?;
    let defects = match name {
        "all" => Defect::ALL.to_vec(),
        name => vec![name.parse::<Defect>().map_err(anyhow::Error::msg)?],
    };
    say!(
        "| defect | promise that it breaks | what was seen | cases | seconds | size when found | size at last | runs to shrink |"
    );
    say!("|---|---|---|---|---|---|---|---|");
    let mut all_found = true;
    for defect in defects {
        all_found &= one(options, &stop, defect)?;
    }
    Ok(if all_found { Outcome::Good } else { Outcome::Bad })
}

/// Looks for one defect and shows what came of it. Whether it was found.
fn one(options: &HuntOptions, stop: &AtomicBool, defect: Defect) -> anyhow::Result<bool> {
    let began = Instant::now();
    let found = Mutex::new(None);
    let on_failure = |scenario: &Scenario, failing: &Failing| {
        let go_on = |_, _| ControlFlow::Continue(());
        if fails(&Scenario { planted: None, ..scenario.clone() }, go_on)?.is_some() {
            return Ok(false);
        }
        let mut found = found.lock().map_err(|_| anyhow::anyhow!("another worker failed"))?;
        let after_s = began.elapsed().as_secs_f64();
        found.get_or_insert(Found { scenario: scenario.clone(), failing: failing.clone(), after_s });
        Ok(true)
    };
    let change = |scenario: &mut Scenario| {
        scenario.name = format!("{}-{}", defect.name(), scenario.name);
        scenario.planted = Some(defect);
    };
    let mut hunt = Hunt::new(options, &change, &on_failure);
    hunt.first = true;
    let (cases, _) = hunt.run(stop)?;
    let Some(Found { scenario, failing, after_s }) = found.into_inner().unwrap_or_default() else {
        say!("| {} | {} | not found | {cases} | | | | |", defect.name(), defect.promise());
        return Ok(false);
    };
    write(&options.output.join(format!("{}.toml", scenario.name)), &scenario, &failing.why)?;
    let seen = match failing.invariants.first() {
        Some(invariant) => invariant.clone(),
        None => failing.why.first().cloned().unwrap_or_default(),
    };
    let shrunk = shrink(&scenario, |_, _| match stop.load(Ordering::Relaxed) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    })?;
    let (last, tries) = match shrunk {
        Some(shrunk) => {
            let path = options.output.join(format!("{}.small.toml", scenario.name));
            write(&path, &shrunk.scenario, &shrunk.failing.why)?;
            (Size::of(&shrunk.scenario), shrunk.tries)
        }
        None => anyhow::bail!("{} failed once and then not", scenario.name),
    };
    let (name, promise, first) = (defect.name(), defect.promise(), Size::of(&scenario));
    say!("| {name} | {promise} | {seen} | {cases} | {after_s:.0} | {first} | {last} | {tries} |");
    Ok(true)
}
