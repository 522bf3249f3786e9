//! One method on one seed.

use burn::tensor::Device;
use burn_hsr::Strength;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use crate::error::LabError;
use crate::scores;
use crate::train::measure::measure;
use crate::train::problem::Problem;
use crate::train::trainer::{Trainer, diverged, left_the_numbers};
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

/// How often a run looks whether its weights are still numbers.
const LOOKS: usize = 20;

/// Trains a network on four fifths of the training split of `problem` and gives macro-F1 and mean cross-entropy on the
/// rest: neither where training left the range of numbers. None where `observe` stopped it.
pub(super) fn validate(
    config: &TrainConfig,
    budget: (Budget, usize),
    problem: &Problem,
    device: &Device,
    observe: impl FnMut() -> Control,
) -> Result<Option<Option<[f64; 2]>>, LabError> {
    let scores = |trainer: &Trainer| {
        let test = &problem.test;
        let mut curvature = config.memory.single_threaded();
        let mut surface = problem.architecture.surface(&mut curvature, &test.data)?;
        let loss = surface.loss(&trainer.theta())?;
        if !loss.is_finite() {
            return Err(diverged(trainer.method, trainer.epoch));
        }
        let predicted = trainer.predict(test.x.clone());
        let score = scores::macro_f1(&predicted, &test.data.labels, problem.outputs());
        Ok([score, loss])
    };
    let trained = trained(config, budget, problem, device, observe, scores)?;
    Ok(trained.map(|(_, scores)| scores))
}

/// Trains and measures the network of `config`. `observe` is called after every epoch; none where it stopped the run.
pub(super) fn run(
    config: &TrainConfig,
    budget: (Budget, usize),
    problem: &Problem,
    device: &Device,
    observe: impl FnMut() -> Control,
) -> Result<Option<RunRecord>, LabError> {
    let network = |trainer: &Trainer| {
        let mut curvature = config.memory.single_threaded();
        let (theta, steps) = (trainer.theta(), trainer.steps);
        let seconds = trainer.seconds;
        let measured = measure(config, problem, &mut curvature, &theta, steps, seconds)?;
        Ok(measured.0)
    };
    let trained = trained(config, budget, problem, device, observe, network)?;
    Ok(trained.map(|(trainer, network)| RunRecord {
        method: config.method,
        strength: config.strength,
        seed: config.seed,
        seconds: trainer.seconds,
        loss_gap: network.as_ref().map(|it| it.test_loss - it.train_loss),
        accuracy_gap: network.as_ref().map(|it| it.train_accuracy - it.accuracy),
        diverged: network.is_none().then(|| trainer.epoch.max(1)),
        network,
    }))
}

/// Trains a network for the epochs that its method may take, and what `measure` makes of it: nothing where training left
/// the range of numbers. None where `observe` stopped it.
fn trained<'a, T>(
    config: &'a TrainConfig,
    (budget, epochs): (Budget, usize),
    problem: &'a Problem,
    device: &Device,
    observe: impl FnMut() -> Control,
    measure: impl FnOnce(&Trainer) -> Result<T, LabError>,
) -> Result<Option<(Trainer<'a>, Option<T>)>, LabError> {
    let start = problem.architecture.start(config.seed);
    let mut trainer = Trainer::new(config, epochs, problem, config.method, device, &start)?;
    trainer.limit(|epochs, passes| budget.epochs(epochs, passes))?;
    let outcome = match train(&mut trainer, observe) {
        Ok(Some(())) => measure(&trainer),
        Ok(None) => return Ok(None),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(it) => Ok(Some((trainer, Some(it)))),
        Err(error) if left_the_numbers(&error) => Ok(Some((trainer, None))),
        Err(error) => Err(error),
    }
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
            return Err(diverged(trainer.method, trainer.epoch));
        }
        if observe() == Control::Stop && !trainer.is_done() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}
