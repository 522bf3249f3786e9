//! The Lanczos iteration with full reorthogonalisation: both signed ends of a symmetric operator's spectrum.
//!
//! Reference: B. N. Parlett, "The Symmetric Eigenvalue Problem", SIAM 1998, chapter 13. Every new vector is made
//! orthogonal to all before it, twice, so that no converged eigenvalue comes back as a ghost.

use crate::Error;

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
/// `apply(v, out)` writes A v. For the loss Hessian see
/// [`Workspace::linearize`](crate::Workspace::linearize).
///
/// ```
/// use hsr_core::{Error, LanczosOptions, extremes};
///
/// // diag(3, 1, −1).
/// let apply = |v: &[f64], out: &mut [f64]| {
///     out.copy_from_slice(&[3.0 * v[0], v[1], -v[2]]);
///     Ok::<(), Error>(())
/// };
/// let found = extremes(3, apply, &LanczosOptions::default())?;
/// assert!((found.largest - 3.0).abs() < 1e-12 && (found.smallest + 1.0).abs() < 1e-12);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// What `apply` gives; [`Error::Empty`] where `size` is 0 and [`Error::Eigenvalues`] where a product is not finite.
pub fn extremes<E: From<Error>>(
    size: usize,
    mut apply: impl FnMut(&[f64], &mut [f64]) -> Result<(), E>,
    options: &LanczosOptions,
) -> Result<Extremes, E> {
    if size == 0 {
        let what = "the size of the operator";
        return Err(Error::Empty { what }.into());
    }
    let most = options.iterations.clamp(1, size);
    let mut random = Normal::new(options.seed);
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
            return Err(Error::Eigenvalues.into());
        }
        let steps = basis.len();
        let scale = diagonal
            .iter()
            .chain(&beside)
            .fold(beta, |max: f64, v: &f64| max.max(v.abs()));
        // An invariant subspace is exhausted: its eigenvalues are exact, others may lie outside it.
        let exhausted = beta <= f64::EPSILON * size as f64 * scale;
        if steps == most || steps.is_multiple_of(CHECK) {
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
fn ritz(diagonal: &[f64], beside: &[f64], beta: f64, tolerance: f64) -> Result<Extremes, Error> {
    let pairs = tridiagonal(diagonal.to_vec(), beside)?;
    let order = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
    let (Some(smallest), Some(largest)) = (pairs.iter().min_by(order), pairs.iter().max_by(order))
    else {
        return Err(Error::Eigenvalues);
    };
    let residual = |pair: &(f64, f64)| (beta * pair.1).abs();
    let magnitude = largest.0.abs().max(smallest.0.abs());
    let allowed = tolerance * magnitude.max(f64::MIN_POSITIVE);
    Ok(Extremes {
        largest: largest.0,
        smallest: smallest.0,
        largest_residual: residual(largest),
        smallest_residual: residual(smallest),
        iterations: diagonal.len(),
        converged: residual(largest) <= allowed && residual(smallest) <= allowed,
    })
}

/// The eigenvalues of a symmetric tridiagonal matrix, each with the last component of its unit eigenvector, in no
/// order, by the implicit QL iteration.
///
/// Reference: G. H. Golub, J. H. Welsch, "Calculation of Gauss quadrature rules", Mathematics of Computation 23
/// (1969), 221–230, which carries one row of the eigenvectors through the rotations, as is done here.
fn tridiagonal(mut diagonal: Vec<f64>, beside: &[f64]) -> Result<Vec<(f64, f64)>, Error> {
    /// Rotations of the whole matrix for one eigenvalue; two or three are usual.
    const SWEEPS: usize = 60;
    let n = diagonal.len();
    let mut off = beside[..n - 1].to_vec();
    off.push(0.0);
    let mut last = vec![0.0; n];
    last[n - 1] = 1.0;
    for l in 0..n {
        let mut sweeps = 0;
        loop {
            let negligible = |m: usize| {
                off[m].abs() <= f64::EPSILON * (diagonal[m].abs() + diagonal[m + 1].abs())
            };
            let m = (l..n - 1).find(|&m| negligible(m)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if sweeps == SWEEPS {
                return Err(Error::Eigenvalues);
            }
            sweeps += 1;
            // Wilkinson's shift.
            let mut g = (diagonal[l + 1] - diagonal[l]) / (2.0 * off[l]);
            let r = g.hypot(1.0);
            g = diagonal[m] - diagonal[l] + off[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut deflated = false;
            for i in (l..m).rev() {
                let (f, b) = (s * off[i], c * off[i]);
                let r = f.hypot(g);
                off[i + 1] = r;
                if r == 0.0 {
                    // The rotation is undefined: the matrix splits here, and the search starts again.
                    diagonal[i + 1] -= p;
                    off[m] = 0.0;
                    deflated = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = diagonal[i + 1] - p;
                let r = (diagonal[i] - g) * s + 2.0 * c * b;
                p = s * r;
                diagonal[i + 1] = g + p;
                g = c * r - b;
                let f = last[i + 1];
                last[i + 1] = s * last[i] + c * f;
                last[i] = c * last[i] - s * f;
            }
            if !deflated {
                diagonal[l] -= p;
                off[l] = g;
                off[m] = 0.0;
            }
        }
    }
    if diagonal.iter().any(|v| !v.is_finite()) {
        return Err(Error::Eigenvalues);
    }
    Ok(diagonal.into_iter().zip(last).collect())
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

fn random_unit(size: usize, basis: &[Vec<f64>], random: &mut Normal) -> Vec<f64> {
    let mut vector: Vec<f64> = (0..size).map(|_| random.sample()).collect();
    for _ in 0..2 {
        orthogonalize(&mut vector, basis);
    }
    let norm = dot(&vector, &vector).sqrt();
    for v in &mut vector {
        *v /= norm;
    }
    vector
}

/// Normal numbers for a first vector, the same on every platform: SplitMix64 (G. L. Steele et al., OOPSLA 2014) and
/// the transform of Box and Muller. A dependency for a direction that need only not be special would be too much.
struct Normal {
    state: u64,
}

impl Normal {
    fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn sample(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(self.uniform())).sqrt();
        radius * libm::cos(2.0 * core::f64::consts::PI * self.uniform())
    }
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
            Ok::<(), Error>(())
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

    #[test]
    fn the_tridiagonal_eigenvalues_are_those_of_the_second_difference() {
        // 2 on the diagonal, −1 beside it: λ_k = 2 − 2 cos(kπ/(n+1)), vectors √(2/(n+1)) sin(ikπ/(n+1)).
        let n = 200;
        let mut pairs = tridiagonal(vec![2.0; n], &vec![-1.0; n - 1]).unwrap();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        let angle = core::f64::consts::PI / (n as f64 + 1.0);
        for (k, (value, last)) in (1..).zip(&pairs) {
            let exact = 2.0 - 2.0 * (k as f64 * angle).cos();
            let component = (2.0 / (n as f64 + 1.0)).sqrt() * (n as f64 * k as f64 * angle).sin();
            assert!((value - exact).abs() < 1e-13, "{k}: {value} {exact}");
            assert!(
                (last.abs() - component.abs()).abs() < 1e-12,
                "{k}: {last} {component}"
            );
        }
    }

    #[test]
    fn residuals_are_those_of_the_ritz_vectors_also_before_convergence() {
        let eigenvalues: Vec<f64> = (0..300).map(|i| i as f64 / 300.0).collect();
        let (n, matrix) = (eigenvalues.len(), with_spectrum(&eigenvalues));
        let apply = |v: &[f64], out: &mut [f64]| {
            for (row, out) in matrix.chunks(n).zip(out) {
                *out = dot(row, v);
            }
            Ok::<(), Error>(())
        };
        let options = LanczosOptions {
            iterations: 25,
            ..LanczosOptions::default()
        };
        let found = extremes(n, apply, &options).unwrap();
        assert!(!found.converged && found.iterations == 25, "{found:?}");
        // A symmetric matrix has an eigenvalue within the residual of every Ritz value.
        let nearest = |value: f64| {
            let distances = eigenvalues.iter().map(|e| (e - value).abs());
            distances.fold(f64::INFINITY, f64::min)
        };
        assert!(nearest(found.largest) <= found.largest_residual + 1e-14);
        assert!(nearest(found.smallest) <= found.smallest_residual + 1e-14);
        assert!(found.largest_residual > 1e-6, "{found:?}");
    }

    #[test]
    fn a_product_that_is_not_finite_and_an_empty_operator_are_errors() {
        let apply = |_: &[f64], out: &mut [f64]| {
            out.fill(f64::NAN);
            Ok::<(), Error>(())
        };
        let options = LanczosOptions::default();
        assert_eq!(extremes(3, apply, &options), Err(Error::Eigenvalues));
        let empty = extremes(0, apply, &options).unwrap_err();
        assert_eq!(
            empty.to_string(),
            "the size of the operator is 0, expected at least 1"
        );
    }
}
