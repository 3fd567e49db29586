//! How just a split was: max-min fair shares, and Jain's index over what each got of its fair share.
//!
//! Invariant: integers only, so that every machine says the same.

/// One.
pub const PPM: u64 = 1_000_000;

/// Jain's index (Σy)² / (n Σy²) over y = got / fair, in parts per million: 1,000,000 (less a few by rounding) is perfect, 1,000,000/n is one
/// taking all. Pairs are `(got, fair)`; those with a fair share of zero wanted nothing and do not count. Without any
/// left, or if nobody got anything, all are equal: 1,000,000.
#[must_use]
pub fn jain_ppm(got_and_fair: &[(u64, u64)]) -> u64 {
    const RATIO_MAX: u128 = 1 << 36;
    let ratios: Vec<u128> = got_and_fair
        .iter()
        .filter(|(_, fair)| *fair > 0)
        .map(|(got, fair)| ((u128::from(*got) << 20) / u128::from(*fair)).min(RATIO_MAX))
        .collect();
    let sum: u128 = ratios.iter().sum();
    let squares: u128 = ratios.iter().map(|ratio| ratio * ratio).sum();
    if squares == 0 {
        return PPM;
    }
    let product = sum.saturating_mul(sum).saturating_mul(u128::from(PPM));
    let index = product / squares / ratios.len() as u128;
    u64::try_from(index).unwrap_or(PPM).min(PPM)
}

/// Shares `capacity` max-min fairly: who wants little gets it all, the others the same each. What does not divide goes
/// to the first ones, a unit each.
#[must_use]
pub fn max_min_shares(capacity: u64, demands: &[u64]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|index| demands[*index]);
    let mut shares = vec![0; demands.len()];
    let mut left = capacity;
    for (done, index) in order.iter().enumerate() {
        let open = (demands.len() - done) as u64;
        let share = demands[*index].min(left.div_ceil(open));
        shares[*index] = share;
        left -= share;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        let close = |pairs: &[(u64, u64)], wanted: u64| assert!(jain_ppm(pairs).abs_diff(wanted) <= 50, "{pairs:?}");
        close(&[(5, 5), (7, 7)], PPM);
        close(&[(10, 5), (0, 5)], 500_000);
        // Half the users getting three times the rest.
        close(&[(3, 2), (1, 2)], 800_000);
        assert_eq!(jain_ppm(&[]), PPM);
        assert_eq!(jain_ppm(&[(0, 1), (3, 0)]), PPM);
    }

    #[test]
    fn small_demands_are_met_and_the_rest_is_split() {
        assert_eq!(max_min_shares(100, &[10, 100, 100]), [10, 45, 45]);
        assert_eq!(max_min_shares(100, &[10, 20]), [10, 20]);
        assert_eq!(max_min_shares(5, &[9, 9]), [3, 2]);
        assert_eq!(max_min_shares(5, &[]), Vec::<u64>::new());
    }

    proptest! {
        #[test]
        fn the_index_stays_in_range(pairs in proptest::collection::vec(any::<(u64, u64)>(), 0..300)) {
            prop_assert!(jain_ppm(&pairs) <= PPM);
        }

        #[test]
        fn shares_fill_the_capacity(capacity in 0u64..1 << 40, demands in proptest::collection::vec(0u64..1 << 32, 0..50)) {
            let shares = max_min_shares(capacity, &demands);
            prop_assert!(shares.iter().zip(&demands).all(|(share, demand)| share <= demand));
            prop_assert_eq!(shares.iter().sum::<u64>(), capacity.min(demands.iter().sum()));
        }
    }
}
