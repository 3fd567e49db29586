//! Places in a ranking by Zipf's law: the place r (from 1) has a weight of r to the power of −α.
//!
//! Invariant: draws are exact to the resolution of a draw, 2⁻⁵³, also deep in the tail: the table is of tails, summed from
//! the lightest place on.

use super::{Refused, check};
use crate::random::Stream;

/// The most places of a ranking.
pub const RANKS_MAX: u32 = 1_000_000;
/// The largest exponent: nothing measured comes near it.
pub const ZIPF_EXPONENT_MAX: f64 = 5.0;

/// A ranking of contents, or of anything, by popularity.
#[derive(Debug, Clone, PartialEq)]
pub struct Zipf {
    /// The weight of each place and all behind it.
    tails: Vec<f64>,
}

impl Zipf {
    /// A ranking of 1 to [`RANKS_MAX`] places with an exponent of 0 (all alike) to [`ZIPF_EXPONENT_MAX`].
    ///
    /// # Errors
    /// [`Refused`] if one is out of range.
    pub fn new(places: u32, exponent: f64) -> Result<Self, Refused> {
        check("contents", places, 1..=RANKS_MAX)?;
        check("exponent", exponent, 0.0..=ZIPF_EXPONENT_MAX)?;
        let mut tails = vec![0.0; places as usize];
        let mut sum = 0.0;
        for (place, tail) in tails.iter_mut().enumerate().rev() {
            sum += libm::pow((place + 1) as f64, -exponent);
            *tail = sum;
        }
        Ok(Self { tails })
    }

    /// How many places.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.tails.len() as u32
    }

    /// How likely a place is, counted from 0.
    #[must_use]
    pub fn probability(&self, place: u32) -> f64 {
        (self.tail(place as usize) - self.tail(place as usize + 1)) / self.tails[0]
    }

    /// A place, counted from 0. Takes one number of the stream.
    pub fn draw(&self, stream: &mut Stream) -> u32 {
        self.at(stream.unit() * self.tails[0])
    }

    /// A place that is not among the taken ones, which ascend; each of the others as likely as it is among them. `None`
    /// if all are taken. Takes one number of the stream, if any place is left, and time by the number taken.
    pub fn draw_besides(&self, stream: &mut Stream, taken: &[u32]) -> Option<u32> {
        if taken.len() >= self.tails.len() {
            return None;
        }
        // From the lightest gap between taken places to the heaviest, so that no weight is lost in a sum.
        let gaps = || {
            let firsts = taken.iter().rev().map(|place| *place as usize + 1).chain([0]);
            let ends = std::iter::once(self.tails.len()).chain(taken.iter().rev().map(|place| *place as usize));
            firsts.zip(ends).filter(|(first, end)| first < end)
        };
        let weight = |first, end| self.tail(first) - self.tail(end);
        let mut left = stream.unit() * gaps().map(|(first, end)| weight(first, end)).sum::<f64>();
        for (first, end) in gaps() {
            if left < weight(first, end) || first == 0 {
                return Some(self.at(self.tail(end) + left).clamp(first as u32, end as u32 - 1));
            }
            left -= weight(first, end);
        }
        // Rounding left a little over, and the first places are taken: the heaviest gap it is.
        gaps().last().map(|(first, _)| first as u32)
    }

    fn tail(&self, place: usize) -> f64 {
        self.tails.get(place).copied().unwrap_or(0.0)
    }

    /// The last place whose tail is heavier.
    fn at(&self, weight: f64) -> u32 {
        self.tails.partition_point(|tail| *tail > weight).saturating_sub(1) as u32
    }
}
