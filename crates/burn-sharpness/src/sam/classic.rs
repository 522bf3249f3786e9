//! SAM and ASAM.

use burn::module::Module;

use super::step::{Closure, Descent, Step};
use crate::error::SharpnessError;

/// ∇L(θ + e), e along ∇L(θ).
pub(super) fn sam<M: Module, L, F: Closure<M, L>>(
    step: &mut Step<'_, M, L, F>,
) -> Result<Descent, SharpnessError> {
    let here = step.first()?;
    Ok(step.up(here)?.into())
}
