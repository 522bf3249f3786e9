//! Loss landscapes: the loss on a plane through a model, and on the line between two.
//!
//! * [`Plane`] through θ along two directions: random ones, normalised filter by filter ([`random_direction`]), or any
//!   others, such as eigenvectors of the Hessian. Gives a [`Landscape`].
//!   [`Plane::through`] lays it through three models.
//! * [`Line`] from one model to another. Gives a [`Profile`] with its [`barrier`](Profile::barrier).
//! * [`Curve`] between two models, trained so that the loss stays low on it.
//!
//! A point costs a forward pass over the data, a step of a curve's training a forward and a backward pass over a batch.
//! Planes and lines are evaluated for a module, batch by batch and each batch with its weight, or for any function of θ, such as the
//! closed form of a three-layer network. The module is never changed; batch normalisation and dropout are as in
//! validation, and what is no trainable parameter (running statistics, frozen layers) stays as it is in the model.
//!
//! A picture of a plane shows two of D dimensions: a flat picture proves nothing about the others.
//!
//! ```
//! use core::ops::ControlFlow;
//!
//! use burn::nn::LinearConfig;
//! use burn::nn::loss::CrossEntropyLossConfig;
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_sharpness::{ParameterSpace, SharpnessError};
//! use burn_sharpness::landscape::{Plane, filters, random_direction};
//!
//! let device = Device::flex();
//! let model = LinearConfig::new(4, 3).init(&device.clone().autodiff());
//! let space = ParameterSpace::of(&model)?;
//! let (theta, filters) = (space.read(&model)?, filters(&model));
//! let directions = [0, 1].map(|seed| random_direction(&theta, &filters, seed));
//! let plane = Plane::new(directions)?.with_points(5)?.with_range(0.5)?;
//!
//! // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
//! let x = Tensor::<2>::from_floats([
//!     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
//!     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
//!     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
//! ], &device);
//! let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
//! // Two batches, the second one shorter.
//! let batches: Vec<_> = x.split(4, 0).into_iter().zip(y.split(4, 0)).collect();
//! let loss_fn = CrossEntropyLossConfig::new().init(&device);
//! let loss = |model: &burn::nn::Linear, (x, y): &(Tensor<2>, Tensor<1, Int>)| {
//!     (loss_fn.forward(model.forward(x.clone()), y.clone()), y.dims()[0] as f64)
//! };
//! let all = || batches.iter().map(Ok::<_, SharpnessError>);
//! let landscape = plane.of_module(&model, all, loss, |_| ControlFlow::Continue(()))?;
//! assert_eq!(landscape.loss.len(), 25);
//! # Ok::<(), SharpnessError>(())
//! ```
//!
//! # References
//!
//! 1. H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018,
//!    arXiv 1712.09913: planes, filter normalisation.
//! 2. I. J. Goodfellow, O. Vinyals, A. M. Saxe, "Qualitatively characterizing neural network optimization problems", ICLR
//!    2015, arXiv 1412.6544: the line.
//! 3. R. Entezari, H. Sedghi, O. Saukh, B. Neyshabur, "The Role of Permutation Invariance in Linear Mode Connectivity of
//!    Neural Networks", ICLR 2022, arXiv 2110.06296: the barrier.

mod curve;
mod direction;
mod evaluate;
mod line;
mod plane;

pub use curve::{Curve, CurveConfig};
pub use direction::{Filter, filters, random_direction, three_layer_filters};
pub use evaluate::Progress;
pub(crate) use evaluate::value_of;
pub use line::{Barrier, Line, Profile};
pub use plane::{Landscape, Plane, Through};
