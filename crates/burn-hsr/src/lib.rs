//! Hessian Spectral Range (HSR) regularisation for [Burn](https://burn.dev).
//!
//! HSR descends λ_sup, a closed-form upper bound on the largest eigenvalue of the loss Hessian of a feed-forward network
//! of any depth, from one `Linear` on, while the network trains. The bound and its gradient are exact and need no
//! second-order autodiff, which Burn does not have.
//!
//! # Quick start
//!
//! Three lines of a training loop change:
//!
//! ```
//! use burn::nn::loss::CrossEntropyLossConfig;
//! use burn::optim::{GradientsParams, SgdConfig};
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_hsr::{HsrConfig, ThreeLayerNetConfig};
//!
//! let device = Device::flex().autodiff();
//! // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
//! let x = Tensor::<2>::from_floats([
//!     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
//!     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
//!     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
//! ], &device);
//! let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
//!
//! let mut spectra = Vec::new();
//! for strength in [0.0, 0.1] {
//!     device.seed(0);
//!     let mut model = ThreeLayerNetConfig::new(4, 8, 3).init(&device);
//!     let mut optimizer = SgdConfig::new().init();
//!     let loss_fn = CrossEntropyLossConfig::new().init(&device);
//!     let mut hsr = HsrConfig::new().with_strength(strength).init()?;              // 1
//!     for _ in 0..100 {
//!         let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
//!         let loss = loss + hsr.penalty(&model, x.clone(), y.clone())?;            // 2
//!         let grads = GradientsParams::from_grads(loss.backward(), &model);
//!         model = optimizer.step(0.1, model, grads);
//!     }
//!     spectra.push(hsr.bounds(&model, x.clone(), y.clone())?.lambda_sup);          // 3, to look at it
//! }
//! assert!(spectra[1] < spectra[0]);
//! # Ok::<(), burn_hsr::HsrError>(())
//! ```
//!
//! [`Hsr`] has more ways in, one of which computes the loss's gradient as well, [`Layers`] is for models of your own, and
//! [`Backend`] chooses between CPU and GPU at run time.
//!
//! # Map
//!
//! * [`Layers`], [`Mlp`], [`ThreeLayer`], [`ThreeLayerNet`], Burn's `Linear`: what can be regularised.
//! * [`HsrConfig`], [`Hsr`]: the regulariser; [`Mode`] and [`Execution`] are its choices, [`HsrLossConfig`] its loss.
//! * [`Sharpness`]: what is descended, λ_sup or a peer of it; [`HsrConfig::probes`]: exactly, or by random probes.
//! * [`ClosedForm`]: a model and a batch in the host's memory, for the verbs of hsr-core.
//! * [`Hsr::verify`]: whether a model is what it says; [`Hsr::cost`]: what a step costs; [`Subsample`]: at how many rows.
//! * [`Strength`] and [`ScheduleConfig`]: how strongly and when; [`HsrRecord`]: what a resumed run needs.
//! * [`HsrGradient`]: the bound's gradient as tensors; [`HeadTerm`]: the head of a deeper model;
//!   [`LossGradients`]: loss, its gradient and the bound's in one.
//! * [`Backend`]: backends by name.
//! * `train` (feature `train`): `HsrModel` and curvature metrics for Burn's `SupervisedTraining`.
//!
//! The mathematics is in [`hsr_core::theory`].
//!
//! # Features
//!
//! None is a default. Backends have Burn's own names, and a program may as well choose them in its dependency on `burn`;
//! only the kernels on GPUs and the names of [`Backend`] need them here.
//!
//! | feature | |
//! |---|---|
//! | `flex` | CPU, pure Rust, Burn's default |
//! | `ndarray` | CPU, deprecated by Burn |
//! | `wgpu` | GPU: Vulkan, Metal, DirectX 12, WebGPU |
//! | `vulkan`, `metal`, `webgpu` | GPU through wgpu on that graphics API |
//! | `cuda`, `rocm` | NVIDIA and AMD GPUs |
//! | `cpu` | CPU through CubeCL; its build downloads LLVM |
//! | `kernels` | implied by every runtime of CubeCL: kernels for the device execution |
//! | `remote` | devices of another machine, through Burn's server |
//! | `train` | `HsrModel` and metrics for burn-train |

mod activation;
mod backend;
mod burn_losses;
mod closed_form;
mod config;
mod cost;
mod device;
mod error;
mod gradient;
mod head;
mod host;
mod hsr;
mod lanczos;
mod layers;
mod losses;
mod mlp;
mod net;
mod objective;
mod probes;
mod record;
mod sharpness;
mod subsample;
mod targets;
#[cfg(feature = "train")]
pub mod train;
mod verify;

pub use activation::{LayerActivation, activation_of, forward as activation_forward};
pub use backend::{Backend, BackendError, DeviceDescription, DeviceName};
pub use burn_penalty::{Mode, ParseStrengthError, RecordError, ScheduleConfig, Strength};
pub use closed_form::ClosedForm;
pub use config::{Execution, HsrConfig};
pub use cost::StepCost;
pub use error::HsrError;
pub use gradient::{HsrGradient, LayerGradient};
pub use head::HeadTerm;
pub use hsr::Hsr;
pub use hsr_core::{
    Activation, BlockEvaluation, Evaluation, Extremes, LambdaMaxRange, OutputLoss, Plan,
    SpectralBounds,
};
pub use lanczos::LanczosConfig;
pub use layers::{Layer, Layers};
pub use losses::HsrLossConfig;
pub use mlp::{Mlp, MlpConfig};
pub use net::{ThreeLayer, ThreeLayerNet, ThreeLayerNetConfig};
pub use objective::LossGradients;
pub use probes::ProbeAverages;
pub use record::HsrRecord;
pub use sharpness::Sharpness;
pub use subsample::Subsample;
pub use targets::Targets;

/// The programs in the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
