//! Sharpness-aware training and curvature for any [Burn](https://burn.dev) module.
//!
//! Burn differentiates once. What needs second derivatives is exact here where the module is a three-layer network
//! (closed form, [`hsr_core`]) and made of differences of gradients everywhere else.
//!
//! # Quick start
//!
//! A network with two hidden layers, trained with SAM; then the largest and the smallest eigenvalue of its Hessian:
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::loss::CrossEntropyLossConfig;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::AdamConfig;
//! use burn::tensor::activation::tanh;
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_sharpness::spectrum::{LanczosConfig, lanczos};
//! use burn_sharpness::{FiniteDifferenceHessian, SamConfig};
//!
//! #[derive(Module, Debug)]
//! struct Classifier { layers: [Linear; 3] }
//!
//! impl Classifier {
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         let [first, second, last] = &self.layers;
//!         last.forward(tanh(second.forward(tanh(first.forward(x)))))
//!     }
//! }
//!
//! let device = Device::flex().autodiff();
//! device.seed(0);
//! // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
//! let x = Tensor::<2>::from_floats([
//!     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
//!     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
//!     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
//! ], &device);
//! let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
//! let sizes = [[4, 6], [6, 6], [6, 3]];
//! let layers = sizes.map(|[inputs, outputs]| LinearConfig::new(inputs, outputs).init(&device));
//! let mut model = Classifier { layers };
//! let loss_fn = CrossEntropyLossConfig::new().init(&device);
//!
//! let loss = |model: &Classifier| loss_fn.forward(model.forward(x.clone()), y.clone());
//! let mut sam = SamConfig::new().with_rho(0.05).init(AdamConfig::new().init())?;
//! for _ in 0..50 {
//!     model = sam.step(0.02, model, loss)?.module;
//! }
//!
//! let mut hessian = FiniteDifferenceHessian::new(&model, loss)?;
//! let ends = lanczos(&mut hessian, 1, None, &LanczosConfig::new())?;
//! assert!(ends.largest[0].value > ends.smallest[0].value);
//! # Ok::<(), burn_sharpness::SharpnessError>(())
//! ```
//!
//! # Map
//!
//! * [`ParameterSpace`]: a module's trainable parameters as one vector.
//! * [`operator`]: products with the Hessian, Gauss-Newton and Fisher matrices, and with their blocks.
//! * [`Sam`], [`SamConfig`]: SAM and its family around any optimizer, see [`sam`].
//! * `train` (feature `train`): `SamModel`, SAM in Burn's `SupervisedTraining`.
//! * [`measures`]: sharpness that survives a rescaled layer or scaled logits, beside the plain one.
//! * [`landscape`]: the loss on planes and lines through models.
//! * [`penalty`]: gradient norm and Hessian trace as terms of a loss.
//! * [`spectrum`]: eigenvalues, traces, diagonals and densities of whatever has products.
//!
//! # SAM's family
//!
//! `SamConfig::of(LookSamConfig::new())` in the place of `SamConfig::new()` makes the same loop LookSAM's.
//!
//! | method | configuration | gradients a step |
//! |---|---|---|
//! | SAM, ASAM | [`SamConfig::new`], [`SamConfig::asam`] | 2 |
//! | GSAM, surrogate gap | [`GsamConfig`](sam::GsamConfig) | 2 |
//! | Friendly-SAM | [`FriendlySamConfig`](sam::FriendlySamConfig) | 2 |
//! | LookSAM, every k-th step | [`LookSamConfig`](sam::LookSamConfig) | 1 + 1/k |
//! | WSAM, coupled or decoupled | [`WsamConfig`](sam::WsamConfig) | 2 |
//! | NSO, n pairs of Gaussian noise | [`NsoConfig`](sam::NsoConfig) | 2n |
//! | Eigen-SAM, p products every k steps | [`EigenSamConfig`](sam::EigenSamConfig) | 2 + 2p/k |
//!
//! # Features
//!
//! The program chooses the backend through Burn's features.
//!
//! | feature | |
//! |---|---|
//! | `train` | `SamModel` for burn-train |

mod error;
pub mod landscape;
pub mod measures;
pub mod operator;
mod parameters;
pub mod penalty;
pub mod sam;
pub mod spectrum;
#[cfg(feature = "train")]
pub mod train;

pub use burn_penalty::Evaluated;
pub use error::SharpnessError;
pub use operator::{FiniteDifferenceHessian, SymmetricOperator};
pub use parameters::{Parameter, ParameterSpace};
pub use sam::{Outcome, Sam, SamConfig, SamGradient};

/// The programs in the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
