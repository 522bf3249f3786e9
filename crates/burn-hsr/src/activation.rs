//! Activations and their derivatives as tensor operations, and which of Burn's activations they are.

use burn::nn::activation::Activation as BurnActivation;
use burn::tensor::{Tensor, activation};
use hsr_core::Activation;

use crate::error::HsrError;

/// The activation of a [`Layer`](crate::Layer): φ, or one of Burn's by reference, the enum
/// [`Activation`](burn::nn::activation::Activation) or a struct such as [`Gelu`](burn::nn::Gelu). One that the closed form does
/// not have is refused by what takes the layer ([`HsrError::Activation`]).
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Gelu, Linear};
/// use burn_hsr::{Layer, Layers};
///
/// #[derive(Module, Debug)]
/// struct Head { up: Linear, gelu: Gelu, down: Linear }
///
/// impl Layers for Head {
///     fn layers(&self) -> Vec<Layer<'_>> {
///         vec![Layer::new(&self.up).with_activation(&self.gelu), Layer::new(&self.down)]
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct LayerActivation(pub(crate) Result<Activation, HsrError>);

impl From<Activation> for LayerActivation {
    fn from(activation: Activation) -> Self {
        Self(Ok(activation))
    }
}

impl<A: Clone + Into<BurnActivation>> From<&A> for LayerActivation {
    fn from(burn: &A) -> Self {
        Self(activation_of(burn))
    }
}

/// Which φ an activation of Burn is. (A `TryFrom` cannot be: both types belong to other crates.)
///
/// ```
/// use burn::nn::activation::{Activation, ActivationConfig};
/// use burn::nn::{Relu, SoftplusConfig};
/// use burn::tensor::Device;
/// use burn_hsr::activation_of;
///
/// let device = Device::flex();
/// let gelu = ActivationConfig::GeluApproximate.init(&device);
/// assert_eq!(activation_of(&gelu)?, burn_hsr::Activation::GeluTanh);
/// assert_eq!(activation_of(&Relu::new())?, burn_hsr::Activation::Relu);
/// // Others are refused, with the reason.
/// let softplus: Activation = SoftplusConfig::new().with_beta(2.0).init().into();
/// let error = activation_of(&softplus).unwrap_err();
/// assert_eq!(error.to_string(), "Softplus cannot be regularised: only β = 1 has a closed form here");
/// # Ok::<(), burn_hsr::HsrError>(())
/// ```
///
/// # Errors
///
/// [`HsrError::Activation`] where the closed form does not have it.
pub fn activation_of<A: Clone + Into<BurnActivation>>(burn: &A) -> Result<Activation, HsrError> {
    let (name, reason) = match burn.clone().into() {
        BurnActivation::Identity(_) => return Ok(Activation::Identity),
        BurnActivation::Tanh(_) => return Ok(Activation::Tanh),
        BurnActivation::Sigmoid(_) => return Ok(Activation::Sigmoid),
        BurnActivation::Relu(_) => return Ok(Activation::Relu),
        BurnActivation::Gelu(gelu) if gelu.approximate => return Ok(Activation::GeluTanh),
        BurnActivation::Gelu(_) => return Ok(Activation::Gelu),
        BurnActivation::LeakyRelu(leaky) => {
            return Ok(Activation::LeakyRelu {
                negative_slope: leaky.negative_slope,
            });
        }
        BurnActivation::Softplus(softplus) if softplus.beta == 1.0 => {
            return Ok(Activation::Softplus);
        }
        BurnActivation::Softplus(_) => ("Softplus", "only β = 1 has a closed form here"),
        BurnActivation::SwiGlu(_) => (
            "SwiGlu",
            "it is no function of one pre-activation, but has two layers of its own",
        ),
        BurnActivation::PRelu(_) => ("PRelu", "its slopes are trained: take LeakyRelu"),
        // What remains, and what later versions of Burn add. Their names begin their displays.
        other => {
            let shown = format!("{other:?}");
            let name = shown.split(['(', ' ', '{']).next().unwrap_or_default();
            return Err(HsrError::Activation {
                activation: name.to_owned(),
                reason: "the closed form does not have it: take tanh, gelu, silu, softplus, mish or relu",
            });
        }
    };
    Err(HsrError::Activation {
        activation: name.to_owned(),
        reason,
    })
}

/// φ(z), differentiable, for the forward pass of a network.
///
/// The same functions as in [`hsr_core::Activation`], whatever the backend. Three are written out: Burn's own softplus
/// turns into the identity above 20, which its derivatives would notice in f64, and so does mish; its gelu has the
/// gradient of the tanh approximation on every backend but flex.
///
/// # Shapes
///
/// - input and output: any, the same
pub fn forward<const D: usize>(activation: Activation, z: Tensor<D>) -> Tensor<D> {
    match activation {
        Activation::Tanh => z.tanh(),
        Activation::Sigmoid => activation::sigmoid(z),
        Activation::Softplus => softplus(z),
        Activation::Gelu => z.clone() * normal_distribution(z),
        Activation::GeluTanh => activation::gelu_approximate(z),
        Activation::Silu => activation::silu(z),
        Activation::Mish => z.clone() * softplus(z).tanh(),
        Activation::Erf => z.erf(),
        Activation::Sin => z.sin(),
        Activation::Identity => z,
        Activation::Relu => activation::relu(z),
        Activation::LeakyRelu { negative_slope } => activation::leaky_relu(z, negative_slope),
        other => unreachable!("no tensor form of {other}"),
    }
}

/// max(z, 0) + ln(1 + e^−|z|), which neither overflows nor rounds to its asymptote early. The maximum is (z + |z|)/2, so
/// that its derivative at 0, where autodiff gives |z| none, is ½.
pub(crate) fn softplus<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    let size = z.clone().abs();
    z * 0.5 + size.clone() * 0.5 + size.neg().exp().log1p()
}

/// The distribution function of a standard normal variable.
fn normal_distribution<const D: usize>(z: Tensor<D>) -> Tensor<D> {
    (z * core::f64::consts::FRAC_1_SQRT_2).erf() * 0.5 + 0.5
}

/// `[φ, φ', φ'', φ''']` at z (theory §7).
pub(crate) fn derivatives<const D: usize>(activation: Activation, z: Tensor<D>) -> [Tensor<D>; 4] {
    match activation {
        Activation::Tanh => tanh(z),
        Activation::Sigmoid => sigmoid(z),
        Activation::Softplus => {
            let value = softplus(z.clone());
            let [p, s1, s2, _] = sigmoid(z);
            [value, p, s1, s2]
        }
        Activation::Gelu => {
            let density = (z.clone().square() * -0.5).exp() * 0.398_942_280_401_432_7;
            let distribution = normal_distribution(z.clone());
            let z = bounded(z, 1e4);
            [
                z.clone() * distribution.clone(),
                distribution + z.clone() * density.clone(),
                (z.clone().square() * -1.0 + 2.0) * density.clone(),
                (z.clone().square() - 4.0) * z * density,
            ]
        }
        Activation::GeluTanh => gelu_tanh(z),
        Activation::Silu => {
            let [p, s1, s2, s3] = sigmoid(z.clone());
            [
                z.clone() * p.clone(),
                p + z.clone() * s1.clone(),
                s1 * 2.0 + z.clone() * s2.clone(),
                s2 * 3.0 + z * s3,
            ]
        }
        Activation::Mish => {
            let [p, s1, s2, _] = sigmoid(z.clone());
            let [t, u, u1, u2] = tanh(softplus(z.clone()));
            let t1 = u.clone() * p.clone();
            let t2 = u1.clone() * p.clone().square() + u.clone() * s1.clone();
            let t3 = u2 * p.clone().square() * p.clone() + u1 * p * s1 * 3.0 + u * s2;
            [
                z.clone() * t.clone(),
                t + z.clone() * t1.clone(),
                t1 * 2.0 + z.clone() * t2.clone(),
                t2 * 3.0 + z * t3,
            ]
        }
        Activation::Erf => {
            let value = z.clone().erf();
            let z = bounded(z, 1e4);
            let e = z.clone().square().neg().exp() * core::f64::consts::FRAC_2_SQRT_PI;
            [
                value,
                e.clone(),
                z.clone() * e.clone() * -2.0,
                (z.square() * 4.0 - 2.0) * e,
            ]
        }
        Activation::Sin => {
            let (s, c) = (z.clone().sin(), z.cos());
            [s.clone(), c.clone(), s.neg(), c.neg()]
        }
        Activation::Identity => {
            let zero = z.zeros_like();
            [z.clone(), z.ones_like(), zero.clone(), zero]
        }
        Activation::Relu => piecewise(z, 0.0),
        Activation::LeakyRelu { negative_slope } => piecewise(z, negative_slope),
        other => unreachable!("no tensor form of {other}"),
    }
}

/// z kept where its powers are representable in single precision; only used where they meet a factor that has long
/// become 0.
fn bounded<const D: usize>(z: Tensor<D>, limit: f64) -> Tensor<D> {
    z.clamp(-limit, limit)
}

fn piecewise<const D: usize>(z: Tensor<D>, negative_slope: f64) -> [Tensor<D>; 4] {
    let negative = z.clone().lower_equal_elem(0.0);
    let slope = z.ones_like().mask_fill(negative, negative_slope);
    let zero = z.zeros_like();
    [z * slope.clone(), slope, zero.clone(), zero]
}

/// As in hsr-core: 1 − a² through e^−2|z|, which does not cancel when a saturates.
fn tanh<const D: usize>(z: Tensor<D>) -> [Tensor<D>; 4] {
    let a = z.clone().tanh();
    let e = (z.abs() * -2.0).exp();
    let u = e.clone() * 4.0 / (e + 1.0).square();
    [
        a.clone(),
        u.clone(),
        a.clone() * u.clone() * -2.0,
        u * (a.square() * 6.0 - 2.0),
    ]
}

/// The sigmoid and its derivatives, from e^−|z| on both sides.
fn sigmoid<const D: usize>(z: Tensor<D>) -> [Tensor<D>; 4] {
    let e = z.clone().abs().neg().exp();
    let large = (e.clone() + 1.0).recip();
    let small = e * large.clone();
    let negative = z.lower_elem(0.0);
    let p = large.clone().mask_where(negative.clone(), small.clone());
    let rest = small.clone().mask_where(negative, large.clone());
    let first = large * small;
    [
        p.clone(),
        first.clone(),
        first.clone() * (rest - p),
        first.clone() * (first * -6.0 + 1.0),
    ]
}

fn gelu_tanh<const D: usize>(z: Tensor<D>) -> [Tensor<D>; 4] {
    const SCALE: f64 = 0.797_884_560_802_865_4;
    const CUBIC: f64 = 0.044_715;
    let [t, u, u1, u2] = tanh(z.clone() * (z.clone().square() * CUBIC + 1.0) * SCALE);
    let inner = bounded(z.clone(), 1e4);
    let w1 = (inner.clone().square() * (3.0 * CUBIC) + 1.0) * SCALE;
    let w2 = inner.clone() * (6.0 * SCALE * CUBIC);
    let w3 = 6.0 * SCALE * CUBIC;
    let t1 = u.clone() * w1.clone();
    let t2 = u1.clone() * w1.clone().square() + u.clone() * w2.clone();
    let t3 = u2 * w1.clone().square() * w1.clone() + u1 * w1 * w2 * 3.0 + u * w3;
    [
        z.clone() * (t.clone() + 1.0) * 0.5,
        (t + 1.0 + inner.clone() * t1.clone()) * 0.5,
        t1 + inner.clone() * t2.clone() * 0.5,
        (t2 * 3.0 + inner * t3) * 0.5,
    ]
}
