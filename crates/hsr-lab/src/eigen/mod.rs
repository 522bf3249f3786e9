//! Eigenvalues of the loss Hessian: all of them where it can be formed, both ends by Lanczos where it cannot.

mod dense;
mod ends;
mod lanczos;
mod layers;
mod pairs;

pub(crate) use burn_sharpness::spectrum::negative;
pub use burn_sharpness::spectrum::{DENSE_LIMIT, eigenvalues};
pub(crate) use dense::hessian;
pub(crate) use ends::ends_of;
pub use ends::{Ends, LanczosReport, ends};
pub use hsr_core::{Extremes, extremes};
pub(crate) use lanczos::{measure_options, stopped};
pub use layers::{Eigenvalue, largest_of_layers};
pub use pairs::pairs_at_the_ends;
pub(crate) use pairs::pairs_of;
