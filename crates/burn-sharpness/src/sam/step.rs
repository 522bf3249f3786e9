//! The passes of one step.

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn_penalty::algebra::{add, combination, dot, filter, polar};
use burn_penalty::passes::{check_repeated, training_flags};
use burn_penalty::{Finite, Group, PenaltyError, Randomness, displaced, isolated};

use super::ascent::ascent;
use super::state::State;
use super::{Pass, SamConfig};
use crate::error::SharpnessError;
use crate::operator::FiniteDifferenceHessian;

/// The gradients at a module, and which pass of the step it is whose loss is kept; none for passes that only check or
/// measure.
pub(super) type GradientsOf<'a, M> =
    dyn FnMut(&M, Option<Pass>) -> Result<GradientsParams, PenaltyError> + 'a;

/// One step of a method: it makes the passes and knows what all methods share about them. The first pass updates the
/// running statistics, the others run on copies; all draw the same random numbers; all gradients are checked together.
pub(super) struct Step<'a, M> {
    pub module: &'a M,
    pub config: &'a SamConfig,
    /// ρ of this step; 0 for the plain gradient, where nothing is seeded.
    pub rho: f64,
    /// The number of the step, from 0.
    pub number: u64,
    /// What the method has kept.
    pub memory: Option<GradientsParams>,
    gradients: &'a mut GradientsOf<'a, M>,
    state: &'a mut State,
    randomness: Option<Randomness>,
    finite: Finite<Pass>,
}

/// What a method makes of the gradients of its passes.
#[derive(Debug)]
pub(super) struct Descent {
    /// For the optimizer's step.
    pub gradients: GradientsParams,
    /// What is to be subtracted beside it, times the learning rate.
    pub decrement: Option<GradientsParams>,
    /// What the method remembers from now on; none where that is what it has.
    pub memory: Option<GradientsParams>,
}

impl From<GradientsParams> for Descent {
    fn from(gradients: GradientsParams) -> Self {
        Self {
            gradients,
            decrement: None,
            memory: None,
        }
    }
}

impl Descent {
    /// With what the method remembers from now on.
    pub fn remembering(self, memory: GradientsParams) -> Self {
        Self {
            memory: Some(memory),
            ..self
        }
    }
}

impl<'a, M: Module> Step<'a, M> {
    /// The next step; counts it.
    pub fn next(
        module: &'a M,
        config: &'a SamConfig,
        state: &'a mut State,
        gradients: &'a mut GradientsOf<'a, M>,
    ) -> Self {
        let number = state.steps;
        state.steps += 1;
        let rho = config.rho_of(number, state.rate);
        let acts = rho != 0.0;
        Self {
            module,
            config,
            rho,
            number,
            memory: acts.then(|| state.memory.beside(module)).flatten(),
            gradients,
            state,
            randomness: acts.then(|| Randomness::new(module, config.seed, number)),
            finite: Finite::default(),
        }
    }

    /// Whether it is the turn of what happens every `interval` steps, or of what has not happened yet.
    pub fn is_turn(&self, interval: u64) -> bool {
        (self.number - self.config.from_step).is_multiple_of(interval) || self.memory.is_none()
    }

    /// The one pass at θ of a step that has no other.
    pub fn alone(&mut self) -> Result<GradientsParams, SharpnessError> {
        self.first_of(self.module)
    }

    /// The first pass, at the module itself or at what shares its running statistics.
    fn first_of(&mut self, module: &M) -> Result<GradientsParams, SharpnessError> {
        self.restart();
        let gradients = (self.gradients)(module, Some(Pass::First))?;
        self.check(Pass::First, &gradients);
        Ok(gradients)
    }

    /// The pass at θ of a step that has others too.
    pub fn first(&mut self) -> Result<GradientsParams, SharpnessError> {
        let gradients = self.alone()?;
        self.check_closure(&gradients, isolated)?;
        Ok(gradients)
    }

    /// The first pass of a step that has none at θ.
    pub fn first_at(
        &mut self,
        displacement: &GradientsParams,
    ) -> Result<GradientsParams, SharpnessError> {
        let backwards = add(self.module, GradientsParams::new(), -1.0, displacement);
        // A step of plain SGD shares the running statistics, which a displaced copy does not.
        let there = SgdConfig::new()
            .init()
            .step(1.0, self.module.clone(), backwards);
        let gradients = self.first_of(&there)?;
        self.check_closure(&gradients, |module| {
            displaced(module, shared(module, displacement))
        })?;
        Ok(gradients)
    }

    /// Another pass, at θ + displacement.
    pub fn at(&mut self, displacement: GradientsParams) -> Result<GradientsParams, SharpnessError> {
        let there = displaced(self.module, displacement);
        self.restart();
        let gradients = (self.gradients)(&there, Some(Pass::Second))?;
        self.check(Pass::Second, &gradients);
        Ok(gradients)
    }

    /// e = ρ T²d/‖Td‖ along d.
    pub fn ascent(&self, along: &GradientsParams) -> Result<GradientsParams, SharpnessError> {
        let along = self.group()?.filter(self.module, along);
        Ok(ascent(self.config, self.rho, self.module, along))
    }

    /// The gradients at θ and at θ + e, e along the first.
    pub fn here_and_there(&mut self) -> Result<(GradientsParams, GradientsParams), SharpnessError> {
        let here = self.first()?;
        let displacement = self.ascent(&here)?;
        let there = self.at(displacement)?;
        Ok((here, there))
    }

    /// The parameters that are displaced.
    pub fn group(&self) -> Result<Group, SharpnessError> {
        Ok(Group::of(self.module, &self.config.group)?)
    }

    /// The gradient at θ + e, e along d, which is not kept.
    pub fn up(&mut self, along: GradientsParams) -> Result<GradientsParams, SharpnessError> {
        let within = self.group()?.filter(self.module, &along);
        drop(along);
        let displacement = ascent(self.config, self.rho, self.module, within);
        self.at(displacement)
    }

    /// The Hessian of the loss that the passes compute, with their random numbers.
    pub fn hessian(&mut self) -> Result<FiniteDifferenceHessian<'_, M>, SharpnessError> {
        let gradients = &mut self.gradients;
        let hessian = FiniteDifferenceHessian::of_gradients(self.module, move |there: &M| {
            gradients(there, None)
        })?;
        Ok(match &self.randomness {
            Some(randomness) => hessian.with_randomness(randomness.clone()),
            None => hessian,
        })
    }

    /// The first pass whose gradients are not finite, where there is one. Reads the device.
    pub fn not_finite(self) -> Result<Option<Pass>, SharpnessError> {
        Ok(self.finite.read()?)
    }

    fn restart(&self) {
        if let Some(randomness) = &self.randomness {
            randomness.restart();
        }
    }

    fn check(&mut self, pass: Pass, gradients: &GradientsParams) {
        if self.config.check_finite {
            self.finite.check(pass, self.module, gradients);
        }
    }

    /// Whether the closure is a function, seen once, and again where a training flag has changed: the pass that gave
    /// `gradients` is repeated on a copy of its module.
    fn check_closure(
        &mut self,
        gradients: &GradientsParams,
        copy: impl FnOnce(&M) -> M,
    ) -> Result<(), SharpnessError> {
        let flags = training_flags(self.module);
        if self.state.repeats.as_ref() == Some(&flags) {
            return Ok(());
        }
        self.restart();
        let copy = copy(self.module);
        let again = (self.gradients)(&copy, None)?;
        if check_repeated(self.module, gradients, &again)? {
            self.state.repeats = Some(flags);
        }
        Ok(())
    }
}

/// The same tensors.
pub(super) fn shared<M: Module>(module: &M, vector: &GradientsParams) -> GradientsParams {
    filter(module, vector, |_| true)
}

/// The part of a vector that is orthogonal to another one, over all trained parameters together; the vector itself where
/// the other is zero.
pub(super) fn orthogonal<M: Module>(
    module: &M,
    vector: &GradientsParams,
    to: &GradientsParams,
) -> Result<GradientsParams, SharpnessError> {
    let direction = polar(module, to)?.direction;
    let share = dot(module, vector, &direction)?;
    let terms = [(1.0.into(), vector), (share * -1.0, &direction)];
    Ok(combination(module, &terms))
}
