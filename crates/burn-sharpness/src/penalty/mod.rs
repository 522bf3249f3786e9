//! Curvature penalties for any module, by differences of gradients: peers of HSR.
//!
//! * [`GradientNorm`]: the norm ‖∇L‖ of the gradient.
//! * [`HutchinsonTrace`]: the trace tr H of the Hessian, by random probes.
//!
//! Both are injected between `backward` and the optimizer's step, and cost forward and backward passes:
//!
//! | penalty | passes besides the loss's own |
//! |---|---|
//! | gradient norm, forward difference | 1 |
//! | gradient norm, central difference | 2 |
//! | trace | 2 a probe |
//!
//! They stay on the module's device and read nothing back. The gradients that they are given must be those of the
//! loss that the closure computes, before anything else is added to them: they are the middle one of the differences,
//! and the direction. The closure's loss must be the same function at every call (see
//! [`FiniteDifferenceHessian`](crate::FiniteDifferenceHessian)). The module stays as it was, its running statistics
//! included. A gradient that is not finite gives one that is not.

mod gradient_norm;
mod hutchinson_trace;
mod vector;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::SharpnessError;
use crate::isolated::isolated_at;
use crate::operator::backward;

pub use gradient_norm::{Difference, GradientNorm, GradientNormConfig};
pub use hutchinson_trace::{HutchinsonTrace, HutchinsonTraceConfig};

/// A penalty and its gradient at one point, without strength. Plain tensors, without autodiff, on the module's device.
#[derive(Debug)]
pub struct PenaltyGradient {
    /// The penalty, \[1\].
    pub value: Tensor<1>,
    /// Its gradient, for every trainable parameter that the loss depends on.
    pub gradients: GradientsParams,
}

/// The gradients of the loss at θ + direction; `module` is a copy that may be run.
fn gradients_at<M: Module>(
    module: &M,
    direction: GradientsParams,
    loss: &mut impl FnMut(&M) -> Tensor<1>,
) -> Result<GradientsParams, SharpnessError> {
    let there = isolated_at(module, direction);
    backward(&there, loss(&there))
}

fn check_strength(strength: f64) -> Result<(), SharpnessError> {
    if strength.is_finite() && strength >= 0.0 {
        return Ok(());
    }
    Err(SharpnessError::Option {
        option: "strength",
        value: strength,
        expected: "a finite number, 0 or more",
    })
}
