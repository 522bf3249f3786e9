//! T, by which ASAM measures each parameter.

use burn::tensor::Tensor;

use super::SamConfig;

/// T of one parameter: 1, or |w| + η.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scaling {
    One,
    Weight { eta: f64 },
}

impl Scaling {
    /// T of the parameter of this name and rank. The rule is documented at [`SamConfig::adaptive`].
    pub fn of(config: &SamConfig, name: &str, rank: usize) -> Self {
        let is_weight =
            (rank >= 2 && !name.contains("bias")) || name.contains("weight") || name == "gamma";
        if config.adaptive && is_weight {
            Self::Weight { eta: config.eta }
        } else {
            Self::One
        }
    }

    /// T·tensor.
    pub fn apply<const D: usize>(self, weight: &Tensor<D>, tensor: Tensor<D>) -> Tensor<D> {
        match self {
            Self::One => tensor,
            Self::Weight { eta } => tensor * (weight.clone().abs() + eta),
        }
    }
}
