//! How far apart the passes are.

use burn::module::Module;

use super::config::StochasticHsrConfig;
use crate::error::PenaltyError;
use crate::group::Group;
use crate::number::Number;
use crate::precision::rounding_unit;
use crate::vector::Vector;

/// ε, from the group's parameters θ.
pub(super) fn step_length<M: Module>(
    module: &M,
    group: &Group,
    parameters: &Vector,
    config: &StochasticHsrConfig,
) -> Result<Number, PenaltyError> {
    let relative = config.step.unwrap_or_else(|| match rounding_unit(module) {
        unit if unit < 1e-10 => 1e-4,
        unit if unit < 1e-5 => 2e-3,
        _ => 0.2,
    });
    let squares = parameters.dot(parameters)?;
    let mean = (squares * (1.0 / group.size() as f64)).sqrt();
    // Parameters that are all zero have no unit of their own.
    Ok(mean.clone().unless_zero(&mean, 1.0) * relative)
}
