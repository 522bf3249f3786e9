//! Every eigenvalue and eigenvector.

use faer::linalg::solvers::SelfAdjointEigen;
use faer::{MatRef, Side};

use crate::error::SharpnessError;
use crate::operator::DenseOperator;
use crate::operator::SymmetricOperator;

/// A matrix is formed up to this many rows: 32 MiB in f64, seconds of eigenvalue computation.
pub const DENSE_LIMIT: usize = 2048;

/// All eigenvalues and eigenvectors of a symmetric matrix.
///
/// ```
/// use burn_sharpness::spectrum::DenseSpectrum;
///
/// let spectrum = DenseSpectrum::of_matrix(&[1.0, 2.0, 2.0, 1.0], 2)?;
/// assert!((spectrum.eigenvalues[0] + 1.0).abs() < 1e-15 && (spectrum.eigenvalues[1] - 3.0).abs() < 1e-15);
/// assert!((spectrum.eigenvector(1)[0].abs() - 0.5_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DenseSpectrum {
    /// The eigenvalues, ascending.
    pub eigenvalues: Vec<f64>,
    /// Their eigenvectors, one after the other.
    vectors: Vec<f64>,
}

impl DenseSpectrum {
    /// The spectrum of an operator, whose matrix is formed with a product a row.
    ///
    /// # Errors
    ///
    /// As [`assemble`], and [`hsr_core::Error::Eigenvalues`] where the iteration does not converge.
    pub fn new(operator: &mut impl SymmetricOperator) -> Result<Self, SharpnessError> {
        let matrix = assemble(operator)?;
        Self::of_matrix(&matrix, operator.size())
    }

    /// The spectrum of the symmetric part of a `size` × `size` matrix, row-major.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`SharpnessError::Length`] and [`SharpnessError::NotFinite`] for a matrix that is
    /// none.
    pub fn of_matrix(matrix: &[f64], size: usize) -> Result<Self, SharpnessError> {
        check_limit(size)?;
        let symmetric = DenseOperator::new(matrix, size)?;
        let (eigenvalues, vectors) = eigen(symmetric.matrix(), size)?;
        Ok(Self {
            eigenvalues,
            vectors,
        })
    }

    /// The eigenvector of the i-th eigenvalue, of length 1.
    ///
    /// # Panics
    ///
    /// Where there are no more than i eigenvalues.
    pub fn eigenvector(&self, i: usize) -> &[f64] {
        let size = self.eigenvalues.len();
        &self.vectors[i * size..(i + 1) * size]
    }

    /// The eigenvectors, in the order of the eigenvalues.
    pub fn eigenvectors(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.vectors.chunks_exact(self.eigenvalues.len())
    }

    /// The number of eigenvalues that are negative beyond rounding.
    pub fn negative(&self) -> usize {
        negative(&self.eigenvalues)
    }
}

/// The eigenvalues of the symmetric part of a `size` × `size` matrix, row-major, ascending: a third of the work of
/// [`DenseSpectrum::of_matrix`].
///
/// # Errors
///
/// As [`DenseSpectrum::of_matrix`].
pub fn eigenvalues(matrix: &[f64], size: usize) -> Result<Vec<f64>, SharpnessError> {
    check_limit(size)?;
    let symmetric = DenseOperator::new(matrix, size)?;
    let (scale, matrix) = to_unit_size(symmetric.matrix());
    let values = MatRef::from_row_major_slice(&matrix, size, size)
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| hsr_core::Error::Eigenvalues)?;
    if values.iter().any(|v| v.is_nan()) {
        return Err(hsr_core::Error::Eigenvalues.into());
    }
    let mut values: Vec<f64> = values.iter().map(|v| v * scale).collect();
    values.sort_by(f64::total_cmp);
    Ok(values)
}

/// How many of all eigenvalues are negative beyond rounding.
pub fn negative(eigenvalues: &[f64]) -> usize {
    let scale = eigenvalues.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    let noise = f64::EPSILON * eigenvalues.len() as f64 * scale;
    eigenvalues.iter().filter(|&&v| v < -noise).count()
}

/// The matrix of an operator, row-major, with a product a row.
///
/// # Errors
///
/// [`hsr_core::Error::TooLarge`] above [`DENSE_LIMIT`] rows, and what the products can refuse.
pub fn assemble(operator: &mut impl SymmetricOperator) -> Result<Vec<f64>, SharpnessError> {
    let size = operator.size();
    check_limit(size)?;
    let mut matrix = vec![0.0; size * size];
    let mut unit = vec![0.0; size];
    for i in 0..size {
        unit[i] = 1.0;
        operator.apply(&unit, &mut matrix[i * size..(i + 1) * size])?;
        unit[i] = 0.0;
    }
    Ok(matrix)
}

fn check_limit(size: usize) -> Result<(), SharpnessError> {
    if size == 0 {
        let what = "the size of the operator";
        return Err(hsr_core::Error::Empty { what }.into());
    }
    if size > DENSE_LIMIT {
        return Err(hsr_core::Error::TooLarge {
            what: "a matrix",
            elements: size.saturating_mul(size),
            limit: DENSE_LIMIT * DENSE_LIMIT,
        }
        .into());
    }
    Ok(())
}

/// Eigenvalues, ascending, and eigenvectors, one after the other, of a symmetric matrix.
pub(super) fn eigen(matrix: &[f64], size: usize) -> Result<(Vec<f64>, Vec<f64>), SharpnessError> {
    let failed = SharpnessError::Core(hsr_core::Error::Eigenvalues);
    let (scale, matrix) = to_unit_size(matrix);
    let matrix = MatRef::from_row_major_slice(&matrix, size, size);
    let Ok(eigen) = SelfAdjointEigen::new(matrix, Side::Lower) else {
        return Err(failed);
    };
    let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
    if values.iter().any(|v| v.is_nan()) {
        return Err(failed);
    }
    // In whatever order they come.
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let vectors = order
        .iter()
        .flat_map(|&i| eigen.U().col(i).iter().copied())
        .collect();
    Ok((order.iter().map(|&i| values[i] * scale).collect(), vectors))
}

/// A power of two, and the matrix divided by it, exactly: no square overflows or underflows on the way to eigenvalues.
fn to_unit_size(matrix: &[f64]) -> (f64, Vec<f64>) {
    let largest = matrix.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    let exponent = if largest > 0.0 {
        largest.log2().floor()
    } else {
        0.0
    };
    // In two steps, for the inverse of the smallest power is not representable.
    let half = (0.5 * exponent).floor();
    let (first, second) = (half.exp2(), (exponent - half).exp2());
    let scaled = matrix.iter().map(|v| v / first / second).collect();
    (first * second, scaled)
}
