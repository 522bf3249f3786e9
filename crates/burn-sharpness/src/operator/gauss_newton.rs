//! Gauss-Newton products of any module.

use core::fmt::Display;

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softmax};
use hsr_core::OutputLoss;

use super::SymmetricOperator;
use super::jacobian::Jacobian;
use crate::error::SharpnessError;
use crate::parameters::ParameterSpace;

/// The Gauss-Newton matrix of a loss of any module's outputs,
///
/// ```text
/// G = (1/N) Σ_n J_nᵀ ∇²ℓ(o_n) J_n,
/// ```
///
/// the part of the Hessian that is left where the outputs are linear in the parameters. It is positive semidefinite, and
/// for the losses of [`OutputLoss`] it does not depend on the targets.
///
/// A product costs three forward passes and one backward: J v is a central difference of outputs, ∇²ℓ is exact, and so is
/// Jᵀ. Two orders of differentiation are not needed. Coordinates are those of the module's [`ParameterSpace`]. What
/// [`FiniteDifferenceHessian`](super::FiniteDifferenceHessian) says of steps, random numbers, running statistics and of the
/// module, holds here too.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use burn_sharpness::SymmetricOperator;
/// use burn_sharpness::operator::{GaussNewton, OutputLoss};
///
/// let device = Device::flex().autodiff();
/// let layer = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 0.0]], &device);
/// let loss = OutputLoss::MeanSquaredError;
/// let mut g = GaussNewton::new(&layer, loss, |layer: &Linear| layer.forward(x.clone()))?;
/// // (2/N) xᵀx, here the Hessian itself.
/// let mut product = [0.0; 2];
/// g.apply(&[1.0, 0.0], &mut product)?;
/// assert!((product[0] - 10.0).abs() < 1e-2 && (product[1] - 2.0).abs() < 1e-2);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: N. N. Schraudolph, "Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent", Neural
/// Computation 14 (2002), 1723–1738.
pub struct GaussNewton<'a, M> {
    jacobian: Jacobian<'a, M>,
    loss: OutputLoss,
}

impl<M> core::fmt::Debug for GaussNewton<'_, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GaussNewton")
            .field("loss", &self.loss)
            .finish_non_exhaustive()
    }
}

impl<'a, M: Module> GaussNewton<'a, M> {
    /// Of the mean loss over one batch, of which `outputs` gives the module's outputs, logits for the cross-entropies,
    /// \[samples, outputs\].
    ///
    /// # Shapes
    ///
    /// - outputs: `[N, K]`
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NoParameters`] where nothing is trained, [`SharpnessError::PlainDevice`] where the module is not
    /// on an autodiff device, [`SharpnessError::NotFinite`] where a parameter is NaN or infinite. Products give
    /// [`SharpnessError::Untracked`] where the outputs depend on no parameter that is trained, and
    /// [`SharpnessError::NotRepeatable`] where they are others at every call.
    pub fn new(
        module: &M,
        loss: OutputLoss,
        outputs: impl FnMut(&M) -> Tensor<2> + 'a,
    ) -> Result<Self, SharpnessError> {
        Ok(Self {
            jacobian: Jacobian::new(module, outputs)?,
            loss,
        })
    }

    /// Of the mean loss over all samples of batches. `batches` gives all of them, anew at every call and in the same order,
    /// as results: `|| loader.iter()`, or `|| batches.iter().map(Ok::<_, SharpnessError>)`.
    ///
    /// # Shapes
    ///
    /// - outputs: `[N, K]`, N the samples of the batch
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). Products also give [`SharpnessError::Batch`] for a batch that cannot be had and
    /// [`SharpnessError::Option`] where there is no sample.
    pub fn of_batches<B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        module: &M,
        loss: OutputLoss,
        batches: impl FnMut() -> I + 'a,
        outputs: impl FnMut(&M, &B) -> Tensor<2> + 'a,
    ) -> Result<Self, SharpnessError> {
        Ok(Self {
            jacobian: Jacobian::of_batches(module, batches, outputs)?,
            loss,
        })
    }

    /// Of the sum over the samples in place of their mean: N times as large.
    pub fn with_sum(self) -> Self {
        Self {
            jacobian: self.jacobian.with_sum(),
            ..self
        }
    }

    /// The coordinates.
    pub fn space(&self) -> &ParameterSpace {
        self.jacobian.space()
    }
}

impl<M: Module> SymmetricOperator for GaussNewton<'_, M> {
    fn size(&self) -> usize {
        self.jacobian.space().size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        let loss = self.loss;
        self.jacobian.product(v, product, &mut |_, outputs, along| {
            Ok(curvature(loss, outputs, along))
        })
    }

    fn accuracy(&self) -> f64 {
        self.jacobian.accuracy()
    }
}

/// ∇²ℓ(o)·w, a row for each sample.
fn curvature(loss: OutputLoss, outputs: Tensor<2>, along: Tensor<2>) -> Tensor<2> {
    let share = 1.0 / outputs.dims()[1] as f64;
    match loss {
        OutputLoss::SoftmaxCrossEntropy => {
            let p = softmax(outputs, 1);
            let mean = (p.clone() * along.clone()).sum_dim(1);
            p * (along - mean)
        }
        OutputLoss::SigmoidCrossEntropy => {
            let p = sigmoid(outputs);
            p.clone() * (p.neg() + 1.0) * along * share
        }
        OutputLoss::MeanSquaredError => along * (2.0 * share),
    }
}
