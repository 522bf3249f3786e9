//! All eigenvalues of a symmetric matrix.

use faer::{MatRef, Side};

use crate::error::LabError;

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
