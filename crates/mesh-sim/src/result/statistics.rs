//! Figures over seeds: never one run alone.
//!
//! Invariant: sums run in the order of the runs, so that the last bit is the same everywhere; of one run, nothing is
//! said about others, and there is no interval.

use serde::Serialize;

use super::student::{NORMAL_975, student_975};

/// Where a true value lies, with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    pub(super) fn around(middle: f64, half: f64) -> Self {
        Self { low: middle - half, high: middle + half }
    }

    /// Half of its width: the ± of a symmetric one.
    #[must_use]
    pub fn half(self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// What is known of a measure from its value in each run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many runs.
    pub runs: u64,
    /// The mean.
    pub mean: f64,
    /// The 95 % confidence interval of the mean by Student's t; none of one run.
    pub interval: Option<Interval>,
    /// The sample's standard deviation; none of one run.
    pub deviation: Option<f64>,
    /// The median.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Summary {
    /// Sums up the values of runs; none if there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values.iter().copied());
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        // Rounding must not push the mean out of what it is the mean of.
        let mean = (values.iter().sum::<f64>() / values.len() as f64).clamp(min, max);
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        let runs = values.len() as u64;
        let deviation = (runs > 1).then(|| (squares / (runs - 1) as f64).sqrt());
        let half = deviation.map(|deviation| student_975(runs - 1) * deviation / (runs as f64).sqrt());
        let interval = half.map(|half| Interval::around(mean, half));
        Some(Self { runs, mean, interval, deviation, median: quantile(&sorted, 0.5)?, min, max })
    }
}

/// Values in order.
#[must_use]
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value below which a share of sorted values lies, on the line between neighbours (type 7 of Hyndman and Fan
/// 1996). None without values.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = (libm::floor(place) as usize).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    Some((low + (place - below as f64) * (high - low)).clamp(low, high))
}

/// A quantile of the pooled values of all runs, and its 95 % interval; none without values.
///
/// Values of one run are not independent of each other, so the interval comes from the runs: how far the share of
/// values up to the quantile differs from run to run gives an interval of the share by Student's t, and the pooled
/// values turn it into one of the quantile (Woodruff 1952, for samples in clusters). It never reaches past the
/// smallest and largest value, so of few values it is too narrow at the ends.
#[must_use]
pub fn pooled_quantile(runs: &[&[f64]], share: f64) -> Option<(f64, Option<Interval>)> {
    let pooled = sorted(runs.iter().flat_map(|values| values.iter().copied()));
    let value = quantile(&pooled, share)?;
    let below = |values: &[f64]| values.iter().filter(|other| **other <= value).count() as f64;
    let actual = pooled.partition_point(|other| *other <= value) as f64 / pooled.len() as f64;
    let count = runs.iter().filter(|values| !values.is_empty()).count() as u64;
    if count < 2 {
        return Some((value, None));
    }
    let strays = runs.iter().map(|values| below(values) - actual * values.len() as f64);
    let squares: f64 = strays.map(|stray| stray * stray).sum();
    let error = (squares * count as f64 / (count - 1) as f64).sqrt() / pooled.len() as f64;
    let half = student_975(count - 1) * error;
    let end = |share| quantile(&pooled, share).unwrap_or(value);
    Some((value, Some(Interval { low: end(share - half), high: end(share + half) })))
}

/// The 95 % interval of a proportion (Wilson 1927); none without trials. More successes than trials count as all.
#[must_use]
pub fn proportion(successes: u64, trials: u64) -> Option<(f64, Interval)> {
    if trials == 0 {
        return None;
    }
    let share = successes.min(trials) as f64 / trials as f64;
    let square = NORMAL_975 * NORMAL_975 / trials as f64;
    let middle = (share + square / 2.0) / (1.0 + square);
    let spread = (share * (1.0 - share) / trials as f64 + square / trials as f64 / 4.0).sqrt();
    let half = NORMAL_975 * spread / (1.0 + square);
    let interval = Interval { low: (middle - half).clamp(0.0, share), high: (middle + half).clamp(share, 1.0) };
    Some((share, interval))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::random::Stream;

    #[test]
    fn a_summary_is_what_one_calculates_by_hand() {
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).expect("values");
        assert_eq!((summary.mean, summary.median, summary.min, summary.max), (5.0, 4.5, 2.0, 9.0));
        let deviation = (32.0_f64 / 7.0).sqrt();
        assert_eq!(summary.deviation, Some(deviation));
        // t of seven degrees is 2.3646.
        let half = summary.interval.expect("eight runs").half();
        assert!((half - 2.364_624 * deviation / 8.0_f64.sqrt()).abs() < 1e-6, "{half}");
    }

    #[test]
    fn one_run_says_nothing_of_others() {
        let summary = Summary::of(&[3.0]).expect("a value");
        assert_eq!((summary.mean, summary.interval, summary.deviation), (3.0, None, None));
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(pooled_quantile(&[&[1.0, 2.0, 3.0]], 0.5), Some((2.0, None)));
        assert_eq!(pooled_quantile(&[&[], &[]], 0.5), None);
    }

    #[test]
    fn the_interval_of_the_mean_covers_the_true_one() {
        let covered = (0..2_000).filter(|draw| {
            let mut stream = Stream::new(*draw, "coverage", 0);
            let values: Vec<f64> = (0..10).map(|_| stream.unit()).collect();
            let interval = Summary::of(&values).and_then(|summary| summary.interval).expect("ten runs");
            (interval.low..=interval.high).contains(&0.5)
        });
        let covered = covered.count();
        assert!((1_860..=1_940).contains(&covered), "{covered} of 2,000");
    }

    #[test]
    fn the_interval_of_a_pooled_quantile_covers_the_true_one_although_runs_differ() {
        // Each value is the run's own luck plus its own; a sum of two uniforms: half lies below 1, a tenth above
        // 2 − √0.2.
        for (share, truth) in [(0.5, 1.0), (0.9, 2.0 - 0.2_f64.sqrt())] {
            let covered = (0..1_000).filter(|draw| {
                let run = |number| {
                    let mut stream = Stream::new(*draw, "pooled", number);
                    let luck = stream.unit();
                    (0..40).map(|_| luck + stream.unit()).collect::<Vec<f64>>()
                };
                let runs: Vec<Vec<f64>> = (0..20).map(run).collect();
                let runs: Vec<&[f64]> = runs.iter().map(Vec::as_slice).collect();
                let interval = pooled_quantile(&runs, share).and_then(|(_, interval)| interval).expect("twenty runs");
                (interval.low..=interval.high).contains(&truth)
            });
            let covered = covered.count();
            assert!((900..=980).contains(&covered), "{share}: {covered} of 1,000");
        }
    }

    #[test]
    fn the_interval_of_a_proportion_is_the_published_one() {
        // Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        let published =
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)];
        for (successes, trials, low, high) in published {
            let (_, interval) = proportion(successes, trials).expect("trials");
            assert!((interval.low - low).abs() < 5.1e-5 && (interval.high - high).abs() < 5.1e-5, "{interval:?}");
        }
        assert_eq!(proportion(0, 0), None);
    }

    proptest! {
        #[test]
        fn a_quantile_lies_where_sorting_puts_it(values in vec(-1e6..1e6_f64, 1..60), share in 0.0..=1.0_f64) {
            let sorted = sorted(values.iter().copied());
            let value = quantile(&sorted, share).expect("values");
            let below = values.iter().filter(|other| **other < value).count() as f64;
            let not_above = values.iter().filter(|other| **other <= value).count() as f64;
            // Counted over all values, without any formula: the rank of the quantile brackets the share.
            let place = share * (values.len() - 1) as f64;
            prop_assert!(below <= place + 1.0 + 1e-9 && not_above >= place - 1e-9, "{} {} {}", below, not_above, place);
            for (rank, at_rank) in sorted.iter().enumerate().filter(|_| sorted.len() > 1) {
                let exact = quantile(&sorted, rank as f64 / (sorted.len() - 1) as f64).expect("values");
                prop_assert!((exact - at_rank).abs() < 1e-6);
            }
            let more = quantile(&sorted, (share + 0.1).min(1.0)).expect("values");
            prop_assert!(more >= value);
        }

        #[test]
        fn a_summary_stays_inside_its_values(values in vec(-1e140..1e140_f64, 1..40)) {
            let summary = Summary::of(&values).expect("values");
            prop_assert!(summary.min <= summary.mean && summary.mean <= summary.max);
            prop_assert!(summary.deviation.is_none_or(f64::is_finite));
        }
    }
}
