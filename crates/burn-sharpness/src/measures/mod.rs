//! Measures of sharpness that survive the critique of flatness, beside the plain ones.
//!
//! The curvature of a loss is no property of the function that a network computes: with a positively homogeneous
//! activation, (αW1, αb1, W2/α) is the same function with another Hessian, and a network that only grows more confident
//! has a smaller one. What each measure does under the two transformations:
//!
//! | measure | layers rescaled, same function | logits scaled |
//! |---|---|---|
//! | λ_max, tr H, ‖H‖, ‖∇L‖, Gauss-Newton share | changes | changes |
//! | ‖θ‖ ([`weight_norm`]) | changes | changes |
//! | adaptive sharpness ([`adaptive_sharpness`], [`adaptive_gradient_norm`], [`WorstCase`]) | invariant | changes |
//! | relative flatness ([`relative_flatness`]) | invariant | changes |
//! | logit-normalised λ_max and tr H ([`LogitNormalized`]) | changes | invariant |
//! | adaptive sharpness, logit-normalised | invariant | invariant |
//! | margin ([`Margins`]) | invariant | changes |
//! | margin over the logit scale | invariant | invariant |
//!
//! Invariance is no promise: adaptive sharpness, too, often fails to follow the test error (Andriushchenko et al.,
//! reference 2). Compare at equal loss, and look at several measures.
//!
//! [`SharpnessMeasures`] has all of them for a three-layer network. The single functions take any
//! [`SymmetricOperator`](crate::SymmetricOperator), gradient or closure.
//!
//! # References
//!
//! 1. J. Kwon, J. Kim, H. Park, I. K. Choi, "ASAM: Adaptive Sharpness-Aware Minimization for Scale-Invariant Learning of
//!    Deep Neural Networks", ICML 2021, arXiv 2102.11600.
//! 2. M. Andriushchenko, F. Croce, M. Müller, M. Hein, N. Flammarion, "A Modern Look at the Relationship between
//!    Sharpness and Generalization", ICML 2023, arXiv 2302.07011.
//! 3. H. Petzka, M. Kamp, L. Adilova, C. Sminchisescu, M. Boley, "Relative Flatness and Generalization", NeurIPS 2021,
//!    arXiv 2001.00939.
//! 4. L. Dinh, R. Pascanu, S. Bengio, Y. Bengio, "Sharp Minima Can Generalize For Deep Nets", ICML 2017, arXiv
//!    1703.04933: the rescaling.

mod adaptive;
mod logits;
mod margins;
mod relative_flatness;
mod three_layer;
mod worst_case;

pub use adaptive::{ScaledOperator, adaptive_gradient_norm, adaptive_sharpness, weight_norm};
pub use logits::{LogitNormalized, logit_scale};
pub use margins::Margins;
pub use relative_flatness::{LayerWeights, output_relative_flatness, relative_flatness};
pub use three_layer::{MeasureConfig, SharpnessMeasures};
pub use worst_case::{Ascent, Radius, WorstCase, WorstCaseConfig};
