//! Eigen-SAM: the ascent turned to the top eigenvector.

use burn::config::Config;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn_penalty::algebra::{combination, dot, norm, polar, scale};
use hsr_core::{Error, LanczosOptions, top_eigenpair};

use super::config::{at_least_one, not_negative};
use super::step::{Descent, Step};
use crate::error::SharpnessError;
use crate::operator::Subset;
use crate::operator::SymmetricOperator;

/// Eigen-SAM: turns the ascent towards v, the eigenvector of the Hessian's largest eigenvalue, for SAM lowers that
/// eigenvalue only as far as the two agree. With ĝ = g/‖g‖,
///
/// ```text
/// d = ĝ + α sign(g·v) v⊥,   v⊥ = v − (ĝ·v) ĝ,     e = ρd,     ∇L(θ + e) for the optimizer.
/// ```
///
/// As in the authors' code e is not brought back to the length ρ: it is ρ√(1 + α²‖v⊥‖²).
///
/// What is not as there: v is the eigenvector of the largest eigenvalue with its sign, by Lanczos, where a power iteration
/// finds the one of the largest size; it is of the loss that the closure computes, on the step's batch, with its dropout
/// mask and the batch's statistics, where the authors take the model in inference; the first step already has one. It
/// starts from the vector before. A vector that cannot be computed, because a gradient near θ is not finite, stays what it
/// was.
///
/// Reference: H. Luo, T. Truong, T. Pham, M. Harandi, D. Phung, T. Le, "Explicit Eigenvalue Regularization Improves
/// Sharpness-Aware Minimization", NeurIPS 2024, [arXiv 2501.12666](https://arxiv.org/abs/2501.12666).
#[derive(Config, Debug, PartialEq)]
pub struct EigenSamConfig {
    /// α, how far the ascent is turned. 0 is SAM, bit for bit, and needs no vector.
    #[config(default = 0.2)]
    pub alpha: f64,
    /// k, the steps from one vector to the next.
    #[config(default = 100)]
    pub interval: u64,
    /// p, the most Hessian-vector products for a vector, of two gradients each. Where Lanczos has converged it takes fewer.
    /// The authors have 5 iterations.
    #[config(default = 10)]
    pub products: u64,
    /// The residual ‖Hv − λv‖, relative to the largest |λ|, at which v is good enough.
    #[config(default = 1e-2)]
    pub tolerance: f64,
}

impl EigenSamConfig {
    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        not_negative("alpha", self.alpha)?;
        at_least_one("interval", self.interval)?;
        at_least_one("products", self.products)?;
        not_negative("tolerance", self.tolerance)
    }

    pub(super) fn descend<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Descent, SharpnessError> {
        let here = step.first()?;
        if self.alpha == 0.0 {
            return Ok(step.up(here)?.into());
        }
        let fresh = match step.is_turn(self.interval) {
            true => self.vector(step)?,
            false => None,
        };
        let Some(vector) = fresh.as_ref().or(step.memory.as_ref()) else {
            return Ok(step.up(here)?.into());
        };
        let (module, group) = (step.module, step.group()?);
        let vector = group.filter(module, vector);
        let direction = polar(module, &group.filter(module, &here))?.direction;
        let cosine = dot(module, &direction, &vector)?;
        // ĝ + α sign (v − cosine ĝ), and sign·cosine = |cosine|.
        let of_vector = cosine.clone().sign() * self.alpha;
        let of_direction = cosine.abs() * -self.alpha + 1.0;
        let terms = [(of_direction, &direction), (of_vector, &vector)];
        let along = combination(module, &terms);
        let length = norm(module, &along)?;
        let displacement = scale(module, &step.ascent(&along)?, length);
        drop(here);
        let descent = Descent::from(step.at(displacement)?);
        Ok(match fresh {
            Some(vector) => descent.remembering(vector),
            None => descent,
        })
    }

    /// v of the group's block of the Hessian, 0 outside, where it can be computed.
    fn vector<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Option<GradientsParams>, SharpnessError> {
        let module = step.module;
        let options = LanczosOptions {
            iterations: usize::try_from(self.products).unwrap_or(usize::MAX),
            tolerance: self.tolerance,
            seed: step.config.seed,
        };
        let group = step.config.group.clone();
        let before = step.memory.take();
        let hessian = step.hessian()?;
        let space = hessian.space().clone();
        let mut block = Subset::new(hessian, &space, &group)?;
        let start = match &before {
            Some(before) => Some(block.part(&space.read_gradients(module, before)?)?),
            None => None,
        };
        let top = top_eigenpair(
            block.size(),
            |v: &[f64], product: &mut [f64]| block.apply(v, product),
            start.as_deref(),
            &options,
        );
        let top = top.and_then(|top| block.whole(&top.vector));
        drop(block);
        step.memory = before;
        match top {
            Ok(vector) => Ok(Some(space.to_gradients(module, &vector)?)),
            Err(SharpnessError::NotFinite { .. } | SharpnessError::Core(Error::Eigenvalues)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
