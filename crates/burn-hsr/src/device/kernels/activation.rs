//! Activations and their three derivatives inside a kernel (theory §7), written as in [`crate::activation`].
//!
//! Their functions are made of [`exp`] and series, not the device's own: a driver's tanh may cancel for small arguments or
//! overflow for large ones, CubeCL's erf is exact to 10⁻⁷ beside 1, and graphics APIs that have doubles have no functions
//! of them. The number of terms is what the kernel's precision needs.

use core::f64::consts::FRAC_2_SQRT_PI;

use cubecl::prelude::*;
use hsr_core::Activation;

use super::common::{by_precision, constant, double_precision};

/// The activation, as a kernel is compiled for it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Function {
    Tanh,
    Sigmoid,
    Softplus,
    Gelu,
    GeluTanh,
    Silu,
    Mish,
    Erf,
    Sin,
    Identity,
    /// ReLU and leaky ReLU, with the bits of the slope for z < 0.
    Piecewise(u64),
}

impl Function {
    /// `None` for what has no kernel.
    pub(super) fn of(activation: Activation) -> Option<Self> {
        Some(match activation {
            Activation::Tanh => Self::Tanh,
            Activation::Sigmoid => Self::Sigmoid,
            Activation::Softplus => Self::Softplus,
            Activation::Gelu => Self::Gelu,
            Activation::GeluTanh => Self::GeluTanh,
            Activation::Silu => Self::Silu,
            Activation::Mish => Self::Mish,
            Activation::Erf => Self::Erf,
            Activation::Sin => Self::Sin,
            Activation::Identity => Self::Identity,
            Activation::Relu => Self::Piecewise(0f64.to_bits()),
            Activation::LeakyRelu { negative_slope } => Self::Piecewise(negative_slope.to_bits()),
            _ => return None,
        })
    }

    fn negative_slope(self) -> f64 {
        match self {
            Self::Piecewise(bits) => f64::from_bits(bits),
            _ => 1.0,
        }
    }
}

/// φ, φ', φ'', φ''' at a point.
#[derive(CubeType)]
pub(super) struct Derivatives<F: Float> {
    pub value: F,
    pub first: F,
    pub second: F,
    pub third: F,
}

#[cube]
pub(super) fn derivatives<F: Float>(z: F, #[comptime] function: Function) -> Derivatives<F> {
    match comptime!(function) {
        Function::Tanh => tanh::<F>(z),
        Function::Sigmoid => sigmoid::<F>(z),
        Function::Softplus => {
            let s = sigmoid::<F>(z);
            Derivatives::<F> {
                value: softplus::<F>(z),
                first: s.value,
                second: s.first,
                third: s.second,
            }
        }
        Function::Gelu => gelu::<F>(z),
        Function::GeluTanh => gelu_tanh::<F>(z),
        Function::Silu => {
            let s = sigmoid::<F>(z);
            Derivatives::<F> {
                value: z * s.value,
                first: s.value + z * s.first,
                second: F::new(2.0) * s.first + z * s.second,
                third: F::new(3.0) * s.second + z * s.third,
            }
        }
        Function::Mish => mish::<F>(z),
        Function::Erf => {
            let b = bounded::<F>(z);
            let e = exp::<F>(-(b * b)) * constant::<F>(FRAC_2_SQRT_PI);
            Derivatives::<F> {
                value: error_function::<F>(z),
                first: e,
                second: F::new(-2.0) * b * e,
                third: (F::new(4.0) * b * b - F::new(2.0)) * e,
            }
        }
        Function::Sin => sine::<F>(z),
        Function::Identity => Derivatives::<F> {
            value: z,
            first: F::new(1.0),
            second: F::new(0.0),
            third: F::new(0.0),
        },
        Function::Piecewise(_) => {
            let slope = constant::<F>(comptime!(function.negative_slope()));
            let of_z = select(z <= F::new(0.0), slope, F::new(1.0));
            Derivatives::<F> {
                value: z * of_z,
                first: of_z,
                second: F::new(0.0),
                third: F::new(0.0),
            }
        }
    }
}

/// e^x for x ≤ 0.
#[cube]
pub(super) fn exp<F: Float>(x: F) -> F {
    let double = double_precision::<F>();
    match comptime!(double) {
        false => x.exp(),
        true => exp_of_double::<F>(x),
    }
}

/// 2^n e^r with x = n ln 2 + r and |r| ≤ ½ ln 2. The logarithm is in two parts, of which the first times n is exact.
#[cube]
fn exp_of_double<F: Float>(x: F) -> F {
    // What is no normal number any more some devices take for 0.
    let least = F::new(-708.0);
    let x = select(x < least, least, x);
    // Conversion cuts fractions off.
    let n = i32::cast_from(f32::cast_from(x) * core::f32::consts::LOG2_E - 0.5f32);
    let whole = F::cast_from(n);
    let r = (x - whole * constant::<F>(0.693_147_180_369_123_8))
        - whole * constant::<F>(1.908_214_929_270_587_7e-10);
    let power = F::new(1.0) + r * series_of_exp::<F>(r);
    // Single precision reaches 2⁻¹²⁶.
    let sixteenth = n / 16;
    let root = power_of_two::<F>(sixteenth);
    let fourth = (root * root) * (root * root);
    let scale = (fourth * fourth) * (fourth * fourth);
    power * scale * power_of_two::<F>(n - 16 * sixteenth)
}

/// 2^n for −126 ≤ n ≤ 127, by its bits.
#[cube]
fn power_of_two<F: Float>(n: i32) -> F {
    F::cast_from(f32::reinterpret(u32::cast_from(n + 127) << 23u32))
}

/// (e^x − 1)/x for |x| ≤ 0.6: 1 + x/2 (1 + x/3 (1 + …)).
#[cube]
fn series_of_exp<F: Float>(x: F) -> F {
    let double = double_precision::<F>();
    let terms = comptime!(by_precision(double, 8u32, 14));
    let mut sum = F::new(1.0);
    for i in 0..terms {
        sum = F::new(1.0) + sum * x / F::cast_from(terms + 1 - i);
    }
    sum
}

/// In double precision through r = z − n π/2, |r| ≤ π/4, and the series of the two functions there.
#[cube]
fn sine<F: Float>(z: F) -> Derivatives<F> {
    let double = double_precision::<F>();
    match comptime!(double) {
        false => {
            let s = z.sin();
            let c = z.cos();
            around::<F>(s, c)
        }
        true => {
            let nearest = select(z < F::new(0.0), -0.5f32, 0.5f32);
            let n = i32::cast_from(f32::cast_from(z) * core::f32::consts::FRAC_2_PI + nearest);
            let whole = F::cast_from(n);
            let r = (z - whole * constant::<F>(1.570_796_326_734_125_6))
                - whole * constant::<F>(6.077_100_506_506_192e-11);
            let terms = 9u32;
            let mut s = F::new(1.0);
            let mut c = F::new(1.0);
            for i in 0..terms {
                let k = 2 * (terms - i);
                s = F::new(1.0) - s * r * r / F::cast_from(k * (k + 1));
                c = F::new(1.0) - c * r * r / F::cast_from(k * (k - 1));
            }
            s *= r;
            let odd = n % 2 != 0;
            let sine = select(odd, c, s);
            let cosine = select(odd, -s, c);
            let turned = (n & 2) != 0;
            around::<F>(select(turned, -sine, sine), select(turned, -cosine, cosine))
        }
    }
}

/// The derivatives of a sine, from it and the cosine.
#[cube]
fn around<F: Float>(s: F, c: F) -> Derivatives<F> {
    Derivatives::<F> {
        value: s,
        first: c,
        second: -s,
        third: -c,
    }
}

/// Below 2 by 2z/√π e^−z² (1 + 2z²/3 (1 + 2z²/5 (1 + …))), which has no difference in it, beyond by the continued fraction
/// of erfc.
#[cube]
fn error_function<F: Float>(z: F) -> F {
    let size = z.abs();
    let b = bounded::<F>(z);
    let e = exp::<F>(-(b * b));
    let double = double_precision::<F>();
    let terms = comptime!(by_precision(double, 18u32, 32));
    let mut series = F::new(1.0);
    for i in 0..terms {
        series = F::new(1.0) + series * F::new(2.0) * z * z / F::cast_from(2 * (terms - i) + 1);
    }
    let near = constant::<F>(FRAC_2_SQRT_PI) * e * size * series;
    let levels = comptime!(by_precision(double, 8u32, 40));
    let mut fraction = size;
    for i in 0..levels {
        fraction = size + F::cast_from(levels - i) * F::new(0.5) / fraction;
    }
    let far = F::new(1.0) - constant::<F>(comptime!(0.5 * FRAC_2_SQRT_PI)) * e / fraction;
    let value = select(size < F::new(2.0), near, far);
    select(z < F::new(0.0), -value, value)
}

/// z kept where its powers are representable; only used where they meet a factor that has long become 0.
#[cube]
fn bounded<F: Float>(z: F) -> F {
    let low = select(z < F::new(-1.0e4), F::new(-1.0e4), z);
    select(low > F::new(1.0e4), F::new(1.0e4), low)
}

/// Through t = e^−2|z| − 1, near 0 by its series: neither the value nor 1 − a² cancels.
#[cube]
fn tanh<F: Float>(z: F) -> Derivatives<F> {
    let one = F::new(1.0);
    let size = z.abs();
    let x = F::new(-2.0) * size;
    let e = exp::<F>(x);
    let t = select(size < F::new(0.3), x * series_of_exp::<F>(x), e - one);
    let of_size = -t / (F::new(2.0) + t);
    let a = select(z < F::new(0.0), -of_size, of_size);
    let u = F::new(4.0) * e / ((one + e) * (one + e));
    Derivatives::<F> {
        value: a,
        first: u,
        second: F::new(-2.0) * a * u,
        third: u * (F::new(6.0) * a * a - F::new(2.0)),
    }
}

/// From e^−|z| on both sides.
#[cube]
fn sigmoid<F: Float>(z: F) -> Derivatives<F> {
    let one = F::new(1.0);
    let e = exp::<F>(-z.abs());
    let large = one / (one + e);
    let small = e * large;
    let negative = z < F::new(0.0);
    let p = select(negative, small, large);
    let rest = select(negative, large, small);
    let first = large * small;
    Derivatives::<F> {
        value: p,
        first,
        second: first * (rest - p),
        third: first * (one - F::new(6.0) * first),
    }
}

/// max(z, 0) + ln(1 + e^−|z|). The logarithm is 2 artanh(e/(2 + e)), a series whose argument is at most 1/3: shaders have
/// no log1p that is accurate for small e.
#[cube]
fn softplus<F: Float>(z: F) -> F {
    let e = exp::<F>(-z.abs());
    let s = e / (F::new(2.0) + e);
    let double = double_precision::<F>();
    let terms = comptime!(by_precision(double, 8u32, 16));
    let mut series = F::new(0.0);
    for i in 0..terms {
        series = series * s * s + F::new(1.0) / F::cast_from(2 * (terms - i) - 1);
    }
    select(z > F::new(0.0), z, F::new(0.0)) + F::new(2.0) * s * series
}

#[cube]
fn gelu<F: Float>(z: F) -> Derivatives<F> {
    let b = bounded::<F>(z);
    let density = exp::<F>(F::new(-0.5) * b * b) * constant::<F>(0.398_942_280_401_432_7);
    let root = constant::<F>(core::f64::consts::FRAC_1_SQRT_2);
    let distribution = F::new(0.5) + F::new(0.5) * error_function::<F>(z * root);
    Derivatives::<F> {
        value: b * distribution,
        first: distribution + b * density,
        second: (F::new(2.0) - b * b) * density,
        third: (b * b - F::new(4.0)) * b * density,
    }
}

/// ½ z (1 + tanh w(z)), by the chain rule.
#[cube]
fn gelu_tanh<F: Float>(z: F) -> Derivatives<F> {
    let one = F::new(1.0);
    let three = F::new(3.0);
    let half = F::new(0.5);
    let scale = constant::<F>(0.797_884_560_802_865_4);
    let cubic = constant::<F>(0.044_715);
    let t = tanh::<F>(z * (one + cubic * z * z) * scale);
    let b = bounded::<F>(z);
    let w1 = (one + three * cubic * b * b) * scale;
    let w3 = F::new(6.0) * scale * cubic;
    let w2 = w3 * b;
    let t1 = t.first * w1;
    let t2 = t.second * w1 * w1 + t.first * w2;
    let t3 = t.third * w1 * w1 * w1 + three * t.second * w1 * w2 + t.first * w3;
    Derivatives::<F> {
        value: half * z * (one + t.value),
        first: half * (one + t.value + b * t1),
        second: t1 + half * b * t2,
        third: half * (three * t2 + b * t3),
    }
}

/// z tanh(softplus z), by the chain rule.
#[cube]
fn mish<F: Float>(z: F) -> Derivatives<F> {
    let s = sigmoid::<F>(z);
    let t = tanh::<F>(softplus::<F>(z));
    let t1 = t.first * s.value;
    let t2 = t.second * s.value * s.value + t.first * s.first;
    let t3 = t.third * s.value * s.value * s.value
        + F::new(3.0) * t.second * s.value * s.first
        + t.first * s.second;
    Derivatives::<F> {
        value: z * t.value,
        first: t.value + z * t1,
        second: F::new(2.0) * t1 + z * t2,
        third: F::new(3.0) * t2 + z * t3,
    }
}
