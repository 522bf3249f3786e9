//! Any model of burn-train with stochastic HSR.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ModuleDisplay};
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::error::PenaltyError;
use crate::mode::Mode;
use crate::stochastic::Curvature;
use crate::stochastic::StochasticHsrGradient;
use crate::stochastic::StochasticHsrGradientRecord;

/// A model whose training steps give the gradient of L + strength·λ (see [the module](super)).
///
/// The output of a training step, which metrics are measured on, is that of the pass at θ. Validation is the model's own.
/// The optimizer's parameter groups, and the [group](crate::StochasticHsrConfig::group) of HSR, go by the names that
/// parameters have in the model, without the wrapper; the model's record has the model under the name `model`.
#[derive(Module, Debug)]
pub struct StochasticHsrModel<M: Module> {
    /// The model.
    pub model: M,
    /// burn-train clones a model for every step and device; all clones go on together.
    #[module(skip)]
    hsr: Arc<Mutex<StochasticHsrGradient>>,
    #[module(skip)]
    skipped: Arc<AtomicUsize>,
    #[module(skip)]
    refused: Arc<Mutex<Option<PenaltyError>>>,
}

impl<M: Module> StochasticHsrModel<M> {
    /// Wraps a model.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::DecoupledStep`] in the mode [`Decoupled`](Mode::Decoupled): a training step gives gradients, and
    /// what is decoupled is none.
    pub fn new(model: M, hsr: StochasticHsrGradient) -> Result<Self, PenaltyError> {
        if hsr.config().mode == Mode::Decoupled {
            return Err(PenaltyError::DecoupledStep);
        }
        Ok(Self {
            model,
            hsr: Arc::new(Mutex::new(hsr)),
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
    pub fn refused(&self) -> Option<PenaltyError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }

    /// What the moving averages say of the curvature; reads the device.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn curvature(&self) -> Result<Option<Curvature>, PenaltyError> {
        let hsr = self.hsr.lock().unwrap_or_else(PoisonError::into_inner);
        hsr.curvature()
    }

    /// What a resumed run needs, for [`StochasticHsrGradient::load_record`].
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn to_method_record(&self) -> Result<StochasticHsrGradientRecord, PenaltyError> {
        let hsr = self.hsr.lock().unwrap_or_else(PoisonError::into_inner);
        hsr.to_record(&self.model)
    }

    /// The model without the wrapper.
    pub fn into_model(self) -> M {
        self.model
    }
}

impl<M> TrainStep for StochasticHsrModel<M>
where
    M: TrainStep + Module + ModuleDisplay,
    <M as TrainStep>::Input: Clone,
{
    type Input = <M as TrainStep>::Input;
    type Output = <M as TrainStep>::Output;

    fn step(&self, batch: Self::Input) -> TrainOutput<Self::Output> {
        let mut first = None;
        let passes = {
            let mut hsr = self.hsr.lock().unwrap_or_else(PoisonError::into_inner);
            hsr.loss_gradients(&self.model, |model| {
                let output = TrainStep::step(model, batch.clone());
                first.get_or_insert(output.item);
                ((), output.grads)
            })
        };
        let grads = match passes {
            Ok(passes) => {
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
        let item = first.expect("the closure is called at θ before anything is refused");
        TrainOutput { grads, item }
    }

    fn optimize(
        mut self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        self.model = self.model.optimize(optim, lr_module, grads);
        self
    }

    fn optimize_multi(
        mut self,
        optim: &mut ModuleOptimizer,
        lr_module: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        self.model = self.model.optimize_multi(optim, lr_module, grads);
        self
    }
}

impl<M: InferenceStep + Module + ModuleDisplay> InferenceStep for StochasticHsrModel<M> {
    type Input = M::Input;
    type Output = M::Output;

    fn step(&self, batch: Self::Input) -> Self::Output {
        InferenceStep::step(&self.model, batch)
    }
}
