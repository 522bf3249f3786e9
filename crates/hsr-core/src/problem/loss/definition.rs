//! What a loss has to say of itself.

use crate::error::Error;
use crate::numeric::scalar::Scalar;
use crate::problem::loss::rows::Residuals;

/// A loss of the logits o of one sample, for the closed form: r = ω ∂ℓ/∂o, S = ω ∂²ℓ/∂o², and how S changes with o.
pub(super) trait Loss {
    const NAME: &'static str;
    /// Whether S = ω(diag p − p pᵀ) with Σ p = 1. Otherwise it is diagonal.
    const COUPLES_OUTPUTS: bool = false;
    /// Whether class weights and label smoothing mean anything to it.
    const WEIGHS_CLASSES: bool = false;
    /// Whether it takes weights of the outputs.
    const WEIGHS_OUTPUTS: bool = false;

    /// How many classes so many outputs tell apart.
    fn classes(outputs: usize) -> usize {
        outputs
    }

    /// Refuses targets, N × K row-major, that it is not defined for.
    fn check<T: Scalar>(values: &[T], outputs: usize) -> Result<(), Error>;

    /// Writes p where there is one, r, the diagonal of S, and the losses where they are wanted.
    fn residuals<T: Scalar>(rows: Residuals<T>, with_losses: bool);

    /// Where S is diagonal: ∂S_kk/∂o_k over S_kk, from p of some samples.
    #[inline(always)]
    fn slopes<T: Scalar>(_p: &[T], slopes: &mut [T]) {
        slopes.fill(T::zero());
    }
}
