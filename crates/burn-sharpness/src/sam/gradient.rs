//! The gradient of a step.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::optim::GradientsParams;

use super::state::State;
use super::step::Step;
use super::{SamConfig, SamRecord};
use crate::error::SharpnessError;

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
    /// Locked, so that a `TrainStep` needs no `&mut`.
    state: Mutex<State>,
}

impl Clone for SamGradient {
    /// The same at the same step, which goes on by itself.
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            state: Mutex::new(self.state(|state| state.clone())),
        }
    }
}

/// One of the passes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The first, at θ; for NSO at θ + u.
    First,
    /// Another one, at θ + e; for NSO at θ − u and at the points of further pairs.
    Second,
}

/// What the passes of a step gave.
#[derive(Debug)]
#[must_use]
pub struct SamPasses<L> {
    /// The closure's loss at θ; for NSO at θ + u, u being the first noise.
    pub loss: L,
    /// The closure's loss at θ + e, for NSO at θ − u; `None` where there was one pass. Its distance from `loss` is the
    /// sharpness that SAM lowers.
    pub ascended_loss: Option<L>,
    /// The gradient for the optimizer's step from θ. Empty where the step should be skipped.
    pub gradients: GradientsParams,
    /// For decoupled WSAM the weighted gradient of the sharpness, of which the learning rate is to be subtracted after the
    /// optimizer's step: `SgdConfig::new().init().step(lr, model, decrement)`.
    pub decrement: Option<GradientsParams>,
    /// The pass whose gradient is NaN or infinite, where one is and it was checked.
    pub not_finite: Option<Pass>,
}

impl SamGradient {
    pub(super) fn new(config: SamConfig) -> Self {
        Self {
            config,
            state: Mutex::default(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &SamConfig {
        &self.config
    }

    /// The steps taken.
    pub fn steps(&self) -> u64 {
        self.state(|state| state.steps)
    }

    /// Says the learning rate of the step to come. It matters where ρ follows it
    /// ([`follow_rate`](SamConfig::follow_rate)).
    pub fn at_rate(&self, rate: f64) {
        self.state(|state| state.rate = Some(rate));
    }

    /// What a resumed run needs to go on where this one is; reads the device where the method remembers something.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Read`] where the device cannot be read.
    pub fn to_record<M: Module>(&self, module: &M) -> Result<SamRecord, SharpnessError> {
        self.state(|state| state.clone()).record(module)
    }

    /// The same where the record was taken.
    pub fn load_record(self, record: SamRecord) -> Self {
        Self {
            config: self.config,
            state: Mutex::new(State::of(record)),
        }
    }

    /// The gradient of the method's objective at a module; counts a step. `closure` takes the module and gives a loss,
    /// whatever its type, and the gradients; it is called at θ and at the points that the method wants, or at θ alone where
    /// ρ is 0. The module does not change, but for the running statistics, which the first call updates.
    ///
    /// A gradient that is not finite in the first pass does not keep the second from running: the two are checked
    /// together, so that the device is waited for once. The first step with more than one pass, and one before which a
    /// training flag has changed, repeats the first pass to see whether the closure gives the same gradient.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NotRepeatable`] where the closure gives another gradient at every call, as on the next batch: the
    /// second would not be that of the ascended loss. [`SharpnessError::NoParameters`] where nothing in the group is
    /// trained, [`SharpnessError::PlainDevice`] where the module is not on an autodiff device. [`SharpnessError::Read`]
    /// where a check cannot be read.
    pub fn of<M, L, F>(&self, module: &M, closure: F) -> Result<SamPasses<L>, SharpnessError>
    where
        M: Module,
        F: FnMut(M) -> (L, GradientsParams),
    {
        let mut step = Step::next(module, &self.config, &self.state, closure);
        let descent = if step.rho == 0.0 {
            step.alone().into()
        } else {
            self.config.rule.descend(&mut step)?
        };
        let seen = step.seen()?;
        let (mut gradients, mut decrement) = (descent.gradients, descent.decrement);
        if seen.not_finite.is_some() {
            (gradients, decrement) = (GradientsParams::new(), None);
        } else if let Some(memory) = descent.memory {
            self.state(|state| state.memory = memory.into());
        }
        Ok(SamPasses {
            loss: seen.loss.expect("every step has a first pass"),
            ascended_loss: seen.ascended_loss,
            gradients,
            decrement,
            not_finite: seen.not_finite,
        })
    }

    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
