//! The smaller forms of one fault: shorter, and of fewer nodes or links.
//!
//! Invariant: each form is valid if the fault is, and smaller, so that no sequence of them goes on for ever.

use std::ops::Range;

use super::plan::{Fault, When};
use super::what::{Split, What};
use crate::draw::Distribution;
use crate::select::{Role, Selector};

/// The parts that times are cut to, in order.
const PARTS: [f64; 4] = [0.5, 0.75, 0.875, 0.9375];
/// Steps that shorten the duration, the window from its end, and the window from its start.
const TIME_STEPS: usize = 3 * PARTS.len();
/// A selected share is not made smaller than this.
const FRACTION_MIN: f64 = 0.001;

/// A part of a time in seconds, on whole milliseconds; `None` if that makes it no shorter, or nothing.
pub(super) fn part(seconds: f64, step: usize) -> Option<f64> {
    let shorter = (seconds * PARTS.get(step)? * 1e3).floor() / 1e3;
    (shorter > 0.0 && shorter < seconds).then_some(shorter)
}

/// How many steps [`cut`] has: for all, halves, quarters, … and single ones of so many.
pub(super) fn cuts(count: usize) -> usize {
    let mut steps = 0;
    let mut size = count;
    while size > 0 {
        steps += count.div_ceil(size);
        size = if size > 1 { size.div_ceil(2) } else { 0 };
    }
    steps
}

/// Which of so many things to take out in this step.
pub(super) fn cut(count: usize, mut step: usize) -> Option<Range<usize>> {
    let mut size = count;
    while size > 0 {
        let parts = count.div_ceil(size);
        if step < parts {
            return Some(step * size..count.min((step + 1) * size));
        }
        step -= parts;
        size = if size > 1 { size.div_ceil(2) } else { 0 };
    }
    None
}

/// How many steps [`smaller`] has for a fault.
pub(super) fn steps(fault: &Fault) -> usize {
    let listed = match (&fault.what, &fault.select) {
        (What::Partition { how: Split::Groups(groups), .. }, _) => groups.iter().map(Vec::len).sum(),
        (_, Selector::Nodes { nodes }) => nodes.len(),
        (_, Selector::LinkNumbers { links }) => links.len(),
        (_, Selector::Links { ends }) => ends.len(),
        _ => 1,
    };
    TIME_STEPS + cuts(listed).max(PARTS.len())
}

/// A smaller form of a fault, if this step has one.
pub(super) fn smaller(fault: &Fault, run_s: f64, step: usize) -> Option<Fault> {
    let (group, within) = (step / PARTS.len(), step % PARTS.len());
    let mut fault = fault.clone();
    match group {
        0 => fault.duration_s = Some(shorter(&fault, run_s, within)?),
        1 | 2 => fault.when = narrower(fault.when, group == 1, within)?,
        _ => fewer(&mut fault, step - TIME_STEPS)?,
    }
    Some(fault)
}

fn shorter(fault: &Fault, run_s: f64, step: usize) -> Option<Distribution> {
    let begin_s = match fault.when {
        When::At { at_s } => at_s,
        When::Rate { from_s, .. } => from_s,
    };
    let value = match fault.duration_s {
        Some(Distribution::Constant { value }) => part(value, step)?,
        Some(distribution) if step == 0 && distribution.mean().is_finite() => distribution.mean(),
        Some(_) => return None,
        None => part(run_s - begin_s, step)?,
    };
    Some(Distribution::Constant { value })
}

/// A shorter window, from its end or from its start.
fn narrower(when: When, from_end: bool, step: usize) -> Option<When> {
    let When::Rate { per_hour, from_s, until_s } = when else { return None };
    let length_s = part(until_s - from_s, step)?;
    Some(match from_end {
        true => When::Rate { per_hour, from_s, until_s: from_s + length_s },
        false => When::Rate { per_hour, from_s: until_s - length_s, until_s },
    })
}

/// Takes nodes or links out of a fault; never the last.
fn fewer(fault: &mut Fault, step: usize) -> Option<()> {
    if let What::Partition { how: Split::Groups(groups), .. } = &mut fault.what {
        return fewer_in_groups(groups, step);
    }
    match &mut fault.select {
        Selector::Nodes { nodes } => take_out(nodes, step),
        Selector::LinkNumbers { links } => take_out(links, step),
        Selector::Links { ends } => take_out(ends, step),
        Selector::Count { count, .. } | Selector::LinkCount { count } => {
            let less = if step == 0 { *count / 2 } else { (*count).saturating_sub(1) };
            *count = (less > 0 && step < 2).then_some(less)?;
            Some(())
        }
        Selector::Fraction { fraction, .. } | Selector::LinkFraction { fraction } => {
            let less = *fraction * PARTS.get(step)?;
            *fraction = (less >= FRACTION_MIN).then_some(less)?;
            Some(())
        }
        select => {
            let half = |among: Option<Role>| Selector::Fraction { fraction: 0.5, among };
            *select = match select {
                _ if step > 0 => return None,
                Selector::All {} => half(None),
                Selector::Role { role } => half(Some(*role)),
                Selector::AllLinks {} => Selector::LinkFraction { fraction: 0.5 },
                _ => return None,
            };
            Some(())
        }
    }
}

fn take_out<T>(list: &mut Vec<T>, step: usize) -> Option<()> {
    let without = cut(list.len(), step)?;
    (without.len() < list.len()).then(|| drop(list.drain(without)))
}

/// Takes nodes out of groups, as if these were one list; leaves at least two groups.
fn fewer_in_groups(groups: &mut Vec<Vec<u32>>, step: usize) -> Option<()> {
    let without = cut(groups.iter().map(Vec::len).sum(), step)?;
    let mut place = 0;
    for group in groups.iter_mut() {
        group.retain(|_| {
            place += 1;
            !without.contains(&(place - 1))
        });
    }
    groups.retain(|group| !group.is_empty());
    (groups.len() > 1).then_some(())
}
