//! How far apart the passes are.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::StochasticHsrConfig;
use crate::algebra::{Part, reduce, wide};
use crate::precision::rounding_unit;
use crate::{Group, PenaltyError};

/// ε, \[1\].
pub(super) fn step_length<M: Module>(
    module: &M,
    group: &Group,
    config: &StochasticHsrConfig,
) -> Result<Tensor<1>, PenaltyError> {
    struct Square<'a>(&'a Group);
    impl Part for Square<'_> {
        fn part<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<1>> {
            let value = self.0.has(param.id).then(|| param.val().inner())?;
            Some(wide(value).square().sum())
        }
    }
    let relative = config.step.unwrap_or_else(|| match rounding_unit(module) {
        unit if unit < 1e-10 => 1e-4,
        unit if unit < 1e-5 => 2e-3,
        _ => 0.2,
    });
    let squares = reduce(module, &Square(group), Tensor::sum)? * (1.0 / group.size() as f64);
    let mean = squares.sqrt();
    // Parameters that are all zero have no unit of their own.
    let zero = mean.clone().equal_elem(0.0);
    Ok(mean.mask_fill(zero, 1.0) * relative)
}
