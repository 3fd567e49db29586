//! How loss slows a flow. A calibration on a real network replaces the constants.
//!
//! - Cubic's response functions are those of RFC 9438: Reno-friendly in section 5.1 (after Mathis et al. 1997), its own
//!   in section 5.2. They hold for losses at even distances. Here losses are independent, which leaves larger windows:
//!   by theory for Reno (Ott, Kemperman, Mathis 1996) and for Cubic (Poojary, Sharma 2015). At each moment the larger
//!   of both windows counts, so the mean is somewhat above the larger mean where both are near.
//! - A window that loss makes rise and fall uses its share fully only while it is large: a flow that could have `free`
//!   on an endless path and is given `share` has less than either ([`rate_of`]).
//! - Bbr sends at the largest rate it saw in ten round trips and probes with 5/4 of it, so it holds its share until
//!   more is lost than the probe makes up for (Cardwell et al. 2016).
//!
//! Three figures are in no paper and were measured once on single packets at steady state, with round trips of 10 to 600
//! ms and losses of 0.1 to 3 %: [`CUBIC_INDEPENDENT`], the eighth power that joins both windows, and the fourth in
//! [`rate_of`]. What is left out: timeouts. From some 5 % of loss on, Cubic is slower than said here.
//!
//! Invariant: more loss or a longer round trip never makes a flow faster, and a larger share never slower.

use super::{Congestion, PathQuality, SEGMENT_BYTES};

/// Reno's window times the root of the loss, for independent losses (for even ones it is √1.5 = 1.22).
const RENO_WINDOW: f64 = 1.31;

/// How much larger Cubic's window is under independent losses than under even ones; measured.
const CUBIC_INDEPENDENT: f64 = 1.12;

/// Cubic's constant C, in segments per second³ (RFC 9438 section 5).
pub(crate) const CUBIC_C: f64 = 0.4;

/// What Cubic keeps of its window at a loss (RFC 9438 section 4.6).
pub(crate) const CUBIC_BETA: f64 = 0.7;

/// From this loss on, Bbr's probe with 5/4 no longer makes up for it: 1 − 4/5.
const BBR_CLIFF_PPM: u32 = 200_000;

/// Bbr's smallest window, in segments.
const BBR_WINDOW_MIN: f64 = 4.0;

/// What a flow would carry over a path with no end of capacity; infinite if loss does not limit it.
#[must_use]
pub fn free_rate_bytes_per_s(quality: PathQuality) -> f64 {
    let rtt_s = quality.rtt_ns.max(1) as f64 / 1e9;
    let loss = f64::from(quality.loss_ppm.min(1_000_000)) / 1e6;
    let window = match quality.congestion {
        _ if quality.loss_ppm == 0 => return f64::INFINITY,
        Congestion::Bbr if quality.loss_ppm < BBR_CLIFF_PPM => return f64::INFINITY,
        Congestion::Bbr => BBR_WINDOW_MIN,
        Congestion::Cubic => cubic_window(rtt_s, loss),
    };
    window * SEGMENT_BYTES as f64 * (1.0 - loss) / rtt_s
}

/// The mean window of Cubic in segments.
fn cubic_window(rtt_s: f64, loss: f64) -> f64 {
    let reno = RENO_WINDOW / loss.sqrt();
    let scale = fourth_root(CUBIC_C * (3.0 + CUBIC_BETA) / (4.0 * (1.0 - CUBIC_BETA)));
    let rounds = rtt_s / loss;
    let cubic = CUBIC_INDEPENDENT * scale * fourth_root(rounds * rounds * rounds);
    let (small, large) = (reno.min(cubic), reno.max(cubic));
    let eighth = fourth_power(small / large) * fourth_power(small / large);
    large * fourth_root(1.0 + eighth).sqrt()
}

/// What a flow carries that would carry `free` on an endless path and is given `share`.
pub(crate) fn rate_of(free: f64, share: f64) -> f64 {
    let (small, large) = (free.min(share), free.max(share));
    match large == f64::INFINITY || large <= 0.0 {
        true => small,
        false => small / fourth_root(1.0 + fourth_power(small / large)),
    }
}

/// A round trip, times the chance that some of the last `bytes` are lost, of which at most a window counts.
pub(super) fn repair_ns(quality: PathQuality, rate: f64, bytes: u64) -> u64 {
    if quality.loss_ppm == 0 {
        return 0;
    }
    let window = rate * quality.rtt_ns as f64 / 1e9;
    let segments = (window.min(bytes as f64) / SEGMENT_BYTES as f64).max(1.0);
    let none_lost = libm::pow(1.0 - f64::from(quality.loss_ppm.min(1_000_000)) / 1e6, segments);
    (quality.rtt_ns as f64 * (1.0 - none_lost)) as u64
}

fn fourth_power(number: f64) -> f64 {
    let square = number * number;
    square * square
}

/// By square roots, which round alike everywhere.
fn fourth_root(number: f64) -> f64 {
    number.sqrt().sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    fn free(rtt_ns: u64, loss_ppm: u32) -> f64 {
        free_rate_bytes_per_s(PathQuality { rtt_ns, loss_ppm, queue_ns: 0, congestion: Congestion::Cubic })
    }

    proptest! {
        #[test]
        fn a_worse_path_is_never_faster(rtt_ns in 0..2_000_000_000u64, loss in 0..1_000_000u32, more in 0..100_000u32) {
            prop_assert!(free(rtt_ns, loss + more) <= free(rtt_ns, loss));
            prop_assert!(free(rtt_ns + u64::from(more) * 1_000, loss) <= free(rtt_ns, loss) * (1.0 + 1e-12));
        }

        #[test]
        fn a_flow_has_less_than_its_share_and_than_it_could(
            free in 1.0..1e9f64, share in 1.0..1e9f64, more in 1.0..9.0f64,
        ) {
            let rate = rate_of(free, share);
            prop_assert!(rate <= free.min(share) && rate > 0.84 * free.min(share));
            prop_assert!(rate_of(free, share * more) >= rate && rate_of(free * more, share) >= rate);
        }
    }

    #[test]
    fn without_loss_or_share_the_other_decides() {
        assert_eq!(free(1_000_000, 0), f64::INFINITY);
        assert_eq!(free(1_000_000, 1_000_000), 0.0);
        assert_eq!(rate_of(f64::INFINITY, 7.0), 7.0);
        assert_eq!(rate_of(7.0, f64::INFINITY), 7.0);
        assert_eq!((rate_of(0.0, 0.0), rate_of(0.0, 7.0)), (0.0, 0.0));
    }

    #[test]
    fn bbr_minds_loss_only_beyond_its_probe() {
        let free = |loss_ppm| {
            let quality = PathQuality { rtt_ns: 100_000_000, loss_ppm, queue_ns: 0, congestion: Congestion::Bbr };
            free_rate_bytes_per_s(quality)
        };
        assert_eq!(free(150_000), f64::INFINITY);
        assert!(free(250_000) < 50_000.0);
    }
}
