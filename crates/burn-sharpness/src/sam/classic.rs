//! SAM and ASAM.

use burn::module::Module;

use super::step::{Descent, Step};
use crate::error::SharpnessError;

/// ∇L(θ + e), e along ∇L(θ).
pub(super) fn sam<M: Module>(step: &mut Step<'_, M>) -> Result<Descent, SharpnessError> {
    let here = step.first()?;
    Ok(step.up(here)?.into())
}
