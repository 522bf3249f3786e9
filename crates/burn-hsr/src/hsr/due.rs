//! What a step adds: its strength by the schedule, and the rows that it takes.

use burn::tensor::Tensor;
use burn_penalty::{Mode, Strength};

use super::Hsr;
use crate::error::HsrError;
use crate::gradient::HsrGradient;
use crate::layers::{Layers, shapes};
use crate::probes::{Estimate, ProbeAverages};
use crate::subsample::Subsample;
use crate::targets::Targets;
use crate::{cost, subsample};

/// What a step adds.
pub(super) struct Due {
    /// The schedule's factor.
    pub schedule: f64,
    /// The strength times that, where it is known before the gradient is.
    pub strength: Option<f64>,
    pub gradient: HsrGradient,
    /// The rows it was taken at, where it has a part for them.
    pub inputs: Option<Tensor<2>>,
}

impl Hsr {
    /// What this step adds, at the rows that it takes; `None` where the schedule pauses. With `scaled` it comes times its
    /// strength where that is known before the gradient is. Inputs that autodiff tracks get their gradient. The step counts
    /// unless it is refused.
    pub(super) fn next_step<M: Layers>(
        &mut self,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        scaled: bool,
    ) -> Result<Option<Due>, HsrError> {
        let (step, schedule) = self.schedule_of_step();
        let mut estimate = None;
        let due = if schedule == 0.0 {
            None
        } else {
            let (inputs, targets) = self.rows_of_step(step, model, inputs, targets)?;
            let with_inputs = inputs.is_tracked();
            let strength = match self.config.strength() {
                Strength::Fixed(strength) if self.config.mode != Mode::Direction => {
                    Some(strength * schedule)
                }
                _ => None,
            };
            let factor = strength.filter(|_| scaled).unwrap_or(1.0);
            let at = with_inputs.then(|| inputs.clone());
            let (gradient, found) = self.of_step(model, inputs, targets, with_inputs, factor)?;
            estimate = found;
            Some(Due {
                schedule,
                strength,
                gradient,
                inputs: at,
            })
        };
        self.count_step(estimate);
        Ok(due)
    }

    /// The strength of this step and the schedule's factor where what it descends is the sum L + strength·λ_sup over one
    /// batch: no direction is taken, no rows are chosen, the schedule does not pause.
    pub(crate) fn strength_of_sum<M: Layers>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
    ) -> Option<(Strength, f64)> {
        let (_, schedule) = self.schedule_of_step();
        let strength = self.config.strength();
        let [samples, _] = inputs.dims();
        let takes_all =
            || cost::rows(&self.config, &shapes(model), samples).is_ok_and(|rows| rows == samples);
        let sum = schedule != 0.0 && self.config.mode != Mode::Direction;
        (sum && takes_all()).then_some((strength, schedule))
    }

    /// The step that comes, and the schedule's factor; 0 also where the strength is.
    fn schedule_of_step(&self) -> (u64, f64) {
        let step = self.steps;
        let schedule = match self.config.strength().is_zero() {
            true => 0.0,
            false => self.config.schedule.factor(step),
        };
        (step, schedule)
    }

    /// The step is taken; `estimate` is what its probes said.
    pub(crate) fn count_step(&mut self, estimate: Option<Estimate>) {
        if let Some(estimate) = estimate {
            self.averages = Some(ProbeAverages::updated(self.averages, estimate));
        }
        self.steps += 1;
    }

    /// The rows of the batch that a step's regulariser takes.
    fn rows_of_step<M: Layers>(
        &mut self,
        step: u64,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<(Tensor<2>, Targets), HsrError> {
        let [samples, _] = inputs.dims();
        let rows = cost::rows(&self.config, &shapes(model), samples)?;
        let device = inputs.device().inner();
        let seed = self.config.seed;
        let Some(chosen) = subsample::choose(rows, samples, seed, step, &device) else {
            return Ok((inputs, targets));
        };
        self.check(model, &inputs, &targets)?;
        if self.config.subsample == Subsample::Auto && !self.told {
            self.told = true;
            log::warn!(
                "HSR takes {rows} of {samples} rows of a batch: with all of them a step would cost more than {} plain \
                 steps (Subsample::All takes them all, Subsample::Rows(m) as many as you say, Hsr::cost predicts the price)",
                Subsample::BUDGET
            );
        }
        let targets = targets.without_autodiff().select(&chosen);
        // Tracked features stay tracked: the rows not chosen get a zero.
        let inputs = if inputs.is_tracked() {
            inputs.select(0, Tensor::from_inner(chosen))
        } else {
            inputs.inner().select(0, chosen)
        };
        Ok((inputs, targets))
    }
}
