//! Exact curvature of feed-forward networks, framework-free.
//!
//! For a feed-forward network with a cross-entropy (or squared-error) loss, the trace and the Frobenius norm of the loss
//! Hessian H have closed forms; from them the Wolkowicz-Styan (WS) bound on its largest eigenvalue,
//!
//! ```text
//! λ_sup = m + s√(D − 1),   m = tr H / D,   s² = ‖H‖²_F / D − m²,
//! ```
//!
//! and the bound's exact gradient, without ever forming a Hessian or differentiating twice. Descending λ_sup while
//! training is Hessian Spectral Range (HSR) regularisation.
//!
//! What it is for: exact curvature of small networks and of heads of large ones, on the CPU, in whatever framework they
//! were trained. In [Burn](https://burn.dev) use `burn-hsr`, which brings this crate into a training loop.
//!
//! # Quick start
//!
//! ```
//! use hsr_core::{Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Targets, Workspace};
//!
//! // Nine of Fisher's irises, three of a species: length and width of sepal and petal in cm.
//! let x = [
//!     5.1, 3.5, 1.4, 0.2,  4.9, 3.0, 1.4, 0.2,  4.7, 3.2, 1.3, 0.2, // setosa
//!     7.0, 3.2, 4.7, 1.4,  6.4, 3.2, 4.5, 1.5,  6.9, 3.1, 4.9, 1.5, // versicolor
//!     6.3, 3.3, 6.0, 2.5,  5.8, 2.7, 5.1, 1.9,  7.1, 3.0, 5.9, 2.1, // virginica
//! ];
//! let species = [0, 0, 0, 1, 1, 1, 2, 2, 2];
//! let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, Targets::Classes(&species));
//!
//! // Four inputs, three tanh units, three classes: 27 parameters, descended along ∇(L + λ_sup/10).
//! let dimensions = Dimensions::new(4, 3, 3);
//! let mut theta: Vec<f64> = (0..27).map(|i| 0.5 * f64::from(i).sin()).collect();
//! let (mut of_loss, mut of_bound) = (vec![0.0; 27], vec![0.0; 27]);
//! let mut workspace = Workspace::new();
//! let mut measured = Vec::new();
//! for _ in 0..200 {
//!     let network = Network::from_flat(dimensions, Activation::Tanh, &theta)?;
//!     let (loss, bounds) = workspace
//!         .loss_and_bounds_gradient(&network, &batch, Evaluation::Auto, &mut of_loss, &mut of_bound, None)?;
//!     measured.push((loss, bounds.lambda_sup));
//!     for ((theta, l), b) in theta.iter_mut().zip(&of_loss).zip(&of_bound) {
//!         *theta -= 0.1 * (l + 0.1 * b);
//!     }
//! }
//! let ((first_loss, first_bound), (loss, bound)) = (measured[0], measured[199]);
//! assert!(loss < first_loss && bound < first_bound);
//! # Ok::<(), hsr_core::Error>(())
//! ```
//!
//! # Map
//!
//! * [`theory`]: every formula, with its symbols.
//! * [`Network`] and [`Batch`]: borrowed, validated views of parameters and data.
//! * [`Workspace`]: the verbs for one hidden layer — loss, bounds, gradient, Hessian-vector product, dense Hessian — and their buffers.
//! * [`SpectralBounds`]: what is known of the spectrum.
//! * [`extremes`] and [`top_eigenpair`]: the ends of the spectrum themselves, by Lanczos; [`LanczosFactorization`] is
//!   what they are read from.
//! * [`Workspace::trace_gradient`] and its like: what else can be descended in λ_sup's place, with exact gradients.
//! * [`depth`]: the same for feed-forward networks of any depth.
//! * [`Evaluation`]: two exact ways to the same numbers, chosen by cost.
//!
//! Symbols in the documentation: N samples with inputs x (d values), hidden units a = φ(z) (h), outputs o (K),
//! D parameters θ = (W1, b1, W2, b2); x̃ and ã are x and a with a 1 appended where the layer has a bias; r and S are
//! the first and second derivative of a sample's loss in o.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `serde` | no | [`Activation`], [`OutputLoss`] and [`Evaluation`] in configuration files |

mod bounds;
pub mod depth;
mod error;
mod evaluation;
mod lanczos;
mod numeric;
mod problem;
mod real;
pub mod theory;
mod two_layer;

pub use bounds::{LambdaMaxRange, Moments, SpectralBounds, SpectralWeights};
pub use error::Error;
pub use evaluation::block::BlockEvaluation;
pub use evaluation::quantity::{DENSE_LIMIT, Quantity};
pub use evaluation::watch::Progress;
pub use lanczos::{
    EigenPair, Extremes, LanczosFactorization, LanczosOptions, extremes, top_eigenpair,
};
pub use numeric::number::Number;
pub use problem::activation::Activation;
pub use problem::batch::{Batch, Targets};
pub use problem::loss::OutputLoss;
pub use problem::network::{Dimensions, Layout, Network};
pub use real::Real;
pub use two_layer::plan::{Evaluation, Plan};
pub use two_layer::work::{PlannedWork, Work};
pub use two_layer::workspace::Workspace;
pub use two_layer::workspace::operator::HessianOperator;

/// The programs in the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
