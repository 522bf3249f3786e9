//! How each method takes a step.

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Int, Tensor};
use burn_hsr::{
    Hsr, HsrConfig, HsrRecord, Mlp, Mode, ProbeAverages, ScheduleConfig, Strength, Subsample,
};
use burn_penalty::{
    Entered, MeanGradient, Objective, StochasticHsrConfig, StochasticHsrGradient,
    StochasticHsrGradientRecord, StochasticHsrPasses,
};
use burn_sharpness::penalty::{GradientNorm, GradientNormConfig, PenaltyRecord};
use burn_sharpness::sam::SamGradientRecord;
use burn_sharpness::{SamGradient, SharpnessError};
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::method::Method;
use super::refinements::Refinements;
use crate::error::LabError;

/// A batch, and the loss on it as a function of the network.
pub(super) struct Pass<'a, M> {
    /// \[N, d\].
    pub x: Tensor<2>,
    /// \[N\].
    pub y: Tensor<1, Int>,
    pub loss: &'a CrossEntropyLoss,
    /// Inputs to logits.
    pub logits: &'a dyn Fn(&M, Tensor<2>) -> Tensor<2>,
}

impl<M: Module> Pass<'_, M> {
    fn loss(&self, module: &M) -> Tensor<1> {
        let logits = (self.logits)(module, self.x.clone());
        self.loss.forward(logits, self.y.clone())
    }

    fn gradients(&self, module: &M) -> GradientsParams {
        GradientsParams::from_grads(self.loss(module).backward(), module)
    }
}

/// The optimizer and its learning rate.
pub(super) struct Descent {
    pub optimizer: ModuleOptimizer,
    pub lr: f64,
}

impl Descent {
    fn step<M: Module>(&mut self, module: M, gradients: GradientsParams) -> M {
        self.optimizer.step(self.lr, module, gradients)
    }
}

/// What a rule remembers from step to step.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// Of the closed form's probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averages: Option<ProbeAverages>,
    /// The running mean of the loss's gradient, of the closed form and of ‖∇L‖.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<Vec<f64>>>,
    /// Of stochastic HSR.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stochastic: Option<StochasticHsrGradientRecord>,
    /// Of SAM and its family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sam: Option<SamGradientRecord>,
}

/// How a method takes a step: the optimizer's with the gradient of the loss, or with something beside it.
pub(super) trait Rule<M: Module> {
    /// The module after a step.
    fn step(&mut self, descent: &mut Descent, module: M, pass: &Pass<M>) -> Result<M, LabError>;

    /// What a step on `rows` rows costs in the mean over steps, in forward and backward passes of plain training.
    fn passes(&self, _module: &M, _rows: usize) -> Result<f64, LabError> {
        Ok(1.0)
    }

    /// What it remembers.
    fn memory(&self, _module: &M) -> Result<Memory, LabError> {
        Ok(Memory::default())
    }

    /// Goes on after so many steps.
    fn recall(&mut self, _steps: u64, _memory: Memory) {}
}

/// The loss alone.
struct Plain;

impl<M: Module> Rule<M> for Plain {
    fn step(&mut self, descent: &mut Descent, module: M, pass: &Pass<M>) -> Result<M, LabError> {
        let gradients = pass.gradients(&module);
        Ok(descent.step(module, gradients))
    }
}

impl<M: Module> Rule<M> for SamGradient {
    fn step(&mut self, descent: &mut Descent, module: M, pass: &Pass<M>) -> Result<M, LabError> {
        let passes = self.loss_gradients(&module, |module| ((), pass.gradients(module)))?;
        let entered = Entered {
            gradients: passes.gradients,
            decrement: passes.decrement,
        };
        Ok(entered.step(&mut descent.optimizer, descent.lr, module))
    }

    fn passes(&self, _module: &M, _rows: usize) -> Result<f64, LabError> {
        Ok(self.config().rule.passes())
    }

    fn memory(&self, module: &M) -> Result<Memory, LabError> {
        Ok(Memory {
            sam: Some(self.to_record(module)?),
            ..Memory::default()
        })
    }

    fn recall(&mut self, _steps: u64, memory: Memory) {
        if let Some(record) = memory.sam {
            *self = self.clone().load_record(record);
        }
    }
}

/// A penalty in closed form.
impl Rule<Mlp> for Hsr {
    fn step(
        &mut self,
        descent: &mut Descent,
        module: Mlp,
        pass: &Pass<Mlp>,
    ) -> Result<Mlp, LabError> {
        let gradients = pass.gradients(&module);
        let (x, y) = (pass.x.clone(), pass.y.clone());
        Ok(Hsr::step(
            self,
            &mut descent.optimizer,
            descent.lr,
            module,
            x,
            y,
            gradients,
        )?)
    }

    fn passes(&self, module: &Mlp, rows: usize) -> Result<f64, LabError> {
        let acting = self.cost(module, rows)?.plain_steps;
        Ok(1.0 + (acting - 1.0) * self.config().schedule.share())
    }

    fn memory(&self, _module: &Mlp) -> Result<Memory, LabError> {
        let record = self.to_record()?;
        Ok(Memory {
            averages: record.averages,
            mean: record.mean,
            ..Memory::default()
        })
    }

    fn recall(&mut self, steps: u64, memory: Memory) {
        let record = HsrRecord {
            steps,
            averages: memory.averages,
            mean: memory.mean,
        };
        *self = self.clone().load_record(record);
    }
}

/// A penalty from differences of gradients.
impl<M: Module> Rule<M> for StochasticHsrGradient {
    fn step(&mut self, descent: &mut Descent, module: M, pass: &Pass<M>) -> Result<M, LabError> {
        let passes = self.loss_gradients(&module, |module| ((), pass.gradients(module)));
        let StochasticHsrPasses {
            gradients,
            decrement,
            ..
        } = passes.map_err(SharpnessError::from)?;
        let entered = Entered {
            gradients,
            decrement,
        };
        Ok(entered.step(&mut descent.optimizer, descent.lr, module))
    }

    fn passes(&self, _module: &M, _rows: usize) -> Result<f64, LabError> {
        Ok(self.config().passes())
    }

    fn memory(&self, module: &M) -> Result<Memory, LabError> {
        let record = self.to_record(module).map_err(SharpnessError::from)?;
        Ok(Memory {
            stochastic: Some(record),
            ..Memory::default()
        })
    }

    fn recall(&mut self, steps: u64, memory: Memory) {
        let record = memory.stochastic.unwrap_or_default();
        let record = StochasticHsrGradientRecord { steps, ..record };
        if let Ok(fresh) = self.config().init_gradient() {
            *self = fresh.load_record(record);
        }
    }
}

/// The norm of the gradient, which has no schedule of its own.
struct ScheduledNorm {
    penalty: GradientNorm,
    strength: Strength,
    schedule: ScheduleConfig,
    mode: Mode,
    steps: u64,
    mean: MeanGradient,
}

impl<M: Module> Rule<M> for ScheduledNorm {
    fn step(&mut self, descent: &mut Descent, module: M, pass: &Pass<M>) -> Result<M, LabError> {
        let factor = self.schedule.factor(self.steps);
        self.steps += 1;
        let gradients = pass.gradients(&module);
        if factor == 0.0 || self.strength.is_zero() {
            return Ok(descent.step(module, gradients));
        }
        let loss = |module: &M| pass.loss(module);
        let of_norm = self.penalty.gradient(&module, loss, &gradients)?.gradients;
        let entered = self
            .mode
            .enter(
                &module,
                self.strength,
                factor,
                gradients,
                &of_norm,
                &mut self.mean,
            )
            .map_err(SharpnessError::from)?;
        Ok(entered.step(&mut descent.optimizer, descent.lr, module))
    }

    fn passes(&self, _module: &M, _rows: usize) -> Result<f64, LabError> {
        Ok(1.0 + self.schedule.share())
    }

    fn memory(&self, _module: &M) -> Result<Memory, LabError> {
        Ok(Memory {
            mean: self.mean.to_record().map_err(SharpnessError::from)?,
            ..Memory::default()
        })
    }

    fn recall(&mut self, steps: u64, memory: Memory) {
        self.steps = steps;
        self.mean = MeanGradient::from_record(memory.mean);
        self.penalty = self.penalty.clone().load_record(PenaltyRecord { steps });
    }
}

/// The rule of a method that is the same for every kind of network; none where the method has a penalty.
fn without_penalty<M: Module>(
    config: &TrainConfig,
    method: Method,
) -> Result<Option<Box<dyn Rule<M>>>, LabError> {
    if let Some(sam) = method.sam() {
        let sam = sam
            .with_rho(config.number())
            .with_seed(config.seed)
            // A gradient that is not finite shows in the loss, which is read after every epoch.
            .with_check_finite(false);
        return Ok(Some(Box::new(sam.init_gradient()?)));
    }
    match method {
        _ if method.sharpness().is_none() => Ok(Some(Box::new(Plain))),
        _ => Ok(None),
    }
}

/// The rule of a method for a feed-forward network, whose penalties are those of the loss in closed form.
pub(super) fn closed_form(
    config: &TrainConfig,
    method: Method,
    loss: &CrossEntropyLossConfig,
) -> Result<Box<dyn Rule<Mlp>>, LabError> {
    let Some(sharpness) = method.sharpness() else {
        return Ok(without_penalty(config, method)?.unwrap_or(Box::new(Plain)));
    };
    let refinements = &config.refinements;
    let penalty = HsrConfig::for_cross_entropy(loss)?
        .with_sharpness(sharpness)
        .with_strength(config.strength)
        .with_mode(config.mode)
        .with_schedule(refinements.schedule.clone())
        .with_subsample(refinements.subsample)
        // Runs do not depend on the number of cores, and several of them share its cores.
        .with_threads(Some(1));
    let penalty = match *refinements {
        Refinements {
            subsample: Subsample::All,
            probes: 0,
            ..
        } => penalty,
        Refinements { probes, .. } => penalty.with_seed(config.seed).with_probes(probes),
    };
    Ok(Box::new(penalty.init()?))
}

/// The rule of a method for any module, whose penalties are made of its gradients.
pub(super) fn of_gradients<M: Module>(
    config: &TrainConfig,
    method: Method,
) -> Result<Box<dyn Rule<M>>, LabError> {
    if let Some(rule) = without_penalty(config, method)? {
        return Ok(rule);
    }
    let schedule = config.refinements.schedule.clone();
    let objective = match method {
        Method::Trace => Objective::Trace,
        Method::LambdaMax => Objective::LambdaMax,
        Method::Frobenius => Objective::Frobenius,
        Method::GradientNorm => {
            let penalty = GradientNormConfig::new().with_seed(config.seed).init()?;
            return Ok(Box::new(ScheduledNorm {
                penalty,
                strength: config.strength.or(StochasticHsrConfig::AUTO),
                schedule,
                mode: config.mode,
                steps: 0,
                mean: MeanGradient::default(),
            }));
        }
        _ => Objective::LambdaSup,
    };
    let penalty = StochasticHsrConfig::new()
        .with_objective(objective)
        .with_strength(config.strength)
        .with_schedule(schedule)
        .with_mode(config.mode)
        // There is no gradient without a probe.
        .with_probes(config.refinements.probes.max(1))
        .with_seed(config.seed)
        .with_check_finite(false)
        .init_gradient()
        .map_err(SharpnessError::from)?;
    Ok(Box::new(penalty))
}
