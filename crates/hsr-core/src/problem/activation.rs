//! Activations of the hidden layer, with the three derivatives the closed form needs (theory §7).

use core::fmt;
use core::str::FromStr;

use crate::error::Error;
use crate::numeric::lanes::{LANE, flushed};
use crate::numeric::number::Number;

/// The activation φ of the hidden layer.
///
/// The bound needs φ, φ' and φ''; its gradient also needs φ''' ([theory](crate::theory) §7). For the piecewise-linear
/// activations ([`Relu`](Activation::Relu), [`LeakyRelu`](Activation::LeakyRelu)) φ'' = φ''' = 0 almost everywhere:
/// the closed form is exact wherever no pre-activation is 0, and at 0 the derivative from the left is taken.
///
/// Names, as parsed by [`FromStr`] and printed by [`Display`](fmt::Display), are those of the variants in
/// snake case.
///
/// ```
/// use hsr_core::Activation;
///
/// let [value, first, second, third] = Activation::Tanh.derivatives(0.0_f64);
/// assert_eq!([value, first, second, third], [0.0, 1.0, -0.0, -2.0]);
/// assert_eq!("gelu_tanh".parse::<Activation>().unwrap(), Activation::GeluTanh);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Activation {
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic sigmoid 1/(1 + e^−z).
    Sigmoid,
    /// ln(1 + e^z).
    Softplus,
    /// zΦ(z) with the normal distribution function Φ (the exact, erf form).
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// zσ(z), also called swish.
    Silu,
    /// z·tanh(softplus(z)).
    Mish,
    /// The error function.
    Erf,
    /// Sine.
    Sin,
    /// z itself: a linear network.
    Identity,
    /// max(z, 0). Exact almost everywhere.
    Relu,
    /// z for z > 0, else `negative_slope`·z. Exact almost everywhere.
    LeakyRelu {
        /// The slope for z < 0; 0.01 in Burn and PyTorch.
        negative_slope: f64,
    },
}

impl Activation {
    /// Every activation, the leaky ReLU with its usual slope of 0.01.
    pub const ALL: [Activation; 12] = [
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Mish,
        Activation::Erf,
        Activation::Sin,
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu {
            negative_slope: 0.01,
        },
    ];

    /// The name in snake case.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Softplus => "softplus",
            Activation::Gelu => "gelu",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Silu => "silu",
            Activation::Mish => "mish",
            Activation::Erf => "erf",
            Activation::Sin => "sin",
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::LeakyRelu { .. } => "leaky_relu",
        }
    }

    /// Whether φ'' is continuous, so that the closed form holds everywhere and not just almost everywhere.
    pub fn is_smooth(self) -> bool {
        !matches!(self, Activation::Relu | Activation::LeakyRelu { .. })
    }

    /// [`derivatives`](Self::derivatives) of many values: a loop of one function, which vectorises.
    #[inline(always)]
    pub(crate) fn derivatives_of<T: Number>(self, z: &[T], out: [&mut [T]; 4]) {
        /// Calls the loop with the variant as a constant.
        macro_rules! dispatch {
            ($($variant:ident),*) => {
                match self {
                    $(Self::$variant => {
                        each(z, out, #[inline(always)] |z| Self::$variant.derivatives(z));
                    })*
                    leaky @ Self::LeakyRelu { .. } => each(z, out, |z| leaky.derivatives(z)),
                }
            };
        }
        #[inline(always)]
        fn each<T: Number>(z: &[T], out: [&mut [T]; 4], f: impl Fn(T) -> [T; 4]) {
            let [a, d1, d2, d3] = out;
            let (z, rest) = z.as_chunks::<LANE>();
            assert!(rest.is_empty());
            let (a, d1) = (a.as_chunks_mut::<LANE>().0, d1.as_chunks_mut::<LANE>().0);
            let (d2, d3) = (d2.as_chunks_mut::<LANE>().0, d3.as_chunks_mut::<LANE>().0);
            for ((((z, a), d1), d2), d3) in z.iter().zip(a).zip(d1).zip(d2).zip(d3) {
                // Through local arrays, which cannot overlap: only then does the compiler vectorise.
                let z = *z;
                let mut lane = [[T::zero(); LANE]; 4];
                for l in 0..LANE {
                    let [a, d1, d2, d3] = f(z[l]);
                    let values = [a, flushed(d1), flushed(d2), flushed(d3)];
                    for (row, value) in lane.iter_mut().zip(values) {
                        row[l] = value;
                    }
                }
                [*a, *d1, *d2, *d3] = lane;
            }
        }
        dispatch!(
            Tanh, Sigmoid, Softplus, Gelu, GeluTanh, Silu, Mish, Erf, Sin, Identity, Relu
        );
    }

    /// `[φ, φ', φ'', φ''']` at `z`.
    ///
    /// Finite for every finite `z` whose φ(z) is finite; no cancellation in the saturated tails.
    #[inline(always)]
    pub fn derivatives<T: Number>(self, z: T) -> [T; 4] {
        match self {
            Activation::Tanh => tanh(z),
            Activation::Sigmoid => sigmoid(z),
            Activation::Softplus => {
                let [p, s1, s2, _] = sigmoid(z);
                [z.max(T::zero()) + (-z.abs()).exp().ln_1p(), p, s1, s2]
            }
            Activation::Gelu => gelu(z),
            Activation::GeluTanh => gelu_tanh(z),
            Activation::Silu => {
                let [p, s1, s2, s3] = sigmoid(z);
                let (two, three) = (T::of(2.0), T::of(3.0));
                [z * p, p + z * s1, two * s1 + z * s2, three * s2 + z * s3]
            }
            Activation::Mish => mish(z),
            Activation::Erf => {
                let e = T::of(core::f64::consts::FRAC_2_SQRT_PI) * (-z * z).exp();
                if e == T::zero() {
                    return [z.erf(), e, e, e];
                }
                let two = T::of(2.0);
                [z.erf(), e, -two * z * e, (two * two * z * z - two) * e]
            }
            Activation::Sin => {
                let (s, c) = z.sin_cos();
                [s, c, -s, -c]
            }
            Activation::Identity => [z, T::one(), T::zero(), T::zero()],
            Activation::Relu => {
                let slope = if z > T::zero() { T::one() } else { T::zero() };
                [z * slope, slope, T::zero(), T::zero()]
            }
            Activation::LeakyRelu { negative_slope } => {
                let slope = if z > T::zero() {
                    T::one()
                } else {
                    T::of(negative_slope)
                };
                [z * slope, slope, T::zero(), T::zero()]
            }
        }
    }
}

/// `[tanh, u, −2au, −2u(1 − 3a²)]` with u = 1 − a², without a branch.
#[inline(always)]
fn tanh<T: Number>(z: T) -> [T; 4] {
    let (one, two, three) = (T::one(), T::of(2.0), T::of(3.0));
    let y = two * z.abs();
    // e^−y − 1: for small y by its series, elsewhere as the difference.
    let small = y < T::of(0.7);
    let e = (-y).exp_decay();
    let series = decay_minus_one(if small { y } else { T::zero() });
    let minus_one = if small { series } else { e - one };
    let e = if small { one + series } else { e };
    let scale = one / (two + minus_one);
    let a = -minus_one * scale;
    // 1 − a² cancels once a saturates; through e^−2|z| it does not.
    let u = two * two * e * scale * scale;
    let a = if z < T::zero() { -a } else { a };
    [a, u, -two * a * u, -two * u * (one - three * a * a)]
}

/// 1/(i + 1)!.
const RECIPROCALS: [f64; 16] = {
    let (mut factorial, mut i) = (1.0, 0);
    let mut values = [0.0; 16];
    while i < 16 {
        factorial *= (i + 1) as f64;
        values[i] = 1.0 / factorial;
        i += 1;
    }
    values
};

/// e^−y − 1 for 0 ≤ y < 0.7, by its series.
#[inline(always)]
fn decay_minus_one<T: Number>(y: T) -> T {
    // x(1 + x/2! + x²/3! + …), 16 terms: 0.7¹⁶/17! is below an ulp of the first. Written out, for a loop in here would keep
    // the one over samples from being vectorised.
    let c = |i: usize| T::of(RECIPROCALS[i]);
    let low = [c(0), c(1), c(2), c(3), c(4), c(5), c(6), c(7)];
    let high = [c(8), c(9), c(10), c(11), c(12), c(13), c(14), c(15)];
    let mut series = [T::zero(); 16];
    series[..8].copy_from_slice(&low);
    series[8..].copy_from_slice(&high);
    let x = -y;
    x * crate::numeric::scalar::polynomial(series, x)
}

/// The sigmoid p and its derivatives p(1 − p), p'(1 − 2p), p'(1 − 6p').
#[inline(always)]
fn sigmoid<T: Number>(z: T) -> [T; 4] {
    let one = T::one();
    let e = (-z.abs()).exp_decay();
    let scale = one / (one + e);
    let (large, small) = (scale, e * scale);
    let (p, rest) = if z >= T::zero() {
        (large, small)
    } else {
        (small, large)
    };
    let first = large * small;
    [
        p,
        first,
        first * (rest - p),
        first * (one - T::of(6.0) * first),
    ]
}

#[inline(always)]
fn gelu<T: Number>(z: T) -> [T; 4] {
    let (two, four) = (T::of(2.0), T::of(4.0));
    let distribution = T::of(0.5) * (-z * T::of(core::f64::consts::FRAC_1_SQRT_2)).erfc();
    let density = T::of(0.398_942_280_401_432_7) * (-T::of(0.5) * z * z).exp();
    if density == T::zero() {
        // Past the tail z² may be infinite, and ∞·0 is no number.
        return [z * distribution, distribution, density, density];
    }
    [
        z * distribution,
        distribution + z * density,
        (two - z * z) * density,
        (z * z - four) * z * density,
    ]
}

/// z(1 + tanh w)/2 with w = √(2/π)(z + 0.044715 z³), by the chain rule.
#[inline(always)]
fn gelu_tanh<T: Number>(z: T) -> [T; 4] {
    let (half, one) = (T::of(0.5), T::one());
    let scale = T::of(0.797_884_560_802_865_4);
    let cubic = T::of(0.044_715);
    let w = scale * z * (one + cubic * z * z);
    let [_, u, u1, u2] = tanh(w);
    // (1 + tanh w)/2 = σ(2w), which does not cancel for negative w.
    let [p, ..] = sigmoid(w + w);
    if u == T::zero() {
        return [z * p, p, u, u];
    }
    let w1 = scale * (one + T::of(3.0) * cubic * z * z);
    let w2 = T::of(6.0) * scale * cubic * z;
    let w3 = T::of(6.0) * scale * cubic;
    let t1 = u * w1;
    let t2 = u1 * w1 * w1 + u * w2;
    let t3 = u2 * w1 * w1 * w1 + T::of(3.0) * u1 * w1 * w2 + u * w3;
    [
        z * p,
        p + half * z * t1,
        t1 + half * z * t2,
        half * (T::of(3.0) * t2 + z * t3),
    ]
}

/// z·tanh(softplus(z)), by the chain rule through t = tanh ∘ softplus.
#[inline(always)]
fn mish<T: Number>(z: T) -> [T; 4] {
    let (two, three) = (T::of(2.0), T::of(3.0));
    let [p, s1, s2, _] = sigmoid(z);
    let [t, u, u1, u2] = tanh(z.max(T::zero()) + (-z.abs()).exp().ln_1p());
    let t1 = u * p;
    let t2 = u1 * p * p + u * s1;
    let t3 = u2 * p * p * p + three * u1 * p * s1 + u * s2;
    [z * t, t + z * t1, two * t1 + z * t2, three * t2 + z * t3]
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|activation| activation.name() == name)
            .ok_or_else(|| Error::UnknownName {
                what: "activation",
                name: name.to_owned(),
                expected: Self::ALL.map(Activation::name).join(", "),
            })
    }
}
