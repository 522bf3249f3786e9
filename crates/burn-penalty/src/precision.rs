//! The parameters' precision, which limits a difference of gradients.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::error::PenaltyError;
use crate::number::Number;
use crate::trained::count;
use crate::vector::Vector;

/// The distance from 1 to the next number, in the coarsest precision among the parameters that are trained.
pub fn rounding_unit<M: Module>(module: &M) -> f64 {
    struct Coarsest(f64);
    impl ModuleVisitor for Coarsest {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad()
                && let Some(info) = param.val().dtype().finfo()
            {
                self.0 = self.0.max(info.epsilon);
            }
        }
    }
    let mut coarsest = Coarsest(f64::EPSILON);
    module.visit(&mut coarsest);
    coarsest.0
}

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
