//! Spectra of symmetric operators.
//!
//! | what | how | products |
//! |---|---|---|
//! | every eigenvalue and vector | [`DenseSpectrum`] | D |
//! | the largest and the smallest, signed | [`lanczos`] | tens |
//! | the trace | [`hutchinson`], [`hutch_plus_plus`] | as many as are asked for |
//! | the diagonal | [`hutchinson_diagonal`] | as many as are asked for |
//! | trace, Frobenius norm, λ_sup | [`moments`](moments()) | as many as are asked for |
//! | the density of all eigenvalues | [`spectral_density`] | probes · steps |
//! | the largest in magnitude | [`power_iteration`] | many |
//!
//! Everything is in f64 and decided by its seed.

mod dense;
mod density;
mod diagonal;
mod lanczos;
mod moments;
mod power;
mod random;
mod student;
mod trace;

pub use dense::{DENSE_LIMIT, DenseSpectrum, assemble};
pub use density::{DensityCurve, DensityOptions, SpectralDensity, spectral_density};
pub use diagonal::{DiagonalEstimate, hutchinson_diagonal};
pub use hsr_core::{EigenPair, LanczosOptions};
pub use lanczos::{SpectrumEnds, lanczos};
pub use moments::{Estimate, MomentsEstimate, moments};
pub use power::power_iteration;
pub use trace::{TraceEstimate, TraceOptions, hutch_plus_plus, hutchinson};

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
