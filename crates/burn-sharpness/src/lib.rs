//! Sharpness-aware training and curvature for any [Burn](https://burn.dev) module.
//!
//! Burn differentiates once. What needs second derivatives is exact here where the module is a three-layer network
//! (closed form, [`hsr_core`]) and made of differences of gradients everywhere else.
//!
//! # Map
//!
//! * [`ParameterSpace`]: a module's trainable parameters as one vector.
//! * [`operator`]: Hessian-vector products.
//! * [`Sam`], [`SamConfig`]: SAM and ASAM around any optimizer, see [`sam`].
//! * `train` (feature `train`): `SamLearner`, SAM in Burn's `SupervisedTraining`.
//! * [`measures`]: sharpness that survives a rescaled layer or scaled logits, beside the plain one.
//! * [`landscape`]: the loss on planes and lines through models.
//! * [`penalty`]: gradient norm and Hessian trace as terms of a loss.
//! * [`spectrum`]: eigenvalues, traces and densities of whatever has products.

mod error;
mod isolated;
pub mod landscape;
pub mod measures;
pub mod operator;
mod parameters;
pub mod penalty;
pub mod sam;
pub mod spectrum;
#[cfg(feature = "train")]
pub mod train;

pub use error::SharpnessError;
pub use operator::{FiniteDifferenceHessian, SymmetricOperator};
pub use parameters::{Parameter, ParameterSpace};
pub use sam::{Outcome, Sam, SamConfig, SamGradient};
