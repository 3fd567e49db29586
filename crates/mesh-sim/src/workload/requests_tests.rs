//! Requests follow their law, their rate, the day, and the weight of their people.

use std::collections::BTreeSet;

use super::tests::demands;
use super::*;

/// The requests of so many nodes for one of a hundred contents.
fn requests(fields: &str, nodes: u32, hours: f64) -> Vec<Demand> {
    let head = "[catalogue]\ncontents = 100\nsize_bytes = 1\n[[activities]]\nkind = 'requests'\n";
    let all = demands(&format!("{head}{fields}"), 6, nodes, hours * 3_600.0);
    all.into_iter().filter(|demand| matches!(demand.what, Want::Get { .. })).collect()
}

fn content(demand: &Demand) -> u32 {
    match demand.what {
        Want::Get { content } => content,
        other => panic!("{other:?}"),
    }
}

/// The numbers of requests of each node.
fn by_node(all: &[Demand], nodes: usize) -> Vec<f64> {
    let mut counts = vec![0.0; nodes];
    all.iter().for_each(|demand| counts[demand.node as usize] += 1.0);
    counts
}

#[test]
fn popular_contents_are_asked_for_by_the_law_of_zipf() {
    let all = requests("exponent = 0.8\narrivals = { kind = 'poisson', per_hour = 10 }", 50, 100.0);
    // Poisson: 50,000 with a root of 224.
    assert!((all.len() as f64 - 50_000.0).abs() < 740.0, "{}", all.len());
    let weight = |content: u32| libm::pow(f64::from(content + 1), -0.8);
    let sum: f64 = (0..100).map(weight).sum();
    for place in [0, 1, 9, 99] {
        let count = all.iter().filter(|demand| content(demand) == place).count() as f64;
        let expected = all.len() as f64 * weight(place) / sum;
        assert!((count - expected).abs() < 3.3 * expected.sqrt(), "{place}: {count} and not {expected}");
    }
}

#[test]
fn whoever_asks_once_at_most_asks_for_everything_in_the_end() {
    let fields = "exponent = 2\nat_most_once = true\narrivals = { kind = 'poisson', per_hour = 30 }";
    let all = requests(fields, 20, 10.0);
    for node in 0..20 {
        let own: Vec<u32> = all.iter().filter(|demand| demand.node == node).map(content).collect();
        assert_eq!((own.len(), own.iter().collect::<BTreeSet<_>>().len()), (100, 100), "node {node}");
        let early: u32 = own[..10].iter().sum();
        assert!(early < own[90..].iter().sum(), "the popular ones come first: {own:?}");
    }
}

#[test]
fn a_few_heavy_users_make_their_share_and_the_mean_stays() {
    for (share, of_requests) in [(0.1, 0.6), (0.3, 0.5), (0.8, 0.9)] {
        let fields = format!(
            "exponent = 1\narrivals = {{ kind = 'poisson', per_hour = 20 }}\n\
             heavy = {{ nodes = {share}, requests = {of_requests} }}"
        );
        let all = requests(&fields, 500, 20.0);
        assert!((all.len() as f64 - 200_000.0).abs() < 3_000.0, "{}", all.len());
        let mut counts = by_node(&all, 500);
        // The two kinds of nodes differ by far more than luck: the rates lie at least 23 standard deviations apart.
        let (heavy, light) = (of_requests / share * 400.0, (1.0 - of_requests) / (1.0 - share) * 400.0);
        let is_heavy = |count: &f64| (count - heavy).abs() < (count - light).abs();
        let number = counts.iter().filter(|count| is_heavy(count)).count() as f64;
        assert!((number - 500.0 * share).abs() <= 1.0, "{share}: {number}");
        counts.retain(is_heavy);
        let made = counts.iter().sum::<f64>() / all.len() as f64;
        assert!((made - of_requests).abs() < 0.01, "{share}: {made}");
    }
}

#[test]
fn the_rate_follows_the_day() {
    let fields = "exponent = 0\narrivals = { kind = 'poisson', per_hour = 10 }\n\
                  day = { weights = [1, 0, 3], day_s = 10_800, starts_at_s = 3_600 }";
    let mut counts = [0i32; 3];
    for demand in requests(fields, 100, 30.0) {
        counts[(demand.at.0 / 3_600_000_000_000) as usize % 3] += 1;
    }
    // The run begins in the second hour of the day: 0, 22,500 and 7,500 of 30,000.
    assert!(counts[0] == 0 && (counts[1] - 22_500).abs() < 500 && (counts[2] - 7_500).abs() < 290, "{counts:?}");
}

#[test]
fn intervals_are_even_and_begin_anywhere() {
    let all = requests("exponent = 0\narrivals = { kind = 'interval', every_s = 360 }", 40, 10.0);
    let mut firsts = Vec::new();
    for node in 0..40 {
        let own: Vec<u64> = all.iter().filter(|demand| demand.node == node).map(|demand| demand.at.0).collect();
        assert!(own.windows(2).all(|pair| pair[1] - pair[0] == 360_000_000_000), "node {node}");
        assert_eq!(own.len(), 100, "node {node}");
        firsts.push(own[0] as f64 / 3.6e11);
    }
    let mean = firsts.iter().sum::<f64>() / 40.0;
    // Even over the first interval: a standard deviation of 0.046 around a half.
    assert!((mean - 0.5).abs() < 0.15 && firsts.iter().all(|first| *first <= 1.0), "{mean}");
}

#[test]
fn bursts_have_their_size_and_their_pauses() {
    let fields = "exponent = 0\narrivals = { kind = 'burst', per_hour = 2, requests = 5, gap_s = 3 }";
    let all = requests(fields, 50, 100.0);
    let mut pauses = Vec::new();
    for node in 0..50 {
        let own: Vec<u64> = all.iter().filter(|demand| demand.node == node).map(|demand| demand.at.0).collect();
        for (place, pair) in own.windows(2).enumerate() {
            let gap = pair[1] - pair[0];
            match place % 5 {
                4 => pauses.push(gap as f64 / 1e9),
                _ => assert_eq!(gap, 3_000_000_000, "node {node}"),
            }
        }
    }
    let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
    // Exponential with a mean of 1,800, which is known to 1,800 ÷ √10,000 or so.
    assert!((mean - 1_800.0).abs() < 75.0 && pauses.len() > 9_000, "{mean} of {}", pauses.len());
}
