//! Friendly-SAM: the ascent without the full gradient.

use burn::config::Config;
use burn::module::Module;
use burn_penalty::algebra::combination;

use super::config::not_negative;
use super::step::{Descent, Step};
use crate::error::SharpnessError;

/// Friendly-SAM: ascends along the noise of the batch's gradient, what is left of it without the gradient of the whole
/// data, for which a running mean stands.
///
/// ```text
/// m_t = λ m_{t−1} + (1 − λ) g_t,   m_{−1} = 0
/// e along g_t − σ m_t,             ∇L(θ + e) for the optimizer.
/// ```
///
/// It is made for batches that differ: on the same data at every step m becomes g, and with σ = 1 the ascent is along the
/// rounding of their difference.
///
/// The code of the paper subtracts m_{t−1} in the place of m_t, which for σ = 1 is the same direction, and starts with
/// m_0 = g_0; this is the paper's text.
///
/// Reference: T. Li, P. Zhou, Z. He, X. Cheng, X. Huang, "Friendly Sharpness-Aware Minimization", CVPR 2024,
/// [arXiv 2403.12350](https://arxiv.org/abs/2403.12350).
#[derive(Config, Debug, PartialEq)]
pub struct FriendlySamConfig {
    /// σ, how much of the mean is taken away. 0 is SAM.
    #[config(default = 1.0)]
    pub sigma: f64,
    /// λ, the decay of the mean.
    #[config(default = 0.9)]
    pub lambda: f64,
}

impl FriendlySamConfig {
    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        not_negative("sigma", self.sigma)?;
        if (0.0..1.0).contains(&self.lambda) {
            return Ok(());
        }
        Err(SharpnessError::Option {
            option: "lambda",
            value: self.lambda,
            expected: "a number from 0 to below 1",
        })
    }

    pub(super) fn descend<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Descent, SharpnessError> {
        let here = step.first()?;
        let before = step.memory.take().unwrap_or_default();
        let terms = [
            (self.lambda.into(), &before),
            ((1.0 - self.lambda).into(), &here),
        ];
        let mean = combination(step.module, &terms);
        let terms = [(1.0.into(), &here), ((-self.sigma).into(), &mean)];
        let displacement = step.ascent(&combination(step.module, &terms))?;
        drop(here);
        Ok(Descent::from(step.at(displacement)?).remembering(mean))
    }
}
