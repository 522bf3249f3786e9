//! A run and its directory: new, interrupted, resumed, finished.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::checkpoint::{self, State};
use super::config::{Method, TrainConfig};
use super::figures::{self, Trained};
use super::measure::measure;
use super::problem::Problem;
use super::saved;
use super::summary::Summary;
use super::trainer::{Row, Trainer};
use crate::memory::MemoryLimit;
use crate::{LabError, Weights, files};

/// What the observer of a run is told after every epoch.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The network in training.
    pub network: &'a str,
    /// Epochs done by all networks, and wanted of all.
    pub done: usize,
    /// Epochs in all.
    pub total: usize,
    /// The training loss.
    pub loss: f64,
    /// The test accuracy.
    pub accuracy: f64,
    /// λ_sup as last measured.
    pub lambda_sup: Option<f64>,
}

/// What the observer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Save and stop; the run can be resumed.
    Stop,
}

/// The least time between two checkpoints: what a power failure may cost.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);

/// `config.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub versions: BTreeMap<String, String>,
    pub data_fingerprint: String,
    pub config: TrainConfig,
}

/// A run directory and what is to happen in it.
pub struct Run {
    directory: PathBuf,
    config: TrainConfig,
    epochs: usize,
    device: Device,
    problem: Problem,
    checkpoint: Option<checkpoint::Checkpoint>,
}

impl Run {
    /// A new run. Data and options are checked before anything is written. `directory` must not exist or be empty.
    ///
    /// # Errors
    ///
    /// A [`LabError`] that names the option, file or directory at fault.
    pub fn create(mut config: TrainConfig, directory: &Path) -> Result<Self, LabError> {
        config.check()?;
        config.extra(config.method)?;
        let device = config.backend.device()?;
        let problem = Problem::load(&config, &device)?;
        let epochs = config.settle_epochs(problem.train.data.samples());
        let occupied = match std::fs::read_dir(directory) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(LabError::io(directory, "be used as a run directory")(error)),
        };
        if occupied {
            return Err(LabError::Run {
                path: directory.to_owned(),
                message: "is not empty, expected a new directory (or: hsr train --resume)"
                    .to_owned(),
            });
        }
        std::fs::create_dir_all(directory).map_err(LabError::io(directory, "be created"))?;
        let stored = Stored {
            versions: versions(),
            data_fingerprint: problem.fingerprint.clone(),
            config: config.clone(),
        };
        files::write(&directory.join("config.json"), &files::json(&stored))?;
        Ok(Self {
            directory: directory.to_owned(),
            config,
            epochs,
            device,
            problem,
            checkpoint: None,
        })
    }

    /// An interrupted run, to be continued.
    ///
    /// # Errors
    ///
    /// [`LabError::Run`] where the directory holds no run, or the data are no longer those of the run.
    pub fn resume(directory: &Path) -> Result<Self, LabError> {
        let stored = saved::read_config(directory)?;
        let device = stored.config.backend.device()?;
        let problem = saved::load_problem(directory, &stored, &device)?;
        let mut config = stored.config;
        let epochs = config.settle_epochs(problem.train.data.samples());
        let checkpoint = checkpoint::load(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            config,
            epochs,
            device,
            problem,
            checkpoint,
        })
    }

    /// The same under another limit on memory.
    pub fn with_memory(mut self, limit: MemoryLimit) -> Self {
        self.config.memory = limit;
        self
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Epochs of each network.
    pub fn epochs(&self) -> usize {
        self.epochs
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Trains what is left to train, and writes metrics, models, figures and summary.
    ///
    /// # Errors
    ///
    /// [`LabError::Interrupted`] where the observer stopped it, [`LabError::Diverged`] where the loss is no longer
    /// finite, and what can go wrong with files.
    pub fn execute(
        mut self,
        mut observe: impl FnMut(Progress) -> Control,
    ) -> Result<Summary, LabError> {
        let methods = self.config.methods();
        let start = Weights::random(self.problem.dimensions, self.config.seed);
        let mut resumed = self.checkpoint.take();
        let (mut rows, mut finished) = match &resumed {
            Some(checkpoint) => (
                checkpoint.state.rows.clone(),
                checkpoint.state.finished.clone(),
            ),
            None => (Vec::new(), Vec::new()),
        };
        for (index, &method) in methods.iter().enumerate() {
            if finished.iter().any(|&(done, ..)| done == method) {
                continue;
            }
            let resumed = resumed.take().filter(|it| it.state.method == method);
            let mut trainer = Trainer::new(
                &self.config,
                self.epochs,
                &self.problem,
                method,
                &self.device,
                resumed.as_ref().map_or(&start, |it| &it.weights),
            )?;
            if let Some(checkpoint) = resumed {
                trainer
                    .restore_optimizer(&checkpoint.optimizer)
                    .map_err(|message| LabError::Run {
                        path: self.directory.join(checkpoint::FILE),
                        message,
                    })?;
                trainer.epoch = checkpoint.state.epoch;
                trainer.steps = checkpoint.state.steps;
                trainer.seconds = checkpoint.state.seconds;
            }
            self.train(&mut trainer, &mut rows, &mut finished, index, &mut observe)?;
        }
        self.conclude(&rows, &finished)
    }

    /// The remaining epochs of one network.
    fn train(
        &self,
        trainer: &mut Trainer,
        rows: &mut Vec<Row>,
        finished: &mut Vec<(Method, usize, f64)>,
        index: usize,
        observe: &mut impl FnMut(Progress) -> Control,
    ) -> Result<(), LabError> {
        let epochs = self.epochs;
        let total = epochs * self.config.methods().len();
        let mut saved = Instant::now();
        while !trainer.is_done() {
            rows.push(trainer.run_epoch()?);
            let row = rows.last().expect("just pushed");
            let control = observe(Progress {
                network: trainer.method.name(),
                done: index * epochs + trainer.epoch,
                total,
                loss: row.train_loss,
                accuracy: row.test_accuracy,
                lambda_sup: rows.iter().rev().find_map(|row| row.lambda_sup),
            });
            let done = trainer.is_done();
            if done {
                let weights = trainer.weights();
                let file = self
                    .directory
                    .join(model_file(trainer.method, self.config.method));
                files::write(
                    &file,
                    &weights.to_safetensors(Some(self.about(trainer.method))),
                )?;
                finished.push((trainer.method, trainer.steps, trainer.seconds));
            }
            if done || control == Control::Stop || saved.elapsed() > CHECKPOINT_EVERY {
                self.write_metrics(rows)?;
                let state = State {
                    method: trainer.method,
                    epoch: trainer.epoch,
                    steps: trainer.steps,
                    seconds: trainer.seconds,
                    rows: rows.clone(),
                    finished: finished.clone(),
                };
                checkpoint::save(&self.directory, trainer, &state)?;
                saved = Instant::now();
            }
            if control == Control::Stop && trainer.epoch + index * epochs < total {
                return Err(LabError::Interrupted {
                    network: trainer.method.name().to_owned(),
                    epoch: trainer.epoch,
                    epochs,
                    path: self.directory.clone(),
                });
            }
        }
        Ok(())
    }

    /// What a model file says of itself: enough to inspect it.
    fn about(&self, method: Method) -> String {
        serde_json::json!({
            "activation": self.config.activation.name(),
            "loss": "softmax",
            "method": method.name(),
            "task": self.config.source.name(),
        })
        .to_string()
    }

    fn write_metrics(&self, rows: &[Row]) -> Result<(), LabError> {
        let path = self.directory.join("metrics.csv");
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.serialize(row).map_err(|error| LabError::Run {
                path: path.clone(),
                message: error.to_string(),
            })?;
        }
        let bytes = writer.into_inner().map_err(|error| LabError::Run {
            path: path.clone(),
            message: error.to_string(),
        })?;
        files::write(&path, &bytes)
    }

    /// Measures the trained networks, draws the pictures and writes the summary.
    fn conclude(
        &self,
        rows: &[Row],
        finished: &[(Method, usize, f64)],
    ) -> Result<Summary, LabError> {
        let mut workspace = self.config.memory.single_threaded();
        let mut trained = Vec::new();
        let mut networks = BTreeMap::new();
        for &(method, steps, seconds) in finished {
            let file = self.directory.join(model_file(method, self.config.method));
            let weights = Weights::read(&file, "hidden", "output")?;
            let (summary, eigenvalues) = measure(
                &self.config,
                &self.problem,
                &mut workspace,
                &weights,
                steps,
                seconds,
            )?;
            trained.push(Trained {
                label: method.name().to_owned(),
                weights,
                eigenvalues,
                lambda_sup: summary.lambda_sup,
                macro_f1: summary.macro_f1,
                lambda_max: summary.lambda_max,
            });
            networks.insert(method.name().to_owned(), summary);
        }
        figures::draw(&self.directory, &self.config, &self.problem, &trained, rows)?;
        let summary = Summary {
            task: self.config.source.name(),
            backend: self.config.backend.name().to_owned(),
            parameters: self.problem.dimensions.parameters(),
            train_samples: self.problem.train.data.samples(),
            test_samples: self.problem.test.data.samples(),
            seed: self.config.seed,
            directory: self.directory.display().to_string(),
            networks,
        };
        files::write(&self.directory.join("summary.json"), &files::json(&summary))?;
        Ok(summary)
    }
}

/// The run's own network is `model.safetensors`; a baseline beside it is named after its method.
pub(super) fn model_file(method: Method, of_run: Method) -> String {
    if method == of_run {
        "model.safetensors".to_owned()
    } else {
        format!("{}.safetensors", method.name())
    }
}

pub(crate) fn versions() -> BTreeMap<String, String> {
    [
        ("hsr", env!("CARGO_PKG_VERSION")),
        ("burn", "0.22.1"),
        ("os", std::env::consts::OS),
        ("arch", std::env::consts::ARCH),
    ]
    .map(|(name, version)| (name.to_owned(), version.to_owned()))
    .into_iter()
    .collect()
}
