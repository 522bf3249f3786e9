//! A three-layer model as burn-train wants it.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use hsr_core::LanczosOptions;

use super::{HsrOutput, HsrStep};
use crate::{Hsr, HsrError, Targets, ThreeLayer};

/// A batch: what a data loader's batcher makes.
#[derive(Clone, Debug)]
pub struct HsrBatch {
    /// The inputs, \[N, d\].
    pub inputs: Tensor<2>,
    /// The targets.
    pub targets: Targets,
}

impl HsrBatch {
    /// A batch of inputs `[N, d]` and targets, `[N]` class indices or `[N, K]` values.
    pub fn new(inputs: Tensor<2>, targets: impl Into<Targets>) -> Self {
        Self {
            inputs,
            targets: targets.into(),
        }
    }
}

/// A three-layer model that trains with HSR under burn-train: the model for a `Learner` (see [the module](super)).
///
/// The loss is that of the regulariser's configuration, with its smoothing and weights, so that the two cannot differ.
/// The training step adds strength·λ_sup to it, as [`Hsr::penalty`] does; validation measures the loss alone.
#[derive(Module, Debug)]
pub struct HsrLearner<M: Module> {
    /// The model.
    pub model: M,
    #[module(skip)]
    step: HsrStep,
}

impl<M: ThreeLayer + Module> HsrLearner<M> {
    /// Wraps a model. Bounds are measured at every batch and λ_max at every tenth, where their metrics are registered.
    ///
    /// # Errors
    ///
    /// As [`HsrStep::new`].
    pub fn new(model: M, hsr: Hsr) -> Result<Self, HsrError> {
        let step = HsrStep::new(hsr)?;
        Ok(Self { model, step })
    }

    /// As [`HsrStep::with_bounds_every`].
    pub fn with_bounds_every(mut self, batches: usize) -> Self {
        self.step = self.step.with_bounds_every(batches);
        self
    }

    /// As [`HsrStep::with_lambda_max_every`].
    pub fn with_lambda_max_every(mut self, batches: usize) -> Self {
        self.step = self.step.with_lambda_max_every(batches);
        self
    }

    /// As [`HsrStep::with_lanczos`].
    pub fn with_lanczos(mut self, options: LanczosOptions) -> Self {
        self.step = self.step.with_lanczos(options);
        self
    }

    /// The regulariser.
    pub fn hsr(&self) -> &Hsr {
        self.step.hsr()
    }

    /// The model without the wrapper.
    pub fn into_model(self) -> M {
        self.model
    }
}

impl<M: ThreeLayer + Module + ModuleDisplay> TrainStep for HsrLearner<M> {
    type Input = HsrBatch;
    type Output = HsrOutput;

    fn step(&self, batch: HsrBatch) -> TrainOutput<HsrOutput> {
        self.step
            .train(self, &self.model, batch.inputs, batch.targets)
    }
}

impl<M: ThreeLayer + Module + ModuleDisplay> InferenceStep for HsrLearner<M> {
    type Input = HsrBatch;
    type Output = HsrOutput;

    fn step(&self, batch: HsrBatch) -> HsrOutput {
        self.step.valid(&self.model, batch.inputs, batch.targets)
    }
}
