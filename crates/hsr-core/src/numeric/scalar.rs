//! The scalar types of the closed form.

use num_traits::{Float, NumAssign};

/// A floating-point type in which the closed form can be evaluated: `f32` or `f64`.
pub trait Scalar:
    Float
    + NumAssign
    + Default
    + core::fmt::Debug
    + core::fmt::Display
    + core::iter::Sum
    + Send
    + Sync
    + 'static
{
    /// The value nearest to `x`.
    fn of(x: f64) -> Self;
    /// The same value in `f64`.
    fn as_f64(self) -> f64;
    /// The error function.
    fn erf(self) -> Self;
    /// e^x for x ≤ 0, without a branch or a call, so that loops over it vectorise; a relative error of an ulp or two,
    /// 0 where the result would be subnormal.
    fn exp_decay(self) -> Self;
    /// The complementary error function 1 − erf, accurate in its tail.
    fn erfc(self) -> Self;
}

impl Scalar for f32 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn erfc(self) -> Self {
        libm::erfcf(self)
    }
    #[inline(always)]
    fn exp_decay(self) -> Self {
        // e^x = 2^n e^r with |r| ≤ ln 2 / 2: adding 1.5·2²³ leaves n in the low bits of the sum.
        const MAGIC: f32 = 12_582_912.0;
        const LN_2_HIGH: f32 = 0.693_145_75;
        const LN_2_LOW: f32 = 1.428_606_8e-6;
        let x = if self < -87.0 { -87.0 } else { self };
        let shifted = x * core::f32::consts::LOG2_E + MAGIC;
        let n = shifted - MAGIC;
        let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
        let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
        let mut series = [0.0; 16];
        series[..8].copy_from_slice(&[
            1.0,
            1.0,
            1.0 / 2.0,
            1.0 / 6.0,
            1.0 / 24.0,
            1.0 / 120.0,
            1.0 / 720.0,
            1.0 / 5040.0,
        ]);
        let sum = polynomial(series, r);
        if self < -87.0 { 0.0 } else { sum * scale }
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn erfc(self) -> Self {
        libm::erfc(self)
    }
    #[inline(always)]
    fn exp_decay(self) -> Self {
        // As above, with 1.5·2⁵².
        const MAGIC: f64 = 6_755_399_441_055_744.0;
        const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
        const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
        let x = if self < -708.0 { -708.0 } else { self };
        let shifted = x * core::f64::consts::LOG2_E + MAGIC;
        let n = shifted - MAGIC;
        let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
        let scale = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
        let series = [
            1.0,
            1.0,
            1.0 / 2.0,
            1.0 / 6.0,
            1.0 / 24.0,
            1.0 / 120.0,
            1.0 / 720.0,
            1.0 / 5040.0,
            1.0 / 40_320.0,
            1.0 / 362_880.0,
            1.0 / 3_628_800.0,
            1.0 / 39_916_800.0,
            1.0 / 479_001_600.0,
            1.0 / 6_227_020_800.0,
            0.0,
            0.0,
        ];
        let sum = polynomial(series, r);
        if self < -708.0 { 0.0 } else { sum * scale }
    }
}

/// Σ c_i x^i by Estrin's scheme: four levels instead of sixteen steps that wait for one another.
#[inline(always)]
pub(crate) fn polynomial<T: Scalar>(c: [T; 16], x: T) -> T {
    let x2 = x * x;
    let x4 = x2 * x2;
    let x8 = x4 * x4;
    let four = |i: usize| (c[i] + c[i + 1] * x) + (c[i + 2] + c[i + 3] * x) * x2;
    (four(0) + four(4) * x4) + (four(8) + four(12) * x4) * x8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_decay_is_the_exponential_to_two_ulps() {
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.003_541;
            let (ours, theirs) = (x.exp_decay(), x.exp());
            assert!(
                (ours - theirs).abs() <= 4.5e-16 * theirs + 1e-307,
                "{x}: {ours:e} {theirs:e}"
            );
            let x = -(i as f32) * 0.000_437;
            let (ours, theirs) = (x.exp_decay(), x.exp());
            assert!(
                (ours - theirs).abs() <= 2.5e-7 * theirs + 1e-37,
                "{x}: {ours:e} {theirs:e}"
            );
        }
        assert_eq!(0.0_f64.exp_decay(), 1.0);
        assert_eq!(0.0_f32.exp_decay(), 1.0);
        assert_eq!((-1e300_f64).exp_decay(), 0.0);
        assert_eq!(f32::NEG_INFINITY.exp_decay(), 0.0);
    }
}
