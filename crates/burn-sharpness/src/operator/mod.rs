//! Symmetric operators on a parameter space: what an eigenvalue iteration needs of a Hessian.

use hsr_core::HessianOperator;

use crate::SharpnessError;

/// A symmetric matrix that is known by its products alone.
pub trait SymmetricOperator {
    /// The number of rows.
    fn size(&self) -> usize;

    /// `product = A v`, both of [`size`](Self::size) values.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where a vector does not fit, and what computing the product can refuse.
    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError>;
}

/// The Hessian of a three-layer network in closed form (theory §6), from
/// [`Workspace::linearize`](hsr_core::Workspace::linearize).
impl SymmetricOperator for HessianOperator<'_, f64> {
    fn size(&self) -> usize {
        self.parameters()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        Ok(HessianOperator::apply(self, v, product)?)
    }
}
