//! A run and its directory: new, interrupted, resumed, finished.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;

use super::architecture;
use super::checkpoint::{self, Finished, State};
use super::config::TrainConfig;
use super::figures::{self, Trained};
use super::measure::measure;
use super::method::Method;
use super::problem::Problem;
use super::stored::{Stored, load_problem, model_file, read_config, read_model, versions};
use super::summary::Summary;
use super::trainer::{Best, Row, Trainer, or_diverged};
use crate::data::DataWarning;
use crate::error::LabError;
use crate::lock::{self, DirectoryLock};
use crate::memory::MemoryLimit;
use crate::{files, shell};

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

/// A run directory and what is to happen in it.
pub struct Run {
    directory: PathBuf,
    /// Nobody else writes there until the run is over.
    _lock: DirectoryLock,
    config: TrainConfig,
    /// The checksum of `config.json`.
    checksum: String,
    epochs: usize,
    device: Device,
    problem: Problem,
    checkpoint: Option<checkpoint::Checkpoint>,
}

impl Run {
    /// A new run. Data and options are checked before anything is written. `directory` must not exist or be empty, and
    /// belongs to this run alone from then on.
    ///
    /// # Errors
    ///
    /// A [`LabError`] that names the option, file or directory at fault.
    pub fn create(config: TrainConfig, directory: &Path) -> Result<Self, LabError> {
        Self::begin(config, || {
            let lock = DirectoryLock::take(directory)?;
            if !lock::is_occupied(directory)? {
                return Ok(lock);
            }
            let message = if directory.join("config.json").exists() {
                format!(
                    "is not empty, expected a new directory; to continue the run in it: hsr train {}",
                    shell::option("resume", directory)
                )
            } else {
                "is not empty, expected a new directory".to_owned()
            };
            Err(LabError::run(directory, message))
        })
    }

    /// The same in the directory `base`, or in the first of `base-2`, `base-3`, … that is free, whoever else looks for one
    /// at the same time.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_numbered(config: TrainConfig, base: &Path) -> Result<Self, LabError> {
        Self::begin(config, || DirectoryLock::numbered(base))
    }

    fn begin(
        mut config: TrainConfig,
        lock: impl FnOnce() -> Result<DirectoryLock, LabError>,
    ) -> Result<Self, LabError> {
        config.check()?;
        architecture::check_rule(&config, config.method)?;
        let device = config.backend.device()?;
        let problem = Problem::load(&config, &device)?;
        let epochs = config.settle_epochs(problem.train.data.samples());
        let lock = lock()?;
        let stored = Stored {
            versions: versions(),
            data_fingerprint: problem.fingerprint.clone(),
            network: problem.about(&config, config.method),
            config: config.clone(),
            checksum: String::new(),
        };
        let (bytes, checksum) = files::sealed(&stored, "");
        files::write(&lock.directory().join("config.json"), &bytes)?;
        Ok(Self {
            directory: lock.directory().to_owned(),
            _lock: lock,
            config,
            checksum,
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
    /// [`LabError::Run`] where the directory holds no run or another process goes on with it, where what was saved is not as
    /// it was written, or where the data are no longer those of the run.
    pub fn resume(directory: &Path) -> Result<Self, LabError> {
        let stored = read_config(directory)?;
        let lock = DirectoryLock::take(directory)?;
        let now = versions();
        if let Some((name, before)) = stored
            .versions
            .iter()
            .find(|(it, v)| now.get(*it) != Some(v))
        {
            return Err(LabError::run(
                directory,
                format!(
                    "was begun with {name} {before}, this is {}; a run goes on only where it was begun",
                    now.get(name).map_or("another", String::as_str)
                ),
            ));
        }
        let device = stored.config.backend.device()?;
        let problem = load_problem(directory, &stored, &device)?;
        let mut config = stored.config;
        let epochs = config.settle_epochs(problem.train.data.samples());
        let checkpoint = checkpoint::load(directory, &stored.checksum)?;
        let run = Self {
            directory: directory.to_owned(),
            _lock: lock,
            config,
            checksum: stored.checksum,
            epochs,
            device,
            problem,
            checkpoint,
        };
        run.check_checkpoint()?;
        Ok(run)
    }

    /// Whether the checkpoint, which is whole and of this configuration, can be one of this run.
    fn check_checkpoint(&self) -> Result<(), LabError> {
        let Some(checkpoint) = &self.checkpoint else {
            return Ok(());
        };
        let State {
            method,
            epoch,
            finished,
            rows,
            ..
        } = &checkpoint.state;
        let methods = self.config.methods();
        let done: Vec<Method> = finished.iter().map(|it| it.method).collect();
        let index = methods.iter().position(|it| it == method);
        let fits = index.is_some_and(|index| {
            // The network in training is the first that is not done, or the last that is.
            let is_done = done.len() == index + 1;
            methods.starts_with(&done)
                && (is_done && *epoch == self.epochs || done.len() == index && *epoch < self.epochs)
                && rows.len() == index * self.epochs + epoch
        });
        if !fits {
            return Err(LabError::run(
                self.directory.join(checkpoint::FILE),
                format!(
                    "is at epoch {epoch} of the {} network, which the run of config.json never is",
                    method.name()
                ),
            ));
        }
        let mut files = [&checkpoint.weights].into_iter().chain(&checkpoint.best);
        files.try_for_each(|file| self.problem.architecture.read(file).map(drop))
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

    /// What looks wrong with the data.
    pub fn warnings(&self) -> &[DataWarning] {
        &self.problem.warnings
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
        self.write_csv("split.csv", |writer| self.problem.split_csv(writer))?;
        let methods = self.config.methods();
        let architecture = Arc::clone(&self.problem.architecture);
        let start = architecture.start(self.config.seed);
        let mut resumed = self.checkpoint.take();
        let (mut rows, mut finished) = match &resumed {
            Some(checkpoint) => (
                checkpoint.state.rows.clone(),
                checkpoint.state.finished.clone(),
            ),
            None => (Vec::new(), Vec::new()),
        };
        for (index, &method) in methods.iter().enumerate() {
            if finished.iter().any(|it| it.method == method) {
                continue;
            }
            let resumed = resumed.take().filter(|it| it.state.method == method);
            let theta = match &resumed {
                Some(checkpoint) => &architecture.read(&checkpoint.weights)?,
                None => &start,
            };
            let mut trainer = Trainer::new(
                &self.config,
                self.epochs,
                &self.problem,
                method,
                &self.device,
                theta,
            )?;
            if let Some(checkpoint) = resumed {
                trainer
                    .restore_optimizer(&checkpoint.optimizer)
                    .map_err(|message| {
                        LabError::run(self.directory.join(checkpoint::FILE), message)
                    })?;
                let State {
                    epoch,
                    steps,
                    seconds,
                    best,
                    memory,
                    ..
                } = checkpoint.state;
                let best = match best.zip(checkpoint.best) {
                    Some(((loss, epoch), file)) => Some(Best {
                        loss,
                        epoch,
                        theta: architecture.read(&file)?,
                    }),
                    None => None,
                };
                trainer.go_on(epoch, steps, seconds, best, memory);
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
        finished: &mut Vec<Finished>,
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
                let file = self
                    .directory
                    .join(model_file(trainer.method, self.config.method));
                let about = self.problem.about(&self.config, trainer.method);
                let architecture = &self.problem.architecture;
                let bytes = architecture.to_safetensors(&trainer.theta(), Some(&about));
                files::write(&file, &bytes)?;
                finished.push(Finished {
                    method: trainer.method,
                    steps: trainer.steps,
                    seconds: trainer.seconds,
                    model: files::checksum([&bytes[..]]),
                });
            }
            if done || control == Control::Stop || saved.elapsed() > CHECKPOINT_EVERY {
                let write = |writer: &mut csv::Writer<_>| {
                    rows.iter().try_for_each(|row| writer.serialize(row))
                };
                self.write_csv("metrics.csv", write)?;
                let state = State {
                    config: self.checksum.clone(),
                    method: trainer.method,
                    epoch: trainer.epoch,
                    steps: trainer.steps,
                    seconds: trainer.seconds,
                    rows: rows.clone(),
                    finished: finished.clone(),
                    best: trainer.best().map(|best| (best.loss, best.epoch)),
                    memory: trainer.memory()?,
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

    fn write_csv(
        &self,
        name: &str,
        write: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> csv::Result<()>,
    ) -> Result<(), LabError> {
        let path = self.directory.join(name);
        let bytes = files::csv(write).map_err(|error| LabError::run(&path, error.to_string()))?;
        files::write(&path, &bytes)
    }

    /// Measures the trained networks, writes the summary and draws the pictures.
    fn conclude(&self, rows: &[Row], finished: &[Finished]) -> Result<Summary, LabError> {
        let mut curvature = self.config.memory.single_threaded();
        let mut trained = Vec::new();
        let mut networks = BTreeMap::new();
        for it in finished {
            let method = it.method;
            let file = self.directory.join(model_file(method, self.config.method));
            let file = read_model(&file, Some(&it.model))?;
            let theta = self.problem.architecture.read(&file)?;
            let (summary, eigenvalues) = measure(
                &self.config,
                &self.problem,
                &mut curvature,
                &theta,
                it.steps,
                it.seconds,
            )
            .map_err(|error| or_diverged(error, method, self.epochs))?;
            trained.push(Trained {
                label: method.name().to_owned(),
                theta,
                eigenvalues,
                lambda_sup: summary.lambda_sup,
                macro_f1: summary.macro_f1,
                lambda_max: summary.lambda_max,
            });
            networks.insert(method.name().to_owned(), summary);
        }
        let mut summary = Summary {
            task: self.config.source.name(),
            backend: self.config.backend.to_string(),
            parameters: self.problem.parameters(),
            train_samples: self.problem.train.data.samples(),
            test_samples: self.problem.test.data.samples(),
            seed: self.config.seed,
            directory: self.directory.display().to_string(),
            classes: self.problem.classes(),
            networks,
            notes: Vec::new(),
        };
        summary.notes.extend(summary.outweighed());
        // Before the pictures: one that fails takes no number with it.
        let path = self.directory.join("summary.json");
        files::write(&path, &files::json(&summary))?;
        let notes = figures::draw(&self.directory, &self.problem, &trained, rows)?;
        if !notes.is_empty() {
            summary.notes.extend(notes);
            files::write(&path, &files::json(&summary))?;
        }
        Ok(summary)
    }
}

#[cfg(test)]
mod tests;
