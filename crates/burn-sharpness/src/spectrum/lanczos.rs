//! Both signed ends of a spectrum, with their eigenvectors.

use burn_hsr::LanczosConfig;
use hsr_core::{EigenPair, Error, LanczosFactorization, LanczosOptions};

use super::dense::eigen;
use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

/// The eigenpairs at both ends of a spectrum.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectrumEnds {
    /// The largest eigenvalues, signed, the largest first.
    pub largest: Vec<EigenPair>,
    /// The smallest eigenvalues, signed, the smallest first.
    pub smallest: Vec<EigenPair>,
    /// Products with the operator.
    pub products: usize,
    /// Whether all pairs have converged, and none is missing as far as could be seen.
    pub converged: bool,
}

/// The `count` largest and the `count` smallest eigenvalues of an operator, signed, with their eigenvectors, by the
/// Lanczos iteration with full reorthogonalisation.
///
/// `start` is the first vector: what is believed to be an eigenvector or a sum of several, such as those of the step
/// before. A start that is orthogonal to an eigenvector may miss it; `None` starts from a random vector of the seed, which
/// is orthogonal to no eigenvector.
///
/// From one start only one vector of a repeated eigenvalue is found. Where `count` is more than 1, the iteration is
/// therefore repeated in the complement of the pairs that were found, until it finds none that belongs to them: once
/// where no eigenvalue is repeated, which about doubles the products. For one pair at each end there is nothing to
/// miss.
///
/// The options' `iterations` are the most products, and vectors kept, of one repetition. Their `tolerance`, relative to
/// the largest |λ|, counts as the operator's [`accuracy`](SymmetricOperator::accuracy) where it is smaller, and the
/// residuals have that accuracy added: what the iteration itself sees of an inexact operator would be too good.
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::{LanczosConfig, lanczos};
///
/// // 3 twice, −1.
/// let matrix = [3.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, -1.0];
/// let mut a = DenseOperator::new(&matrix, 3)?;
/// let ends = lanczos(&mut a, 2, None, &LanczosConfig::new())?;
/// let largest: Vec<f64> = ends.largest.iter().map(|pair| pair.value.round()).collect();
/// assert_eq!(largest, [3.0, 3.0]);
/// assert!(ends.converged && (ends.smallest[0].value + 1.0).abs() < 1e-12);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: B. N. Parlett, "The Symmetric Eigenvalue Problem", SIAM 1998, chapter 13; on repeated eigenvalues 13.10.
///
/// # Errors
///
/// [`SharpnessError::Option`] for a count of 0, [`Error::Empty`] where the operator has no rows, [`Error::Length`]
/// and [`Error::NotFinite`] for a start that does not fit, [`Error::Eigenvalues`] where a product is not finite, and
/// what the products can refuse.
pub fn lanczos(
    operator: &mut impl SymmetricOperator,
    count: usize,
    start: Option<&[f64]>,
    options: &LanczosConfig,
) -> Result<SpectrumEnds, SharpnessError> {
    both_ends(operator, count, start, options, usize::MAX)
}

/// [`lanczos`] with no more than `vectors` vectors in memory, and half as many again for a moment, beside the pairs that it
/// gives. Where the iteration has made so many, it goes on from the best of what they span: the Ritz vectors outermost at
/// both ends, as many as there is room for beside new ones. That takes more products than one long iteration: with 40 vectors for three pairs at each end of 400
/// eigenvalues, most of them in a bulk, 210 in place of 189; with 30 for four of 200, 182 in place of 143.
///
/// The options' `iterations` are the most products of one repetition, whatever its vectors are.
///
/// ```
/// use burn_sharpness::operator::from_fn;
/// use burn_sharpness::spectrum::{LanczosConfig, lanczos_within};
///
/// // The roots of 1 to 1000 on the diagonal.
/// let mut a = from_fn(1000, |v, product| {
///     product.iter_mut().zip(v).enumerate().for_each(|(i, (p, v))| *p = ((i + 1) as f64).sqrt() * v);
///     Ok(())
/// });
/// let options = LanczosConfig::new().with_iterations(2000).with_tolerance(1e-8);
/// let ends = lanczos_within(&mut a, 2, None, &options, 30)?;
/// assert!(ends.converged && (ends.largest[1].value - 999_f64.sqrt()).abs() < 1e-6);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: K. Wu, H. Simon, "Thick-Restart Lanczos Method for Large Symmetric Eigenvalue Problems", SIAM Journal on Matrix
/// Analysis and Applications 22 (2000), 602–616.
///
/// # Errors
///
/// As [`lanczos`], and [`SharpnessError::Option`] for fewer than 4·count + 4 vectors, unless the operator has no more rows.
pub fn lanczos_within(
    operator: &mut impl SymmetricOperator,
    count: usize,
    start: Option<&[f64]>,
    options: &LanczosConfig,
    vectors: usize,
) -> Result<SpectrumEnds, SharpnessError> {
    if vectors
        < count
            .saturating_mul(4)
            .saturating_add(4)
            .min(operator.size())
    {
        return Err(SharpnessError::Option {
            option: "vectors",
            value: vectors as f64,
            expected: "4 for each eigenvalue at an end, and 4 more",
        });
    }
    both_ends(operator, count, start, options, vectors)
}

fn both_ends(
    operator: &mut impl SymmetricOperator,
    count: usize,
    start: Option<&[f64]>,
    options: &LanczosConfig,
    vectors: usize,
) -> Result<SpectrumEnds, SharpnessError> {
    if count == 0 {
        return Err(SharpnessError::Option {
            option: "the number of eigenvalues",
            value: 0.0,
            expected: "1 or more",
        });
    }
    let size = operator.size();
    let first = LanczosFactorization::new(size, start, options.seed)?;
    let count = count.min(size);
    let mut goal = Goal {
        count,
        vectors,
        options: (*options).into(),
        accuracy: operator.accuracy(),
        magnitude: 0.0,
        belongs: None,
    };
    let mut found = goal.run(operator, first)?;
    let mut repetitions = 0;
    while count > 1 && found.converged && !found.complete && found.pairs.len() < size {
        repetitions += 1;
        let values = |pair: Option<&EigenPair>| pair.map_or(f64::NAN, |pair| pair.value);
        let low = values(found.pairs.get(count - 1));
        let high = values(found.pairs.iter().rev().nth(count - 1));
        goal = Goal {
            count: 1,
            belongs: Some([low, high]),
            magnitude: found.magnitude,
            ..goal
        };
        // Another vector than the first one, whose share outside the pairs found is spent.
        let seed = options.seed.wrapping_add(repetitions);
        let locked = found.pairs.iter().map(|pair| pair.vector.clone());
        let rest = LanczosFactorization::new(size, None, seed)?.orthogonal_to(locked.collect())?;
        let others = goal.run(operator, rest)?;
        found.converged &= others.converged;
        found.products += others.products;
        found.complete = true;
        for pair in others.pairs {
            if goal.belongs(pair.value) {
                found.pairs.push(pair);
                found.complete = false;
            }
        }
        found.pairs.sort_by(|a, b| a.value.total_cmp(&b.value));
    }
    for pair in &mut found.pairs {
        pair.iterations = found.products;
    }
    Ok(SpectrumEnds {
        largest: found.pairs.iter().rev().take(count).cloned().collect(),
        smallest: found.pairs.iter().take(count).cloned().collect(),
        products: found.products,
        converged: found.converged,
    })
}

/// When a factorisation is long enough.
#[derive(Clone, Copy)]
struct Goal {
    /// Pairs at each end.
    count: usize,
    /// Vectors in memory.
    vectors: usize,
    options: LanczosOptions,
    accuracy: f64,
    /// The largest |λ| that is known: the complement of all large eigenvalues has no scale of its own.
    magnitude: f64,
    /// Where pairs are looked for that may have been missed: above the second value or below the first.
    belongs: Option<[f64; 2]>,
}

/// What a factorisation gave.
struct Found {
    /// Ascending, each once.
    pairs: Vec<EigenPair>,
    magnitude: f64,
    products: usize,
    converged: bool,
    /// Whether no pair can be missing.
    complete: bool,
}

/// Products to the first look at the residuals, and between two looks while they are few.
const CHECK: usize = 10;

/// The relative residual at which a pair that belongs to neither end is known well enough to be left.
const BESIDE: f64 = 1e-4;

impl Goal {
    fn tolerance(&self) -> f64 {
        self.options.tolerance.max(self.accuracy)
    }

    fn belongs(&self, value: f64) -> bool {
        let reach = self.tolerance() * self.magnitude;
        self.belongs
            .is_none_or(|[low, high]| value > high + reach || value < low - reach)
    }

    fn run(
        &self,
        operator: &mut impl SymmetricOperator,
        mut lanczos: LanczosFactorization,
    ) -> Result<Found, SharpnessError> {
        let mut look = CHECK;
        loop {
            lanczos.extend(|v, product| operator.apply(v, product))?;
            let (steps, products) = (lanczos.steps(), lanczos.products());
            let last = lanczos.is_complete() || products >= self.options.iterations;
            let full = steps >= self.vectors;
            if !last && !full && products < look {
                continue;
            }
            // Looks become rarer, for their cost grows with the cube of the steps.
            look = products + CHECK.max(steps / 8);
            let ritz = Ritz::of(&lanczos)?;
            let ends: Vec<usize> = (0..steps)
                .filter(|&i| i < self.count || steps - i <= self.count)
                .collect();
            let magnitude = ritz
                .values
                .iter()
                .fold(self.magnitude, |max: f64, v| max.max(v.abs()));
            let converged = |i: usize| {
                let tolerance = if self.belongs(ritz.values[i]) {
                    self.tolerance()
                } else {
                    self.tolerance().max(BESIDE)
                };
                ritz.residual(i) <= tolerance * magnitude.max(f64::MIN_POSITIVE)
            };
            let all = steps >= self.count && ends.iter().all(|&i| converged(i));
            if !last && (!all || lanczos.is_exhausted()) {
                if full {
                    // Half of the room goes to new vectors.
                    let kept = (self.vectors / 4).max(self.count);
                    let outermost = (0..steps).filter(|&i| i < kept || steps - i <= kept);
                    let outermost: Vec<_> = outermost
                        .map(|i| (ritz.values[i], ritz.vector(i)))
                        .collect();
                    lanczos.restart(&outermost)?;
                }
                continue;
            }
            let pair = |&i: &usize| {
                Ok(EigenPair {
                    value: ritz.values[i],
                    vector: lanczos.ritz_vector(ritz.vector(i))?,
                    residual: ritz.residual(i) + self.accuracy * magnitude,
                    iterations: products,
                    converged: converged(i),
                })
            };
            return Ok(Found {
                pairs: ends.iter().map(pair).collect::<Result<_, Error>>()?,
                magnitude,
                products,
                converged: all,
                complete: lanczos.is_complete(),
            });
        }
    }
}

/// The eigenpairs of the projected matrix of a factorisation.
pub(super) struct Ritz {
    /// Ascending.
    pub values: Vec<f64>,
    vectors: Vec<f64>,
    beta: f64,
}

impl Ritz {
    pub fn of(lanczos: &LanczosFactorization) -> Result<Self, SharpnessError> {
        let (values, vectors) = eigen(&lanczos.projected(), lanczos.steps())?;
        Ok(Self {
            values,
            vectors,
            beta: lanczos.beta(),
        })
    }

    /// The eigenvector of the i-th value.
    pub fn vector(&self, i: usize) -> &[f64] {
        let steps = self.values.len();
        &self.vectors[i * steps..(i + 1) * steps]
    }

    /// The residual of its Ritz pair.
    fn residual(&self, i: usize) -> f64 {
        let last = self.vector(i).last().copied().unwrap_or(1.0);
        (self.beta * last).abs()
    }
}
