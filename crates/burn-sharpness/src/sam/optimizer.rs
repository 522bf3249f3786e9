//! An optimizer's step with SAM.

use std::path::Path;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::store::RecordError;
use burn::tensor::Bytes;

use super::{Pass, SamConfig, SamGradient};
use crate::SharpnessError;

/// SAM or ASAM around any optimizer.
///
/// The step takes a closure, as Burn's `LBFGS` does, for it needs two passes: see [the module](super) for what they
/// cost and for what stands beside them.
///
/// SAM itself remembers only the number of its steps, and that only for dropout ([`resume_at`](Self::resume_at)). What is saved is the optimizer's state, in Burn's own format. Burn
/// loads it onto its default device, in the default type of that, and moves it to the parameters' device at the first
/// step, but does not change its type: a model in f64 resumes where that default is f64 (`Device::configure`).
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::{AdamConfig, GradientsParams};
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_sharpness::{Outcome, SamConfig};
///
/// let device = Device::flex().autodiff();
/// // Six of Fisher's irises, two of a species: length and width of sepal and petal in cm.
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
///     let step = sam.step(0.1, model, |model| {
///         let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
///         let gradients = GradientsParams::from_grads(loss.backward(), &model);
///         (loss, gradients)
///     })?;
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
    /// The closure's loss at θ, before the step.
    pub loss: L,
    /// The closure's loss at θ + e; none where ρ is 0.
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

    /// SAM without the optimizer.
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

    /// The steps taken, which a resumed run needs to draw the same dropout masks.
    pub fn steps(&self) -> u64 {
        self.gradient.steps()
    }

    /// SAM after that many steps.
    pub fn resume_at(self, steps: u64) -> Self {
        let Self {
            gradient,
            optimizer,
        } = self;
        Self::new(gradient.resume_at(steps), optimizer)
    }

    /// One step from θ with ∇L(θ + e). `lr` is a number, or the rates of parameter groups that a `ModuleLrScheduler`
    /// gives; `closure` is that of [`SamGradient::of`].
    ///
    /// Where a gradient is not finite, nothing is stepped and the outcome says so.
    ///
    /// # Errors
    ///
    /// As [`SamGradient::of`].
    pub fn step<M, L, F>(
        &mut self,
        lr: impl Into<ModuleLearningRate>,
        module: M,
        closure: F,
    ) -> Result<SamStep<M, L>, SharpnessError>
    where
        M: Module,
        F: FnMut(M) -> (L, GradientsParams),
    {
        let passes = self.gradient.of(&module, closure)?;
        let (module, outcome) = match passes.not_finite {
            None => {
                let module = self.optimizer.step(lr, module, passes.gradients);
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

    /// The optimizer's state as a record.
    pub fn to_record(&self) -> OptimizerRecord {
        self.optimizer.to_record()
    }

    /// SAM with the optimizer's state from a record.
    pub fn load_record(self, record: OptimizerRecord) -> Self {
        let Self {
            gradient,
            optimizer,
        } = self;
        Self::new(gradient, optimizer.load_record(record))
    }

    /// The optimizer's state as bytes.
    ///
    /// # Errors
    ///
    /// As Burn's optimizers.
    pub fn into_bytes(&self) -> Result<Bytes, RecordError> {
        self.optimizer.into_bytes()
    }

    /// SAM with the optimizer's state from bytes.
    ///
    /// # Errors
    ///
    /// As Burn's optimizers.
    pub fn from_bytes(self, bytes: Bytes) -> Result<Self, RecordError> {
        Ok(self.load_record(OptimizerRecord::from_bytes(bytes)?))
    }

    /// Writes the optimizer's state to a file.
    ///
    /// # Errors
    ///
    /// As Burn's optimizers.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), RecordError> {
        self.optimizer.save(path)
    }

    /// SAM with the optimizer's state from a file.
    ///
    /// # Errors
    ///
    /// As Burn's optimizers.
    pub fn load(self, path: impl AsRef<Path>) -> Result<Self, RecordError> {
        Ok(self.load_record(OptimizerRecord::load(path)?))
    }
}
