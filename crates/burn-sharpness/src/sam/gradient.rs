//! The gradient of a step.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn_penalty::passes::Evaluated;

use super::state::State;
use super::step::{Descent, Step};
use super::{SamConfig, SamGradientRecord};
use crate::error::SharpnessError;

/// SAM without an optimizer: the gradient at the ascended point, for a loop of one's own or a `TrainStep`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::SgdConfig;
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_sharpness::SamConfig;
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
/// let mut optimizer = SgdConfig::new().init();
/// let mut sam = SamConfig::new().init_gradient()?;
/// for _ in 0..10 {
///     let passes = sam.loss_gradients(&model, |model| loss_fn.forward(model.forward(x.clone()), y.clone()))?;
///     model = optimizer.step(0.1, model, passes.gradients);
/// }
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SamGradient {
    config: SamConfig,
    state: State,
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
            state: State::default(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &SamConfig {
        &self.config
    }

    /// The steps taken.
    pub fn steps(&self) -> u64 {
        self.state.steps
    }

    /// Says the learning rate of the step to come. It matters where ρ follows it
    /// ([`follow_rate`](SamConfig::follow_rate)).
    pub fn at_rate(&mut self, rate: f64) {
        self.state.rate = Some(rate);
    }

    /// What a resumed run needs to go on where this one is; reads the device where the method remembers something.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Read`] where the device cannot be read.
    pub fn to_record<M: Module>(&self, module: &M) -> Result<SamGradientRecord, SharpnessError> {
        self.state.record(module)
    }

    /// The same where the record was taken.
    pub fn load_record(self, record: SamGradientRecord) -> Self {
        Self {
            config: self.config,
            state: State::of(record),
        }
    }

    /// The gradient of the method's objective at a module; counts a step. `closure` gives the loss of a module, or whatever the
    /// loop wants back and the gradients ([`Evaluated`]). It is called at θ and at the points that the method wants, or at θ
    /// alone where ρ is 0. The module does not change, but for the running statistics, which the first call updates.
    ///
    /// A gradient that is not finite in the first pass does not keep the second from running: the two are checked
    /// together, so that the device is waited for once. The first step with more than one pass, and one before which a
    /// training flag has changed, repeats the first pass to see whether the closure gives the same gradient.
    ///
    /// # Shapes
    ///
    /// - the closure's loss, where it gives that alone: `[1]`
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NotRepeatable`] where the closure gives another gradient at every call, as on the next batch: the
    /// second would not be that of the ascended loss. [`SharpnessError::NoParameters`] where nothing in the group is
    /// trained, [`SharpnessError::PlainDevice`] where the module is not on an autodiff device. [`SharpnessError::Read`]
    /// where a check cannot be read.
    pub fn loss_gradients<M: Module, E: Evaluated<M>>(
        &mut self,
        module: &M,
        closure: impl FnMut(&M) -> E,
    ) -> Result<SamPasses<E::Loss>, SharpnessError> {
        let (passes, memory) = self.passes(module, closure)?;
        self.remember(memory);
        Ok(passes)
    }

    /// The same, and what is to be remembered.
    pub(crate) fn passes<M: Module, E: Evaluated<M>>(
        &mut self,
        module: &M,
        mut closure: impl FnMut(&M) -> E,
    ) -> Result<(SamPasses<E::Loss>, Option<GradientsParams>), SharpnessError> {
        let (mut loss, mut ascended_loss) = (None, None);
        let mut gradients = |module: &M, pass: Option<Pass>| {
            let (own, gradients) = closure(module).evaluated(module)?;
            match pass {
                Some(Pass::First) => loss = Some(own),
                Some(Pass::Second) => {
                    ascended_loss.get_or_insert(own);
                }
                None => {}
            }
            Ok(gradients)
        };
        let mut step = Step::next(module, &self.config, &mut self.state, &mut gradients);
        let descent = if step.rho == 0.0 {
            step.alone()?.into()
        } else {
            self.config.rule.descend(&mut step)?
        };
        let not_finite = step.not_finite()?;
        let Descent {
            gradients,
            decrement,
            memory,
        } = match not_finite {
            Some(_) => GradientsParams::new().into(),
            None => descent,
        };
        let passes = SamPasses {
            loss: loss.expect("every step has a first pass"),
            ascended_loss,
            gradients,
            decrement,
            not_finite,
        };
        Ok((passes, memory))
    }

    fn remember(&mut self, memory: Option<GradientsParams>) {
        if let Some(memory) = memory {
            self.state.memory = memory.into();
        }
    }

    /// The gradient of the step that comes, to be taken elsewhere while others take the next ones; counts it here.
    #[cfg(feature = "train")]
    pub(crate) fn fork(&mut self) -> Self {
        let fork = self.clone();
        self.state.steps += 1;
        fork
    }

    /// What a step that was taken elsewhere has seen and wants to be remembered.
    #[cfg(feature = "train")]
    pub(crate) fn join(&mut self, fork: Self, memory: Option<GradientsParams>) {
        self.state.repeats = fork.state.repeats;
        self.remember(memory);
    }
}
