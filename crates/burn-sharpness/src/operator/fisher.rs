//! Fisher matrices of any module.

use core::fmt::Display;

use burn::module::Module;
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_penalty::probe::generator;
use hsr_core::OutputLoss;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::SymmetricOperator;
use super::jacobian::Jacobian;
use crate::error::SharpnessError;
use crate::parameters::ParameterSpace;

/// The empirical Fisher matrix of any loss of any module: the mean of the outer products of the samples' gradients,
///
/// ```text
/// F = (1/N) Σ_n ∇ℓ_n ∇ℓ_nᵀ.
/// ```
///
/// It takes the targets that the data have, and is no approximation of the Hessian where the model does not fit them (F.
/// Kunstner, L. Balles, P. Hennig, "Limitations of the Empirical Fisher Approximation for Natural Gradient Descent",
/// NeurIPS 2019); [`MonteCarloFisher`] takes the model's.
///
/// A product costs three forward passes and one backward, and no gradient of a single sample: ∇ℓ_n·v is a central
/// difference of the samples' losses. Coordinates, steps, random numbers and running statistics are those of
/// [`GaussNewton`](super::GaussNewton). The loss of a sample must not depend on the others, as it does with `BatchNorm` in
/// training: the product is then the one of the derivatives through all of them.
///
/// ```
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor};
/// use burn_sharpness::operator::EmpiricalFisher;
/// use burn_sharpness::spectrum::{LanczosConfig, lanczos};
///
/// let device = Device::flex().autodiff();
/// let layer = LinearConfig::new(2, 1).init(&device);
/// let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 0.0], [-1.0, 1.0]], &device);
/// // A loss for each sample, [N].
/// let losses = |layer: &Linear| layer.forward(x.clone()).square().squeeze_dim::<1>(1);
/// let mut fisher = EmpiricalFisher::new(&layer, losses)?;
/// let ends = lanczos(&mut fisher, 1, None, &LanczosConfig::new())?;
/// assert!(ends.largest[0].value > 0.0);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
pub struct EmpiricalFisher<'a, M> {
    jacobian: Jacobian<'a, M>,
}

impl<M> core::fmt::Debug for EmpiricalFisher<'_, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EmpiricalFisher").finish_non_exhaustive()
    }
}

impl<'a, M: Module> EmpiricalFisher<'a, M> {
    /// Of one batch, of which `losses` gives the loss of each sample, \[samples\].
    ///
    /// # Shapes
    ///
    /// - losses: `[N]`
    ///
    /// # Errors
    ///
    /// As [`GaussNewton::new`](super::GaussNewton::new).
    pub fn new(
        module: &M,
        mut losses: impl FnMut(&M) -> Tensor<1> + 'a,
    ) -> Result<Self, SharpnessError> {
        Ok(Self {
            jacobian: Jacobian::new(module, move |module| losses(module).unsqueeze_dim(1))?,
        })
    }

    /// Of all samples of batches, as [`GaussNewton::of_batches`](super::GaussNewton::of_batches).
    ///
    /// # Shapes
    ///
    /// - losses: `[N]`, N the samples of the batch
    ///
    /// # Errors
    ///
    /// As there.
    pub fn of_batches<B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        module: &M,
        batches: impl FnMut() -> I + 'a,
        mut losses: impl FnMut(&M, &B) -> Tensor<1> + 'a,
    ) -> Result<Self, SharpnessError> {
        let outputs = move |module: &M, batch: &B| losses(module, batch).unsqueeze_dim(1);
        Ok(Self {
            jacobian: Jacobian::of_batches(module, batches, outputs)?,
        })
    }

    /// Of the sum over the samples in place of their mean: N times as large.
    pub fn with_sum(self) -> Self {
        Self {
            jacobian: self.jacobian.with_sum(),
        }
    }

    /// The coordinates.
    pub fn space(&self) -> &ParameterSpace {
        self.jacobian.space()
    }
}

impl<M: Module> SymmetricOperator for EmpiricalFisher<'_, M> {
    fn size(&self) -> usize {
        self.jacobian.space().size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        self.jacobian
            .product(v, product, &mut |_, _, along| Ok(along))
    }

    fn accuracy(&self) -> f64 {
        self.jacobian.accuracy()
    }
}

/// An estimate of the Fisher matrix from targets that are drawn from the model's own distribution p(y|x):
///
/// ```text
/// F = (1/NM) Σ_n Σ_m J_nᵀ g_nm g_nmᵀ J_n,   g_nm = ∇(−log p(y_nm|o_n)),   y_nm ~ p(·|o_n),
/// ```
///
/// with M draws a sample. Its mean is the Fisher matrix, which for these losses is
/// [`GaussNewton`](super::GaussNewton)'s. p is the distribution whose −log p the loss is: the softmax's; for the two losses
/// that are means over K outputs K·ℓ = −log p, independent Bernoulli variables or normal ones of variance ½, and F is
/// divided by K so that its mean is again Gauss-Newton.
///
/// The draws are made once, at the first product, so that all products are with one matrix, and kept on the device. Costs
/// and coordinates are those of [`GaussNewton`](super::GaussNewton).
///
/// Reference: J. Martens, "New Insights and Perspectives on the Natural Gradient Method", JMLR 21 (2020), section 11.
pub struct MonteCarloFisher<'a, M> {
    jacobian: Jacobian<'a, M>,
    loss: OutputLoss,
    draws: usize,
    seed: u64,
    /// g of each batch and draw, \[samples, outputs\].
    gradients: Vec<Vec<Tensor<2>>>,
}

impl<M> core::fmt::Debug for MonteCarloFisher<'_, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MonteCarloFisher")
            .field("loss", &self.loss)
            .field("draws", &self.draws)
            .finish_non_exhaustive()
    }
}

impl<'a, M: Module> MonteCarloFisher<'a, M> {
    /// Of one batch, as [`GaussNewton::new`](super::GaussNewton::new), with `draws` targets a sample.
    ///
    /// # Shapes
    ///
    /// - outputs: `[N, K]`
    ///
    /// # Errors
    ///
    /// As there, and [`SharpnessError::Option`] for no draws.
    pub fn new(
        module: &M,
        loss: OutputLoss,
        draws: usize,
        outputs: impl FnMut(&M) -> Tensor<2> + 'a,
    ) -> Result<Self, SharpnessError> {
        Self::with_jacobian(Jacobian::new(module, outputs)?, loss, draws)
    }

    /// Of all samples of batches, as [`GaussNewton::of_batches`](super::GaussNewton::of_batches).
    ///
    /// # Shapes
    ///
    /// - outputs: `[N, K]`, N the samples of the batch
    ///
    /// # Errors
    ///
    /// As there, and [`SharpnessError::Option`] for no draws.
    pub fn of_batches<B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        module: &M,
        loss: OutputLoss,
        draws: usize,
        batches: impl FnMut() -> I + 'a,
        outputs: impl FnMut(&M, &B) -> Tensor<2> + 'a,
    ) -> Result<Self, SharpnessError> {
        Self::with_jacobian(Jacobian::of_batches(module, batches, outputs)?, loss, draws)
    }

    fn with_jacobian(
        jacobian: Jacobian<'a, M>,
        loss: OutputLoss,
        draws: usize,
    ) -> Result<Self, SharpnessError> {
        if draws == 0 {
            return Err(SharpnessError::Option {
                option: "draws",
                value: 0.0,
                expected: "1 or more",
            });
        }
        Ok(Self {
            jacobian,
            loss,
            draws,
            seed: 0,
            gradients: Vec::new(),
        })
    }

    /// With another seed for the draws.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self.gradients.clear();
        self
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

impl<M: Module> SymmetricOperator for MonteCarloFisher<'_, M> {
    fn size(&self) -> usize {
        self.jacobian.space().size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        let Self {
            jacobian,
            loss,
            draws,
            seed,
            gradients,
        } = self;
        jacobian.product(v, product, &mut |number, outputs, along| {
            if number == gradients.len() {
                let mut generator = generator(*seed, number as u64);
                let drawn: Result<_, _> = (0..*draws)
                    .map(|_| draw(*loss, &outputs, &mut generator))
                    .collect();
                gradients.push(drawn?);
            }
            let outputs = outputs.dims()[1] as f64;
            let share = match loss {
                OutputLoss::SoftmaxCrossEntropy => 1.0,
                OutputLoss::SigmoidCrossEntropy | OutputLoss::MeanSquaredError => 1.0 / outputs,
            };
            let mut sum = along.zeros_like();
            for g in &gradients[number] {
                let inner = (g.clone() * along.clone()).sum_dim(1);
                sum = sum + g.clone() * inner;
            }
            Ok(sum * (share / *draws as f64))
        })
    }

    fn accuracy(&self) -> f64 {
        self.jacobian.accuracy()
    }
}

/// ∇(−log p(y|o)) for targets y that are drawn from p(·|o), a row for each sample. Drawn on the host.
fn draw(
    loss: OutputLoss,
    outputs: &Tensor<2>,
    generator: &mut impl Rng,
) -> Result<Tensor<2>, SharpnessError> {
    let at: (&Device, DType) = (&outputs.device(), outputs.dtype());
    let [samples, count] = outputs.dims();
    let means = match loss {
        OutputLoss::SoftmaxCrossEntropy => softmax(outputs.clone(), 1),
        OutputLoss::SigmoidCrossEntropy => sigmoid(outputs.clone()),
        OutputLoss::MeanSquaredError => outputs.zeros_like(),
    };
    let means = means
        .try_into_vec_as::<f64>()
        .map_err(|error| SharpnessError::Read {
            what: "the outputs",
            message: error.to_string(),
        })?;
    let mut gradients = means;
    match loss {
        OutputLoss::SoftmaxCrossEntropy => {
            for row in gradients.chunks_exact_mut(count) {
                let mut left: f64 = generator.random();
                let class = row.iter().position(|p| {
                    left -= p;
                    left < 0.0
                });
                // Rounding can leave a sum below the draw.
                row[class.unwrap_or(count - 1)] -= 1.0;
            }
        }
        OutputLoss::SigmoidCrossEntropy => {
            for p in &mut gradients {
                let y = if generator.random::<f64>() < *p {
                    1.0
                } else {
                    0.0
                };
                *p -= y;
            }
        }
        OutputLoss::MeanSquaredError => {
            for g in &mut gradients {
                let normal: f64 = generator.sample(StandardNormal);
                *g = core::f64::consts::SQRT_2 * normal;
            }
        }
    }
    let data = TensorData::new(gradients, [samples, count]);
    Ok(Tensor::from_data(data, at))
}
