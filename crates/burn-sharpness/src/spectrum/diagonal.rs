//! Diagonals by random probes.

use hsr_core::Error;

use super::leave_one_out::{LeaveOneOut, combined};
use super::{dot, generator, rademacher};
use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

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
    check(operator, products, 2)?;
    let size = operator.size();
    let mut product = vec![0.0; size];
    let mut entries = Entries::new(size);
    for number in 0..products {
        let probe = rademacher(size, &mut generator(seed, number as u64));
        operator.apply(&probe, &mut product)?;
        entries.add(probe.iter().zip(&product).map(|(v, av)| v * av));
    }
    entries.estimate(products)
}

/// The diagonal of A by XDiag, the counterpart of [`xtrace`](super::xtrace): of k vectors ωᵢ of random signs, half as many as
/// `products`, each in turn probes what is left of A beside the span of the others' products,
///
/// ```text
/// diag A ≈ (1/k) Σᵢ [ diag(QᵢQᵢᵀA) + ωᵢ ⊙ (I − QᵢQᵢᵀ)Aωᵢ ].
/// ```
///
/// Far nearer than [`hutchinson_diagonal`] with as many products where the spectrum decays, no better where it does not, and
/// exact where the rank of A is less than k. Memory: 2k vectors. As with XTrace the standard errors take the k numbers for
/// independent.
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::xdiag;
///
/// // Rank 1.
/// let mut a = DenseOperator::new(&[1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 2.0, 4.0, 4.0], 3)?;
/// let estimate = xdiag(&mut a, 4, 0)?;
/// assert!((estimate.diagonal[0] - 1.0).abs() < 1e-12 && (estimate.diagonal[2] - 4.0).abs() < 1e-12);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: E. N. Epperly, J. A. Tropp, R. J. Webber, "XTrace: Making the Most of Every Sample in Stochastic Trace
/// Estimation", SIAM Journal on Matrix Analysis and Applications 45 (2024), 1–23, arXiv 2301.07825, section 2.4.
///
/// # Errors
///
/// As [`hutchinson_diagonal`], with four products at least.
pub fn xdiag(
    operator: &mut impl SymmetricOperator,
    products: usize,
    seed: u64,
) -> Result<DiagonalEstimate, SharpnessError> {
    check(operator, products, 4)?;
    let size = operator.size();
    let probes = (products / 2).min(size);
    let probe = |i: usize| rademacher(size, &mut generator(seed, i as u64));
    let found = LeaveOneOut::new(operator, probes, probe)?;
    let rank = found.basis.len();
    let mut images = vec![vec![0.0; size]; rank];
    for (base, image) in found.basis.iter().zip(&mut images) {
        operator.apply(base, image)?;
    }
    let mut known = vec![0.0; size];
    for (base, image) in found.basis.iter().zip(&images) {
        let entries = known.iter_mut().zip(base.iter().zip(image));
        entries.for_each(|(sum, (q, aq))| *sum += q * aq);
    }
    let mut entries = Entries::new(size);
    if found.is_exact() {
        entries.add(known.into_iter());
        return entries.estimate(probes + rank);
    }
    for i in 0..probes {
        let s = found.left_out(i);
        let (direction, image) = (found.combined(&s), combined(&images, &s));
        let share = dot(&s, &found.row(i));
        let omega = probe(i);
        let beside = direction.iter().zip(image).zip(omega);
        let beside = beside.map(|((q, aq), omega)| q * (share * omega - aq));
        entries.add(known.iter().zip(beside).map(|(known, v)| known + v));
    }
    entries.estimate(probes + rank)
}

/// The mean of each entry over probes, and its deviation: Welford's update, for squares of large means would cancel.
struct Entries {
    mean: Vec<f64>,
    squares: Vec<f64>,
    count: usize,
}

impl Entries {
    fn new(size: usize) -> Self {
        Self {
            mean: vec![0.0; size],
            squares: vec![0.0; size],
            count: 0,
        }
    }

    fn add(&mut self, values: impl Iterator<Item = f64>) {
        self.count += 1;
        let moments = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), value) in moments.zip(values) {
            let before = value - *mean;
            *mean += before / self.count as f64;
            *squares += before * (value - *mean);
        }
    }

    fn estimate(self, products: usize) -> Result<DiagonalEstimate, SharpnessError> {
        if !self.mean.iter().all(|v| v.is_finite()) {
            let what = "the diagonal";
            return Err(SharpnessError::NotFinite { what });
        }
        let n = self.count as f64;
        // Of one value, which is exact, there is none.
        let freedom = (n - 1.0).max(1.0);
        let squares = self.squares.iter();
        Ok(DiagonalEstimate {
            standard_error: squares.map(|v| (v / freedom / n).sqrt()).collect(),
            diagonal: self.mean,
            products,
        })
    }
}

fn check(
    operator: &impl SymmetricOperator,
    products: usize,
    least: usize,
) -> Result<(), SharpnessError> {
    if operator.size() == 0 {
        let what = "the size of the operator";
        return Err(Error::Empty { what }.into());
    }
    if products < least {
        return Err(SharpnessError::Option {
            option: "products",
            value: products as f64,
            expected: if least == 2 { "2 or more" } else { "4 or more" },
        });
    }
    Ok(())
}
