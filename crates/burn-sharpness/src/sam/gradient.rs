//! The two passes.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn_penalty::passes::{check_repeated, training_flags};
use burn_penalty::{Finite, Randomness, displaced, isolated};

use super::SamConfig;
use super::ascent::ascent;
use crate::SharpnessError;

/// SAM without an optimizer: the gradient at the ascended point, for a loop of one's own or a `TrainStep`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::{SgdConfig, GradientsParams};
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_sharpness::SamConfig;
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
/// let mut optimizer = SgdConfig::new().init();
/// let sam = SamConfig::new().init_gradient()?;
/// for _ in 0..10 {
///     let passes = sam.of(&model, |model| {
///         let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
///         let gradients = GradientsParams::from_grads(loss.backward(), &model);
///         (loss, gradients)
///     })?;
///     model = optimizer.step(0.1, model, passes.gradients);
/// }
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Debug)]
pub struct SamGradient {
    config: SamConfig,
    /// Steps taken. Atomic, so that a loop needs no `&mut`.
    steps: AtomicU64,
    /// The training flags under which the closure was seen to repeat itself.
    repeats: Mutex<Option<Vec<bool>>>,
}

impl Clone for SamGradient {
    /// The same at the same step, with a count of its own.
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            steps: AtomicU64::new(self.steps()),
            repeats: Mutex::new(self.repeats()),
        }
    }
}

/// One of the two passes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The first, at θ.
    First,
    /// The second, at θ + e.
    Second,
}

/// What the two passes gave.
#[derive(Debug)]
#[must_use]
pub struct SamPasses<L> {
    /// The closure's loss at θ.
    pub loss: L,
    /// The closure's loss at θ + e; none where ρ is 0. Its distance from `loss` is the sharpness that SAM lowers.
    pub ascended_loss: Option<L>,
    /// ∇L(θ + e), for the optimizer's step from θ. Empty where the step should be skipped.
    pub gradients: GradientsParams,
    /// The pass whose gradient is NaN or infinite, where one is and it was checked.
    pub not_finite: Option<Pass>,
}

impl SamGradient {
    pub(super) fn new(config: SamConfig) -> Self {
        Self {
            config,
            steps: AtomicU64::new(0),
            repeats: Mutex::default(),
        }
    }

    /// The steps taken, which a resumed run needs to draw the same dropout masks.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// The same after that many steps.
    pub fn resume_at(mut self, steps: u64) -> Self {
        *self.steps.get_mut() = steps;
        self
    }

    /// The configuration.
    pub fn config(&self) -> &SamConfig {
        &self.config
    }

    /// The gradient of SAM's objective at a module. `closure` takes the module and gives a loss, whatever its type,
    /// and the gradients; it is called at θ and at θ + e, or at θ alone where ρ is 0. The module does not change, but
    /// for the running statistics, which the first call updates.
    ///
    /// A gradient that is not finite in the first pass does not keep the second from running: the two are checked
    /// together, so that the device is waited for once. The first step, and one before which a training flag has changed,
    /// repeats the pass at θ to see whether the closure gives the same gradient.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NotRepeatable`] where the closure gives another gradient at every call, as on the next batch: the
    /// second would not be that of the ascended loss. [`SharpnessError::Read`] where a check cannot be read.
    pub fn of<M, L, F>(&self, module: &M, mut closure: F) -> Result<SamPasses<L>, SharpnessError>
    where
        M: Module,
        F: FnMut(M) -> (L, GradientsParams),
    {
        let mut finite = Finite::default();
        let mut check = |pass, gradients: &GradientsParams| {
            if self.config.check_finite {
                finite.check(pass, module, gradients);
            }
        };
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        let randomness = (self.config.rho != 0.0)
            .then(|| Randomness::new(module, self.config.seed, step))
            .inspect(Randomness::restart);
        let (loss, mut gradients) = closure(module.clone());
        check(Pass::First, &gradients);
        let mut ascended_loss = None;
        if let Some(randomness) = randomness {
            self.check_closure(module, &gradients, || {
                randomness.restart();
                closure(isolated(module)).1
            })?;
            let there = displaced(module, ascent(&self.config, module, gradients));
            randomness.restart();
            let (loss, of_there) = closure(there);
            check(Pass::Second, &of_there);
            (ascended_loss, gradients) = (Some(loss), of_there);
        }
        let not_finite = finite.read()?;
        if not_finite.is_some() {
            gradients = GradientsParams::new();
        }
        Ok(SamPasses {
            loss,
            ascended_loss,
            gradients,
            not_finite,
        })
    }

    /// Whether the closure is a function, seen once, and again where a training flag has changed.
    fn check_closure<M: Module>(
        &self,
        module: &M,
        here: &GradientsParams,
        again: impl FnOnce() -> GradientsParams,
    ) -> Result<(), SharpnessError> {
        let flags = training_flags(module);
        if self.repeats().as_ref() != Some(&flags) && check_repeated(module, here, &again())? {
            *self.repeats.lock().unwrap_or_else(PoisonError::into_inner) = Some(flags);
        }
        Ok(())
    }

    fn repeats(&self) -> Option<Vec<bool>> {
        let repeats = self.repeats.lock();
        repeats.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
