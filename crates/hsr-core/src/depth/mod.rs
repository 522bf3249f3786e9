//! Exact curvature of feed-forward networks of any depth, with residual layers, on plain slices.
//!
//! What [`Workspace`](crate::Workspace) does for one hidden layer, [`DeepWorkspace`] does for a slice of layers, L ≥ 1:
//! [`FeedForward`] is the network, [`Batch`](crate::Batch) the data. The formulas are those of
//! [theory](crate::theory) §8.
//!
//! ```
//! use hsr_core::depth::{DeepWorkspace, FeedForward, LayerShape};
//! use hsr_core::{Activation, Batch, OutputLoss, Targets};
//!
//! let shapes = [
//!     LayerShape::new(2, 4).with_activation(Activation::Tanh),
//!     LayerShape::new(4, 4).with_activation(Activation::Tanh).with_residual(),
//!     LayerShape::new(4, 3),
//! ];
//! let theta: Vec<f64> = (0..47).map(|i| 0.5 * f64::from(i).sin()).collect();
//! let network = FeedForward::from_flat(&shapes, &theta)?;
//! let x = [0.1, 0.2, -0.5, 1.0, 0.7, -0.3];
//! let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, Targets::Classes(&[0, 1, 2]));
//!
//! let mut workspace = DeepWorkspace::new();
//! let mut gradient = vec![0.0; network.parameters()];
//! let loss = workspace.loss_gradient(&network, &batch, &mut gradient, None)?;
//! let stepped: Vec<f64> = theta.iter().zip(&gradient).map(|(t, g)| t - 0.01 * g).collect();
//! let stepped = FeedForward::from_flat(&shapes, &stepped)?;
//! assert!(workspace.loss(&stepped, &batch)? < loss);
//! # Ok::<(), hsr_core::Error>(())
//! ```

mod block;
mod blocks;
mod network;
mod objective;
mod passes;
mod plan;
mod reverse;
mod rows;
mod stages;
mod want;
pub(crate) mod workspace;

pub use block::BlockId;
pub use network::{FeedForward, Layer, LayerLayout, LayerShape};
pub use objective::{BlockMoments, DeepBounds, Objective};
pub use plan::{DeepEvaluation, DeepPlan};
pub use workspace::DeepWorkspace;
pub use workspace::directions::{Probe, ProbeOut};
pub use workspace::gauss_newton::GaussNewton;
pub use workspace::operator::DeepOperator;
