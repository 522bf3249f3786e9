//! The epochs of one network.

use std::time::Instant;

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};
use burn_hsr::{Backend, HsrError, Mlp};
use burn_sharpness::SharpnessError;
use hsr_core::Error;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::config::{Extra, Method, Optimizer, TrainConfig};
use super::problem::{Part, Problem};
use crate::data::random::{Stream, generator_at};
use crate::{Curvature, LabError, Weights, network, scores};

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
    device: Device,
    model: Mlp,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    extra: Extra,
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
        weights: &Weights,
    ) -> Result<Self, LabError> {
        let device = device.clone().autodiff();
        Ok(Self {
            config,
            epochs,
            problem,
            method,
            model: network::to_burn(weights, &device),
            optimizer: config.optimizer.init(),
            loss: CrossEntropyLossConfig::new().init(&device),
            extra: config.extra(method)?,
            device,
            curvature: config.memory.single_threaded(),
            epoch: 0,
            steps: 0,
            seconds: 0.0,
        })
    }

    /// Puts the optimizer where it was.
    pub fn restore_optimizer(&mut self, bytes: &[u8]) -> Result<(), String> {
        // Burn materialises the state on its default device, which is wgpu wherever that is compiled in, before the
        // next step moves it to the parameters' own. Without an adapter it would panic.
        if Backend::Wgpu.is_compiled()
            && self.config.optimizer != Optimizer::Sgd
            && let Err(error) = Backend::Wgpu.device()
        {
            return Err(format!(
                "cannot restore the optimizer in a build with wgpu: {error}"
            ));
        }
        self.optimizer = self
            .config
            .optimizer
            .init()
            .from_bytes(Bytes::from_bytes_vec(bytes.to_vec()))
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The optimizer's state.
    pub fn optimizer_state(&self) -> Result<Vec<u8>, String> {
        let bytes = self
            .optimizer
            .into_bytes()
            .map_err(|error| error.to_string())?;
        Ok(bytes.to_vec())
    }

    pub fn weights(&self) -> Weights {
        network::from_burn(&self.model)
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
        self.measure().map_err(|error| self.diverged(error, epoch))
    }

    /// One pass over the training split.
    ///
    /// # Errors
    ///
    /// As [`run_epoch`](Self::run_epoch).
    pub fn advance(&mut self) -> Result<(), LabError> {
        let epoch = self.epoch + 1;
        self.pass().map_err(|error| self.diverged(error, epoch))
    }

    /// The error of numbers that are no longer finite as one of training, with what can be done about it.
    fn diverged(&self, error: LabError, epoch: usize) -> LabError {
        if left_the_numbers(&error) {
            LabError::Diverged {
                network: self.method.name().to_owned(),
                epoch,
            }
        } else {
            error
        }
    }

    fn pass(&mut self) -> Result<(), LabError> {
        let samples = self.problem.train.data.samples();
        let size = self.config.batch.unwrap_or(samples).min(samples);
        let mut order: Vec<i64> = (0..samples as i64).collect();
        if size < samples {
            order.shuffle(&mut generator_at(
                self.config.seed,
                Stream::Shuffle,
                self.epoch,
            ));
        }
        let started = Instant::now();
        for indices in order.chunks(size) {
            let (x, y) = self.select(indices, samples);
            self.step(x, y)?;
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

    fn step(&mut self, x: Tensor<2>, y: Tensor<1, Int>) -> Result<(), LabError> {
        let of = |model: &Mlp| {
            let loss = self.loss.forward(model.forward(x.clone()), y.clone());
            GradientsParams::from_grads(loss.backward(), model)
        };
        let (model, lr) = (self.model.clone(), self.config.learning_rate);
        self.model = match &self.extra {
            Extra::Nothing => {
                let gradients = of(&model);
                self.optimizer.step(lr, model, gradients)
            }
            Extra::Penalty(penalty) => {
                let gradients = of(&model);
                penalty.step(&mut self.optimizer, lr, model, x, y, gradients)?
            }
            Extra::Sam(sam) => {
                let passes = sam.of(&model, |model| ((), of(&model)))?;
                self.optimizer.step(lr, model, passes.gradients)
            }
        };
        Ok(())
    }

    fn measure(&mut self) -> Result<Row, LabError> {
        let weights = self.weights();
        let diverged = || LabError::Diverged {
            network: self.method.name().to_owned(),
            epoch: self.epoch,
        };
        if weights.theta.iter().any(|v| !v.is_finite()) {
            return Err(diverged());
        }
        let closed_form = weights.view()?;
        let train = &self.problem.train;
        let every = (self.epochs / MEASUREMENTS).max(1);
        let due = self.epoch == 1 || self.epoch.is_multiple_of(every) || self.is_done();
        let (train_loss, lambda_sup, grad_norm) = if due {
            let mut gradient = vec![0.0; weights.theta.len()];
            let loss = self
                .curvature
                .loss_gradient(&closed_form, &train.batch(), &mut gradient)?;
            let bounds = self.curvature.bounds(&closed_form, &train.batch())?;
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            (loss, Some(bounds.lambda_sup), Some(norm))
        } else {
            (
                self.curvature.loss(&closed_form, &train.batch())?,
                None,
                None,
            )
        };
        if !train_loss.is_finite() {
            return Err(diverged());
        }
        let test = &self.problem.test;
        let model = self.model.valid();
        let of_train = network::predict(&model, train.x.clone());
        let of_test = network::predict(&model, test.x.clone());
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

/// Whether training is to blame, not the options: a penalty refuses weights that are no longer numbers.
pub(crate) fn left_the_numbers(error: &LabError) -> bool {
    match error {
        LabError::Diverged { .. } => true,
        LabError::Core(error)
        | LabError::Hsr(HsrError::Core(error))
        | LabError::Sharpness(SharpnessError::Core(error)) => {
            matches!(
                error,
                Error::NotFinite { .. }
                    | Error::LayerNotFinite { .. }
                    | Error::Overflow { .. }
                    | Error::Eigenvalues
            )
        }
        _ => false,
    }
}
