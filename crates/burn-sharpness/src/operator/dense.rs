//! A matrix as an operator.

use super::{SymmetricOperator, check_lengths};
use crate::error::SharpnessError;

/// The symmetric part (A + Aᵀ)/2 of a matrix that is held in memory.
///
/// ```
/// use burn_sharpness::{SymmetricOperator, operator::DenseOperator};
///
/// let mut a = DenseOperator::new(&[2.0, 1.0, 1.0, 3.0], 2)?;
/// let mut product = [0.0; 2];
/// a.apply(&[1.0, -1.0], &mut product)?;
/// assert_eq!(product, [1.0, -2.0]);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DenseOperator {
    matrix: Vec<f64>,
    size: usize,
}

impl DenseOperator {
    /// The symmetric part of a `size` × `size` matrix, row-major.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the matrix has not size² values, [`SharpnessError::NotFinite`] where one of
    /// them is NaN or infinite.
    pub fn new(matrix: &[f64], size: usize) -> Result<Self, SharpnessError> {
        let what = "the matrix";
        if size.checked_mul(size) != Some(matrix.len()) {
            return Err(SharpnessError::Length {
                what,
                got: matrix.len(),
                expected: size.saturating_mul(size),
            });
        }
        if !matrix.iter().all(|v| v.is_finite()) {
            return Err(SharpnessError::NotFinite { what });
        }
        let mut symmetric = matrix.to_vec();
        for i in 0..size {
            for j in 0..i {
                // Halves first: the sum of two large values may overflow.
                let mean = 0.5 * matrix[i * size + j] + 0.5 * matrix[j * size + i];
                symmetric[i * size + j] = mean;
                symmetric[j * size + i] = mean;
            }
        }
        Ok(Self {
            matrix: symmetric,
            size,
        })
    }

    /// The matrix, row-major.
    pub fn matrix(&self) -> &[f64] {
        &self.matrix
    }
}

impl SymmetricOperator for DenseOperator {
    fn size(&self) -> usize {
        self.size
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        check_lengths(self.size, v, product)?;
        // A matrix without rows has no chunks of 0.
        for (row, out) in self.matrix.chunks(self.size.max(1)).zip(product) {
            *out = row.iter().zip(v).map(|(a, v)| a * v).sum();
        }
        Ok(())
    }
}
