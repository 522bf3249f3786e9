//! Traces by random probes.

use burn::config::Config;
use hsr_core::Error;

use super::student::two_sided_quantile;
use super::{dot, generator, orthogonalize, rademacher};
use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

/// How a trace is estimated.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct TraceConfig {
    /// Products with the operator to spend.
    #[config(default = 90)]
    pub products: usize,
    /// The confidence level of the interval.
    #[config(default = 0.95)]
    pub confidence: f64,
    /// The seed of the probes.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// An estimate of a trace, and how far it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceEstimate {
    /// The estimate, which is unbiased.
    pub trace: f64,
    /// Its standard error, estimated from the probes.
    pub standard_error: f64,
    /// The interval that holds the trace with probability `confidence`, by Student's t distribution: exact for normally
    /// distributed probes, else to the accuracy of the central limit theorem.
    pub interval: [f64; 2],
    /// The confidence level.
    pub confidence: f64,
    /// Independent probes that the standard error comes from; 0 where nothing was left to estimate.
    pub probes: usize,
    /// Products with the operator.
    pub products: usize,
}

/// The trace of A as the mean of vᵀAv over vectors v of random signs, one a product. Its variance is
/// 2(‖A‖²_F − Σ a²ᵢᵢ) per probe.
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::{TraceConfig, hutchinson};
///
/// let mut a = DenseOperator::new(&[2.0, 0.5, 0.5, 1.0], 2)?;
/// let estimate = hutchinson(&mut a, &TraceConfig::new())?;
/// assert!(estimate.interval[0] < 3.0 && 3.0 < estimate.interval[1]);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: M. F. Hutchinson, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing
/// splines", Communications in Statistics 18 (1989), 1059–1076.
///
/// # Errors
///
/// [`Error::Empty`] where the operator has no rows, [`SharpnessError::Option`] for less than two products or a
/// confidence outside 0…1, [`SharpnessError::NotFinite`] where an estimate is, and what the products can refuse.
pub fn hutchinson(
    operator: &mut impl SymmetricOperator,
    options: &TraceConfig,
) -> Result<TraceEstimate, SharpnessError> {
    check(operator, options, 2)?;
    let samples = quadratic_forms(operator, &[], options.products, options.seed)?;
    estimate(0.0, &samples, options.products, options.confidence)
}

/// The trace of A by Hutch++: exactly on the span of A S, S being a third of the products' random signs, and as
/// [`hutchinson`] on its complement. Where the spectrum decays, its variance falls with the square of the products.
///
/// It is exact where the rank of A is no more than a third of the products. The interval is that of the part that is
/// estimated, given the span.
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::{TraceConfig, hutch_plus_plus};
///
/// // Rank 1.
/// let mut a = DenseOperator::new(&[1.0, 2.0, 2.0, 4.0], 2)?;
/// let options = TraceConfig::new().with_products(6);
/// let estimate = hutch_plus_plus(&mut a, &options)?;
/// assert!((estimate.trace - 5.0).abs() < 1e-12);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: R. A. Meyer, C. Musco, C. Musco, D. P. Woodruff, "Hutch++: Optimal Stochastic Trace Estimation", SOSA
/// 2021, arXiv 2010.09649, algorithm 1.
///
/// # Errors
///
/// As [`hutchinson`], with six products at least.
pub fn hutch_plus_plus(
    operator: &mut impl SymmetricOperator,
    options: &TraceConfig,
) -> Result<TraceEstimate, SharpnessError> {
    check(operator, options, 6)?;
    let size = operator.size();
    let third = options.products / 3;
    let mut product = vec![0.0; size];
    let mut products = 0;
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(third.min(size));
    // Streams of their own, so that the probes do not know the span.
    let mut generator = generator(options.seed, u64::MAX);
    for _ in 0..third.min(size) {
        operator.apply(&rademacher(size, &mut generator), &mut product)?;
        products += 1;
        let before = dot(&product, &product).sqrt();
        orthogonalize(&mut product, &basis);
        let after = dot(&product, &product).sqrt();
        // What is left of a column that depends on the others is rounding.
        if after > f64::EPSILON * size as f64 * before {
            basis.push(product.iter().map(|v| v / after).collect());
        }
    }
    let mut exact = 0.0;
    for base in &basis {
        operator.apply(base, &mut product)?;
        products += 1;
        exact += dot(base, &product);
    }
    if basis.len() == size {
        return estimate(exact, &[], products, options.confidence);
    }
    let samples = quadratic_forms(operator, &basis, third, options.seed)?;
    estimate(exact, &samples, products + third, options.confidence)
}

/// gᵀAg for probes g of random signs, projected onto the complement of `basis`.
fn quadratic_forms(
    operator: &mut impl SymmetricOperator,
    basis: &[Vec<f64>],
    probes: usize,
    seed: u64,
) -> Result<Vec<f64>, SharpnessError> {
    let size = operator.size();
    let mut product = vec![0.0; size];
    (0..probes)
        .map(|i| {
            let mut probe = rademacher(size, &mut generator(seed, i as u64));
            orthogonalize(&mut probe, basis);
            operator.apply(&probe, &mut product)?;
            Ok(dot(&probe, &product))
        })
        .collect()
}

pub(super) fn estimate(
    exact: f64,
    samples: &[f64],
    products: usize,
    confidence: f64,
) -> Result<TraceEstimate, SharpnessError> {
    let probes = samples.len();
    let n = probes as f64;
    let (mean, standard_error) = if probes == 0 {
        (0.0, 0.0)
    } else {
        let mean = samples.iter().sum::<f64>() / n;
        let squares: f64 = samples.iter().map(|v| (v - mean).powi(2)).sum();
        (mean, (squares / (n - 1.0) / n).sqrt())
    };
    let trace = exact + mean;
    let reach = if probes == 0 {
        0.0
    } else {
        two_sided_quantile(confidence, probes - 1) * standard_error
    };
    if !trace.is_finite() || !reach.is_finite() {
        let what = "the trace";
        return Err(SharpnessError::NotFinite { what });
    }
    Ok(TraceEstimate {
        trace,
        standard_error,
        interval: [trace - reach, trace + reach],
        confidence,
        probes,
        products,
    })
}

pub(super) fn check(
    operator: &impl SymmetricOperator,
    options: &TraceConfig,
    least: usize,
) -> Result<(), SharpnessError> {
    if operator.size() == 0 {
        let what = "the size of the operator";
        return Err(Error::Empty { what }.into());
    }
    if options.products < least {
        return Err(SharpnessError::Option {
            option: "products",
            value: options.products as f64,
            expected: match least {
                2 => "2 or more",
                4 => "4 or more",
                _ => "6 or more",
            },
        });
    }
    if !(options.confidence > 0.0 && options.confidence < 1.0) {
        return Err(SharpnessError::Option {
            option: "confidence",
            value: options.confidence,
            expected: "a number between 0 and 1",
        });
    }
    Ok(())
}
