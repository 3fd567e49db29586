//! Random numbers by counter: each number is a function of (seed, purpose, node, counter) and of nothing else.
//!
//! Adding a node, a probe or a fault shifts no other stream, so variants of an experiment see the same luck ("common
//! random numbers"). The generator is SplitMix64 (Steele, Lea, Flood 2014), which is portable and frozen here by a test.

/// The odd constant nearest to 2⁶⁴ over the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes every bit of a word into every other.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// One stream of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// The stream of a purpose and a node (or of any other number) in the run of a seed.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, node: u64) -> Self {
        let name =
            purpose.bytes().fold(mix(seed ^ GOLDEN), |key, byte| mix(key ^ u64::from(byte)).wrapping_add(GOLDEN));
        Self { key: mix(name ^ mix(node.wrapping_add(GOLDEN))), counter: 0 }
    }

    /// The number at a place of the stream; does not move it.
    #[must_use]
    pub fn at(&self, counter: u64) -> u64 {
        mix(self.key.wrapping_add(counter.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let number = self.at(self.counter);
        self.counter += 1;
        number
    }

    /// A number below `bound`, each equally likely; 0 if there is none (Lemire 2019).
    pub fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            let (high, low) = ((product >> 64) as u64, product as u64);
            if low >= bound || bound == 0 || low >= bound.wrapping_neg() % bound {
                return high;
            }
        }
    }

    /// A number from 0 up to, and never, 1; in steps of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True so many times out of a million.
    pub fn one_in_a_million(&mut self, times: u32) -> bool {
        self.below(1_000_000) < u64::from(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_what_they_always_were() {
        let mut stream = Stream::new(7, "link", 3);
        let first: Vec<u64> = (0..4).map(|_| stream.next_u64()).collect();
        assert_eq!(first, FROZEN);
        assert_eq!((0..4).map(|counter| stream.at(counter)).collect::<Vec<_>>(), first);
    }

    const FROZEN: [u64; 4] = [
        10_386_583_866_421_378_122,
        16_803_324_655_333_952_660,
        15_223_446_629_023_356_223,
        13_405_336_006_464_114_259,
    ];

    #[test]
    fn purposes_nodes_and_seeds_have_streams_of_their_own() {
        let streams = [("a", 0, 0), ("b", 0, 0), ("a", 1, 0), ("a", 0, 1), ("ab", 0, 0), ("", 0, 0)];
        let mut firsts: Vec<u64> =
            streams.iter().map(|(purpose, node, seed)| Stream::new(*seed, purpose, *node).next_u64()).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), streams.len());
    }

    #[test]
    fn numbers_below_a_bound_are_equally_likely() {
        let mut stream = Stream::new(1, "dice", 0);
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[stream.below(6) as usize] += 1;
        }
        // χ² with five degrees of freedom stays below 20.5 in 999 of 1,000 cases; this one is frozen.
        let chi: f64 = counts.iter().map(|count| (f64::from(*count) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi < 20.5, "{counts:?}");
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn units_fill_the_interval() {
        let mut stream = Stream::new(1, "unit", 0);
        let units: Vec<f64> = (0..10_000).map(|_| stream.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        let mean = units.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }
}
