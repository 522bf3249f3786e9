//! The Hessian where it can be formed, and all its eigenvalues.

use burn_sharpness::SharpnessError;
use faer::{MatRef, Side};

use crate::curvature::Surface;
use crate::error::LabError;

/// The Hessian is formed up to this many parameters: 32 MiB in f64, seconds of eigenvalue computation.
pub const DENSE_LIMIT: usize = 2048;

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

/// How many of all eigenvalues, ascending, are negative beyond rounding.
pub(crate) fn negative(eigenvalues: &[f64]) -> usize {
    let ends = [eigenvalues.first(), eigenvalues.last()]
        .into_iter()
        .flatten();
    let scale = ends.fold(0.0, |scale: f64, v| scale.max(v.abs()));
    let noise = f64::EPSILON * eigenvalues.len() as f64 * scale;
    eigenvalues.iter().filter(|&&v| v < -noise).count()
}

/// The eigenvalues of a symmetric `size` × `size` matrix, row-major, ascending.
///
/// # Errors
///
/// [`LabError::Eigenvalues`] where the iteration does not converge.
pub fn eigenvalues(matrix: &[f64], size: usize) -> Result<Vec<f64>, LabError> {
    let matrix = MatRef::from_row_major_slice(matrix, size, size);
    let mut eigenvalues = matrix
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| LabError::Eigenvalues)?;
    if eigenvalues.iter().any(|v| v.is_nan()) {
        return Err(LabError::Eigenvalues);
    }
    eigenvalues.sort_by(f64::total_cmp);
    Ok(eigenvalues)
}
