//! A feed-forward model as burn-train wants it.

use core::fmt::Debug;
use core::marker::PhantomData;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use super::{HsrOutput, HsrStep};
use crate::error::HsrError;
use crate::hsr::Hsr;
use crate::lanczos::LanczosConfig;
use crate::layers::Layers;
use crate::targets::Targets;

/// What a learner has to know of a batch: implement it for that of your own batcher.
///
/// ```
/// use burn::tensor::{Int, Tensor};
/// use burn_hsr::Targets;
/// use burn_hsr::train::LearnerBatch;
///
/// #[derive(Clone, Debug)]
/// struct MnistBatch { images: Tensor<3>, targets: Tensor<1, Int> }
///
/// impl LearnerBatch for MnistBatch {
///     fn inputs_and_targets(self) -> (Tensor<2>, Targets) {
///         (self.images.flatten(1, 2), self.targets.into())
///     }
/// }
/// ```
pub trait LearnerBatch: Clone + Debug + Send + 'static {
    /// The inputs, `[N, d]`, and the targets, `[N]` class indices or `[N, K]` values.
    fn inputs_and_targets(self) -> (Tensor<2>, Targets);
}

/// Inputs and the tensor that the loss takes.
impl<T: Into<Targets> + Clone + Debug + Send + 'static> LearnerBatch for (Tensor<2>, T) {
    fn inputs_and_targets(self) -> (Tensor<2>, Targets) {
        (self.0, self.1.into())
    }
}

/// A batch for who has none: what a data loader's batcher makes.
#[derive(Clone, Debug)]
pub struct HsrBatch {
    /// The inputs, \[N, d\].
    pub inputs: Tensor<2>,
    /// The targets.
    pub targets: Targets,
}

impl HsrBatch {
    /// A batch.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    pub fn new(inputs: Tensor<2>, targets: impl Into<Targets>) -> Self {
        Self {
            inputs,
            targets: targets.into(),
        }
    }
}

impl LearnerBatch for HsrBatch {
    fn inputs_and_targets(self) -> (Tensor<2>, Targets) {
        (self.inputs, self.targets)
    }
}

/// A feed-forward model that trains with HSR under burn-train: the model for a `Learner` (see [the module](super)).
///
/// The loss is that of the regulariser's configuration, with its smoothing and weights, so that the two cannot differ.
/// The training step adds strength·λ_sup to it, as [`Hsr::penalty`] does; validation measures the loss alone. `B` is the
/// batch of the data loaders.
#[derive(Module, Debug)]
pub struct HsrModel<M: Module, B = HsrBatch> {
    /// The model.
    pub model: M,
    hsr: HsrStep,
    #[module(skip)]
    batch: PhantomData<fn(B)>,
}

impl<M: Layers + Module, B: LearnerBatch> HsrModel<M, B> {
    /// Wraps a model. Bounds are measured at every batch and λ_max at every tenth, where their metrics are registered.
    ///
    /// # Errors
    ///
    /// As [`HsrStep::new`].
    pub fn new(model: M, hsr: Hsr) -> Result<Self, HsrError> {
        Ok(Self {
            model,
            hsr: HsrStep::new(hsr)?,
            batch: PhantomData,
        })
    }

    /// As [`HsrStep::with_bounds_every`].
    pub fn with_bounds_every(mut self, batches: usize) -> Self {
        self.hsr = self.hsr.with_bounds_every(batches);
        self
    }

    /// As [`HsrStep::with_lambda_max_every`].
    pub fn with_lambda_max_every(mut self, batches: usize) -> Self {
        self.hsr = self.hsr.with_lambda_max_every(batches);
        self
    }

    /// As [`HsrStep::with_lanczos`].
    pub fn with_lanczos(mut self, config: LanczosConfig) -> Self {
        self.hsr = self.hsr.with_lanczos(config);
        self
    }

    /// A copy of the regulariser where it is, as [`HsrStep::hsr`].
    pub fn hsr(&self) -> Hsr {
        self.hsr.hsr()
    }

    /// The model without the wrapper.
    pub fn into_model(self) -> M {
        self.model
    }
}

impl<M: Layers + Module + ModuleDisplay, B: LearnerBatch> TrainStep for HsrModel<M, B> {
    type Input = B;
    type Output = HsrOutput;

    fn step(&self, batch: B) -> TrainOutput<HsrOutput> {
        let (inputs, targets) = batch.inputs_and_targets();
        self.hsr.train_step(self, &self.model, inputs, targets)
    }
}

impl<M: Layers + Module + ModuleDisplay, B: LearnerBatch> InferenceStep for HsrModel<M, B> {
    type Input = B;
    type Output = HsrOutput;

    fn step(&self, batch: B) -> HsrOutput {
        let (inputs, targets) = batch.inputs_and_targets();
        self.hsr.valid_step(&self.model, inputs, targets)
    }
}
