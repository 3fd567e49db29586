//! From values to places on a picture, and the round numbers an axis is marked with.
//!
//! Invariant: there are 2 to [`TICKS_MAX`] ticks, in order, and the first and last enclose every value.

/// Most ticks of an axis.
pub(super) const TICKS_MAX: usize = 64;

/// The ticks of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticks {
    pub values: Vec<f64>,
    /// How many decimals tell one from the next.
    pub decimals: usize,
}

impl Ticks {
    /// About so many round numbers (1, 2 or 5 times a power of ten apart) around finite values.
    pub fn around(values: impl IntoIterator<Item = f64>, about: usize) -> Self {
        let ends = values.into_iter().fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let (mut low, mut high) = ends.unwrap_or((0.0, 1.0));
        // So close together that rounding would merge the ticks, or one value alone: give it room.
        let size = low.abs().max(high.abs());
        if high - low <= size * 1e-9 {
            let room = if size > 0.0 { size / 10.0 } else { 1.0 };
            (low, high) = (if low == 0.0 { 0.0 } else { low - room }, high + room);
        }
        let rough = (high - low) / about.clamp(1, TICKS_MAX / 4) as f64;
        let mut power = libm::floor(libm::log10(rough));
        let mut step = libm::pow(10.0, power);
        for times in [1.0, 2.0, 5.0, 10.0] {
            if rough <= times * libm::pow(10.0, power) {
                step = times * libm::pow(10.0, power);
                power += if times == 10.0 { 1.0 } else { 0.0 };
                break;
            }
        }
        let (first, last) = (libm::floor(low / step + 1e-9), libm::ceil(high / step - 1e-9));
        let count = ((last - first) as usize).clamp(1, TICKS_MAX - 1);
        // By division where steps are below one: 3 ÷ 10 is nearer to 0.3 than 3 × 0.1 is.
        let values = (0..=count).map(|number| round_times(first + number as f64, step)).collect();
        Self { values, decimals: (-power).clamp(0.0, 12.0) as usize }
    }

    /// The first and the last.
    pub fn ends(&self) -> (f64, f64) {
        (self.values[0], self.values[self.values.len() - 1])
    }
}

fn round_times(times: f64, step: f64) -> f64 {
    match step < 1.0 {
        true => times / libm::round(1.0 / step),
        false => times * step,
    }
}

/// Values from `low` to `high` to places from `from` to `to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
}

impl Span {
    pub fn place(self, value: f64) -> f64 {
        let width = self.high - self.low;
        match width > 0.0 {
            true => self.from + (value - self.low) / width * (self.to - self.from),
            false => (self.from + self.to) / 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let ticks = |low, high| Ticks::around([low, high], 5).values;
        assert_eq!(ticks(0.0, 10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.13, 0.92), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(ticks(-3.0, 41.0), [-10.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(Ticks::around([], 5).ends(), (0.0, 1.0));
        assert_eq!(Ticks::around([0.0], 5).ends(), (0.0, 1.0));
    }

    proptest! {
        #[test]
        fn ticks_enclose_their_values(a in -1e140..1e140_f64, b in -1.0..1.0_f64, scale in -150..3_i32, about in 0_usize..100) {
            for (low, high) in [(a, b), (b, a), (b, b), (b * libm::pow(10.0, f64::from(scale)), b)] {
                let (low, high) = (low.min(high), low.max(high));
                let ticks = Ticks::around([low, high], about);
                prop_assert!((2..=TICKS_MAX).contains(&ticks.values.len()));
                prop_assert!(ticks.values.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", ticks);
                let room = (high - low).abs() * 1e-8 + low.abs().max(high.abs()) * 1e-12;
                prop_assert!(ticks.ends().0 <= low + room && ticks.ends().1 >= high - room, "{} {} {:?}", low, high, ticks);
            }
        }
    }
}
