//! The Lanczos iteration with full reorthogonalisation: both signed ends of a symmetric operator's spectrum.
//!
//! Reference: B. N. Parlett, "The Symmetric Eigenvalue Problem", SIAM 1998, chapter 13. Every new vector is made
//! orthogonal to all before it, twice, so that no converged eigenvalue comes back as a ghost.

use faer::{Mat, Side};
use rand_distr::{Distribution, StandardNormal};

use crate::LabError;
use crate::data::random::{Stream, generator};

/// When to stop and where to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanczosOptions {
    /// The most products with the operator.
    pub iterations: usize,
    /// Residuals below this fraction of the largest |λ| are converged.
    pub tolerance: f64,
    /// The seed of the first vector.
    pub seed: u64,
}

impl Default for LanczosOptions {
    fn default() -> Self {
        Self {
            iterations: 300,
            tolerance: 1e-10,
            seed: 0,
        }
    }
}

/// Both ends of a spectrum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extremes {
    /// The largest eigenvalue, signed.
    pub largest: f64,
    /// The smallest eigenvalue, signed.
    pub smallest: f64,
    /// ‖Av − λv‖ at the largest.
    pub largest_residual: f64,
    /// ‖Av − λv‖ at the smallest.
    pub smallest_residual: f64,
    /// Products with the operator.
    pub iterations: usize,
    /// Whether both residuals are below the tolerance.
    pub converged: bool,
}

/// Products between two looks at the residuals.
const CHECK: usize = 10;

/// The largest and the smallest eigenvalue of a symmetric operator on vectors of `size` values;
/// `apply(v, out)` writes A v.
///
/// # Errors
///
/// What `apply` gives, and [`LabError::Eigenvalues`] where a product is not finite.
pub fn extremes(
    size: usize,
    mut apply: impl FnMut(&[f64], &mut [f64]) -> Result<(), LabError>,
    options: &LanczosOptions,
) -> Result<Extremes, LabError> {
    let most = options.iterations.clamp(1, size);
    let mut random = generator(options.seed, Stream::Eigen);
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(most);
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    let mut next = random_unit(size, &basis, &mut random);
    let mut product = vec![0.0; size];
    loop {
        apply(&next, &mut product)?;
        let alpha = dot(&next, &product);
        basis.push(std::mem::take(&mut next));
        diagonal.push(alpha);
        for _ in 0..2 {
            orthogonalize(&mut product, &basis);
        }
        let beta = dot(&product, &product).sqrt();
        if !alpha.is_finite() || !beta.is_finite() {
            return Err(LabError::Eigenvalues);
        }
        let steps = basis.len();
        let scale = diagonal
            .iter()
            .chain(&beside)
            .fold(beta, |max: f64, v: &f64| max.max(v.abs()));
        // An invariant subspace is exhausted: its eigenvalues are exact, others may lie outside it.
        let exhausted = beta <= f64::EPSILON * size as f64 * scale;
        if steps == most || steps.is_multiple_of(CHECK) || (exhausted && steps == size) {
            let beta = if exhausted { 0.0 } else { beta };
            let found = ritz(&diagonal, &beside, beta, options.tolerance)?;
            if steps == most || (found.converged && !exhausted) {
                return Ok(found);
            }
        }
        if exhausted {
            beside.push(0.0);
            next = random_unit(size, &basis, &mut random);
        } else {
            beside.push(beta);
            next = product.iter().map(|v| v / beta).collect();
        }
    }
}

/// The ends of the tridiagonal matrix, with residuals |β · last component|.
fn ritz(diagonal: &[f64], beside: &[f64], beta: f64, tolerance: f64) -> Result<Extremes, LabError> {
    let steps = diagonal.len();
    let matrix = Mat::from_fn(steps, steps, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.min(j)],
        _ => 0.0,
    });
    let eigen = matrix
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| LabError::Eigenvalues)?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    let residual = |index: usize| (beta * vectors[(steps - 1, index)]).abs();
    let (smallest, largest) = (values[0], values[steps - 1]);
    let allowed = tolerance * largest.abs().max(smallest.abs()).max(f64::MIN_POSITIVE);
    Ok(Extremes {
        largest,
        smallest,
        largest_residual: residual(steps - 1),
        smallest_residual: residual(0),
        iterations: steps,
        converged: residual(steps - 1) <= allowed && residual(0) <= allowed,
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn orthogonalize(vector: &mut [f64], basis: &[Vec<f64>]) {
    for base in basis {
        let share = dot(vector, base);
        for (v, b) in vector.iter_mut().zip(base) {
            *v -= share * b;
        }
    }
}

fn random_unit(size: usize, basis: &[Vec<f64>], random: &mut impl rand::Rng) -> Vec<f64> {
    let mut vector: Vec<f64> = (0..size).map(|_| StandardNormal.sample(random)).collect();
    for _ in 0..2 {
        orthogonalize(&mut vector, basis);
    }
    let norm = dot(&vector, &vector).sqrt();
    for v in &mut vector {
        *v /= norm;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dense symmetric matrix with the given eigenvalues: a product of reflections around their diagonal.
    fn with_spectrum(eigenvalues: &[f64]) -> Vec<f64> {
        let n = eigenvalues.len();
        let mut matrix: Vec<f64> = vec![0.0; n * n];
        for (i, &value) in eigenvalues.iter().enumerate() {
            matrix[i * n + i] = value;
        }
        for round in 0..3 {
            let mut v: Vec<f64> = (0..n)
                .map(|i| ((i * 7 + round * 3) as f64 + 0.3).sin())
                .collect();
            let norm = dot(&v, &v).sqrt();
            v.iter_mut().for_each(|v| *v /= norm);
            for transposed in [false, true] {
                let at = |i: usize, j: usize| if transposed { j * n + i } else { i * n + j };
                for j in 0..n {
                    let share: f64 = 2.0 * (0..n).map(|i| v[i] * matrix[at(i, j)]).sum::<f64>();
                    (0..n).for_each(|i| matrix[at(i, j)] -= share * v[i]);
                }
            }
        }
        matrix
    }

    fn run(eigenvalues: &[f64]) -> Extremes {
        let (n, matrix) = (eigenvalues.len(), with_spectrum(eigenvalues));
        let apply = |v: &[f64], out: &mut [f64]| {
            for (row, out) in matrix.chunks(n).zip(out) {
                *out = dot(row, v);
            }
            Ok(())
        };
        extremes(n, apply, &LanczosOptions::default()).unwrap()
    }

    #[test]
    fn both_signed_ends_are_found_also_where_the_negative_one_is_larger() {
        let mut eigenvalues: Vec<f64> = (0..400).map(|i| (i as f64 / 400.0).powi(3)).collect();
        eigenvalues[7] = -5.0;
        eigenvalues[11] = 2.0;
        let found = run(&eigenvalues);
        assert!(found.converged, "{found:?}");
        assert!(
            (found.largest - 2.0).abs() < 1e-9 && (found.smallest + 5.0).abs() < 1e-9,
            "{found:?}"
        );
        assert!(found.iterations < 200);
    }

    #[test]
    fn few_distinct_eigenvalues_and_the_zero_operator_are_no_trouble() {
        let mut eigenvalues = vec![1.0; 60];
        eigenvalues[0] = -3.0;
        let found = run(&eigenvalues);
        assert!(
            (found.largest - 1.0).abs() < 1e-12 && (found.smallest + 3.0).abs() < 1e-12,
            "{found:?}"
        );
        let found = run(&vec![0.0; 30]);
        assert_eq!([found.largest, found.smallest], [0.0, 0.0]);
        assert_eq!(run(&[4.5]).largest, 4.5);
    }
}
