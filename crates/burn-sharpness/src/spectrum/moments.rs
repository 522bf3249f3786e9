//! Trace, Frobenius norm and λ_sup by random probes.

use super::trace::{check, estimate};
use super::{TraceConfig, TraceEstimate, dot, generator, rademacher};
use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

/// An estimate from independent probes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error, by the jackknife over the probes.
    pub standard_error: f64,
}

/// What random probes say of a matrix A of D rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentsEstimate {
    /// t = tr A, the very estimate of [`hutchinson`](super::hutchinson) with the same options.
    pub trace: TraceEstimate,
    /// ‖A‖, the Frobenius norm: the root of an unbiased estimate of ‖A‖².
    pub frobenius: Estimate,
    /// λ_sup = m + s√(D − 1) with m = t/D and s² = ‖A‖²/D − m², from the two. Both roots make it a little too small on
    /// average, by less than a standard error. Unlike the exact λ_sup it may lie below λ_max.
    pub lambda_sup: Estimate,
}

/// tr A, ‖A‖ and λ_sup of an operator from vectors v of random signs, one a product: vᵀAv has the mean tr A and ‖Av‖² the
/// mean ‖A‖².
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::{TraceConfig, moments};
///
/// // A diagonal matrix is seen exactly.
/// let mut a = DenseOperator::new(&[3.0, 0.0, 0.0, 4.0], 2)?;
/// let found = moments(&mut a, &TraceConfig::new())?;
/// assert_eq!((found.trace.trace, found.frobenius.value), (7.0, 5.0));
/// assert!((found.lambda_sup.value - 4.0).abs() < 1e-12 && found.lambda_sup.standard_error < 1e-12);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// References: M. F. Hutchinson, as [`hutchinson`](super::hutchinson), on t; H. Wolkowicz, G. P. H. Styan, "Bounds for
/// eigenvalues using traces", Linear Algebra and its Applications 29 (1980), 471–506, on λ_sup.
///
/// # Errors
///
/// As [`hutchinson`](super::hutchinson).
pub fn moments(
    operator: &mut impl SymmetricOperator,
    options: &TraceConfig,
) -> Result<MomentsEstimate, SharpnessError> {
    check(operator, options, 2)?;
    let size = operator.size();
    let mut product = vec![0.0; size];
    let (mut traces, mut squares) = (Vec::new(), Vec::new());
    for probe in 0..options.products {
        let v = rademacher(size, &mut generator(options.seed, probe as u64));
        operator.apply(&v, &mut product)?;
        traces.push(dot(&v, &product));
        squares.push(dot(&product, &product));
    }
    let trace = estimate(0.0, &traces, options.products, options.confidence)?;
    let frobenius = jackknife(&traces, &squares, |_, q| q.max(0.0).sqrt());
    let lambda_sup = jackknife(&traces, &squares, |t, q| bound(t, q, size as f64));
    if [frobenius, lambda_sup]
        .iter()
        .any(|it| !(it.value.is_finite() && it.standard_error.is_finite()))
    {
        let what = "the norm";
        return Err(SharpnessError::NotFinite { what });
    }
    Ok(MomentsEstimate {
        trace,
        frobenius,
        lambda_sup,
    })
}

/// λ_sup at t and q = ‖A‖².
fn bound(t: f64, q: f64, size: f64) -> f64 {
    let mean = t / size;
    let variance = (q / size - mean * mean).max(0.0);
    mean + variance.sqrt() * (size - 1.0).sqrt()
}

/// A function of the means of two samples, and its standard error from the values without each one of the samples.
fn jackknife(a: &[f64], b: &[f64], value: impl Fn(f64, f64) -> f64) -> Estimate {
    let n = a.len() as f64;
    let [sum_a, sum_b]: [f64; 2] = [a, b].map(|it| it.iter().sum());
    let without: Vec<f64> = a
        .iter()
        .zip(b)
        .map(|(a, b)| value((sum_a - a) / (n - 1.0), (sum_b - b) / (n - 1.0)))
        .collect();
    let mean = without.iter().sum::<f64>() / n;
    let squares: f64 = without.iter().map(|v| (v - mean).powi(2)).sum();
    Estimate {
        value: value(sum_a / n, sum_b / n),
        standard_error: (squares * (n - 1.0) / n).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::DenseOperator;
    use crate::spectrum::hutchinson;

    /// Over many seeds the estimates scatter around the exact values as their standard errors say.
    #[test]
    fn estimates_are_off_by_what_their_standard_errors_say() {
        let size = 12;
        let matrix: Vec<f64> = (0..size * size)
            .map(|i| {
                let (row, column) = ((i / size) as f64, (i % size) as f64);
                ((row + column) * 1.7).sin() + if row == column { 2.0 } else { 0.0 }
            })
            .collect();
        let trace: f64 = (0..size).map(|i| matrix[i * size + i]).sum();
        let square: f64 = matrix.iter().map(|v| v * v).sum();
        let exact = [square.sqrt(), bound(trace, square, size as f64)];
        let mut operator = DenseOperator::new(&matrix, size).unwrap();
        let seeds = 200;
        let mut sums = [0.0; 2];
        for seed in 0..seeds {
            let options = TraceConfig {
                products: 30,
                seed,
                ..TraceConfig::default()
            };
            let found = moments(&mut operator, &options).unwrap();
            assert_eq!(found.trace, hutchinson(&mut operator, &options).unwrap());
            for (sum, (estimate, exact)) in sums
                .iter_mut()
                .zip([found.frobenius, found.lambda_sup].into_iter().zip(exact))
            {
                *sum += ((estimate.value - exact) / estimate.standard_error).powi(2);
            }
        }
        for sum in sums {
            // The mean square of Student's t with 29 degrees of freedom is 1.07.
            let scatter = sum / f64::from(seeds as u32);
            assert!((0.7..1.6).contains(&scatter), "{scatter}");
        }
    }
}
