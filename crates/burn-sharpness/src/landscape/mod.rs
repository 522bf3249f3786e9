//! Loss landscapes: the loss on a plane through a model, and on the line between two.
//!
//! * [`Plane`] through θ along two directions: random ones, normalised filter by filter ([`random_direction`]), or any
//!   others, such as eigenvectors of the Hessian. Gives a [`Landscape`].
//! * [`Line`] from one model to another. Gives a [`Profile`] with its [`barrier`](Profile::barrier).
//!
//! Both are evaluated for a module, batch by batch and each batch with its weight, or for any function of θ, such as the
//! closed form of a three-layer network. The module is never changed; batch normalisation and dropout are as in
//! validation, and what is no trainable parameter (running statistics, frozen layers) stays as it is in the model.
//!
//! A picture of a plane shows two of D dimensions: a flat picture proves nothing about the others.
//!
//! ```
//! use core::ops::ControlFlow;
//!
//! use burn::nn::LinearConfig;
//! use burn::tensor::{Device, Tensor};
//! use burn_sharpness::{ParameterSpace, SharpnessError};
//! use burn_sharpness::landscape::{Plane, filters, random_direction};
//!
//! let model = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
//! let space = ParameterSpace::of(&model)?;
//! let (theta, filters) = (space.read(&model)?, filters(&model));
//! let directions = [0, 1].map(|seed| random_direction(&theta, &filters, seed));
//! let plane = Plane::new(directions)?.with_points(5)?.with_range(0.5)?;
//!
//! let batches = [Tensor::<2>::ones([8, 2], &Device::flex()), Tensor::ones([3, 2], &Device::flex())];
//! let loss = |model: &burn::nn::Linear, x: &Tensor<2>| {
//!     (model.forward(x.clone()).square().mean(), x.dims()[0] as f64)
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

mod direction;
mod evaluate;
mod line;
mod plane;

pub use direction::{Filter, filters, random_direction, three_layer_filters};
pub use evaluate::Progress;
pub(crate) use evaluate::value_of;
pub use line::{Barrier, Line, Profile};
pub use plane::{Landscape, Plane};
