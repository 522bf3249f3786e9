//! The running mean of the loss's gradient, and penalties that do not work against it.

use burn::module::Module;
use burn::optim::GradientsParams;

use crate::error::PenaltyError;
use crate::vector::{Moved, Vector};

/// The running mean m of ∇L that a [projected](crate::Strength::Projected) strength keeps, over the parameters that are trained:
///
/// ```text
/// m ← β m + (1 − β) ∇L,   β = 0.95
/// e = m/‖m‖
/// ∇P⁺ = ∇P − min(0, ⟨∇P, e⟩) e
/// ```
///
/// so that ⟨∇P⁺, m⟩ ≥ 0. Which multiple of the mean m is does not matter, so there is no correction for its start at 0. Only
/// steps in which the penalty acts count; a component that is NaN or infinite, or that a step has no gradient for, stays as it
/// was. Removing the conflicting component of a gradient is the gradient surgery (PCGrad) of T. Yu et al., NeurIPS 2020, there
/// between the batch gradients of two tasks.
#[derive(Clone, Debug, Default)]
pub struct MeanGradient {
    mean: Option<Vector>,
    /// The same from a record, until there is a device to put it on.
    recorded: Option<Vec<Vec<f64>>>,
}

impl MeanGradient {
    /// β: some twenty steps.
    pub const DECAY: f64 = 0.95;

    /// Takes a step's ∇L, where the penalty's gradient has parts.
    pub(crate) fn update<M: Module>(
        &mut self,
        module: &M,
        penalty: &Vector,
        of_loss: &GradientsParams,
    ) {
        let of_loss = penalty.beside(module, of_loss);
        let before = match self.recorded.take() {
            Some(numbers) => of_loss.with_numbers(&numbers),
            None => self.mean.take(),
        };
        // Another module than before begins anew.
        let before = before.filter(|mean| mean.is_of(&of_loss));
        self.mean = Some(of_loss.averaged(before.as_ref(), Self::DECAY));
    }

    /// ∇P⁺ where m is known.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::NoParameters`] where nothing is trained.
    pub(crate) fn project(&self, penalty: Vector) -> Result<Vector, PenaltyError> {
        let Some(mean) = &self.mean else {
            return Ok(penalty);
        };
        // Of length 1, so that no square leaves the range of numbers.
        let mean = match mean.polar() {
            Err(PenaltyError::NoParameters) => return Ok(penalty),
            found => found?.1,
        };
        let against = (penalty.dot(&mean)? * -1.0).at_least(0.0);
        Ok(Vector::map(Moved, [&against], [&penalty, &mean]))
    }

    /// As numbers, one list a parameter in the module's order; none before the first step. Reads the device.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn to_record(&self) -> Result<Option<Vec<Vec<f64>>>, PenaltyError> {
        match &self.mean {
            Some(mean) => Ok(Some(
                mean.numbers("the running mean of the loss's gradient")?,
            )),
            None => Ok(self.recorded.clone()),
        }
    }

    /// As it was recorded. Beside a module whose parameters have other sizes it begins anew.
    pub fn from_record(recorded: Option<Vec<Vec<f64>>>) -> Self {
        Self {
            mean: None,
            recorded,
        }
    }
}
