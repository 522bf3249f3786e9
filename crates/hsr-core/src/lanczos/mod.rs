//! The Lanczos iteration with full reorthogonalisation, for symmetric operators that are known by their products.
//!
//! Reference: B. N. Parlett, "The Symmetric Eigenvalue Problem", SIAM 1998, chapter 13. Every new vector is made
//! orthogonal to all before it, twice, so that no converged eigenvalue comes back as a ghost.

pub(crate) mod extremes;
pub(crate) mod factorization;
pub(crate) mod options;
mod random;
pub(crate) mod top;
mod tridiagonal;
mod vectors;

pub use extremes::{Extremes, extremes};
pub use factorization::LanczosFactorization;
pub use options::LanczosOptions;
pub use top::{EigenPair, top_eigenpair};

#[cfg(test)]
mod tests;
