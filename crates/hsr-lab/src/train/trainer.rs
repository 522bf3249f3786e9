//! The epochs of one network.

use std::time::Instant;

use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};
use burn_hsr::{Backend, HsrError};
use burn_sharpness::SharpnessError;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::learner::Learner;
use super::method::Method;
use super::optimizer::Optimizer;
use super::problem::{Part, Problem};
use super::rule::Memory;
use crate::curvature::{Curvature, is_no_number};
use crate::data::Dataset;
use crate::data::random::{Stream, generator_at};
use crate::error::LabError;
use crate::scores;

/// A row of `metrics.csv`: the state after an epoch. λ_sup and ‖∇L‖ are measured on a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub network: String,
    pub epoch: usize,
    pub train_loss: f64,
    pub train_accuracy: f64,
    pub test_accuracy: f64,
    pub test_macro_f1: f64,
    pub lambda_sup: Option<f64>,
    pub grad_norm: Option<f64>,
    pub seconds: f64,
}

/// λ_sup is measured about this many times a run.
const MEASUREMENTS: usize = 50;

/// One network on its way.
pub(crate) struct Trainer<'a> {
    config: &'a TrainConfig,
    epochs: usize,
    problem: &'a Problem,
    pub method: Method,
    /// With autodiff.
    device: Device,
    learner: Box<dyn Learner>,
    /// The samples that are trained on, and the validation split, where the best epoch is kept.
    early: Option<EarlyStopping>,
    curvature: Curvature,
    /// Epochs done.
    pub epoch: usize,
    /// Steps taken and the seconds they took, measuring excluded.
    pub steps: usize,
    pub seconds: f64,
}

impl<'a> Trainer<'a> {
    pub fn new(
        config: &'a TrainConfig,
        epochs: usize,
        problem: &'a Problem,
        method: Method,
        device: &Device,
        theta: &[f64],
    ) -> Result<Self, LabError> {
        let early = config
            .stops_early(method)
            .then(|| EarlyStopping::new(problem, config.seed));
        let device = device.clone().autodiff();
        let (architecture, train) = (&problem.architecture, &problem.train.data);
        Ok(Self {
            config,
            epochs,
            problem,
            method,
            learner: architecture.learner(config, method, train, theta, &device)?,
            early: early.transpose()?,
            device,
            curvature: config.memory.single_threaded(),
            epoch: 0,
            steps: 0,
            seconds: 0.0,
        })
    }

    /// The epochs that it may take.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// Changes the epochs that it may take, to a function of them and of what a step costs in passes of plain training.
    pub fn limit(&mut self, epochs: impl FnOnce(usize, f64) -> usize) -> Result<(), LabError> {
        let samples = self.problem.train.data.samples();
        let rows = self
            .config
            .batch
            .map_or(samples, |batch| batch.min(samples));
        self.epochs = epochs(self.epochs, self.learner.passes(rows)?);
        Ok(())
    }

    /// Puts the optimizer where it was.
    pub fn restore_optimizer(&mut self, bytes: &[u8]) -> Result<(), String> {
        // Burn materialises the state on its default device, a GPU wherever one is compiled in, before the next step
        // moves it to the parameters' own. Without a GPU it would panic.
        if self.config.optimizer != Optimizer::Sgd
            && let Err(error) = Backend::Default.device()
        {
            return Err(format!(
                "cannot restore the optimizer in this build: {error}"
            ));
        }
        let optimizer = self
            .config
            .optimizer(self.method)
            .from_bytes(Bytes::from_bytes_vec(bytes.to_vec()))
            .map_err(|error| error.to_string())?;
        self.learner.set_optimizer(optimizer);
        Ok(())
    }

    /// The optimizer's state.
    pub fn optimizer_state(&self) -> Result<Vec<u8>, String> {
        let bytes = self.learner.optimizer().into_bytes();
        bytes
            .map(|it| it.to_vec())
            .map_err(|error| error.to_string())
    }

    /// θ.
    pub fn theta(&self) -> Vec<f64> {
        self.learner.theta()
    }

    /// Parameters of the network in training as a file.
    pub fn file(&self, theta: &[f64]) -> Vec<u8> {
        self.problem.architecture.to_safetensors(theta, None)
    }

    /// The classes of rows of inputs, which are on the device of the problem.
    pub fn predict(&self, x: Tensor<2>) -> Vec<usize> {
        self.learner.predict(x)
    }

    /// The epoch that was best on the validation split, where one is kept.
    pub fn best(&self) -> Option<&Best> {
        self.early.as_ref()?.best.as_ref()
    }

    /// What the method remembers.
    pub fn memory(&self) -> Result<Memory, LabError> {
        self.learner.memory()
    }

    /// Puts network, counts and what depends on the steps where they were.
    pub fn go_on(
        &mut self,
        epoch: usize,
        steps: usize,
        seconds: f64,
        best: Option<Best>,
        memory: Memory,
    ) {
        (self.epoch, self.steps, self.seconds) = (epoch, steps, seconds);
        self.learner.recall(steps as u64, memory);
        if let Some(early) = &mut self.early {
            early.best = best;
        }
    }

    pub fn is_done(&self) -> bool {
        self.epoch >= self.epochs
    }

    /// One pass over the training split, and a row of metrics.
    ///
    /// # Errors
    ///
    /// [`LabError::Diverged`] where training left the range of numbers, wherever that showed first.
    pub fn run_epoch(&mut self) -> Result<Row, LabError> {
        self.advance()?;
        let epoch = self.epoch;
        self.measure()
            .map_err(|error| or_diverged(error, self.method, epoch))
    }

    /// One pass over the training split.
    ///
    /// # Errors
    ///
    /// As [`run_epoch`](Self::run_epoch).
    pub fn advance(&mut self) -> Result<(), LabError> {
        let epoch = self.epoch + 1;
        self.pass()
            .and_then(|()| self.keep_best())
            .map_err(|error| or_diverged(error, self.method, epoch))
    }

    /// Notes the epoch where the validation loss is the least so far; after the last one, goes back to the best.
    fn keep_best(&mut self) -> Result<(), LabError> {
        if self.early.is_none() {
            return Ok(());
        }
        let theta = self.theta();
        let Some(early) = &mut self.early else {
            return Ok(());
        };
        if theta.iter().all(|v| v.is_finite()) {
            let architecture = &self.problem.architecture;
            let mut surface = architecture.surface(&mut self.curvature, &early.validation)?;
            let loss = surface.loss(&theta)?;
            if early.best.as_ref().is_none_or(|best| loss < best.loss) {
                early.best = Some(Best {
                    loss,
                    epoch: self.epoch,
                    theta,
                });
            }
        }
        if self.epoch >= self.epochs
            && let Some(best) = &early.best
        {
            self.learner.set_theta(&best.theta);
        }
        Ok(())
    }

    fn pass(&mut self) -> Result<(), LabError> {
        let all = self.problem.train.data.samples();
        let mut order: Vec<i64> = match &self.early {
            Some(early) => early.train.clone(),
            None => (0..all as i64).collect(),
        };
        let samples = order.len();
        let size = self.config.batch.unwrap_or(samples).min(samples);
        if size < samples {
            order.shuffle(&mut generator_at(
                self.config.seed,
                Stream::Shuffle,
                self.epoch,
            ));
        }
        let started = Instant::now();
        for indices in order.chunks(size) {
            let (x, y) = self.select(indices, all);
            self.learner.step(x, y)?;
            self.steps += 1;
        }
        // Work queued on a device counts as done only when it is.
        self.device
            .sync()
            .map_err(|error| LabError::Option(error.to_string()))?;
        self.seconds += started.elapsed().as_secs_f64();
        self.epoch += 1;
        Ok(())
    }

    fn select(&self, indices: &[i64], samples: usize) -> (Tensor<2>, Tensor<1, Int>) {
        let Part { x, y, .. } = &self.problem.train;
        if indices.len() == samples {
            return (x.clone(), y.clone());
        }
        let data = TensorData::new(indices.to_vec(), [indices.len()]);
        let indices = Tensor::<1, Int>::from_data(data, &x.device());
        (
            x.clone().select(0, indices.clone()),
            y.clone().select(0, indices),
        )
    }

    fn measure(&mut self) -> Result<Row, LabError> {
        let theta = self.theta();
        if theta.iter().any(|v| !v.is_finite()) {
            return Err(diverged(self.method, self.epoch));
        }
        let train = &self.problem.train;
        let every = (self.epochs / MEASUREMENTS).max(1);
        let due = self.epoch == 1 || self.epoch.is_multiple_of(every) || self.is_done();
        let architecture = &self.problem.architecture;
        let mut surface = architecture.surface(&mut self.curvature, &train.data)?;
        let (train_loss, lambda_sup, grad_norm) = if due {
            let mut gradient = vec![0.0; theta.len()];
            let loss = surface.loss_gradient(&theta, &mut gradient)?;
            let bounds = surface.bounds(&theta)?;
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            (loss, bounds.map(|bounds| bounds.lambda_sup), Some(norm))
        } else {
            (surface.loss(&theta)?, None, None)
        };
        drop(surface);
        if !train_loss.is_finite() {
            return Err(diverged(self.method, self.epoch));
        }
        let test = &self.problem.test;
        let of_train = self.predict(train.x.clone());
        let of_test = self.predict(test.x.clone());
        let classes = self.problem.outputs();
        Ok(Row {
            network: self.method.name().to_owned(),
            epoch: self.epoch,
            train_loss,
            train_accuracy: scores::accuracy(&of_train, &train.data.labels),
            test_accuracy: scores::accuracy(&of_test, &test.data.labels),
            test_macro_f1: scores::macro_f1(&of_test, &test.data.labels, classes),
            lambda_sup,
            grad_norm,
            seconds: self.seconds,
        })
    }
}

/// The epoch that was best on the validation split.
#[derive(Clone)]
pub(crate) struct Best {
    pub loss: f64,
    pub epoch: usize,
    pub theta: Vec<f64>,
}

/// What early stopping needs.
struct EarlyStopping {
    /// The samples of the training split that are trained on.
    train: Vec<i64>,
    validation: Dataset,
    best: Option<Best>,
}

impl EarlyStopping {
    fn new(problem: &Problem, seed: u64) -> Result<Self, LabError> {
        let split = problem.validation_split(seed)?;
        let train = &problem.train.data;
        Ok(Self {
            train: split.train.iter().map(|&sample| sample as i64).collect(),
            validation: train.subset(&split.test),
            best: None,
        })
    }
}

/// The error of a loss that is no longer finite.
pub(crate) fn diverged(method: Method, epoch: usize) -> LabError {
    LabError::Diverged {
        network: method.name().to_owned(),
        epoch,
    }
}

/// The error of numbers that are no longer finite as one of training, with what can be done about it; others as they are.
pub(crate) fn or_diverged(error: LabError, method: Method, epoch: usize) -> LabError {
    match left_the_numbers(&error) {
        true => diverged(method, epoch),
        false => error,
    }
}

/// Whether training is to blame, not the options: a penalty refuses weights that are no longer numbers.
pub(crate) fn left_the_numbers(error: &LabError) -> bool {
    match error {
        LabError::Diverged { .. } => true,
        LabError::Core(error) | LabError::Hsr(HsrError::Core(error)) => {
            is_no_number(&SharpnessError::Core(error.clone()))
        }
        LabError::Sharpness(error) => is_no_number(error),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Source;

    #[test]
    fn early_stopping_ends_with_the_epoch_that_was_best_on_samples_that_were_not_trained_on() {
        let config = TrainConfig {
            method: Method::EarlyStopping,
            optimizer: Optimizer::Adam,
            learning_rate: 0.05,
            strength: 0.0.into(),
            epochs: Some(40),
            batch: Some(32),
            seed: 1,
            // So that training to the end is worse than stopping.
            label_noise: 0.3,
            ..TrainConfig::new(Source::task("wine"))
        };
        let device = config.backend.device().unwrap();
        let problem = Problem::load(&config, &device).unwrap();
        let start = problem.architecture.start(config.seed);
        let mut trainer =
            Trainer::new(&config, 40, &problem, config.method, &device, &start).unwrap();
        let split = problem.validation_split(config.seed).unwrap();
        let (train, held_back) = (split.train.len(), split.test.len());
        assert_eq!(train + held_back, problem.train.data.samples());
        assert!((held_back as f64 / (train + held_back) as f64 - 0.2).abs() < 0.02);
        let validation = problem.train.data.subset(&split.test);
        let mut losses = Vec::new();
        while !trainer.is_done() {
            trainer.advance().unwrap();
            if !trainer.is_done() {
                let mut curvature = config.memory.single_threaded();
                let surface = problem.architecture.surface(&mut curvature, &validation);
                losses.push(surface.unwrap().loss(&trainer.theta()).unwrap());
            }
        }
        let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
        let best = trainer.best().unwrap();
        assert!((best.loss / least - 1.0).abs() < 1e-12 && best.epoch < 30);
        assert_eq!(best.loss, losses[best.epoch - 1]);
        assert!(losses[38] > 1.5 * least, "{losses:?}");
        assert_eq!(trainer.theta(), best.theta);
    }
}
