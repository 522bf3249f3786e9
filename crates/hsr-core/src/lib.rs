//! Exact curvature of three-layer networks, framework-free.
//!
//! For a network with one hidden layer and a cross-entropy (or squared-error) loss, the trace and the Frobenius norm
//! of the loss Hessian H have closed forms; from them the Wolkowicz-Styan (WS) bound on its largest eigenvalue,
//!
//! ```text
//! λ_sup = m + s√(D − 1),   m = tr H / D,   s² = ‖H‖²_F / D − m²,
//! ```
//!
//! and the bound's exact gradient, without ever forming a Hessian or differentiating twice. Descending λ_sup while
//! training is Hessian Spectral Range (HSR) regularisation.
//!
//! # Map
//!
//! * [`Network`] and [`Batch`]: borrowed, validated views of parameters and data.
//! * [`Workspace`]: the verbs — loss, bounds, gradient, Hessian-vector product, dense Hessian — and their buffers.
//! * [`SpectralBounds`]: what is known of the spectrum.
//! * [`extremes`] and [`top_eigenpair`]: the ends of the spectrum themselves, by Lanczos; [`LanczosFactorization`] is
//!   what they are read from.
//! * [`Workspace::trace_gradient`] and its like: what else can be descended in λ_sup's place, with exact gradients.
//! * [`Evaluation`]: two exact ways to the same numbers, chosen by cost.
//!
//! Symbols in the documentation: N samples with inputs x (d values), hidden units a = φ(z) (h), outputs o (K),
//! D parameters θ = (W1, b1, W2, b2); x̃ and ã are x and a with a 1 appended where the layer has a bias; r and S are
//! the first and second derivative of a sample's loss in o.

// Loops over lanes index several rows at once, and a matrix product has as many arguments as it has.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

mod activation;
mod assembled;
mod batch;
mod bounds;
mod contraction;
mod directional;
mod dispatch;
mod error;
mod forward;
mod gram;
mod kernels;
mod lanczos;
mod lanes;
mod matmul;
mod network;
mod output_basis;
mod outputs;
mod peers;
mod plan;
mod pullback;
mod real;
mod stages;
mod svec;
mod workspace;

pub use activation::Activation;
pub use batch::{Batch, OutputLoss, Targets};
pub use bounds::{Moments, SpectralBounds};
pub use error::Error;
pub use lanczos::{
    EigenPair, Extremes, LanczosFactorization, LanczosOptions, extremes, top_eigenpair,
};
pub use network::{Dimensions, Layout, Network};
pub use plan::{BlockEvaluation, Evaluation, Plan, PlannedWork, Work};
pub use real::Real;
pub use workspace::{DENSE_LIMIT, HessianOperator, Workspace};
