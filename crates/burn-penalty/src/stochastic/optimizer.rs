//! An optimizer's step with stochastic HSR.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};

use super::config::StochasticHsrConfig;
use super::gradient::Part;
use super::gradient::StochasticHsrGradient;
use super::gradient::StochasticHsrPasses;
use super::record::StochasticHsrRecord;
use crate::error::PenaltyError;
use crate::mode::Entered;

/// Stochastic HSR around any optimizer, closure style as Burn's `LBFGS`: see [the module](super) for an example, for what
/// a step costs and for what stands beside it.
///
/// # Resuming
///
/// Two records make a resumed run take the very steps of an uninterrupted one: the optimizer's, in Burn's own format, and
/// that of HSR, with the number of steps and the moving averages.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::AdamConfig;
/// # use burn::tensor::Device;
/// use burn_penalty::{StochasticHsrConfig, StochasticHsrRecord};
///
/// # let model = LinearConfig::new(4, 3).init(&Device::flex().autodiff());
/// let config = StochasticHsrConfig::new();
/// let hsr = config.init(AdamConfig::new().init())?;
/// let bytes = hsr.gradient().to_record(&model)?.into_bytes();
/// let optimizer = hsr.optimizer().to_record();
/// let hsr = config
///     .init(AdamConfig::new().init().load_record(optimizer))?
///     .load_record(StochasticHsrRecord::from_bytes(&bytes)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StochasticHsr {
    gradient: StochasticHsrGradient,
    optimizer: ModuleOptimizer,
}

impl core::fmt::Debug for StochasticHsr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StochasticHsr")
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The optimizer has stepped.
    Stepped,
    /// A gradient is NaN or infinite: parameters, optimizer and averages are as they were. Running statistics have seen
    /// the batch.
    Skipped {
        /// What gave it.
        part: Part,
    },
}

/// What a step gave.
#[derive(Debug)]
#[must_use]
pub struct StochasticHsrStep<M, L> {
    /// The module after the step.
    pub module: M,
    /// The closure's loss at θ, before the step.
    pub loss: L,
    /// Whether there was a step.
    pub outcome: Outcome,
}

impl StochasticHsr {
    /// The configuration.
    pub fn config(&self) -> &StochasticHsrConfig {
        self.gradient.config()
    }

    /// HSR without the optimizer.
    pub fn gradient(&self) -> &StochasticHsrGradient {
        &self.gradient
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    /// The optimizer alone, with its state.
    pub fn into_optimizer(self) -> ModuleOptimizer {
        self.optimizer
    }

    /// HSR where the record was taken.
    pub fn load_record(self, record: StochasticHsrRecord) -> Self {
        Self {
            gradient: self.gradient.load_record(record),
            ..self
        }
    }

    /// The optimizer's state from a record.
    pub fn load_optimizer(self, record: OptimizerRecord) -> Self {
        Self {
            optimizer: self.optimizer.load_record(record),
            ..self
        }
    }

    /// One step. `lr` is a number, or the rates of parameter groups that a `ModuleLrScheduler` gives; `closure` is that of
    /// [`StochasticHsrGradient::of`].
    ///
    /// Where a gradient is not finite, nothing is stepped and the outcome says so.
    ///
    /// # Errors
    ///
    /// As [`StochasticHsrGradient::of`].
    pub fn step<M, L, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        closure: F,
    ) -> Result<StochasticHsrStep<M, L>, PenaltyError>
    where
        M: Module,
        F: FnMut(M) -> (L, GradientsParams),
    {
        let StochasticHsrPasses {
            loss,
            gradients,
            decrement,
            not_finite,
        } = self.gradient.of(&module, closure)?;
        let (module, outcome) = match not_finite {
            None => {
                let entered = Entered {
                    gradients,
                    decrement,
                };
                (
                    entered.step(&mut self.optimizer, lr, module),
                    Outcome::Stepped,
                )
            }
            Some(part) => (module, Outcome::Skipped { part }),
        };
        Ok(StochasticHsrStep {
            module,
            loss,
            outcome,
        })
    }
}

impl StochasticHsrConfig {
    /// Stochastic HSR around an optimizer: Burn's, or one of yours.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Option`] where a strength is negative or not finite, probes or interval 0, the decay not
    /// in 0…1 (below 1), a step not a positive number.
    pub fn init(
        &self,
        optimizer: impl Into<ModuleOptimizer>,
    ) -> Result<StochasticHsr, PenaltyError> {
        Ok(StochasticHsr {
            gradient: self.init_gradient()?,
            optimizer: optimizer.into(),
        })
    }
}
