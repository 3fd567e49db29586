//! The normal distribution, to the same last bit on every machine.
//!
//! Invariant: only the four operations and `libm` are used, in a fixed order.

/// The share of a standard normal distribution below `x`.
#[must_use]
pub fn normal_below(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

/// The density of a standard normal distribution at `x`.
#[must_use]
pub fn normal_density(x: f64) -> f64 {
    libm::exp(-0.5 * x * x) / libm::sqrt(2.0 * std::f64::consts::PI)
}

/// Where a share `p` of a standard normal distribution lies below; infinite at 0 and 1.
///
/// One random number gives one normal number, so that streams stay in step. The rational approximations are those of
/// Wichura, "The percentage points of the normal distribution" (Applied Statistics 37, 1988, AS 241), right to about
/// 16 digits.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let from_middle = p - 0.5;
    if from_middle.abs() <= 0.425 {
        let r = 0.180_625 - from_middle * from_middle;
        return from_middle * ratio(r, &MIDDLE);
    }
    let tail = if from_middle < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail));
    let distance = if r <= 5.0 { ratio(r - 1.6, &NEAR) } else { ratio(r - 5.0, &FAR) };
    if from_middle < 0.0 { -distance } else { distance }
}

/// Numerator and denominator, highest power first.
type Ratio = [[f64; 8]; 2];

fn ratio(r: f64, [above, below]: &Ratio) -> f64 {
    let polynomial = |factors: &[f64; 8]| factors.iter().fold(0.0, |sum, factor| sum * r + factor);
    polynomial(above) / polynomial(below)
}

#[rustfmt::skip]
const MIDDLE: Ratio = [
    [2.509_080_928_730_122_7e3, 3.343_057_558_358_813e4, 6.726_577_092_700_87e4, 4.592_195_393_154_987e4,
     1.373_169_376_550_946e4, 1.971_590_950_306_551_3e3, 1.331_416_678_917_843_8e2, 3.387_132_872_796_366_5],
    [5.226_495_278_852_854e3, 2.872_908_573_572_194_3e4, 3.930_789_580_009_271e4, 2.121_379_430_158_659_7e4,
     5.394_196_021_424_751e3, 6.871_870_074_920_579e2, 4.231_333_070_160_091e1, 1.0],
];

#[rustfmt::skip]
const NEAR: Ratio = [
    [7.745_450_142_783_414e-4, 2.272_384_498_926_918_4e-2, 2.417_807_251_774_506e-1, 1.270_458_252_452_368_4,
     3.647_848_324_763_204_5, 5.769_497_221_460_691, 4.630_337_846_156_546, 1.423_437_110_749_683_5],
    [1.050_750_071_644_416_9e-9, 5.475_938_084_995_345e-4, 1.519_866_656_361_645_7e-2, 1.481_039_764_274_800_8e-1,
     6.897_673_349_851e-1, 1.676_384_830_183_803_8, 2.053_191_626_637_759, 1.0],
];

#[rustfmt::skip]
const FAR: Ratio = [
    [2.010_334_399_292_288_1e-7, 2.711_555_568_743_487_6e-5, 1.242_660_947_388_078_4e-3, 2.653_218_952_657_612_4e-2,
     2.965_605_718_285_048_7e-1, 1.784_826_539_917_291_3, 5.463_784_911_164_114, 6.657_904_643_501_103],
    [2.044_263_103_389_939_8e-15, 1.421_511_758_316_446e-7, 1.846_318_317_510_054_8e-5, 7.868_691_311_456_133e-4,
     1.487_536_129_085_061_5e-2, 1.369_298_809_227_358e-1, 5.998_322_065_558_88e-1, 1.0],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_undoes_the_distribution_over_all_three_ranges() {
        let mut x = -8.0;
        while x < 8.0 {
            // Above the middle a share has fewer digits left than the distance: only the lower half is exact.
            let allowed = if x <= 0.0 { 1e-13 * (1.0 - x) } else { 1e-13 + 1e-16 / normal_density(x) };
            let back = normal_quantile(normal_below(x));
            assert!((back - x).abs() <= 4.0 * allowed, "{x} came back as {back}");
            x += 0.01;
        }
        assert!(normal_quantile(0.0).is_infinite() && normal_quantile(1.0).is_infinite());
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-15);
    }
}
