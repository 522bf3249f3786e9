//! Sharpness-aware training and curvature for any [Burn](https://burn.dev) module.
//!
//! Burn differentiates once. What needs second derivatives is exact here where the module is a three-layer network
//! (closed form, [`hsr_core`]) and made of differences of gradients everywhere else.
//!
//! # Map
//!
//! * [`ParameterSpace`]: a module's trainable parameters as one vector.
//! * [`operator`]: Hessian-vector products.
//! * [`penalty`]: gradient norm and Hessian trace as terms of a loss.
//! * [`spectrum`]: eigenvalues, traces and densities of whatever has products.

mod error;
pub mod operator;
mod parameters;
pub mod penalty;
pub mod spectrum;

pub use error::SharpnessError;
pub use operator::{FiniteDifferenceHessian, SymmetricOperator};
pub use parameters::{Parameter, ParameterSpace};
