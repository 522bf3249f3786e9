//! Spectra of symmetric operators.
//!
//! | what | how | products | vectors of D in memory |
//! |---|---|--:|--:|
//! | every eigenvalue and vector | [`DenseSpectrum`] | D | 2D |
//! | every eigenvalue, of a matrix | [`eigenvalues`] | 0 | 2D |
//! | the k largest and the k smallest, signed | [`lanczos`] | tens | as many, and 2k |
//! | the same in bounded memory | [`lanczos_within`] | more | as many as are allowed, and 2k |
//! | the trace | [`hutchinson`] | n | 2 |
//! | | [`hutch_plus_plus`] | n | n/3 |
//! | | [`xtrace`] | n | n/2 |
//! | the diagonal | [`hutchinson_diagonal`] | n | 4 |
//! | | [`xdiag`] | n | n |
//! | trace, Frobenius norm, λ_sup | [`moments`](moments()) | n | 2 |
//! | the density of all eigenvalues | [`spectral_density`] | probes · steps | steps |
//! | the same from all of them | [`SpectralDensity::of_eigenvalues`] | 0 | 0 |
//! | the largest in magnitude | [`power_iteration`] | many | 3 |
//!
//! n is asked for. What a product costs in passes is in the table of [`operator`](crate::operator).
//!
//! Everything is in f64 and decided by its seed.

mod dense;
mod density;
mod diagonal;
mod lanczos;
mod leave_one_out;
mod moments;
mod power;
mod random;
mod student;
mod trace;
mod xtrace;

pub use burn_hsr::LanczosConfig;
pub use dense::{DENSE_LIMIT, DenseSpectrum, assemble, eigenvalues, negative};
pub use density::{DensityConfig, DensityCurve, SpectralDensity, spectral_density};
pub use diagonal::{DiagonalEstimate, hutchinson_diagonal, xdiag};
pub use hsr_core::EigenPair;
pub use lanczos::{SpectrumEnds, lanczos, lanczos_within};
pub use moments::{Estimate, MomentsEstimate, moments};
pub use power::power_iteration;
pub use trace::{TraceConfig, TraceEstimate, hutch_plus_plus, hutchinson};
pub use xtrace::xtrace;

use burn_penalty::probe::generator;
use random::rademacher;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Makes a vector orthogonal to an orthonormal basis, twice for rounding's sake.
fn orthogonalize(vector: &mut [f64], basis: &[Vec<f64>]) {
    for _ in 0..2 {
        for base in basis {
            let share = dot(vector, base);
            for (v, b) in vector.iter_mut().zip(base) {
                *v -= share * b;
            }
        }
    }
}
