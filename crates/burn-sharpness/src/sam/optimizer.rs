//! An optimizer's step with SAM or another method of its family.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{ModuleOptimizer, SgdConfig};
use burn_penalty::passes::Evaluated;

use super::{Pass, SamConfig, SamGradient, SamRecord};
use crate::error::SharpnessError;

/// SAM, or another method of its family, around any optimizer.
///
/// The step takes a closure, as Burn's `LBFGS` does, because it needs more than one pass: see [the module](super) for what they
/// cost and for what stands beside them.
///
/// # Resuming
///
/// A record makes a resumed run take the very steps of an uninterrupted one: the number of steps, what the method remembers,
/// and the optimizer's state in Burn's own format.
///
/// ```
/// # use burn::nn::LinearConfig;
/// # use burn::optim::AdamConfig;
/// # use burn::tensor::Device;
/// use burn_sharpness::SamConfig;
/// use burn_sharpness::sam::{FriendlySamConfig, SamRecord};
///
/// # let model = LinearConfig::new(4, 3).init(&Device::flex().autodiff());
/// let config = SamConfig::of(FriendlySamConfig::new());
/// let sam = config.init(AdamConfig::new().init())?;
/// let bytes = sam.to_record(&model)?.into_bytes()?;
/// let sam = config
///     .init(AdamConfig::new().init())?
///     .load_record(SamRecord::from_bytes(&bytes)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Burn loads the optimizer's state onto its default device, in the default type of that, and moves it to the parameters'
/// device at the first step, but does not change its type: a model in f64 resumes where that default is f64
/// (`Device::configure`).
///
/// # Example
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::AdamConfig;
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_sharpness::{Outcome, SamConfig};
///
/// let device = Device::flex().autodiff();
/// // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
/// let x = Tensor::<2>::from_floats([
///     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
///     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
///     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
/// ], &device);
/// let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
/// let mut model = LinearConfig::new(4, 3).init(&device);
/// let loss_fn = CrossEntropyLossConfig::new().init(&device);
/// let mut sam = SamConfig::new().with_rho(0.1).init(AdamConfig::new().init())?;
/// for _ in 0..10 {
///     let step = sam.step(0.1, model, |model| loss_fn.forward(model.forward(x.clone()), y.clone()))?;
///     assert_eq!(step.outcome, Outcome::Stepped);
///     model = step.module;
/// }
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone)]
pub struct Sam {
    gradient: SamGradient,
    optimizer: ModuleOptimizer,
}

impl core::fmt::Debug for Sam {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sam")
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
    /// A gradient is NaN or infinite: parameters and optimizer are as they were. Running statistics have seen the
    /// batch.
    Skipped {
        /// The pass that gave it.
        pass: Pass,
    },
}

/// What a step gave.
#[derive(Debug)]
#[must_use]
pub struct SamStep<M, L> {
    /// The module after the step.
    pub module: M,
    /// The closure's loss at θ, before the step; for NSO at θ + u.
    pub loss: L,
    /// The closure's loss at θ + e, for NSO at θ − u; `None` where there was one pass.
    pub ascended_loss: Option<L>,
    /// Whether there was a step.
    pub outcome: Outcome,
}

impl Sam {
    pub(super) fn new(gradient: SamGradient, optimizer: ModuleOptimizer) -> Self {
        Self {
            gradient,
            optimizer,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &SamConfig {
        self.gradient.config()
    }

    /// The method without the optimizer.
    pub fn gradient(&self) -> &SamGradient {
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

    /// The steps taken.
    pub fn steps(&self) -> u64 {
        self.gradient.steps()
    }

    /// What a resumed run needs to go on where this one is, the optimizer's state in it; reads the device.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Read`] where the device cannot be read.
    pub fn to_record<M: Module>(&self, module: &M) -> Result<SamRecord, SharpnessError> {
        Ok(SamRecord {
            gradient: self.gradient.to_record(module)?,
            optimizer: self.optimizer.to_record(),
        })
    }

    /// The same where the record was taken.
    pub fn load_record(self, record: SamRecord) -> Self {
        Self {
            gradient: self.gradient.load_record(record.gradient),
            optimizer: self.optimizer.load_record(record.optimizer),
        }
    }

    /// One step from θ with the method's gradient. `lr` is a number, or the rates of parameter groups that a `ModuleLrScheduler`
    /// gives; `closure` is that of [`SamGradient::loss_gradients`].
    ///
    /// Where a gradient is not finite, nothing is stepped and the outcome says so.
    ///
    /// # Shapes
    ///
    /// - the closure's loss, where it gives that alone: `[1]`
    ///
    /// # Errors
    ///
    /// As [`SamGradient::loss_gradients`].
    pub fn step<M: Module, E: Evaluated<M>>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        closure: impl FnMut(&M) -> E,
    ) -> Result<SamStep<M, E::Loss>, SharpnessError> {
        let lr = lr.into();
        self.gradient.at_rate(lr.base());
        let passes = self.gradient.loss_gradients(&module, closure)?;
        let (module, outcome) = match passes.not_finite {
            None => {
                let module = self.optimizer.step(lr.clone(), module, passes.gradients);
                let module = match passes.decrement {
                    // Burn's plain SGD is θ − lr·g with the rate of each parameter's group.
                    Some(decrement) => SgdConfig::new().init().step(lr, module, decrement),
                    None => module,
                };
                (module, Outcome::Stepped)
            }
            Some(pass) => (module, Outcome::Skipped { pass }),
        };
        Ok(SamStep {
            module,
            loss: passes.loss,
            ascended_loss: passes.ascended_loss,
            outcome,
        })
    }
}
