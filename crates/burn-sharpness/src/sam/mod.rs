//! Sharpness-aware minimization for any module and any optimizer: SAM, its scale-invariant variant ASAM, and what came of
//! it.
//!
//! SAM minimises the largest loss in a neighbourhood of θ instead of the loss at θ,
//!
//! ```text
//! min_θ  max_{‖T⁻¹e‖ ≤ ρ}  L(θ + e)
//! ```
//!
//! with T = 1 for SAM, and a diagonal T that follows the size of the weights for ASAM. The inner maximum is taken of
//! the linearised loss, where it is at
//!
//! ```text
//! e = ρ T²g/‖Tg‖,    g = ∇L(θ),    ‖·‖ over all trained parameters together,
//! ```
//!
//! and the optimizer that SAM is given steps from θ with ∇L(θ + e). The derivative of e itself is left out, as in the
//! paper. The other methods ascend along another direction, or make something else of the two gradients:
//!
//! | method | ascent along | the optimizer gets | gradients a step | remembers |
//! |---|---|---|---|---|
//! | SAM, ASAM | g | gₑ = ∇L(θ + e) | 2 | |
//! | [`GsamConfig`] | g | gₑ − α g⊥, g⊥ of g beside gₑ | 2 | |
//! | [`FriendlySamConfig`] | g − σm | gₑ | 2 | m, the mean of g |
//! | [`LookSamConfig`] | g, every k-th step | gₑ, between g + α‖g‖/‖gᵥ‖ gᵥ | 1 + 1/k | gᵥ of gₑ beside g |
//! | [`WsamConfig`] | g | g, or g + w(gₑ − g) | 2 | |
//! | [`NsoConfig`] | ±u, Gaussian, n pairs | the mean of ∇L(θ ± u) | 2n | |
//! | [`EigenSamConfig`] | ĝ turned to v, the top eigenvector | gₑ | 2 + 2p/k for p products every k steps | v |
//!
//! * [`SamConfig`]: ρ, the [method](SamRule), what is displaced, from which step on.
//! * [`Sam`]: an optimizer's step with it, closure style as Burn's `LBFGS`.
//! * [`SamGradient`]: the gradient alone, where the optimizer is somebody else's.
//! * [`SamRecord`]: what a resumed run needs, the optimizer's record in it; [`SamGradientRecord`] without.
//! * `train::SamModel` (feature `train`): any model of burn-train.
//!
//! # Costs
//!
//! The forward and backward passes of the table, one where ρ is 0, and memory for one more copy of the trained parameters
//! while the second runs; GSAM, LookSAM and WSAM hold the first gradient beside it, and what is remembered is as large as
//! the parameters. Norms and products stay on the device; Eigen-SAM reads its products where it computes a vector. A number
//! for each gradient is read from the device a step, all at once, to see whether they are finite; with
//! [`check_finite`](SamConfig::check_finite) off, nothing is. The first step with more than one pass repeats the first, to
//! see that the closure gives the same gradient twice, and reads the device once for that.
//!
//! # What stands beside it
//!
//! * **Clipping, weight decay, momentum, parameter groups** are the optimizer's and act on the gradient that the method
//!   gives, at θ. The ascent takes the gradients as the closure gives them: decay has no part in e.
//! * **Frozen parameters** neither move nor count in a norm. Parameters outside [`group`](SamConfig::group) are not
//!   displaced.
//! * **Running statistics** (`BatchNorm`) are updated by the first pass alone, as by one forward pass without SAM. The
//!   others run on a copy of the module with running statistics of its own, which are dropped. Other state that a
//!   module changes behind `&self` is its own affair: Burn has none.
//! * **Dropout** draws the same mask in all passes and another one at the next step: the module's device is seeded before
//!   each pass, from [`seed`](SamConfig::seed) and the number of the step. Whatever else draws from that device goes on
//!   from there. Where ρ is 0 nothing is seeded.
//! * **A gradient that is NaN or infinite** skips the step: parameters, optimizer and what is remembered stay as they were.
//! * **Accumulation** over micro-batches belongs into the closure, which then gives their accumulated gradients: e is
//!   that of the whole batch. Around the step, each micro-batch would have an ascent of its own.
//! * **Distributed data parallel training** reduces gradients inside `backward`: all passes see the reduced gradient,
//!   and every device ascends alike.
//!
//! # References
//!
//! * Foret, Kleiner, Mobahi, Neyshabur: Sharpness-Aware Minimization for Efficiently Improving Generalization. ICLR
//!   2021, [arXiv 2010.01412](https://arxiv.org/abs/2010.01412).
//! * Kwon, Kim, Park, Choi: ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep Neural
//!   Networks. ICML 2021, [arXiv 2102.11600](https://arxiv.org/abs/2102.11600).
//! * Zhou, Wang, Mao, Li, Yan: Sharpness-Aware Minimization Efficiently Selects Flatter Minima Late in Training. ICLR
//!   2025, [arXiv 2410.10373](https://arxiv.org/abs/2410.10373), on [`from_step`](SamConfig::from_step).
//! * Those of the other methods are where their options are.

mod ascent;
mod classic;
mod config;
mod eigen;
mod follow;
mod friendly;
mod gradient;
mod gsam;
mod look;
mod noise;
mod optimizer;
mod record;
mod rule;
mod scaling;
mod state;
mod step;
mod weighted;

pub use config::SamConfig;
pub use eigen::EigenSamConfig;
pub use follow::FollowRateConfig;
pub use friendly::FriendlySamConfig;
pub use gradient::{Pass, SamGradient, SamPasses};
pub use gsam::GsamConfig;
pub use look::LookSamConfig;
pub use noise::NsoConfig;
pub use optimizer::{Outcome, Sam, SamStep};
pub use record::{SamGradientRecord, SamRecord};
pub use rule::SamRule;
pub use weighted::WsamConfig;
