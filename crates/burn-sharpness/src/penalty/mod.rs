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
//! They stay on the module's device and read nothing back, but for a flag at the first step. The gradients that they are given must be those of the
//! loss that the closure computes, before anything else is added to them: they are the middle one of the differences,
//! and the direction. The module stays as it was, its running statistics included. A gradient that is not finite gives
//! one that is not.
//!
//! # What the closure must be
//!
//! The same function at every call of a step, on the same data. Random numbers of the module's device, such as dropout
//! masks, are the same in all passes of a step and others in the next: the device is seeded before each pass, and goes on
//! from there after the last. The gradients at θ that the penalty is given were computed before that, under another mask.
//! So the first step, and every one at which a layer's training flag has changed, compares them with a pass of its own
//! and reads the device once for that; where they differ, this and all further steps make one pass more. A closure that
//! does not even repeat itself is refused ([`SharpnessError::NotRepeatable`]).

mod baseline;
mod gradient_norm;
mod hutchinson_trace;
mod record;

use burn::optim::GradientsParams;
use burn::tensor::Tensor;

#[cfg(doc)]
use crate::error::SharpnessError;

pub use gradient_norm::{Difference, GradientNorm, GradientNormConfig};
pub use hutchinson_trace::{HutchinsonTrace, HutchinsonTraceConfig};
pub use record::PenaltyRecord;

/// A penalty and its gradient at one point, without strength. Plain tensors, without autodiff, on the module's device.
#[derive(Debug)]
pub struct PenaltyGradient {
    /// The penalty, \[1\].
    pub value: Tensor<1>,
    /// Its gradient, for every trainable parameter that the loss depends on.
    pub gradients: GradientsParams,
}
