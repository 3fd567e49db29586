//! Draws compared with their theory, on frozen seeds: the bounds are those that one of a thousand right samplers breaks.

use mesh_proto::Timestamp;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::random::Stream;

const DRAWS: usize = 20_000;

/// The largest distance between the sample and the theory's distribution function (Kolmogorov and Smirnov), in units of
/// what one of a thousand samples exceeds.
fn distance(mut sample: Vec<f64>, theory: impl Fn(f64) -> f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let count = sample.len() as f64;
    let steps = sample.iter().enumerate().map(|(place, number)| {
        let below = theory(*number);
        (below - place as f64 / count).abs().max((below - (place + 1) as f64 / count).abs())
    });
    steps.fold(0.0, f64::max) * count.sqrt() / 1.95
}

fn draws(seed: u64, mut draw: impl FnMut(&mut Stream) -> f64) -> Vec<f64> {
    let mut stream = Stream::new(seed, "draws", 0);
    (0..DRAWS).map(|_| draw(&mut stream)).collect()
}

fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

fn normal_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

const DISTRIBUTIONS: [Distribution; 7] = [
    Distribution::Uniform { least: 2.0, most: 5.0 },
    Distribution::Exponential { mean: 3.0 },
    Distribution::Weibull { shape: 0.545, scale: 357.7 },
    Distribution::Weibull { shape: 2.0, scale: 10.0 },
    Distribution::LogNormal { median: 7.0, sigma: 0.8 },
    Distribution::Pareto { least: 2.0, shape: 3.5 },
    Distribution::Pareto { least: 1.0, shape: 0.7 },
];

/// The distribution functions as the books have them.
fn below(distribution: Distribution, x: f64) -> f64 {
    match distribution {
        Distribution::Constant { value } => f64::from(u8::from(x >= value)),
        Distribution::Uniform { least, most } => ((x - least) / (most - least)).clamp(0.0, 1.0),
        Distribution::Exponential { mean } => 1.0 - libm::exp(-x / mean),
        Distribution::Weibull { shape, scale } => 1.0 - libm::exp(-libm::pow(x / scale, shape)),
        Distribution::LogNormal { .. } if x <= 0.0 => 0.0,
        Distribution::LogNormal { median, sigma } => normal_below(libm::log(x / median) / sigma),
        Distribution::Pareto { least, .. } if x < least => 0.0,
        Distribution::Pareto { least, shape } => 1.0 - libm::pow(least / x, shape),
    }
}

/// The integral of the share above x, from 0 to an end, on steps that grow as the tail does.
fn integral_above(distribution: Distribution, end: f64) -> f64 {
    const STEPS: u32 = 20_000;
    let place = |step: u32| end * libm::pow(f64::from(step) / f64::from(STEPS), 8.0);
    let area = |step: u32| {
        let (from, to) = (place(step), place(step + 1));
        let middle = 1.0 - below(distribution, (from + to) / 2.0);
        (to - from) * (4.0 * middle + 2.0 - below(distribution, from) - below(distribution, to)) / 6.0
    };
    (0..STEPS).map(area).sum()
}

#[test]
fn draws_follow_the_distribution_functions_of_the_books() {
    for distribution in DISTRIBUTIONS {
        let sample = draws(11, |stream| distribution.draw(stream));
        let distance = distance(sample, |x| below(distribution, x));
        assert!(distance < 1.0, "{distribution:?}: {distance}");
    }
}

#[test]
fn means_are_the_integral_of_the_share_above() {
    for distribution in DISTRIBUTIONS.into_iter().filter(|distribution| distribution.mean().is_finite()) {
        let integral = integral_above(distribution, distribution.mean() * 1e4);
        assert!((integral / distribution.mean() - 1.0).abs() < 1e-4, "{distribution:?}: {integral}");
    }
    assert_eq!(Distribution::Pareto { least: 1.0, shape: 1.0 }.mean(), f64::INFINITY);
}

#[test]
fn what_is_left_of_a_draw_under_way_has_the_density_of_renewal_theory() {
    for distribution in DISTRIBUTIONS.into_iter().filter(|distribution| distribution.mean().is_finite()) {
        let sample = draws(13, |stream| distribution.draw_rest(stream));
        // The share below x is the integral of the share above, over the mean; looked up on a fine, growing grid.
        let mut sorted = sample.clone();
        sorted.sort_by(f64::total_cmp);
        let quantiles: Vec<f64> = (1..40).map(|part| sorted[part * DRAWS / 40]).collect();
        for (part, quantile) in (1..40).zip(quantiles) {
            let expected = integral_above(distribution, quantile) / distribution.mean();
            let error = (f64::from(part) / 40.0 - expected).abs() * (DRAWS as f64).sqrt();
            assert!(error < 1.95, "{distribution:?} at {part}/40: {expected}");
        }
    }
}

#[test]
fn normal_and_gamma_numbers_follow_their_theory() {
    let sample = draws(17, normal);
    let variance = mean(&sample.iter().map(|x| x * x).collect::<Vec<_>>());
    assert!(mean(&sample).abs() < 3.3 / (DRAWS as f64).sqrt(), "{}", mean(&sample));
    assert!((variance - 1.0).abs() < 3.3 * (2.0 / DRAWS as f64).sqrt(), "{variance}");
    assert!(distance(sample, normal_below) < 1.0);
    // Of whole shapes the distribution function is known: that of so many exponential waits.
    for shape in [1, 2, 5] {
        let poisson_below = |x: f64| {
            let terms = (1..shape).scan(1.0, |term, k| {
                *term *= x / f64::from(k);
                Some(*term)
            });
            1.0 - libm::exp(-x) * (1.0 + terms.sum::<f64>())
        };
        let distance = distance(draws(19, |stream| gamma(stream, f64::from(shape))), poisson_below);
        assert!(distance < 1.0, "shape {shape}: {distance}");
    }
}

#[test]
fn a_normal_number_depends_on_its_place_in_the_stream_only() {
    let mut stream = Stream::new(1, "normal", 0);
    let numbers: Vec<f64> = (0..4).map(|_| normal(&mut stream)).collect();
    let mut later = Stream::new(1, "normal", 0);
    (0..4).for_each(|_| _ = later.next_u64());
    assert_eq!(normal(&mut later), numbers[2]);
}

#[test]
fn the_draws_are_what_they_always_were() {
    let mut stream = Stream::new(7, "frozen", 0);
    let bits: Vec<u64> = DISTRIBUTIONS.iter().map(|distribution| distribution.draw(&mut stream).to_bits()).collect();
    let rests: Vec<u64> =
        DISTRIBUTIONS[..6].iter().map(|distribution| distribution.draw_rest(&mut stream).to_bits()).collect();
    assert_eq!((bits.as_slice(), rests.as_slice()), (FROZEN.as_slice(), FROZEN_RESTS.as_slice()));
}

const FROZEN: [u64; 7] = [
    4_614_410_663_849_545_562,
    4_620_534_834_726_788_890,
    4_650_685_273_545_256_064,
    4_614_784_895_679_475_682,
    4_622_891_375_041_055_342,
    4_615_051_366_233_615_010,
    4_614_857_571_354_751_819,
];
const FROZEN_RESTS: [u64; 6] = [
    4_607_822_492_435_350_033,
    4_615_163_087_410_482_982,
    4_648_396_725_631_360_519,
    4_619_096_534_687_452_764,
    4_607_424_862_302_883_638,
    4_611_959_533_815_377_941,
];

/// χ² over the places, the rare ones together, in units of about what one of a thousand exceeds.
fn chi(counts: &[u32], probability: impl Fn(usize) -> f64) -> f64 {
    let total = f64::from(counts.iter().sum::<u32>());
    let (mut chi, mut cells, mut rare) = (0.0, 0.0, (0.0, 0.0));
    for (place, count) in counts.iter().enumerate() {
        let expected = probability(place) * total;
        if expected < 8.0 {
            rare = (rare.0 + expected, rare.1 + f64::from(*count));
            continue;
        }
        chi += (f64::from(*count) - expected) * (f64::from(*count) - expected) / expected;
        cells += 1.0;
    }
    if rare.0 > 0.0 {
        chi += (rare.1 - rare.0) * (rare.1 - rare.0) / rare.0;
        cells += 1.0;
    }
    // Wilson and Hilferty's approximation of the quantile.
    let (freedom, z): (f64, f64) = (cells - 1.0, 3.09);
    let root: f64 = 1.0 - 2.0 / (9.0 * freedom) + z * (2.0 / (9.0 * freedom)).sqrt();
    chi / (freedom * root * root * root)
}

#[test]
fn places_are_drawn_by_the_law_of_zipf() {
    for exponent in [0.0, 0.8, 1.0, 2.5, ZIPF_EXPONENT_MAX] {
        let zipf = Zipf::new(300, exponent).unwrap();
        let mut counts = vec![0; 300];
        let mut stream = Stream::new(23, "zipf", 0);
        (0..100_000).for_each(|_| counts[zipf.draw(&mut stream) as usize] += 1);
        let sum: f64 = (1..=300).map(|place| libm::pow(f64::from(place), -exponent)).sum();
        let chi = chi(&counts, |place| libm::pow((place + 1) as f64, -exponent) / sum);
        assert!(chi < 1.0, "{exponent}: {chi}");
    }
}

#[test]
fn a_million_places_keep_the_weight_of_their_tail() {
    let zipf = Zipf::new(RANKS_MAX, 3.0).unwrap();
    let (last, first) = (zipf.probability(RANKS_MAX - 1), zipf.probability(0));
    assert!((last / first * 1e18 - 1.0).abs() < 1e-3, "{last} {first}");
    assert!(Zipf::new(RANKS_MAX + 1, 1.0).is_err() && Zipf::new(0, 1.0).is_err() && Zipf::new(9, -0.1).is_err());
}

#[test]
fn places_besides_the_taken_are_as_likely_as_among_themselves() {
    for exponent in [0.0, 0.8, 4.0] {
        let zipf = Zipf::new(40, exponent).unwrap();
        let taken = [0, 1, 2, 5, 17, 18, 39];
        let mut counts = vec![0; 40];
        let mut stream = Stream::new(29, "besides", 0);
        (0..50_000).for_each(|_| counts[zipf.draw_besides(&mut stream, &taken).unwrap() as usize] += 1);
        assert!(taken.iter().all(|place| counts[*place as usize] == 0), "{counts:?}");
        let left: f64 = (0..40).filter(|place| !taken.contains(place)).map(|place| zipf.probability(place)).sum();
        let chance = |place: usize| match taken.contains(&(place as u32)) {
            true => 0.0,
            false => zipf.probability(place as u32) / left,
        };
        let chi = chi(&counts, chance);
        assert!(chi < 1.0, "{exponent}: {chi}");
    }
}

proptest! {
    #[test]
    fn drawing_besides_what_was_drawn_visits_every_place_once(places in 1u32..200, exponent in 0.0..5.0, seed: u64) {
        let zipf = Zipf::new(places, exponent).unwrap();
        let mut stream = Stream::new(seed, "all", 0);
        let mut taken = Vec::new();
        while let Some(place) = zipf.draw_besides(&mut stream, &taken) {
            let at = taken.binary_search(&place);
            prop_assert!(at.is_err(), "{} twice", place);
            taken.insert(at.unwrap_err(), place);
        }
        prop_assert_eq!(taken, (0..places).collect::<Vec<_>>());
    }

    #[test]
    fn samples_ascend_within_their_bound(bound in 0u32..1_000, count in 0u32..1_000, seed: u64) {
        let sample = sample(&mut Stream::new(seed, "sample", 0), bound, count);
        prop_assert_eq!(sample.len() as u32, count.min(bound));
        prop_assert!(sample.is_sorted_by(|a, b| a < b) && sample.iter().all(|number| *number < bound));
    }

    #[test]
    fn a_further_holder_only_takes(weights in proptest::collection::vec(0.1..9.0f64, 2..40), thing: u64) {
        let all = Holders::new(weights.iter().copied());
        let fewer = Holders::new(weights[..weights.len() - 1].iter().copied());
        let stream = || Stream::new(3, "thing", thing);
        let (now, before) = (all.holder(&mut stream()), fewer.holder(&mut stream()));
        prop_assert!(now == before || now as usize == weights.len() - 1, "from {} to {}", before, now);
    }
}

#[test]
fn holders_hold_by_their_weight() {
    let weights = [1.0, 0.0, 2.0, 5.0, 0.5, 1.5];
    let holders = Holders::new(weights);
    let mut counts = [0; 6];
    (0..40_000).for_each(|thing| counts[holders.holder(&mut Stream::new(5, "thing", thing)) as usize] += 1);
    assert_eq!(counts[1], 0);
    let chi = chi(&counts, |holder| weights[holder] / 10.0);
    assert!(chi < 1.0, "{chi}: {counts:?}");
}

#[test]
fn every_order_and_every_set_is_equally_likely() {
    let mut orders = [0; 27];
    let mut sets = [0; 32];
    let mut stream = Stream::new(31, "orders", 0);
    for _ in 0..12_000 {
        let mut order = [0usize, 1, 2];
        shuffle(&mut stream, &mut order);
        orders[order[0] * 9 + order[1] * 3 + order[2]] += 1;
        sets[sample(&mut stream, 5, 2).iter().map(|number| 1usize << number).sum::<usize>()] += 1;
    }
    let of = |counts: &[u32]| counts.iter().copied().filter(|count| *count > 0).collect::<Vec<u32>>();
    let (orders, sets) = (of(&orders), of(&sets));
    assert_eq!((orders.len(), sets.len()), (6, 10));
    assert!(chi(&orders, |_| 1.0 / 6.0) < 1.0, "{orders:?}");
    assert!(chi(&sets, |_| 0.1) < 1.0, "{sets:?}");
}

const HOUR: f64 = 3_600.0;

fn arrivals(poisson: &Poisson, hours: f64) -> Vec<f64> {
    let (mut stream, until) = (Stream::new(37, "arrivals", 0), Timestamp(nanos(hours * HOUR)));
    let next = |after: &Timestamp| poisson.next(&mut stream, *after, until);
    let mut next = next;
    std::iter::successors(next(&Timestamp::ZERO), next).map(|at| at.0 as f64 / 1e9).collect()
}

#[test]
fn gaps_between_arrivals_are_exponential() {
    let times = arrivals(&Poisson::new(120.0, None).unwrap(), 200.0);
    let gaps: Vec<f64> = std::iter::once(&0.0).chain(&times).zip(&times).map(|(from, to)| to - from).collect();
    assert!((times.len() as f64 - 24_000.0).abs() < 3.3 * 24_000.0f64.sqrt(), "{}", times.len());
    assert!(distance(gaps, |gap| 1.0 - libm::exp(-gap / 30.0)) < 1.0);
    assert!(arrivals(&Poisson::new(0.0, None).unwrap(), 1e4).is_empty());
}

#[test]
fn arrivals_follow_the_day_and_keep_their_mean() {
    let curve = DayCurve { weights: vec![1.0, 0.0, 6.0, 3.0], day_s: 4.0 * HOUR, starts_at_s: HOUR };
    let times = arrivals(&Poisson::new(100.0, Some(&curve)).unwrap(), 400.0);
    let mut counts = [0; 4];
    times.iter().for_each(|at| counts[(at / HOUR + 1.0) as usize % 4] += 1);
    assert!((times.len() as f64 - 40_000.0).abs() < 3.3 * 200.0, "{}", times.len());
    assert_eq!(counts[1], 0);
    let chi = chi(&counts, |part| curve.weights[part] / 10.0);
    assert!(chi < 1.0, "{chi}: {counts:?}");
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Field {
    field: Distribution,
}

#[test]
fn a_distribution_is_a_number_or_a_table() {
    let read = |text: &str| toml::from_str::<Field>(text).map(|field| field.field).map_err(|error| error.to_string());
    assert_eq!(read("field = 3"), Ok(Distribution::Constant { value: 3.0 }));
    assert_eq!(read("field = { kind = 'exponential', mean = 2 }"), Ok(Distribution::Exponential { mean: 2.0 }));
    assert!(read("field = 'often'").unwrap_err().contains("a number, or a table"));
    assert!(read("field = { kind = 'exponential', mean = 2, mode = 1 }").unwrap_err().contains("unknown field `mode`"));
    for field in DISTRIBUTIONS.into_iter().chain([Distribution::Constant { value: 0.25 }]) {
        let text = toml::to_string(&Field { field }).unwrap();
        assert_eq!(toml::from_str::<Field>(&text).unwrap(), Field { field }, "{text}");
    }
}

#[test]
fn parameters_out_of_range_are_refused_with_what_is_allowed() {
    let wrong = [
        (Distribution::Constant { value: -1.0 }, "value is -1; allowed: 0 to 1000000000000000000"),
        (Distribution::Uniform { least: 3.0, most: 2.0 }, "most is 2; allowed: 3 to 1000000000000000000"),
        (Distribution::Exponential { mean: f64::NAN }, "mean is NaN; allowed: 0 to 1000000000000000000"),
        (Distribution::Weibull { shape: 0.0, scale: 1.0 }, "shape is 0; allowed: 0.1 to 100"),
        (Distribution::LogNormal { median: 1.0, sigma: 11.0 }, "sigma is 11; allowed: 0 to 10"),
        (Distribution::Pareto { least: f64::INFINITY, shape: 1.0 }, "least is inf; allowed: 0 to 1000000000000000000"),
    ];
    for (distribution, message) in wrong {
        assert_eq!(distribution.validate().unwrap_err().to_string(), message);
    }
    let night = DayCurve { weights: vec![0.0; 24], day_s: 86_400.0, starts_at_s: 0.0 };
    let refused = Poisson::new(1.0, Some(&night)).unwrap_err();
    assert_eq!(refused.to_string(), "day.weights is all zero; allowed: at least one above zero");
    let noon = DayCurve { weights: vec![0.0, 2.0], ..night };
    let refused = Poisson::new(PER_HOUR_MAX, Some(&noon)).unwrap_err();
    assert_eq!(refused.to_string(), "per_hour at the height of the day is 7200000; allowed: 0 to 3600000");
}
