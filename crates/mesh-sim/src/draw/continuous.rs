//! Exponential, normal and gamma numbers.
//!
//! Invariant: nothing is kept between two draws, so a draw depends on the place in the stream only.

use std::f64::consts::TAU;

use crate::random::Stream;

/// A number from the exponential distribution of a mean, by inversion. Takes one number of the stream.
pub fn exponential(stream: &mut Stream, mean: f64) -> f64 {
    mean * -libm::log(1.0 - stream.unit())
}

/// A number from the normal distribution of mean 0 and variance 1 (Box and Muller 1958). Takes two numbers of the stream;
/// the second number that the method could give is left out, as it would have to be kept.
pub fn normal(stream: &mut Stream) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - stream.unit())).sqrt();
    radius * libm::cos(TAU * stream.unit())
}

/// A number from the gamma distribution of a shape of at least 1 and scale 1 (Marsaglia and Tsang 2000). A smaller
/// shape counts as 1.
pub fn gamma(stream: &mut Stream, shape: f64) -> f64 {
    let d = shape.max(1.0) - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        // More than 95 of 100 attempts are taken, whatever the shape.
        let x = normal(stream);
        let base = 1.0 + c * x;
        let v = base * base * base;
        let u = 1.0 - stream.unit();
        if v > 0.0 && libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}
