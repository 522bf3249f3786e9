//! Both signed ends of a spectrum.

use crate::error::Error;
use crate::lanczos::factorization::LanczosFactorization;
use crate::lanczos::options::{CHECK, LanczosOptions};
use crate::lanczos::tridiagonal::{last_components, tridiagonal};

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
    let mut lanczos = LanczosFactorization::new(size, None, options.seed)?;
    let most = options.iterations.clamp(1, size);
    loop {
        lanczos.extend(&mut apply)?;
        let steps = lanczos.steps();
        if steps == most || steps.is_multiple_of(CHECK) {
            let found = ends(&lanczos, options.tolerance)?;
            if steps == most || (found.converged && !lanczos.is_exhausted()) {
                return Ok(found);
            }
        }
    }
}

/// The ends of the tridiagonal matrix, with residuals |β · last component|.
fn ends(lanczos: &LanczosFactorization, tolerance: f64) -> Result<Extremes, Error> {
    let mut last = last_components(lanczos.steps());
    let values = tridiagonal(lanczos.diagonal(), lanczos.off_diagonal(), &mut last)?;
    let pairs: Vec<(f64, f64)> = values.into_iter().zip(last.concat()).collect();
    let order = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
    let (Some(smallest), Some(largest)) = (pairs.iter().min_by(order), pairs.iter().max_by(order))
    else {
        return Err(Error::Eigenvalues);
    };
    let residual = |pair: &(f64, f64)| (lanczos.beta() * pair.1).abs();
    let magnitude = largest.0.abs().max(smallest.0.abs());
    let allowed = tolerance * magnitude.max(f64::MIN_POSITIVE);
    Ok(Extremes {
        largest: largest.0,
        smallest: smallest.0,
        largest_residual: residual(largest),
        smallest_residual: residual(smallest),
        iterations: lanczos.steps(),
        converged: residual(largest) <= allowed && residual(smallest) <= allowed,
    })
}
