//! Symmetric operators on a parameter space: what an eigenvalue iteration needs of a Hessian.
//!
//! * [`FiniteDifferenceHessian`]: any module and any loss, over batches.
//! * [`HessianOperator`]: the closed form of a three-layer network.
//! * [`DenseOperator`]: a matrix.
//! * [`from_fn`]: a closure.

mod dense;
mod finite_difference;
mod from_fn;
mod step;

use hsr_core::HessianOperator;

use crate::SharpnessError;

pub use dense::DenseOperator;
pub use finite_difference::FiniteDifferenceHessian;
pub use from_fn::{FromFn, from_fn};

pub(crate) use finite_difference::backward;
pub(crate) use step::rounding_unit;

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

    /// The error of a product relative to ‖A‖‖v‖ that is to be expected at worst: what no eigenvalue iteration gets
    /// below. By default that of a product in f64, the machine epsilon times the size.
    fn accuracy(&self) -> f64 {
        f64::EPSILON * self.size() as f64
    }
}

impl<O: SymmetricOperator + ?Sized> SymmetricOperator for &mut O {
    fn size(&self) -> usize {
        (**self).size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        (**self).apply(v, product)
    }

    fn accuracy(&self) -> f64 {
        (**self).accuracy()
    }
}

/// The Hessian of a three-layer network in closed form (theory §6), from
/// [`Workspace::linearize`](hsr_core::Workspace::linearize).
///
/// Its coordinates are those of hsr-core's [`Layout`](hsr_core::Layout), W1, b1, W2, b2 with \[outputs, inputs\]
/// matrices. A [`ParameterSpace`](crate::ParameterSpace) has Burn's, \[inputs, outputs\]: eigenvalues are the same,
/// vectors are not to be mixed.
impl SymmetricOperator for HessianOperator<'_, f64> {
    fn size(&self) -> usize {
        self.parameters()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        Ok(HessianOperator::apply(self, v, product)?)
    }
}

/// Refuses vectors that do not fit.
fn check_lengths(size: usize, v: &[f64], product: &[f64]) -> Result<(), SharpnessError> {
    for (what, got) in [("the vector", v.len()), ("the product", product.len())] {
        if got != size {
            return Err(SharpnessError::Length {
                what,
                got,
                expected: size,
            });
        }
    }
    Ok(())
}
