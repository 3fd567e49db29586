//! Churn against renewal theory, and the published means against numeric integration.

use std::collections::BTreeMap;

use super::tests::demands;
use super::*;
use crate::draw::Distribution;

/// The mean of a Weibull distribution in minutes, as the integral of the share above, without the gamma function.
fn integrated_mean_min(published: Published) -> f64 {
    let Distribution::Weibull { shape, scale } = published.distribution() else { panic!("{published:?}") };
    // With x = λ y^(1/k) the integral is that of y^(1/k − 1) e^(−y) λ/k, and with y = z⁴ it begins smoothly.
    const STEPS: u32 = 200_000;
    let step = 4.0 / f64::from(STEPS);
    let height = |place: u32| {
        let z = step * (f64::from(place) + 0.5);
        let y = z * z * z * z;
        libm::pow(y, 1.0 / shape - 1.0) * libm::exp(-y) * 4.0 * z * z * z
    };
    (0..STEPS).map(height).sum::<f64>() * step * scale / shape / 60.0
}

#[test]
fn the_published_distributions_have_the_published_means() {
    let means = [
        (Published::Debian, 163.4),
        (Published::RedHat, 118.8),
        (Published::FlatOut, 64.5),
        (Published::KadFirst, 617.7),
        (Published::KadLater, 247.1),
        (Published::KadOffline, 909.9),
    ];
    for (published, expected) in means {
        let (mean, integrated) = (published.distribution().mean() / 60.0, integrated_mean_min(published));
        assert!((mean / integrated - 1.0).abs() < 1e-6, "{published:?}: {mean} and not {integrated}");
        assert!((mean - expected).abs() < 0.1, "{published:?}: {mean}");
    }
}

fn churn(fields: &str) -> String {
    format!("[[activities]]\nkind = 'churn'\n{fields}")
}

/// The share of nodes that are up at each of these hours.
fn up_shares(all: &[Demand], nodes: usize, hours: &[f64]) -> Vec<f64> {
    let mut up = vec![true; nodes];
    let mut left = all.iter().peekable();
    let shares = hours.iter().map(|hour| {
        while let Some(demand) = left.next_if(|demand| demand.at.0 as f64 <= hour * 3.6e12) {
            up[demand.node as usize] = demand.what == Want::Return;
        }
        up.iter().filter(|up| **up).count() as f64 / nodes as f64
    });
    shares.collect()
}

#[test]
fn a_stationary_start_stays_as_it_is() {
    let hours = [0.0, 0.1, 1.0, 5.0, 20.0];
    for (up_s, availability) in [("kad_first", 0.405), ("kad_later", 0.214)] {
        let all = demands(&churn(&format!("up_s = '{up_s}'\ndown_s = 'kad_offline'")), 3, 20_000, 21.0 * 3_600.0);
        // Binomial: a standard deviation of 0.0035.
        for (hour, share) in hours.iter().zip(up_shares(&all, 20_000, &hours)) {
            assert!((share - availability).abs() < 0.0115, "{up_s} after {hour} h: {share}");
        }
    }
}

#[test]
fn sessions_under_way_are_longer_than_fresh_ones() {
    let text = |stationary| churn(&format!("up_s = 'kad_later'\ndown_s = 'kad_offline'\nstationary = {stationary}"));
    let first_hour = |stationary| {
        let all = demands(&text(stationary), 3, 20_000, 3_600.0);
        let mut began_up = vec![true; 20_000];
        let mut left = vec![false; 20_000];
        for demand in &all {
            match demand.what {
                Want::Absent => began_up[demand.node as usize] = false,
                _ => left[demand.node as usize] |= began_up[demand.node as usize] && demand.what == Want::Leave,
            }
        }
        let up = began_up.iter().filter(|up| **up).count() as f64;
        (up, left.iter().filter(|left| **left).count() as f64 / up)
    };
    // Of fresh sessions a share of 1 − e^−(60 ÷ 169.5)^0.615 ends within an hour; of those under way the integral of the
    // share above over this hour, in parts of the mean (computed apart). Within three standard deviations.
    let (up, fresh) = first_hour(false);
    assert!(up == 20_000.0 && (fresh - 0.4102).abs() < 0.0105, "{fresh}");
    let (up, under_way) = first_hour(true);
    assert!((up - 4_279.0).abs() < 180.0 && (under_way - 0.1767).abs() < 0.0175, "{up} {under_way}");
}

#[test]
fn nodes_alternate_and_crash_as_often_as_asked() {
    let text = churn("up_s = { kind = 'exponential', mean = 600 }\ndown_s = 300\ncrash_share = 0.3");
    let all = demands(&text, 5, 200, 100.0 * 3_600.0);
    let mut up: BTreeMap<u32, bool> = BTreeMap::new();
    let (mut leaves, mut crashes) = (0.0, 0.0);
    for demand in &all {
        let returns = demand.what == Want::Return;
        assert_ne!(up.insert(demand.node, returns), Some(returns), "{demand:?}");
        match demand.what {
            Want::Leave => leaves += 1.0,
            Want::Crash => crashes += 1.0,
            Want::Absent => assert_eq!(demand.at.0, 0),
            _ => {}
        }
    }
    // A cycle takes 900 seconds: 80,000 of them.
    let endings: f64 = leaves + crashes;
    assert!((endings - 80_000.0).abs() < 1_000.0, "{endings}");
    assert!((crashes / endings - 0.3).abs() < 3.3 * (0.3f64 * 0.7 / endings).sqrt(), "{crashes} of {endings}");
}

#[test]
fn churn_keeps_to_its_window_and_its_nodes() {
    let text = churn(
        "up_s = 10\ndown_s = 10\nstationary = false\nfrom_s = 100\nuntil_s = 145\n\
         who = { kind = 'nodes', nodes = [1] }",
    );
    let all: Vec<(f64, u32, Want)> =
        demands(&text, 1, 3, 1e3).iter().map(|demand| (demand.at.0 as f64 / 1e9, demand.node, demand.what)).collect();
    let expected = [(110.0, Want::Leave), (120.0, Want::Return), (130.0, Want::Leave), (140.0, Want::Return)];
    assert_eq!(all, expected.map(|(at, what)| (at, 1, what)));
}

#[test]
fn kad_is_up_as_much_as_the_crawls_say() {
    let availability = |up_s| {
        let workload: Workload = toml::from_str(&churn(&format!("up_s = '{up_s}'\ndown_s = 'kad_offline'"))).unwrap();
        match &workload.activities[0] {
            Activity::Churn(churn) => churn.availability(),
            other => panic!("{other:?}"),
        }
    };
    assert!((availability("kad_first") - 0.40).abs() < 0.01 && (availability("kad_later") - 0.21).abs() < 0.01);
}
