//! One method on one seed.

use burn::tensor::Device;
use burn_hsr::Strength;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use crate::error::LabError;
use crate::scores;
use crate::train::measure::measure;
use crate::train::problem::Problem;
use crate::train::trainer::{Trainer, left_the_numbers};
use crate::train::{Control, Method, NetworkSummary, TrainConfig};

/// What came of a run, as stored in `runs/METHOD-SEED.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The method.
    pub method: Method,
    /// Its strength.
    pub strength: Strength,
    /// The seed.
    pub seed: u64,
    /// Seconds of training, measuring excluded.
    pub seconds: f64,
    /// The trained network; none where training left the range of numbers.
    pub network: Option<NetworkSummary>,
    /// Test loss − training loss.
    pub loss_gap: Option<f64>,
    /// Training accuracy − test accuracy.
    pub accuracy_gap: Option<f64>,
    /// The epoch, from 1, at which training was found to have left the range of numbers.
    pub diverged: Option<usize>,
}

/// Trains a network on four fifths of the training split of `problem` and gives macro-F1 and mean cross-entropy on the
/// rest: no network where training left the range of numbers. None where `observe` stopped it.
pub(super) fn validate(
    config: &TrainConfig,
    budget: (Budget, usize),
    problem: &Problem,
    device: &Device,
    observe: impl FnMut() -> Control,
) -> Result<Option<Validated>, LabError> {
    let mut trainer = trainer(config, budget, problem, device)?;
    match train(&mut trainer, observe) {
        Ok(None) => return Ok(None),
        Ok(Some(())) => {}
        Err(error) if left_the_numbers(&error) => {
            return Ok(Some(Validated::Diverged));
        }
        Err(error) => return Err(error),
    }
    let test = &problem.test;
    let mut curvature = config.memory.single_threaded();
    let mut surface = problem.architecture.surface(&mut curvature, &test.data)?;
    let loss = surface.loss(&trainer.theta())?;
    let predicted = trainer.predict(test.x.clone());
    let classes = problem.outputs();
    let score = scores::macro_f1(&predicted, &test.data.labels, classes);
    Ok(Some(match loss.is_finite() {
        true => Validated::Scored([score, loss]),
        false => Validated::Diverged,
    }))
}

/// What came of a network on the validation split.
pub(super) enum Validated {
    /// Macro-F1 and mean cross-entropy.
    Scored([f64; 2]),
    /// Training left the range of numbers.
    Diverged,
}

/// How often a run looks whether its weights are still numbers.
const LOOKS: usize = 20;

/// Trains and measures the network of `config`. `observe` is called after every epoch; none where it stopped the run.
pub(super) fn run(
    config: &TrainConfig,
    budget: (Budget, usize),
    problem: &Problem,
    device: &Device,
    observe: impl FnMut() -> Control,
) -> Result<Option<RunRecord>, LabError> {
    let mut trainer = trainer(config, budget, problem, device)?;
    let outcome = match train(&mut trainer, observe) {
        Ok(Some(())) => {
            let (steps, seconds) = (trainer.steps, trainer.seconds);
            measure(
                config,
                problem,
                &mut config.memory.single_threaded(),
                &trainer.theta(),
                steps,
                seconds,
            )
        }
        Ok(None) => return Ok(None),
        Err(error) => Err(error),
    };
    let (network, diverged) = match outcome {
        Ok((network, _)) => (Some(network), None),
        Err(error) if left_the_numbers(&error) => (None, Some(trainer.epoch.max(1))),
        Err(error) => return Err(error),
    };
    Ok(Some(RunRecord {
        method: config.method,
        strength: config.strength,
        seed: config.seed,
        seconds: trainer.seconds,
        loss_gap: network.as_ref().map(|it| it.test_loss - it.train_loss),
        accuracy_gap: network.as_ref().map(|it| it.train_accuracy - it.accuracy),
        network,
        diverged,
    }))
}

/// A network at its start, with the epochs that its method may take.
fn trainer<'a>(
    config: &'a TrainConfig,
    (budget, epochs): (Budget, usize),
    problem: &'a Problem,
    device: &Device,
) -> Result<Trainer<'a>, LabError> {
    let start = problem.architecture.start(config.seed);
    let mut trainer = Trainer::new(config, epochs, problem, config.method, device, &start)?;
    trainer.limit(|epochs, passes| budget.epochs(epochs, passes))?;
    Ok(trainer)
}

fn train(
    trainer: &mut Trainer,
    mut observe: impl FnMut() -> Control,
) -> Result<Option<()>, LabError> {
    let every = trainer.epochs().div_ceil(LOOKS);
    while !trainer.is_done() {
        trainer.advance()?;
        let look = trainer.is_done() || trainer.epoch.is_multiple_of(every);
        if look && trainer.theta().iter().any(|v| !v.is_finite()) {
            return Err(LabError::Diverged {
                network: trainer.method.name().to_owned(),
                epoch: trainer.epoch,
            });
        }
        if observe() == Control::Stop && !trainer.is_done() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}
