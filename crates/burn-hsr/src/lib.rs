//! Hessian Spectral Range (HSR) regularisation for [Burn](https://burn.dev).
//!
//! HSR descends λ_sup, a closed-form upper bound on the largest eigenvalue of the loss Hessian of a three-layer
//! network (input, one smooth hidden layer, logits), while the network trains. The bound and its gradient are exact
//! and need no second-order autodiff, which Burn does not have.
//!
//! # Quick start
//!
//! See [`Hsr`] for the three lines a training loop needs, [`ThreeLayer`] for models of your own, and [`Backend`] for
//! choosing between CPU and GPU at run time.
//!
//! # Map
//!
//! * [`ThreeLayerNet`], [`ThreeLayer`]: what can be regularised.
//! * [`HsrConfig`], [`Hsr`]: the regulariser; [`Mode`] and [`Execution`] are its choices.
//! * [`Sharpness`]: what is descended, λ_sup or a peer of it.
//! * [`ClosedForm`]: a model and a batch in the host's memory, for the verbs of hsr-core.
//! * [`Schedule`]: when and how strongly; [`HsrRecord`]: what a resumed run needs.
//! * [`HsrGradient`]: the bound's gradient as tensors; [`HeadTerm`]: the head of a deeper model.
//! * [`Backend`]: backends by name.
//! * `train` (feature `train`): `HsrLearner` and curvature metrics for Burn's `SupervisedTraining`.
//!
//! The mathematics is in [`hsr_core`].

mod activation;
mod backend;
mod closed_form;
mod device;
mod error;
mod gradient;
mod head;
mod host;
mod hsr;
mod losses;
mod net;
mod record;
mod schedule;
mod sharpness;
mod subsample;
mod targets;
#[cfg(feature = "train")]
pub mod train;

pub use activation::forward as activation_forward;
pub use backend::{Backend, BackendError};
pub use closed_form::ClosedForm;
pub use error::HsrError;
pub use gradient::HsrGradient;
pub use head::HeadTerm;
pub use hsr::{Execution, Hsr, HsrConfig, Mode};
pub use hsr_core::{Activation, Evaluation, Extremes, LanczosOptions, OutputLoss, SpectralBounds};
pub use net::{ThreeLayer, ThreeLayerNet, ThreeLayerNetConfig};
pub use record::{HsrRecord, HsrRecordError};
pub use schedule::Schedule;
pub use sharpness::Sharpness;
pub use targets::Targets;
