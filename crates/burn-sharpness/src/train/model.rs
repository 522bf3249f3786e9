//! Any model of burn-train with SAM or another method of its family.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleDisplay};
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::error::SharpnessError;
use crate::sam::SamGradient;
use crate::sam::SamGradientRecord;

/// A model whose training steps give the gradient of SAM, or of another method of its family (see [the module](super)).
///
/// The output of a training step, which metrics are measured on, is that of the first pass: at θ, for NSO at θ + u. Where ρ
/// follows the learning rate, it is the rate of the step before, because burn-train has it after the gradient. Validation
/// is the model's own. The optimizer's parameter groups go by the names that parameters have in the model, without
/// the wrapper; the model's record has the model under the name `model`.
#[derive(Module, Debug)]
pub struct SamModel<M: Module> {
    /// The model.
    pub model: M,
    /// Locked because burn-train's steps take `&self`, and shared because it clones a model for every step and device: all
    /// clones count together.
    #[module(skip)]
    gradient: Arc<Mutex<SamGradient>>,
    #[module(skip)]
    skipped: Arc<AtomicUsize>,
    #[module(skip)]
    refused: Arc<Mutex<Option<SharpnessError>>>,
}

impl<M: Module> SamModel<M> {
    /// Wraps a model.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::DecoupledStep`] for decoupled WSAM: a training step gives gradients, and what is decoupled is none.
    pub fn new(model: M, gradient: SamGradient) -> Result<Self, SharpnessError> {
        if gradient.config().rule.is_decoupled() {
            return Err(SharpnessError::DecoupledStep);
        }
        Ok(Self {
            model,
            gradient: Arc::new(Mutex::new(gradient)),
            skipped: Arc::default(),
            refused: Arc::default(),
        })
    }

    /// How many training steps gave no gradients, because one was NaN or infinite or the step was refused: the optimizer
    /// has skipped them. The model and its clones count together.
    pub fn skipped(&self) -> usize {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Why a training step was refused, the first time that one was; burn-train has no place for it.
    pub fn refused(&self) -> Option<SharpnessError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }

    /// The training steps taken.
    pub fn steps(&self) -> u64 {
        self.gradient().steps()
    }

    /// What a resumed run needs, for [`SamGradient::load_record`].
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Read`] where the device cannot be read.
    pub fn to_method_record(&self) -> Result<SamGradientRecord, SharpnessError> {
        self.gradient().to_record(&self.model)
    }

    fn gradient(&self) -> MutexGuard<'_, SamGradient> {
        self.gradient.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model without the wrapper.
    pub fn into_model(self) -> M {
        self.model
    }
}

impl<M> TrainStep for SamModel<M>
where
    M: TrainStep + Module + ModuleDisplay,
    <M as TrainStep>::Input: Clone,
{
    type Input = <M as TrainStep>::Input;
    type Output = <M as TrainStep>::Output;

    fn step(&self, batch: Self::Input) -> TrainOutput<Self::Output> {
        let mut first = None;
        // Not locked during the passes: devices step at the same time.
        let mut gradient = self.gradient().fork();
        let passes = gradient.passes(&self.model, |model| {
            let output = TrainStep::step(model, batch.clone());
            first.get_or_insert(output.item);
            ((), output.grads)
        });
        let grads = match passes {
            Ok((passes, memory)) => {
                self.gradient().join(gradient, memory);
                if passes.not_finite.is_some() {
                    self.skipped.fetch_add(1, Ordering::Relaxed);
                }
                passes.gradients
            }
            Err(error) => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.get_or_insert(error);
                GradientsParams::new()
            }
        };
        // What is refused before its first pass has no output yet.
        let item = first.unwrap_or_else(|| TrainStep::step(&self.model, batch).item);
        TrainOutput { grads, item }
    }

    fn optimize(
        mut self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        self.gradient().at_rate(lr_module.base());
        self.model = self.model.optimize(optim, lr_module, grads);
        self
    }

    fn optimize_multi(
        mut self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        self.gradient().at_rate(lr_module.base());
        self.model = self.model.optimize_multi(optim, lr_module, grads);
        self
    }
}

impl<M: InferenceStep + Module + ModuleDisplay> InferenceStep for SamModel<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, batch: Self::Input) -> Self::Output {
        InferenceStep::step(&self.model, batch)
    }
}
