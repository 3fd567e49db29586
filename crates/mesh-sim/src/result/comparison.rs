//! Two variants over the seeds they have in common: what differs, seed by seed.
//!
//! Both saw the same luck in each seed, so the difference within a seed says more than two intervals side by side.
//! Invariant: only seeds that both have are compared; how many were left out is said.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measured::Measured;
use super::results::Variant;
use super::statistics::{Interval, Summary};
use super::student::coins_at_most;

/// How one measure differs between variants A and B.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The measure.
    pub measure: String,
    /// Its unit.
    pub unit: String,
    /// A, over the common seeds.
    pub a: Summary,
    /// B, over the same.
    pub b: Summary,
    /// B − A, seed by seed, with the paired t interval of its mean.
    pub difference: Summary,
    /// B ÷ A: the geometric mean over seeds and its interval, by the paired t interval of the logarithms. Only if all
    /// values are positive.
    pub ratio: Option<(f64, Option<Interval>)>,
    /// In how many seeds B is higher, and lower, than A.
    pub higher_lower: (u64, u64),
    /// How likely so uneven a split is if neither tends to be higher (the two-sided sign test; equal seeds don't
    /// count). 1 if all are equal.
    pub sign_p: f64,
    /// How many runs of either had no counterpart with this measure.
    pub left_out: u64,
}

/// Compares every scalar, count and sample (by its mean within each run) that the variants have in common.
#[must_use]
pub fn compare(a: &Variant<'_>, b: &Variant<'_>) -> Vec<Comparison> {
    let (ours, theirs) = (values_by_measure(a.runs()), values_by_measure(b.runs()));
    let both = ours.iter().filter_map(|(key, ours)| Some((key, ours, theirs.get(key)?)));
    both.filter_map(|((measure, unit), ours, theirs)| compare_measure(measure, unit, ours, theirs)).collect()
}

/// By measure and unit: the value of each seed.
type Values<'a> = BTreeMap<(&'a str, &'a str), BTreeMap<u64, f64>>;

fn values_by_measure<'a>(runs: &[&'a Measured]) -> Values<'a> {
    let mut values = Values::new();
    for run in runs {
        for (name, _, unit) in run.measures() {
            if let Some(value) = value_of_run(run, name) {
                values.entry((name, unit)).or_default().insert(run.seed(), value);
            }
        }
    }
    values
}

/// What one run says of a measure: a scalar or count, or the mean of a sample. A series has no one value.
pub(super) fn value_of_run(run: &Measured, name: &str) -> Option<f64> {
    let mean = || Summary::of(run.sample(name)?.values.kept()).map(|summary| summary.mean);
    run.value(name).or_else(mean)
}

fn compare_measure(
    measure: &str,
    unit: &str,
    ours: &BTreeMap<u64, f64>,
    theirs: &BTreeMap<u64, f64>,
) -> Option<Comparison> {
    let pairs: Vec<(f64, f64)> = ours.iter().filter_map(|(seed, a)| Some((*a, *theirs.get(seed)?))).collect();
    let list = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).collect::<Vec<f64>>();
    let (a, b, differences) = (list(|pair| pair.0), list(|pair| pair.1), list(|pair| pair.1 - pair.0));
    let count = |holds: fn(&f64) -> bool| differences.iter().filter(|difference| holds(difference)).count() as u64;
    let (higher, lower) = (count(|difference| *difference > 0.0), count(|difference| *difference < 0.0));
    Some(Comparison {
        measure: measure.to_owned(),
        unit: unit.to_owned(),
        a: Summary::of(&a)?,
        b: Summary::of(&b)?,
        difference: Summary::of(&differences)?,
        ratio: ratio(&pairs),
        higher_lower: (higher, lower),
        sign_p: (2.0 * coins_at_most(higher.min(lower), higher + lower)).min(1.0),
        left_out: (ours.len() + theirs.len() - 2 * pairs.len()) as u64,
    })
}

fn ratio(pairs: &[(f64, f64)]) -> Option<(f64, Option<Interval>)> {
    let positive = pairs.iter().all(|(a, b)| *a > 0.0 && *b > 0.0);
    let logarithms: Vec<f64> = pairs.iter().map(|(a, b)| libm::log(*b) - libm::log(*a)).collect();
    let summary = positive.then(|| Summary::of(&logarithms)).flatten()?;
    let back = |interval: Interval| Interval { low: libm::exp(interval.low), high: libm::exp(interval.high) };
    Some((libm::exp(summary.mean), summary.interval.map(back)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use crate::result::Results;

    fn results(seeds: std::ops::Range<u64>, value: impl Fn(u64) -> f64) -> Results {
        let mut results = Results::new("pairs", "Which is faster?").expect("a name");
        for seed in seeds {
            let mut run = Measured::new(seed);
            run.set_scalar("time", value(seed), "s").expect("a measure");
            results.add(run).expect("a run");
        }
        results
    }

    fn luck(seed: u64) -> f64 {
        10.0 + 5.0 * Stream::new(seed, "luck", 0).unit()
    }

    #[test]
    fn common_luck_cancels_out() {
        let (a, b) = (results(1..21, luck), results(11..31, |seed| 1.1 * luck(seed)));
        let all = compare(&a.variants()[0], &b.variants()[0]);
        let [time] = &all[..] else { panic!("one measure: {all:?}") };
        assert_eq!((time.a.runs, time.left_out, time.higher_lower), (10, 20, (10, 0)));
        let (ratio, interval) = time.ratio.expect("positive values");
        let interval = interval.expect("ten pairs");
        assert!((ratio - 1.1).abs() < 1e-12 && interval.half() < 1e-9, "{ratio} {interval:?}");
        // Two of 2¹⁰ ways to fall.
        assert!((time.sign_p - 2.0 / 1024.0).abs() < 1e-15, "{}", time.sign_p);
        let apart = time.a.interval.expect("ten runs").half() + time.b.interval.expect("ten runs").half();
        assert!(time.difference.interval.expect("ten pairs").half() < apart / 4.0);
    }

    #[test]
    fn equal_variants_do_not_differ() {
        let a = results(1..6, luck);
        let same = compare(&a.variants()[0], &a.variants()[0]);
        assert_eq!((same[0].difference.mean, same[0].sign_p, same[0].higher_lower), (0.0, 1.0, (0, 0)));
        assert_eq!(same[0].ratio.map(|(ratio, _)| ratio), Some(1.0));
        let zero = results(1..6, |_| 0.0);
        assert_eq!(compare(&a.variants()[0], &zero.variants()[0])[0].ratio, None);
        assert!(compare(&a.variants()[0], &results(50..60, luck).variants()[0]).is_empty());
    }
}
