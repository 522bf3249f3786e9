//! The passes of one step.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn_penalty::algebra::{add, combination, dot, filter, polar};
use burn_penalty::passes::{check_repeated, training_flags};
use burn_penalty::{Finite, Group, Randomness, displaced, isolated};

use super::ascent::ascent;
use super::state::State;
use super::{Pass, SamConfig};
use crate::error::SharpnessError;
use crate::operator::FiniteDifferenceHessian;

/// What gives the loss of a module and its gradients.
pub(super) trait Closure<M, L>: FnMut(M) -> (L, GradientsParams) {}

impl<M, L, F: FnMut(M) -> (L, GradientsParams)> Closure<M, L> for F {}

/// One step of a method: it makes the passes and knows what all methods share about them. The first pass updates the
/// running statistics, the others run on copies; all draw the same random numbers; all gradients are checked together.
pub(super) struct Step<'a, M, L, F> {
    pub module: &'a M,
    pub config: &'a SamConfig,
    /// ρ of this step; 0 for the plain gradient, where nothing is seeded.
    pub rho: f64,
    /// The number of the step, from 0.
    pub number: u64,
    /// What the method has kept.
    pub memory: Option<GradientsParams>,
    closure: F,
    state: &'a Mutex<State>,
    randomness: Option<Randomness>,
    finite: Finite<Pass>,
    loss: Option<L>,
    ascended_loss: Option<L>,
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

/// What the passes have shown beside the gradients.
pub(super) struct Seen<L> {
    pub loss: Option<L>,
    pub ascended_loss: Option<L>,
    pub not_finite: Option<Pass>,
}

impl<'a, M: Module, L, F: Closure<M, L>> Step<'a, M, L, F> {
    /// The next step; counts it.
    pub fn next(module: &'a M, config: &'a SamConfig, state: &'a Mutex<State>, closure: F) -> Self {
        let (number, rate, memory) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.steps += 1;
            (state.steps - 1, state.rate, state.memory.clone())
        };
        let rho = config.rho_of(number, rate);
        let acts = rho != 0.0;
        Self {
            module,
            config,
            rho,
            number,
            memory: acts.then(|| memory.beside(module)).flatten(),
            closure,
            state,
            randomness: acts.then(|| Randomness::new(module, config.seed, number)),
            finite: Finite::default(),
            loss: None,
            ascended_loss: None,
        }
    }

    /// Whether it is the turn of what happens every `interval` steps, or of what has not happened yet.
    pub fn is_turn(&self, interval: u64) -> bool {
        (self.number - self.config.from_step).is_multiple_of(interval) || self.memory.is_none()
    }

    /// The one pass at θ of a step that has no other.
    pub fn alone(&mut self) -> GradientsParams {
        self.restart();
        let (loss, gradients) = (self.closure)(self.module.clone());
        self.loss = Some(loss);
        self.check(Pass::First, &gradients);
        gradients
    }

    /// The pass at θ of a step that has others too.
    pub fn first(&mut self) -> Result<GradientsParams, SharpnessError> {
        let gradients = self.alone();
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
        self.restart();
        let (loss, gradients) = (self.closure)(there);
        self.loss = Some(loss);
        self.check(Pass::First, &gradients);
        self.check_closure(&gradients, |module| {
            displaced(module, shared(module, displacement))
        })?;
        Ok(gradients)
    }

    /// Another pass, at θ + displacement.
    pub fn at(&mut self, displacement: GradientsParams) -> GradientsParams {
        let there = displaced(self.module, displacement);
        self.restart();
        let (loss, gradients) = (self.closure)(there);
        self.ascended_loss.get_or_insert(loss);
        self.check(Pass::Second, &gradients);
        gradients
    }

    /// e = ρ T²d/‖Td‖ along d.
    pub fn ascent(&self, along: &GradientsParams) -> Result<GradientsParams, SharpnessError> {
        let along = self.group()?.filter(self.module, along);
        Ok(ascent(self.config, self.rho, self.module, along))
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
        Ok(self.at(displacement))
    }

    /// The Hessian of the loss that the passes compute, with their random numbers.
    pub fn hessian(&mut self) -> Result<FiniteDifferenceHessian<'_, M>, SharpnessError> {
        let closure = &mut self.closure;
        let hessian = FiniteDifferenceHessian::of_gradients(self.module, move |there: &M| {
            closure(there.clone()).1
        })?;
        Ok(match &self.randomness {
            Some(randomness) => hessian.with_randomness(randomness.clone()),
            None => hessian,
        })
    }

    /// What the passes have shown. Reads the device.
    pub fn seen(self) -> Result<Seen<L>, SharpnessError> {
        Ok(Seen {
            loss: self.loss,
            ascended_loss: self.ascended_loss,
            not_finite: self.finite.read()?,
        })
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
        let seen = self.lock(|state| state.repeats.as_ref() == Some(&flags));
        if seen {
            return Ok(());
        }
        self.restart();
        let again = (self.closure)(copy(self.module)).1;
        if check_repeated(self.module, gradients, &again)? {
            self.lock(|state| state.repeats = Some(flags));
        }
        Ok(())
    }

    fn lock<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
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
    let terms = [(1.0.into(), vector), (share.neg().into(), &direction)];
    Ok(combination(module, &terms))
}
