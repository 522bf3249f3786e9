//! SAM and ASAM.

use burn::module::Module;
use burn::optim::GradientsParams;

use super::step::{Descent, Step};
use crate::SharpnessError;

/// ∇L(θ + e), e along ∇L(θ).
pub(super) fn sam<M, L, F>(step: &mut Step<'_, M, L, F>) -> Result<Descent, SharpnessError>
where
    M: Module,
    F: FnMut(M) -> (L, GradientsParams),
{
    let here = step.first()?;
    Ok(step.up(here)?.into())
}
