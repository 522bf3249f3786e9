//! Sharpness-aware minimization for any module and any optimizer: SAM and its scale-invariant variant ASAM.
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
//! paper.
//!
//! * [`SamConfig`]: ρ, and which of the two.
//! * [`Sam`]: an optimizer's step with it, closure style as Burn's `LBFGS`.
//! * [`SamGradient`]: the gradient alone, where the optimizer is somebody else's.
//! * `train::SamLearner` (feature `train`): any model of burn-train.
//!
//! # Costs
//!
//! Two forward and backward passes a step, one where ρ is 0, and memory for one more copy of the trained parameters
//! while the second runs. Norms stay on the device. A number for each gradient is read from it a step, all at once, to
//! see whether they are finite; with [`check_finite`](SamConfig::check_finite) off, nothing is. The first step repeats one
//! pass, to see that the closure gives the same gradient twice, and reads the device once for that.
//!
//! # What stands beside it
//!
//! * **Clipping, weight decay, momentum, parameter groups** are the optimizer's and act on ∇L(θ + e) at θ. The ascent
//!   takes the gradients as the closure gives them: decay has no part in e.
//! * **Frozen parameters** neither move nor count in the norm.
//! * **Running statistics** (`BatchNorm`) are updated by the first pass alone, as by one forward pass without SAM. The
//!   second runs on a copy of the module with running statistics of its own, which are dropped. Other state that a
//!   module changes behind `&self` is its own affair: Burn has none.
//! * **Dropout** draws the same mask in both passes and another one at the next step: the module's device is seeded before
//!   each pass, from [`seed`](SamConfig::seed) and the number of the step. Whatever else draws from that device goes on
//!   from there. A resumed run draws the same masks after [`Sam::resume_at`]. Where ρ is 0 nothing is seeded.
//! * **Accumulation** over micro-batches belongs into the closure, which then gives their accumulated gradients: e is
//!   that of the whole batch. Around the step, each micro-batch would have an ascent of its own.
//! * **Distributed data parallel training** reduces gradients inside `backward`: both passes see the reduced gradient,
//!   and every device ascends alike.
//!
//! # References
//!
//! * Foret, Kleiner, Mobahi, Neyshabur: Sharpness-Aware Minimization for Efficiently Improving Generalization. ICLR
//!   2021, [arXiv 2010.01412](https://arxiv.org/abs/2010.01412).
//! * Kwon, Kim, Park, Choi: ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of Deep Neural
//!   Networks. ICML 2021, [arXiv 2102.11600](https://arxiv.org/abs/2102.11600).

mod ascent;
mod config;
mod gradient;
mod optimizer;
mod scaling;

pub use config::SamConfig;
pub use gradient::{Pass, SamGradient, SamPasses};
pub use optimizer::{Outcome, Sam, SamStep};
