//! A closure as an operator.

use super::{SymmetricOperator, check_lengths};
use crate::error::SharpnessError;

/// The operator of [`from_fn`].
#[derive(Clone, Debug)]
pub struct FromFn<F> {
    size: usize,
    apply: F,
}

/// An operator on vectors of `size` values whose product is what `apply(v, product)` writes. That it is linear and
/// symmetric is the caller's promise.
///
/// ```
/// use burn_sharpness::operator::from_fn;
/// use burn_sharpness::spectrum::{LanczosConfig, lanczos};
///
/// // The second difference on 50 points: eigenvalues 2 − 2 cos(kπ/51).
/// let mut laplacian = from_fn(50, |v, out| {
///     for i in 0..50 {
///         let before = if i > 0 { v[i - 1] } else { 0.0 };
///         let after = if i < 49 { v[i + 1] } else { 0.0 };
///         out[i] = 2.0 * v[i] - before - after;
///     }
///     Ok(())
/// });
/// let ends = lanczos(&mut laplacian, 1, None, &LanczosConfig::new())?;
/// let exact = 2.0 + 2.0 * (std::f64::consts::PI / 51.0).cos();
/// assert!(ends.converged && (ends.largest[0].value - exact).abs() < 1e-10);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
pub fn from_fn<F>(size: usize, apply: F) -> FromFn<F>
where
    F: FnMut(&[f64], &mut [f64]) -> Result<(), SharpnessError>,
{
    FromFn { size, apply }
}

impl<F> SymmetricOperator for FromFn<F>
where
    F: FnMut(&[f64], &mut [f64]) -> Result<(), SharpnessError>,
{
    fn size(&self) -> usize {
        self.size
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        check_lengths(self.size, v, product)?;
        (self.apply)(v, product)
    }
}
