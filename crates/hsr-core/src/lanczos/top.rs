//! The largest eigenvalue with its eigenvector, from a warm start where there is one.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, check_finite, check_length};
use crate::lanczos::factorization::LanczosFactorization;
use crate::lanczos::options::{CHECK, LanczosOptions};
use crate::lanczos::random::unit;
use crate::lanczos::tridiagonal::{last_components, tridiagonal, unit_matrix};
use crate::lanczos::vectors::normalized;

/// An eigenvalue, its eigenvector, and how good they are.
#[derive(Clone, Debug, PartialEq)]
pub struct EigenPair {
    /// The eigenvalue λ, signed.
    pub value: f64,
    /// The eigenvector v, of length 1.
    pub vector: Vec<f64>,
    /// ‖Av − λv‖. An eigenvalue of A lies this near to λ.
    pub residual: f64,
    /// Products with the operator, those for other pairs found along with this one included.
    pub iterations: usize,
    /// Whether the residual is below the tolerance.
    pub converged: bool,
}

/// The share of a random vector in a warm start.
const FRESH: f64 = 0.01;

/// The largest eigenvalue, signed, of a symmetric operator on vectors of `size` values, with its eigenvector;
/// `apply(v, out)` writes A v.
///
/// `start` is where the eigenvector is believed to be: after a step of training, where it was before. It saves
/// products and cannot hide an eigenvalue, for 1 % of a random vector of the seed is added to it: eigenvalues cross
/// while a model trains, and an eigenvector of the second largest is orthogonal to the one that is looked for. A start
/// of zeros is none.
///
/// Where the largest eigenvalue has several eigenvectors, it is one of them.
///
/// ```
/// use hsr_core::{Error, LanczosOptions, top_eigenpair};
///
/// // diag(3, 1, −4), from the wrong eigenvector.
/// let apply = |v: &[f64], out: &mut [f64]| {
///     out.copy_from_slice(&[3.0 * v[0], v[1], -4.0 * v[2]]);
///     Ok::<(), Error>(())
/// };
/// let top = top_eigenpair(3, apply, Some(&[0.0, 1.0, 0.0]), &LanczosOptions::default())?;
/// assert!(top.converged && (top.value - 3.0).abs() < 1e-12);
/// assert!((top.vector[0].abs() - 1.0).abs() < 1e-12);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
///
/// What `apply` gives; [`Error::Empty`] where `size` is 0, [`Error::Length`] and [`Error::NotFinite`] for a start that
/// does not fit, [`Error::Eigenvalues`] where a product is not finite.
pub fn top_eigenpair<E: From<Error>>(
    size: usize,
    mut apply: impl FnMut(&[f64], &mut [f64]) -> Result<(), E>,
    start: Option<&[f64]>,
    options: &LanczosOptions,
) -> Result<EigenPair, E> {
    let start = match start {
        Some(start) => warm(size, start, options.seed)?,
        None => None,
    };
    let mut lanczos = LanczosFactorization::new(size, start.as_deref(), options.seed)?;
    let most = options.iterations.clamp(1, size);
    loop {
        lanczos.extend(&mut apply)?;
        let steps = lanczos.steps();
        // Every look is cheap while the columns are few, and a warm start needs few.
        if steps == most || steps <= CHECK || steps.is_multiple_of(CHECK) {
            let (residual, allowed) = top_residual(&lanczos, options.tolerance)?;
            let converged = residual <= allowed;
            if steps == most || (converged && !lanczos.is_exhausted()) {
                let (value, vector) = top_vector(&lanczos)?;
                return Ok(EigenPair {
                    value,
                    vector,
                    residual,
                    iterations: steps,
                    converged,
                });
            }
        }
    }
}

/// The start with a share of a random vector; none where it is zero.
fn warm(size: usize, start: &[f64], seed: u64) -> Result<Option<Vec<f64>>, Error> {
    check_length("the start vector", "a value a row", start.len(), size)?;
    check_finite("the start vector", start)?;
    let Some(mut start) = normalized(start) else {
        return Ok(None);
    };
    // Not the stream that refills an exhausted factorisation: its vectors would lie in the columns already.
    let fresh = unit(&mut ChaCha8Rng::seed_from_u64(!seed), size, [&[], &[]]);
    for (v, f) in start.iter_mut().zip(fresh) {
        *v += FRESH * f;
    }
    Ok(Some(start))
}

/// The index of the largest value.
fn largest(values: &[f64]) -> Result<usize, Error> {
    let order = |&a: &usize, &b: &usize| values[a].total_cmp(&values[b]);
    (0..values.len()).max_by(order).ok_or(Error::Eigenvalues)
}

/// The residual of the largest Ritz value, and the one that counts as converged.
fn top_residual(lanczos: &LanczosFactorization, tolerance: f64) -> Result<(f64, f64), Error> {
    let mut last = last_components(lanczos.steps());
    let values = tridiagonal(lanczos.diagonal(), lanczos.off_diagonal(), &mut last)?;
    let magnitude = values.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    let residual = (lanczos.beta() * last[0][largest(&values)?]).abs();
    Ok((residual, tolerance * magnitude.max(f64::MIN_POSITIVE)))
}

/// The largest Ritz value and its vector.
fn top_vector(lanczos: &LanczosFactorization) -> Result<(f64, Vec<f64>), Error> {
    let mut rows = unit_matrix(lanczos.steps());
    let values = tridiagonal(lanczos.diagonal(), lanczos.off_diagonal(), &mut rows)?;
    let top = largest(&values)?;
    let y: Vec<f64> = rows.iter().map(|row| row[top]).collect();
    Ok((values[top], lanczos.ritz_vector(&y)?))
}
