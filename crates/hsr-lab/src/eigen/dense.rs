//! The Hessian where it can be formed.

use burn_sharpness::SharpnessError;
use burn_sharpness::spectrum::DENSE_LIMIT;

use crate::curvature::Surface;

/// The Hessian, D × D row-major; none where there are too many parameters or no closed form.
pub(crate) fn hessian(
    surface: &mut dyn Surface,
    theta: &[f64],
) -> Result<Option<Vec<f64>>, SharpnessError> {
    match theta.len() <= DENSE_LIMIT {
        true => surface.hessian(theta),
        false => Ok(None),
    }
}
