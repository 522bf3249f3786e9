//! Activations and their three derivatives inside a kernel (theory §7), written as in [`crate::activation`].

use core::f32::consts::FRAC_2_SQRT_PI;

use cubecl::prelude::*;
use hsr_core::Activation;

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
    /// ReLU and leaky ReLU, whose slope is an argument of the kernel.
    Piecewise,
}

impl Function {
    /// The function and the slope for z < 0, which only [`Function::Piecewise`] reads; `None` for what has no kernel.
    pub(super) fn of(activation: Activation) -> Option<(Self, f32)> {
        let smooth = |function| Some((function, 0.0));
        match activation {
            Activation::Tanh => smooth(Self::Tanh),
            Activation::Sigmoid => smooth(Self::Sigmoid),
            Activation::Softplus => smooth(Self::Softplus),
            Activation::Gelu => smooth(Self::Gelu),
            Activation::GeluTanh => smooth(Self::GeluTanh),
            Activation::Silu => smooth(Self::Silu),
            Activation::Mish => smooth(Self::Mish),
            Activation::Erf => smooth(Self::Erf),
            Activation::Sin => smooth(Self::Sin),
            Activation::Identity => smooth(Self::Identity),
            Activation::Relu => Some((Self::Piecewise, 0.0)),
            Activation::LeakyRelu { negative_slope } => {
                Some((Self::Piecewise, negative_slope as f32))
            }
            _ => None,
        }
    }
}

/// φ, φ', φ'', φ''' at a point.
#[derive(CubeType)]
pub(super) struct Derivatives {
    pub value: f32,
    pub first: f32,
    pub second: f32,
    pub third: f32,
}

#[cube]
pub(super) fn derivatives(z: f32, slope: f32, #[comptime] function: Function) -> Derivatives {
    match comptime!(function) {
        Function::Tanh => tanh(z),
        Function::Sigmoid => sigmoid(z),
        Function::Softplus => {
            let s = sigmoid(z);
            Derivatives {
                value: softplus(z),
                first: s.value,
                second: s.first,
                third: s.second,
            }
        }
        Function::Gelu => gelu(z),
        Function::GeluTanh => gelu_tanh(z),
        Function::Silu => {
            let s = sigmoid(z);
            Derivatives {
                value: z * s.value,
                first: s.value + z * s.first,
                second: 2.0f32 * s.first + z * s.second,
                third: 3.0f32 * s.second + z * s.third,
            }
        }
        Function::Mish => mish(z),
        Function::Erf => {
            let b = bounded(z);
            let e = (-(b * b)).exp() * FRAC_2_SQRT_PI;
            Derivatives {
                value: error_function(z),
                first: e,
                second: -2.0f32 * b * e,
                third: (4.0f32 * b * b - 2.0f32) * e,
            }
        }
        Function::Sin => {
            let s = z.sin();
            let c = z.cos();
            Derivatives {
                value: s,
                first: c,
                second: -s,
                third: -c,
            }
        }
        Function::Identity => {
            let zero = f32::cast_from(0u32);
            Derivatives {
                value: z,
                first: zero + 1.0f32,
                second: zero,
                third: zero,
            }
        }
        Function::Piecewise => {
            let zero = f32::cast_from(0u32);
            let of_z = select(z <= 0.0f32, slope, zero + 1.0f32);
            Derivatives {
                value: z * of_z,
                first: of_z,
                second: zero,
                third: zero,
            }
        }
    }
}

/// By its series below ½, where the shader's own erf, which is exact to 10⁻⁷ beside 1, has few digits left.
#[cube]
fn error_function(z: f32) -> f32 {
    let q = z * z;
    let series = z
        * (FRAC_2_SQRT_PI
            + q * (-0.376_126_4f32
                + q * (0.112_837_92f32
                    + q * (-0.026_866_17f32
                        + q * (0.005_223_977_6f32
                            + q * (-0.000_854_832_7f32 + q * 0.000_120_553_33f32))))));
    select(z.abs() < 0.5f32, series, Erf::erf(z))
}

/// z kept where its powers are representable; only used where they meet a factor that has long become 0.
#[cube]
fn bounded(z: f32) -> f32 {
    let low = select(z < -1.0e4f32, -1.0e4f32, z);
    select(low > 1.0e4f32, 1.0e4f32, low)
}

/// 1 − a² through e^−2|z|, which does not cancel when a saturates. The value is written out, since a driver's own tanh
/// may cancel for small z or overflow for large: a series below 0.3, whose next term is under 10⁻⁸ of it.
#[cube]
fn tanh(z: f32) -> Derivatives {
    let size = z.abs();
    let e = (-2.0f32 * size).exp();
    let q = z * z;
    let series = z
        * (1.0f32
            + q * (-0.333_333_34f32
                + q * (0.133_333_34f32
                    + q * (-0.053_968_254f32
                        + q * (0.021_869_488f32
                            + q * (-0.008_863_236f32 + q * 0.003_592_128f32))))));
    let large = (1.0f32 - e) / (1.0f32 + e);
    let signed = select(z < 0.0f32, -large, large);
    let a = select(size < 0.3f32, series, signed);
    let u = 4.0f32 * e / ((1.0f32 + e) * (1.0f32 + e));
    Derivatives {
        value: a,
        first: u,
        second: -2.0f32 * a * u,
        third: u * (6.0f32 * a * a - 2.0f32),
    }
}

/// From e^−|z| on both sides.
#[cube]
fn sigmoid(z: f32) -> Derivatives {
    let e = (-z.abs()).exp();
    let large = 1.0f32 / (1.0f32 + e);
    let small = e * large;
    let p = select(z < 0.0f32, small, large);
    let rest = select(z < 0.0f32, large, small);
    let first = large * small;
    Derivatives {
        value: p,
        first,
        second: first * (rest - p),
        third: first * (1.0f32 - 6.0f32 * first),
    }
}

/// max(z, 0) + ln(1 + e^−|z|). The logarithm as 2 artanh(e/(2 + e)), a series whose argument is at most 1/3: shaders
/// have no log1p that is accurate for small e.
#[cube]
fn softplus(z: f32) -> f32 {
    let e = (-z.abs()).exp();
    let s = e / (2.0f32 + e);
    let q = s * s;
    let series = 1.0f32
        + q * (0.333_333_34f32
            + q * (0.2f32
                + q * (0.142_857_15f32
                    + q * (0.111_111_11f32
                        + q * (0.090_909_09f32 + q * (0.076_923_08f32 + q * 0.066_666_67f32))))));
    select(z > 0.0f32, z, f32::cast_from(0u32)) + 2.0f32 * s * series
}

#[cube]
fn gelu(z: f32) -> Derivatives {
    let density = (-0.5f32 * z * z).exp() * 0.398_942_3f32;
    let distribution = 0.5f32 + 0.5f32 * error_function(z * 0.707_106_77f32);
    let b = bounded(z);
    Derivatives {
        value: b * distribution,
        first: distribution + b * density,
        second: (2.0f32 - b * b) * density,
        third: (b * b - 4.0f32) * b * density,
    }
}

/// ½ z (1 + tanh w(z)), by the chain rule.
#[cube]
fn gelu_tanh(z: f32) -> Derivatives {
    let scale = 0.797_884_6f32;
    let cubic = 0.044_715f32;
    let t = tanh(z * (1.0f32 + cubic * z * z) * scale);
    let b = bounded(z);
    let w1 = (1.0f32 + 3.0f32 * cubic * b * b) * scale;
    let w2 = 6.0f32 * scale * cubic * b;
    let w3 = 6.0f32 * scale * cubic;
    let t1 = t.first * w1;
    let t2 = t.second * w1 * w1 + t.first * w2;
    let t3 = t.third * w1 * w1 * w1 + 3.0f32 * t.second * w1 * w2 + t.first * w3;
    Derivatives {
        value: 0.5f32 * z * (1.0f32 + t.value),
        first: 0.5f32 * (1.0f32 + t.value + b * t1),
        second: t1 + 0.5f32 * b * t2,
        third: 0.5f32 * (3.0f32 * t2 + b * t3),
    }
}

/// z tanh(softplus z), by the chain rule.
#[cube]
fn mish(z: f32) -> Derivatives {
    let s = sigmoid(z);
    let t = tanh(softplus(z));
    let t1 = t.first * s.value;
    let t2 = t.second * s.value * s.value + t.first * s.first;
    let t3 = t.third * s.value * s.value * s.value
        + 3.0f32 * t.second * s.value * s.first
        + t.first * s.second;
    Derivatives {
        value: z * t.value,
        first: t.value + z * t1,
        second: 2.0f32 * t1 + z * t2,
        third: 3.0f32 * t2 + z * t3,
    }
}
