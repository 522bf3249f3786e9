//! Statistics of a few paired runs: ranks instead of normal distributions, and nothing hidden by a mean.
//!
//! [`SignedRank`] tests whether paired differences are centred on zero, [`holm`] corrects the p-values of several such
//! tests, [`Friedman`] tests several methods over several tasks, and [`Quartiles`] describe a sample. All of it agrees with
//! SciPy, statsmodels and NumPy; `tests/statistics.rs` holds their values.

mod friedman;
mod holm;
mod quartiles;
mod signed_rank;

pub use friedman::Friedman;
pub use holm::{holm, stars};
pub use quartiles::{Quartiles, quantile};
pub use signed_rank::{NullDistribution, SignedRank};
