//! GSAM: the surrogate gap.

use burn::config::Config;
use burn::module::Module;
use burn_penalty::algebra::add;

use super::config::not_negative;
use super::step::{Descent, Step, orthogonal};
use crate::error::SharpnessError;

/// GSAM: descends the ascended loss as SAM does and, along what that descent leaves open, ascends the loss at θ, so that the
/// gap between the two shrinks. With g = ∇L(θ) and gₑ = ∇L(θ + e),
///
/// ```text
/// g⊥ = g − (g·gₑ/‖gₑ‖²) gₑ,      gₑ − α g⊥ for the optimizer,
/// ```
///
/// products and norms over all trained parameters together. The paper has ρ follow the learning rate:
/// [`SamConfig::follow_rate`](super::SamConfig::follow_rate).
///
/// Reference: J. Zhuang et al., "Surrogate Gap Minimization Improves Sharpness-Aware Training", ICLR 2022,
/// [arXiv 2203.08065](https://arxiv.org/abs/2203.08065), algorithm 1.
#[derive(Config, Debug, PartialEq)]
pub struct GsamConfig {
    /// α, the weight of the gap. 0 is SAM, bit for bit. The paper chooses it for each network, from 0.01 for ResNets; the
    /// default is that of its code for PyTorch.
    #[config(default = 0.4)]
    pub alpha: f64,
}

impl GsamConfig {
    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        not_negative("alpha", self.alpha)
    }

    pub(super) fn descend<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Descent, SharpnessError> {
        let (here, there) = step.here_and_there()?;
        if self.alpha == 0.0 {
            return Ok(there.into());
        }
        let open = orthogonal(step.module, &here, &there)?;
        Ok(add(step.module, there, -self.alpha, &open).into())
    }
}
