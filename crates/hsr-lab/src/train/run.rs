//! A run and its directory: new, interrupted, resumed, finished.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::architecture;
use super::checkpoint::{self, Finished, State};
use super::config::{Method, TrainConfig};
use super::figures::{self, Trained};
use super::measure::measure;
use super::problem::Problem;
use super::rule::Memory;
use super::saved;
use super::summary::Summary;
use super::trainer::{Best, Row, Trainer, left_the_numbers};
use crate::data::DataWarning;
use crate::lock::{self, DirectoryLock};
use crate::memory::MemoryLimit;
use crate::{About, LabError, files, shell};

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
    /// What the run's own network says of itself, as in the metadata of its file.
    #[serde(default)]
    pub network: About,
    /// Of the file, by which a checkpoint knows the run that it belongs to.
    #[serde(skip)]
    pub checksum: String,
}

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
            Err(LabError::Run {
                path: directory.to_owned(),
                message,
            })
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
        let stored = saved::read_config(directory)?;
        let lock = DirectoryLock::take(directory)?;
        let now = versions();
        if let Some((name, before)) = stored
            .versions
            .iter()
            .find(|(it, v)| now.get(*it) != Some(v))
        {
            return Err(LabError::Run {
                path: directory.to_owned(),
                message: format!(
                    "was begun with {name} {before}, this is {}; a run goes on only where it was begun",
                    now.get(name).map_or("another", String::as_str)
                ),
            });
        }
        let device = stored.config.backend.device()?;
        let problem = saved::load_problem(directory, &stored, &device)?;
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
            return Err(LabError::Run {
                path: self.directory.join(checkpoint::FILE),
                message: format!(
                    "is at epoch {epoch} of the {} network, which the run of config.json never is",
                    method.name()
                ),
            });
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
        self.write_split()?;
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
                    .map_err(|message| LabError::Run {
                        path: self.directory.join(checkpoint::FILE),
                        message,
                    })?;
                let State {
                    epoch,
                    steps,
                    seconds,
                    best,
                    averages,
                    stochastic,
                    sam,
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
                let memory = Memory {
                    averages,
                    stochastic,
                    sam,
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
                self.write_metrics(rows)?;
                let Memory {
                    averages,
                    stochastic,
                    sam,
                } = trainer.memory()?;
                let state = State {
                    config: self.checksum.clone(),
                    method: trainer.method,
                    epoch: trainer.epoch,
                    steps: trainer.steps,
                    seconds: trainer.seconds,
                    rows: rows.clone(),
                    finished: finished.clone(),
                    best: trainer.best().map(|best| (best.loss, best.epoch)),
                    averages,
                    stochastic,
                    sam,
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

    fn write_split(&self) -> Result<(), LabError> {
        let path = self.directory.join("split.csv");
        let bytes = self.problem.split_csv().map_err(|error| LabError::Run {
            path: path.clone(),
            message: error.to_string(),
        })?;
        files::write(&path, &bytes)
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

    /// Measures the trained networks, writes the summary and draws the pictures.
    fn conclude(&self, rows: &[Row], finished: &[Finished]) -> Result<Summary, LabError> {
        let mut curvature = self.config.memory.single_threaded();
        let mut trained = Vec::new();
        let mut networks = BTreeMap::new();
        for it in finished {
            let method = it.method;
            let file = self.directory.join(model_file(method, self.config.method));
            let file = saved::read_model(&file, Some(&it.model))?;
            let theta = self.problem.architecture.read(&file)?;
            let (summary, eigenvalues) = measure(
                &self.config,
                &self.problem,
                &mut curvature,
                &theta,
                it.steps,
                it.seconds,
            )
            .map_err(|error| match left_the_numbers(&error) {
                true => LabError::Diverged {
                    network: method.name().to_owned(),
                    epoch: self.epochs,
                },
                false => error,
            })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::TaskOptions;
    use crate::train::{ClassWeights, Optimizer, Refinements, Source};
    use crate::{NetworkKind, Weights, WeightsFile};
    use burn_hsr::{Activation, Backend, Mode, Schedule, Subsample};
    use hsr_core::depth::LayerShape;

    fn config() -> TrainConfig {
        TrainConfig {
            source: Source::Task {
                name: "iris".to_owned(),
                options: TaskOptions::default(),
            },
            method: Method::Hsr,
            backend: Backend::Flex.into(),
            optimizer: Optimizer::Sgd,
            learning_rate: 0.1,
            network: NetworkKind::Mlp,
            hidden: 3.into(),
            activation: Activation::Tanh.into(),
            residual: false,
            strength: 0.05.into(),
            mode: Mode::Coupled,
            epochs: Some(5),
            batch: None,
            test_fraction: 0.25,
            seed: 0,
            train_samples: None,
            label_noise: 0.0,
            refinements: Default::default(),
            memory: MemoryLimit::default(),
        }
    }

    /// The best epoch, the steps of the schedule and the choice of rows are what an interrupted run must remember.
    #[test]
    fn early_stopping_and_a_schedule_go_on_where_they_were() {
        let schedule = Schedule::new()
            .with_warmup_steps(20)
            .with_interval(2)
            .with_stop_after(Some(30));
        let config = TrainConfig {
            epochs: Some(12),
            batch: Some(32),
            learning_rate: 0.5,
            label_noise: 0.3,
            refinements: Refinements {
                schedule,
                subsample: Subsample::Rows(16),
                probes: 2,
                weight_decay: Some(1e-3),
                label_smoothing: 0.1,
                class_weights: Some(ClassWeights::Balanced),
                early_stopping: true,
            },
            ..config()
        };
        check_that_a_cut_run_ends_as_a_whole_one(config);
    }

    /// A running mean, a direction, an eigenvector, the number of the step that decides the noise.
    #[test]
    fn what_a_method_of_sams_family_remembers_goes_on_where_it_was() {
        for method in [Method::Fsam, Method::Looksam, Method::EigenSam, Method::Nso] {
            check_that_a_cut_run_ends_as_a_whole_one(TrainConfig {
                method,
                epochs: Some(12),
                batch: Some(32),
                strength: 0.2.into(),
                ..config()
            });
        }
    }

    fn check_that_a_cut_run_ends_as_a_whole_one(config: TrainConfig) {
        let folder = tempfile::tempdir().unwrap();
        let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
        let run = Run::create(config.clone(), &whole).unwrap();
        run.execute(|_| Control::Continue).unwrap();
        let stop_at = |epoch| {
            move |progress: Progress| match progress.done == epoch {
                true => Control::Stop,
                false => Control::Continue,
            }
        };
        let mut run = Run::create(config, &cut).unwrap();
        for epoch in [7, 16, 21] {
            let stopped = run.execute(stop_at(epoch));
            assert!(matches!(stopped, Err(LabError::Interrupted { .. })));
            run = Run::resume(&cut).unwrap();
        }
        run.execute(|_| Control::Continue).unwrap();
        for file in ["plain.safetensors", "model.safetensors"] {
            let [whole, cut] = [&whole, &cut].map(|run| std::fs::read(run.join(file)).unwrap());
            assert!(whole == cut, "{file}");
        }
    }

    #[test]
    fn a_run_of_another_version_does_not_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::create(config(), folder.path()).unwrap();
        let mut stored = Stored {
            versions: versions(),
            data_fingerprint: run.problem.fingerprint.clone(),
            config: run.config.clone(),
            network: run.problem.about(&run.config, run.config.method),
            checksum: String::new(),
        };
        drop(run);
        let resume = |stored: &Stored| {
            let (bytes, _) = files::sealed(stored, "");
            std::fs::write(folder.path().join("config.json"), bytes).unwrap();
            Run::resume(folder.path()).map(drop)
        };
        assert!(resume(&stored).is_ok());
        stored
            .versions
            .insert("burn".to_owned(), "0.21.0".to_owned());
        let error = resume(&stored).unwrap_err();
        assert!(error.is_input());
        assert!(
            error
                .to_string()
                .contains("was begun with burn 0.21.0, this is 0.22.1"),
            "{error}"
        );
    }

    /// Whole and of the right configuration, a checkpoint may still come from a program that was wrong.
    #[test]
    fn a_checkpoint_that_the_run_never_had_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::create(config(), folder.path()).unwrap();
        let (plain, hsr, sam) = (Method::Plain, Method::Hsr, Method::Sam);
        for (method, epoch, done, rows, hidden, fits) in [
            (plain, 2, &[][..], 2, 3, true),
            (plain, 5, &[plain], 5, 3, true),
            (hsr, 1, &[plain], 6, 3, true),
            (hsr, 5, &[plain, hsr], 10, 3, true),
            (plain, 1_000_000_000, &[], 1_000_000_000 % 7, 3, false),
            (plain, 5, &[], 5, 3, false),
            (plain, 2, &[plain], 2, 3, false),
            (hsr, 1, &[], 6, 3, false),
            (hsr, 1, &[hsr], 6, 3, false),
            (hsr, 1, &[plain], 5, 3, false),
            (sam, 1, &[plain], 6, 3, false),
            (plain, 2, &[], 2, 4, false),
        ] {
            let row = Row {
                network: String::new(),
                epoch: 0,
                train_loss: 0.0,
                train_accuracy: 0.0,
                test_accuracy: 0.0,
                test_macro_f1: 0.0,
                lambda_sup: None,
                grad_norm: None,
                seconds: 0.0,
            };
            let finished = |&method: &Method| Finished {
                method,
                steps: 5,
                seconds: 0.0,
                model: String::new(),
            };
            let layers = vec![LayerShape::new(4, hidden), LayerShape::new(hidden, 3)];
            run.checkpoint = Some(checkpoint::Checkpoint {
                state: State {
                    config: run.checksum.clone(),
                    method,
                    epoch,
                    steps: epoch,
                    seconds: 0.0,
                    rows: vec![row; rows],
                    finished: done.iter().map(finished).collect(),
                    best: None,
                    averages: None,
                    stochastic: None,
                    sam: None,
                },
                weights: WeightsFile::from_bytes(
                    Path::new("checkpoint"),
                    Weights::random(layers, 0).to_safetensors(None),
                ),
                optimizer: Vec::new(),
                best: None,
            });
            let context = format!("{method:?} {epoch} {done:?} {rows} {hidden}");
            match run.check_checkpoint() {
                Ok(()) => assert!(fits, "{context}"),
                Err(error) => assert!(!fits && error.is_input(), "{context}: {error}"),
            }
        }
    }
}
