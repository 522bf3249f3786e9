//! WSAM: sharpness with a weight.

use burn::config::Config;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn_penalty::algebra::{add, difference};

use super::step::{Descent, Step};
use crate::error::SharpnessError;

/// WSAM: the loss and, with a weight, its sharpness, how far the ascended loss is above it:
///
/// ```text
/// L(θ) + γ/(1 − γ)·[L(θ + e) − L(θ)]
/// ```
///
/// With g = ∇L(θ), gₑ = ∇L(θ + e) and w = γ/(1 − γ), the optimizer gets g + w(gₑ − g) where it is coupled. Decoupled it
/// gets g alone, and θ is moved by −lr·w(gₑ − g) beside its step: momentum and the scaling of Adam then know the loss
/// only.
///
/// Reference: Y. Yue, J. Jiang, Z. Ye, N. Gao, Y. Liu, K. Zhang, "Sharpness-Aware Minimization Revisited: Weighted
/// Sharpness as a Regularization Term", KDD 2023, [arXiv 2305.15817](https://arxiv.org/abs/2305.15817).
#[derive(Config, Debug, PartialEq)]
pub struct WsamConfig {
    /// γ: 0 is the optimizer as it is, bit for bit; ½ is SAM, coupled and but for rounding; above ½ sharpness counts for
    /// more than in SAM. The paper found 0.8 to 0.95 good.
    #[config(default = 0.9)]
    pub gamma: f64,
    /// Whether the sharpness is kept from the optimizer, as in the paper.
    #[config(default = true)]
    pub decoupled: bool,
}

impl WsamConfig {
    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        if (0.0..1.0).contains(&self.gamma) {
            return Ok(());
        }
        Err(SharpnessError::Option {
            option: "gamma",
            value: self.gamma,
            expected: "a number from 0 to below 1",
        })
    }

    pub(super) fn descend<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Descent, SharpnessError> {
        let (here, there) = step.here_and_there()?;
        let weight = self.gamma / (1.0 - self.gamma);
        let sharpness = difference(step.module, &there, &here);
        if !self.decoupled {
            return Ok(add(step.module, here, weight, &sharpness).into());
        }
        // In the parameters' precision, as gradients are.
        let decrement = add(step.module, GradientsParams::new(), weight, &sharpness);
        Ok(Descent {
            decrement: Some(decrement),
            ..here.into()
        })
    }
}
