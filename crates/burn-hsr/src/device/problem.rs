//! What is evaluated on a device for three layers, and what comes back, whoever computes it.

use burn::tensor::{DType, Tensor};
use hsr_core::{Activation, Dimensions, Plan};

use crate::config::HsrConfig;
use crate::gradient::{HsrGradient, LayerGradient};
use crate::targets::Targets;

/// The smallest number that has a reciprocal in the type.
pub(crate) fn smallest(dtype: DType) -> f64 {
    dtype
        .finfo()
        .map_or(f64::from(f32::MIN_POSITIVE), |info| info.min_positive)
}

/// What is to be evaluated: plain tensors, without autodiff, all of one type.
pub(super) struct Problem<'a> {
    pub config: &'a HsrConfig,
    pub dims: Dimensions,
    pub activation: Activation,
    pub plan: Plan,
    /// x \[N, d\].
    pub inputs: Tensor<2>,
    pub targets: Targets,
    /// W1 \[d, h\] and W2 \[h, K\], as Burn has them.
    pub weights: [Tensor<2>; 2],
    /// b1 \[h\] and b2 \[K\].
    pub biases: [Option<Tensor<1>>; 2],
    pub with_inputs: bool,
}

/// The gradient of a three-layer network from its parts in Burn's layout.
pub(super) fn of_three_layers(
    value: Tensor<1>,
    weights: [Tensor<2>; 2],
    biases: [Option<Tensor<1>>; 2],
    inputs: Option<Tensor<2>>,
) -> HsrGradient {
    let layers = weights.into_iter().zip(biases);
    HsrGradient {
        value,
        layers: layers
            .map(|(weight, bias)| LayerGradient {
                weight: Some(weight),
                bias,
            })
            .collect(),
        inputs,
    }
}
