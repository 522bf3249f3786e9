//! Eigenvalues of the loss Hessian: all of them where it can be formed, both ends by Lanczos where it cannot.

mod dense;
mod ends;
mod lanczos;
mod layers;
mod pairs;

pub use dense::{DENSE_LIMIT, eigenvalues};
pub(crate) use dense::{hessian, negative};
pub(crate) use ends::ends_of;
pub use ends::{Ends, LanczosReport, ends};
pub use hsr_core::{Extremes, extremes};
pub(crate) use lanczos::{measure_options, numbers_fault};
pub use layers::{Eigenvalue, largest_of_layers};
pub use pairs::pairs_at_the_ends;
pub(crate) use pairs::pairs_of;
