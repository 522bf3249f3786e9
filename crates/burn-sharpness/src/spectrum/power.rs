//! The eigenvalue of the largest magnitude.

use burn_hsr::LanczosConfig;
use hsr_core::{EigenPair, Error};

use super::{dot, generator, random};
use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

/// The eigenvalue of the largest magnitude, with its sign, by power iteration from `start` or a normal vector of the
/// seed.
///
/// This is not λ_max: where a negative eigenvalue is larger in magnitude, that one is found. Where two of opposite sign
/// are as large, or nearly, it does not converge and says so. [`lanczos`](super::lanczos()) needs fewer products and
/// tells the ends apart; this is for comparison with what is published.
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::{LanczosConfig, power_iteration};
///
/// let mut a = DenseOperator::new(&[1.0, 0.0, 0.0, -2.0], 2)?;
/// let dominant = power_iteration(&mut a, None, &LanczosConfig::new())?;
/// assert!(dominant.converged && (dominant.value + 2.0).abs() < 1e-10);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// The value is the Rayleigh quotient, the residual ‖Av − λv‖; converged is a residual below |λ| times the options'
/// tolerance, or the operator's [`accuracy`](SymmetricOperator::accuracy) where that is larger.
///
/// # Errors
///
/// [`Error::Empty`] where the operator has no rows, [`SharpnessError::Length`] and [`SharpnessError::NotFinite`] for a
/// start that does not fit or is zero, [`Error::Eigenvalues`] where a product is not finite, and what the products can
/// refuse.
pub fn power_iteration(
    operator: &mut impl SymmetricOperator,
    start: Option<&[f64]>,
    options: &LanczosConfig,
) -> Result<EigenPair, SharpnessError> {
    let size = operator.size();
    if size == 0 {
        let what = "the size of the operator";
        return Err(Error::Empty { what }.into());
    }
    let mut vector = match start {
        None => random::normal(size, &mut generator(options.seed, 0)),
        Some(start) if start.len() == size => start.to_vec(),
        Some(start) => {
            return Err(SharpnessError::Length {
                what: "the start vector",
                got: start.len(),
                expected: size,
            });
        }
    };
    if normalize(&mut vector).is_none() {
        let what = "the direction of the start vector";
        return Err(SharpnessError::NotFinite { what });
    }
    let mut product = vec![0.0; size];
    let mut iterations = 0;
    loop {
        operator.apply(&vector, &mut product)?;
        iterations += 1;
        let value = dot(&vector, &product);
        let square: f64 = product
            .iter()
            .zip(&vector)
            .map(|(p, v)| (p - value * v).powi(2))
            .sum();
        let residual = square.sqrt();
        if !value.is_finite() || !residual.is_finite() {
            return Err(Error::Eigenvalues.into());
        }
        let converged = residual <= options.tolerance.max(operator.accuracy()) * value.abs();
        if converged || iterations >= options.iterations || normalize(&mut product).is_none() {
            return Ok(EigenPair {
                value,
                vector,
                residual,
                iterations,
                converged,
            });
        }
        std::mem::swap(&mut vector, &mut product);
    }
}

/// To length 1; none where that is not possible.
fn normalize(vector: &mut [f64]) -> Option<()> {
    let largest = vector.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    if largest == 0.0 || vector.iter().any(|v| !v.is_finite()) {
        return None;
    }
    vector.iter_mut().for_each(|v| *v /= largest);
    let norm = dot(vector, vector).sqrt();
    vector.iter_mut().for_each(|v| *v /= norm);
    Some(())
}
