//! The parameters' precision, which limits a difference of gradients.

use burn::module::Module;

use crate::error::PenaltyError;
use crate::number::Number;
pub use crate::rounding::rounding_unit;
use crate::trained::count;
use crate::vector::Vector;

/// θ̄, the root mean square of the parameters that are trained.
///
/// # Errors
///
/// As [`count`].
pub fn root_mean_square<M: Module>(module: &M) -> Result<Number, PenaltyError> {
    let size = count(module)? as f64;
    let parameters = Vector::parameters(module, None);
    Ok((parameters.dot(&parameters)? * (1.0 / size)).sqrt())
}

/// u(1 + θ̄): u is the machine epsilon of the parameters that are trained, θ̄ their root mean square. Rounding leaves this
/// much of a gradient, relative to the Hessian.
///
/// # Errors
///
/// As [`count`].
pub fn rounding_noise<M: Module>(module: &M) -> Result<Number, PenaltyError> {
    Ok((root_mean_square(module)? + 1.0) * rounding_unit(module))
}
