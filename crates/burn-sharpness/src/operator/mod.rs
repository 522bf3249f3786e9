//! Symmetric operators on a parameter space: what an eigenvalue iteration needs of a Hessian.
//!
//! | operator | what | a product costs, over all data |
//! |---|---|---|
//! | [`FiniteDifferenceHessian`] | the Hessian of any loss of any module | 2 forward and 2 backward passes |
//! | [`GaussNewton`] | what is left of it where the outputs are linear in the parameters | 3 forward passes and 1 backward |
//! | [`EmpiricalFisher`] | outer products of the samples' gradients | 3 forward passes and 1 backward |
//! | [`MonteCarloFisher`] | the same of targets that the model draws | 3 forward passes and 1 backward |
//! | [`HessianOperator`] | the Hessian of a three-layer network in closed form | about 2 of each, in f64 |
//! | [`Subset`] | the block of any of them that belongs to some parameters, by name | one of the operator's |
//! | [`Inverse`] | the damped inverse of a positive semidefinite one, by conjugate gradients | one of the operator's a step |
//! | [`DenseOperator`] | a matrix | D² multiplications |
//! | [`from_fn`] | a closure | its own |
//!
//! The first product of an operator of a module makes one pass more, to see whether it repeats. Means over the samples are the
//! default, over one batch or a data loader; `of_sum` of the Hessian and `with_sum` of the others add them up.
//!
//! Vectors are in f64 on the host. A product therefore writes 2D numbers to the module's device and reads D back for each
//! backward pass of the table and each batch, which are added up in f64: a difference of gradients divides by ε and would
//! show what rounding a sum in f32 loses. In exchange every iteration of [`spectrum`](crate::spectrum) is one code in f64, whose
//! vectors stay orthogonal to 10⁻¹⁶, and no vector takes the memory of the device.
//!
//! The exact Hessian of a three-layer Burn model, for everything in [`spectrum`](crate::spectrum):
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_hsr::{HsrConfig, ThreeLayerNetConfig};
//! use burn_sharpness::spectrum::{LanczosConfig, lanczos};
//! use hsr_core::Workspace;
//!
//! let device = Device::flex();
//! device.seed(0);
//! // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
//! let x = Tensor::<2>::from_floats([
//!     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
//!     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
//!     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
//! ], &device);
//! let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
//! let model = ThreeLayerNetConfig::new(4, 3, 3).init(&device);
//!
//! let closed_form = HsrConfig::new().init()?.closed_form::<f64, _>(&model, x, y)?;
//! let (network, batch) = (closed_form.network()?, closed_form.batch());
//! let mut workspace = Workspace::new();
//! let mut hessian = workspace.linearize(&network, &batch)?;
//! let ends = lanczos(&mut hessian, 2, None, &LanczosConfig::new())?;
//! assert!(ends.converged && ends.largest[0].value >= ends.largest[1].value);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dense;
mod finite_difference;
mod fisher;
mod from_fn;
mod gauss_newton;
mod inverse;
mod jacobian;
mod subset;

use hsr_core::HessianOperator;

use crate::error::SharpnessError;

pub use dense::DenseOperator;
pub use finite_difference::FiniteDifferenceHessian;
pub use fisher::{EmpiricalFisher, MonteCarloFisher};
pub use from_fn::{FromFn, from_fn};
pub use gauss_newton::GaussNewton;
pub use hsr_core::OutputLoss;
pub use inverse::Inverse;
pub use subset::Subset;

/// A symmetric matrix that is known by its products alone.
pub trait SymmetricOperator {
    /// The number of rows.
    fn size(&self) -> usize;

    /// `product = A v`, both of [`size`](Self::size) values.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where a vector does not fit, and what computing the product can refuse.
    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError>;

    /// The error of a product relative to ‖A‖‖v‖ that is to be expected at worst: what no eigenvalue iteration gets
    /// below. By default that of a product in f64, the machine epsilon times the size.
    fn accuracy(&self) -> f64 {
        f64::EPSILON * self.size() as f64
    }
}

impl<O: SymmetricOperator + ?Sized> SymmetricOperator for &mut O {
    fn size(&self) -> usize {
        (**self).size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        (**self).apply(v, product)
    }

    fn accuracy(&self) -> f64 {
        (**self).accuracy()
    }
}

/// The Hessian of a three-layer network in closed form ([theory](hsr_core::theory) §6), from
/// [`Workspace::linearize`](hsr_core::Workspace::linearize).
///
/// Its coordinates are those of hsr-core's [`Layout`](hsr_core::Layout), W1, b1, W2, b2 with \[outputs, inputs\]
/// matrices. A [`ParameterSpace`](crate::ParameterSpace) has Burn's, \[inputs, outputs\]: eigenvalues are the same,
/// vectors are not to be mixed.
impl SymmetricOperator for HessianOperator<'_, f64> {
    fn size(&self) -> usize {
        self.parameters()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        Ok(HessianOperator::apply(self, v, product)?)
    }
}

/// Refuses vectors that do not fit.
fn check_lengths(size: usize, v: &[f64], product: &[f64]) -> Result<(), SharpnessError> {
    for (what, got) in [("the vector", v.len()), ("the product", product.len())] {
        if got != size {
            return Err(SharpnessError::Length {
                what,
                got,
                expected: size,
            });
        }
    }
    Ok(())
}
