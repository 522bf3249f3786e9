//! The Lanczos iteration with full reorthogonalisation, for symmetric operators that are known by their products.
//!
//! Reference: B. N. Parlett, "The Symmetric Eigenvalue Problem", SIAM 1998, chapter 13. Every new vector is made
//! orthogonal to all before it, twice, so that no converged eigenvalue comes back as a ghost.

mod extremes;
mod factorization;
mod random;
mod top;
mod tridiagonal;

pub use extremes::{Extremes, extremes};
pub use factorization::LanczosFactorization;
pub use top::{EigenPair, top_eigenpair};

/// When to stop and where to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanczosOptions {
    /// The most products with the operator. As many vectors are kept.
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

/// Products between two looks at the residuals.
const CHECK: usize = 10;

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

/// The vector with length 1, without overflow or underflow on the way; none where it is zero.
fn normalized(vector: &[f64]) -> Option<Vec<f64>> {
    let largest = vector.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    if largest == 0.0 {
        return None;
    }
    let mut scaled: Vec<f64> = vector.iter().map(|v| v / largest).collect();
    let norm = dot(&scaled, &scaled).sqrt();
    scaled.iter_mut().for_each(|v| *v /= norm);
    Some(scaled)
}

#[cfg(test)]
mod tests;
