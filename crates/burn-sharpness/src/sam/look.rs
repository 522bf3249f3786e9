//! LookSAM: SAM every k-th step.

use burn::config::Config;
use burn::module::Module;
use burn_penalty::algebra::{add, norm, polar};

use super::config::{at_least_one, not_negative};
use super::step::{Descent, Step, orthogonal};
use crate::error::SharpnessError;

/// LookSAM: takes a step of SAM every k-th time and keeps what SAM's gradient has beside the loss's own, which changes
/// slowly; the steps between turn the loss's gradient the same way, with one pass.
///
/// ```text
/// every k-th step:  gₑ = ∇L(θ + e) for the optimizer,    gᵥ = gₑ − (gₑ·g/‖g‖²) g is kept
/// between:          g + α (‖g‖/‖gᵥ‖) gᵥ for the optimizer
/// ```
///
/// Products and norms are over all trained parameters together, as the paper's formulas have them; the code in
/// `pytorch_optimizer` takes each tensor by itself. Steps count from
/// [`from_step`](super::SamConfig::from_step).
///
/// Reference: Y. Liu, S. Mai, X. Chen, C.-J. Hsieh, Y. You, "Towards Efficient and Scalable Sharpness-Aware
/// Minimization", CVPR 2022, [arXiv 2203.02714](https://arxiv.org/abs/2203.02714), algorithm 1.
#[derive(Config, Debug, PartialEq)]
pub struct LookSamConfig {
    /// k, the steps from one of SAM to the next. 1 is SAM, bit for bit.
    #[config(default = 5)]
    pub interval: u64,
    /// α, the weight of gᵥ between.
    #[config(default = 0.7)]
    pub alpha: f64,
}

impl LookSamConfig {
    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        at_least_one("interval", self.interval)?;
        not_negative("alpha", self.alpha)
    }

    pub(super) fn descend<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Descent, SharpnessError> {
        if !step.is_turn(self.interval)
            && let Some(kept) = step.memory.take()
        {
            let here = step.alone()?;
            let length = norm(step.module, &here)? * self.alpha;
            return Ok(add(step.module, here, length, &kept).into());
        }
        let (here, there) = step.here_and_there()?;
        let beside = orthogonal(step.module, &there, &here)?;
        // Its direction is all that is used, and is zero where it is.
        let direction = polar(step.module, &beside)?.direction;
        Ok(Descent::from(there).remembering(direction))
    }
}
