//! The diagonal by random probes.

use hsr_core::Error;

use super::{generator, rademacher};
use crate::{SharpnessError, SymmetricOperator};

/// An estimate of a diagonal.
#[derive(Clone, Debug, PartialEq)]
pub struct DiagonalEstimate {
    /// The estimate of each entry, unbiased.
    pub diagonal: Vec<f64>,
    /// The standard error of each, estimated from the probes.
    pub standard_error: Vec<f64>,
    /// Products with the operator.
    pub products: usize,
}

/// The diagonal of A as the mean of v ⊙ Av over `products` vectors v of random signs. The variance of the i-th entry is
/// Σ_{j≠i} a²ᵢⱼ per probe: a diagonal matrix is seen exactly.
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::hutchinson_diagonal;
///
/// let mut a = DenseOperator::new(&[2.0, 0.1, 0.1, 1.0], 2)?;
/// let estimate = hutchinson_diagonal(&mut a, 100, 0)?;
/// assert!((estimate.diagonal[0] - 2.0).abs() < 5.0 * estimate.standard_error[0]);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: C. Bekas, E. Kokiopoulou, Y. Saad, "An estimator for the diagonal of a matrix", Applied Numerical Mathematics
/// 57 (2007), 1214–1229.
///
/// # Errors
///
/// [`Error::Empty`] where the operator has no rows, [`SharpnessError::Option`] for fewer than two products,
/// [`SharpnessError::NotFinite`] where a product is, and what the products can refuse.
pub fn hutchinson_diagonal(
    operator: &mut impl SymmetricOperator,
    products: usize,
    seed: u64,
) -> Result<DiagonalEstimate, SharpnessError> {
    let size = operator.size();
    if size == 0 {
        let what = "the size of the operator";
        return Err(Error::Empty { what }.into());
    }
    if products < 2 {
        return Err(SharpnessError::Option {
            option: "products",
            value: products as f64,
            expected: "2 or more",
        });
    }
    let mut product = vec![0.0; size];
    let (mut mean, mut squares) = (vec![0.0; size], vec![0.0; size]);
    for number in 0..products {
        let probe = rademacher(size, &mut generator(seed, number as u64));
        operator.apply(&probe, &mut product)?;
        // Welford's update: squares of large means would cancel.
        let count = (number + 1) as f64;
        for (i, (v, av)) in probe.iter().zip(&product).enumerate() {
            let before = v * av - mean[i];
            mean[i] += before / count;
            squares[i] += before * (v * av - mean[i]);
        }
    }
    if !mean.iter().all(|v| v.is_finite()) {
        let what = "the diagonal";
        return Err(SharpnessError::NotFinite { what });
    }
    let n = products as f64;
    Ok(DiagonalEstimate {
        diagonal: mean,
        standard_error: squares
            .iter()
            .map(|squares| (squares / (n - 1.0) / n).sqrt())
            .collect(),
        products,
    })
}
