//! The passes of a step, and the gradient that they give.

use burn::module::Module;
use burn::optim::GradientsParams;

use super::config::Objective;
use super::config::StochasticHsrConfig;
use super::estimate::Curvature;
use super::estimate::{Averages, Moments, Weights};
use super::probes::{Here, Probe, Second};
use super::record::{self, StochasticHsrGradientRecord};
use super::state::State;
use super::step::step_length;
use crate::algebra;
use crate::copies::moved;
use crate::error::PenaltyError;
use crate::finite::Finite;
use crate::group::Group;
#[cfg(doc)]
use crate::mode::Mode;
use crate::number::Number;
use crate::passes::Randomness;
use crate::passes::{Evaluated, check_repeated, training_flags};
use crate::precision::rounding_noise;
use crate::probe::generator;
use crate::values;
use crate::vector::{Element, Formula, Moved, Scaled, Vector};

/// Stochastic HSR without an optimizer: the gradients for a loop of one's own or a `TrainStep`.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::SgdConfig;
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_penalty::StochasticHsrConfig;
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
/// let mut hsr = StochasticHsrConfig::new().init_gradient()?;
/// for _ in 0..10 {
///     let passes = hsr.loss_gradients(&model, |model| loss_fn.forward(model.forward(x.clone()), y.clone()))?;
///     model = optimizer.step(0.1, model, passes.gradients);
/// }
/// # Ok::<(), burn_penalty::PenaltyError>(())
/// ```
#[derive(Debug)]
pub struct StochasticHsrGradient {
    config: StochasticHsrConfig,
    steps: u64,
    state: State,
    /// The training flags under which the closure was seen to repeat itself.
    repeats: Option<Vec<bool>>,
}

/// What the passes of a step gave.
#[derive(Debug)]
#[must_use]
pub struct StochasticHsrPasses<L> {
    /// The closure's loss at θ.
    pub loss: L,
    /// The gradients for the optimizer's step: the loss's, and in the coupled modes the penalty's in them. Empty where the
    /// step should be skipped.
    pub gradients: GradientsParams,
    /// In the mode [`Decoupled`](Mode::Decoupled), strength·∇λ, of which the learning rate is to be subtracted after the
    /// optimizer's step, as [`Entered::step`](crate::Entered::step) does.
    pub decrement: Option<GradientsParams>,
    /// The part whose gradient is NaN or infinite, where one is and it was checked.
    pub not_finite: Option<Part>,
}

/// A part of what a step descends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The loss.
    Loss,
    /// HSR, from the passes near θ.
    Hsr,
}

/// One step's estimate.
struct Estimated {
    gradients: Vector,
    averages: Averages,
    size: usize,
    /// The vector of λ_max's iteration for the next step, and for one where this step is skipped.
    direction: Option<Vector>,
    previous: Option<Vector>,
}

impl StochasticHsrGradient {
    /// The configuration.
    pub fn config(&self) -> &StochasticHsrConfig {
        &self.config
    }

    /// The steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What the moving averages say of the curvature, where HSR has acted; reads the device.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn curvature(&self) -> Result<Option<Curvature>, PenaltyError> {
        let Some(averages) = &self.state.averages else {
            return Ok(None);
        };
        let mut curvature = averages.read(self.config.decay, self.state.size)?;
        if self.config.objective == Objective::LambdaMax {
            curvature.lambda_max = Some(curvature.trace);
            curvature.lambda_sup = None;
        }
        Ok(Some(curvature))
    }

    /// What a resumed run needs to go on where this one is; reads the device.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn to_record<M: Module>(
        &self,
        module: &M,
    ) -> Result<StochasticHsrGradientRecord, PenaltyError> {
        record::of(self.steps, &self.state, module)
    }

    /// The same where the record was taken.
    pub fn load_record(mut self, record: StochasticHsrGradientRecord) -> Self {
        self.steps = record.steps;
        self.repeats = None;
        self.state = record::state(record);
        self
    }

    /// The gradients of L + strength·λ at a module; counts a step. `closure` gives the loss of a module, or whatever the loop
    /// wants back and the gradients ([`Evaluated`]). It is called at θ, and where HSR acts also near θ, with copies of the
    /// module. The module does not change, but for the running statistics, which the first call updates.
    ///
    /// # Shapes
    ///
    /// - the closure's loss, where it gives that alone: `[1]`
    ///
    /// # Errors
    ///
    /// [`PenaltyError::NoParameters`] where nothing in the group is trained, [`PenaltyError::PlainDevice`] where the module
    /// is not on an autodiff device, [`PenaltyError::NotRepeatable`] where the closure gives another gradient at every
    /// call, [`PenaltyError::Read`] where a check cannot be read.
    pub fn loss_gradients<M: Module, E: Evaluated<M>>(
        &mut self,
        module: &M,
        mut closure: impl FnMut(&M) -> E,
    ) -> Result<StochasticHsrPasses<E::Loss>, PenaltyError> {
        let step = self.steps;
        let factor = self.config.schedule.factor(step);
        let acts = factor != 0.0 && !self.config.strength().is_zero();
        let randomness = acts.then(|| Randomness::new(module, self.config.seed, step));
        if let Some(randomness) = &randomness {
            randomness.restart();
        }
        let (loss, gradients) = closure(module).evaluated(module)?;
        self.steps += 1;
        let mut passes = StochasticHsrPasses {
            loss,
            gradients,
            decrement: None,
            not_finite: None,
        };
        let mut finite = Finite::default();
        if self.config.check_finite {
            finite.check(Part::Loss, module, &passes.gradients);
        }
        let mut estimated = None;
        if let Some(randomness) = randomness {
            let mut at = |there: GradientsParams| {
                let there = moved(module, there);
                randomness.restart();
                Ok(closure(&there).evaluated(&there)?.1)
            };
            let here = &passes.gradients;
            self.check_closure(module, here, &mut at)?;
            let found = self.estimate(module, step, here, &mut at)?;
            if self.config.check_finite {
                finite.check_vector(Part::Hsr, &found.gradients)?;
            }
            estimated = Some(found);
        }
        passes.not_finite = finite.read()?;
        if passes.not_finite.is_some() {
            passes.gradients = GradientsParams::new();
            if let Some(found) = estimated {
                self.state.direction = found.previous;
            }
            return Ok(passes);
        }
        if let Some(found) = estimated {
            let of_loss = core::mem::take(&mut passes.gradients);
            let (mode, strength) = (self.config.mode, self.config.strength());
            let mean = &mut self.state.mean;
            let penalty = found.gradients;
            let entered = mode.enter_vector(module, strength, factor, of_loss, penalty, mean)?;
            (passes.gradients, passes.decrement) = (entered.gradients, entered.decrement);
            self.state = State {
                averages: Some(found.averages),
                size: found.size,
                direction: found.direction,
                recorded: None,
                mean: core::mem::take(&mut self.state.mean),
            };
        }
        Ok(passes)
    }

    /// Whether the closure is a function, seen once, and again where a training flag has changed.
    fn check_closure<M: Module>(
        &mut self,
        module: &M,
        here: &GradientsParams,
        at: &mut impl FnMut(GradientsParams) -> Result<GradientsParams, PenaltyError>,
    ) -> Result<(), PenaltyError> {
        let flags = training_flags(module);
        if self.repeats.as_ref() == Some(&flags) {
            return Ok(());
        }
        algebra::count(module)?;
        if check_repeated(module, here, &at(GradientsParams::new())?)? {
            self.repeats = Some(flags);
        }
        Ok(())
    }

    fn estimate<M: Module>(
        &mut self,
        module: &M,
        step: u64,
        here: &GradientsParams,
        at: &mut impl FnMut(GradientsParams) -> Result<GradientsParams, PenaltyError>,
    ) -> Result<Estimated, PenaltyError> {
        let group = &Group::of(module, &self.config.group)?;
        let here = &Vector::gradients(module, Some(group), here);
        let parameters = &Vector::parameters(module, Some(group));
        let config = &self.config;
        let epsilon = match (config.objective, config.step) {
            (Objective::LambdaMax, None) => rounding_noise(module)?.sqrt().sqrt() * 2.0,
            _ => step_length(module, group, parameters, config)?,
        };
        let here = Here {
            parameters,
            gradients: here,
            epsilon: &epsilon,
            size: group.size(),
        };
        let mut at = |there: Vector| {
            let there = at(there.into_gradients(module))?;
            Ok(Vector::taken(module, group, there))
        };
        let mut generator = generator(config.seed, step);
        let mut signs = |length| Vector::signs(module, Some(group), length, &mut generator);
        match config.objective {
            Objective::LambdaMax => {
                let direction = match self.state.recorded.take() {
                    Some(values) => {
                        let values = values::write(module, &values);
                        Some(Vector::gradients(module, Some(group), &values))
                    }
                    None => self.state.direction.take(),
                };
                let direction = match direction {
                    Some(direction) if direction.fits(parameters) => direction,
                    // The first step, or another module or group than before.
                    _ => signs(1.0 / (group.size() as f64).sqrt()),
                };
                self.iterate(here, direction, &mut at)
            }
            Objective::LambdaSup | Objective::Frobenius | Objective::Trace => {
                self.probe(here, &mut signs, &mut at)
            }
        }
    }

    /// λ_sup, ‖H‖ or tr H by random probes.
    fn probe(
        &self,
        here: Here<'_>,
        signs: &mut impl FnMut(f64) -> Vector,
        at: &mut impl FnMut(Vector) -> Result<Vector, PenaltyError>,
    ) -> Result<Estimated, PenaltyError> {
        let config = &self.config;
        let before = self.state.averages.as_ref();
        let weights = match before {
            Some(averages) => {
                let moments = averages.moments(config.decay, here.epsilon)?;
                Some(Weights::of(config.objective, moments, here.size))
            }
            None => None,
        };
        let share = 1.0 / config.probes as f64;
        let mut sum: Option<Vector> = None;
        let mut moments: Option<Moments> = None;
        for _ in 0..config.probes {
            let one = Probe::new(here, &signs(1.0), config, at)?;
            let of_one = one.moments();
            let gradient = match (one.of_trace(), &weights) {
                (Some(gradient), _) if config.objective == Objective::Trace => gradient,
                (_, Some(weights)) => one.of_bound(weights, at)?,
                (_, None) => {
                    let weights = Weights::of(config.objective, of_one.clone(), here.size);
                    one.of_bound(&weights, at)?
                }
            };
            sum = Some(match sum {
                None if config.probes == 1 => gradient,
                None => Vector::map(Scaled, [&share.into()], [&gradient]),
                Some(sum) => Vector::map(Moved, [&share.into()], [&sum, &gradient]),
            });
            moments = Some(Moments::sum(moments, of_one, share));
        }
        let (Some(gradients), Some(moments)) = (sum, moments) else {
            return Err(PenaltyError::NoParameters);
        };
        Ok(Estimated {
            gradients,
            averages: Averages::updated(before, config.decay, moments)?,
            size: here.size,
            direction: None,
            previous: None,
        })
    }

    /// λ_max by one step of a power iteration.
    fn iterate(
        &self,
        here: Here<'_>,
        direction: Vector,
        at: &mut impl FnMut(Vector) -> Result<Vector, PenaltyError>,
    ) -> Result<Estimated, PenaltyError> {
        let epsilon = here.epsilon;
        let mut along =
            |epsilon: &Number| at(Vector::map(Moved, [epsilon], [here.parameters, &direction]));
        let after = along(epsilon)?;
        let before = along(&(epsilon.clone() * -1.0))?;
        let factor = (epsilon.clone() * 2.0).recip();
        let product = Vector::map(Rate, [&factor], [&after, &before]);
        let value = direction.dot(&product)?;
        let length = product.norm()?;
        let half = length.clone() * 0.5;
        let shifted = Vector::map(Moved, [&half], [&product, &direction]);
        let over = shifted.norm()?.reciprocal();
        let moments = Moments {
            trace: value,
            square: length.square(),
        };
        let factor = epsilon.clone().square().recip();
        Ok(Estimated {
            gradients: Vector::map(Second, [&factor], [&after, here.gradients, &before]),
            averages: Averages::updated(self.state.averages.as_ref(), self.config.decay, moments)?,
            size: here.size,
            direction: Some(Vector::map(Scaled, [&over], [&shifted])),
            previous: Some(direction),
        })
    }
}

/// k·(after − before).
struct Rate;

impl Formula<1, 2> for Rate {
    #[inline]
    fn at<E: Element>([k]: [E::Scale; 1], [after, before]: [E; 2]) -> E {
        (after - before).times(k)
    }
}

impl StochasticHsrConfig {
    /// Stochastic HSR without an optimizer.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init).
    pub fn init_gradient(&self) -> Result<StochasticHsrGradient, PenaltyError> {
        self.check()?;
        Ok(StochasticHsrGradient {
            config: self.clone(),
            steps: 0,
            state: State::default(),
            repeats: None,
        })
    }
}
