//! An optimizer's step with stochastic HSR.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::ModuleOptimizer;

use super::config::StochasticHsrConfig;
use super::gradient::Part;
use super::gradient::StochasticHsrGradient;
use super::gradient::StochasticHsrPasses;
use super::record::StochasticHsrRecord;
use crate::error::PenaltyError;
use crate::mode::Entered;
use crate::passes::Evaluated;

/// Stochastic HSR around any optimizer, closure style as Burn's `LBFGS`: see [the module](super) for an example, for what
/// a step costs and for what stands beside it.
///
/// # Resuming
///
/// A record makes a resumed run take the very steps of an uninterrupted one: the number of steps, the moving averages, the running
/// mean of a projected strength, and the optimizer's state in Burn's own format.
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
/// let bytes = hsr.to_record(&model)?.into_bytes()?;
/// let hsr = config
///     .init(AdamConfig::new().init())?
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

    /// What a resumed run needs to go on where this one is, the optimizer's state in it; reads the device.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn to_record<M: Module>(&self, module: &M) -> Result<StochasticHsrRecord, PenaltyError> {
        Ok(StochasticHsrRecord {
            gradient: self.gradient.to_record(module)?,
            optimizer: self.optimizer.to_record(),
        })
    }

    /// The same where the record was taken.
    pub fn load_record(self, record: StochasticHsrRecord) -> Self {
        Self {
            gradient: self.gradient.load_record(record.gradient),
            optimizer: self.optimizer.load_record(record.optimizer),
        }
    }

    /// One step. `lr` is a number, or the rates of parameter groups that a `ModuleLrScheduler` gives; `closure` is that of
    /// [`StochasticHsrGradient::loss_gradients`].
    ///
    /// Where a gradient is not finite, nothing is stepped and the outcome says so.
    ///
    /// # Shapes
    ///
    /// - the closure's loss, where it gives that alone: `[1]`
    ///
    /// # Errors
    ///
    /// As [`StochasticHsrGradient::loss_gradients`].
    pub fn step<M: Module, E: Evaluated<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        closure: impl FnMut(&M) -> E,
    ) -> Result<StochasticHsrStep<M, E::Loss>, PenaltyError> {
        let StochasticHsrPasses {
            loss,
            gradients,
            decrement,
            not_finite,
        } = self.gradient.loss_gradients(&module, closure)?;
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
