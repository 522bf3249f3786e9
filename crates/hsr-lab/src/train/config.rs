//! Everything that decides the course of a run.

use std::path::PathBuf;

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use burn_hsr::{Activation, Backend, HsrConfig, Mode};
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::data::{Dataset, Split, Table};
use crate::tasks::{self, TaskOptions};

/// Where the data come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A built-in task.
    Task {
        /// Its name.
        name: String,
        /// What of it was changed.
        options: TaskOptions,
    },
    /// The user's CSV.
    Csv {
        /// The file, absolute.
        path: PathBuf,
        /// The label column.
        label: String,
    },
}

impl Source {
    /// The name of the task or of the file.
    pub fn name(&self) -> String {
        match self {
            Source::Task { name, .. } => name.clone(),
            Source::Csv { path, .. } => path.file_stem().map_or_else(
                || "data".to_owned(),
                |stem| stem.to_string_lossy().into_owned(),
            ),
        }
    }

    /// The data, and their split where they have one of their own.
    pub(crate) fn load(&self, seed: u64) -> Result<(Dataset, Option<Split>), LabError> {
        match self {
            Source::Task { name, options } => Ok(tasks::load_with_split(name, options, seed)?),
            Source::Csv { path, label } => {
                let table = Table::read(path, label, None)?;
                Ok((table.into_dataset(self.name())?, None))
            }
        }
    }
}

/// How a network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The loss alone.
    Plain,
    /// The loss and Hessian Spectral Range regularisation.
    Hsr,
}

impl Method {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Method::Plain => "plain",
            Method::Hsr => "hsr",
        }
    }
}

/// The optimizer, with Burn's defaults but for what is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent, learning rate 0.1.
    Sgd,
    /// The same with momentum 0.9, learning rate 0.02.
    Momentum,
    /// Adam, learning rate 0.01.
    Adam,
    /// AdamW, learning rate 0.01, weight decay 10⁻⁴.
    Adamw,
}

impl Optimizer {
    /// The learning rate where none is given.
    pub fn default_learning_rate(self) -> f64 {
        match self {
            Optimizer::Sgd => 0.1,
            Optimizer::Momentum => 0.02,
            Optimizer::Adam | Optimizer::Adamw => 0.01,
        }
    }

    pub(crate) fn init(self) -> ModuleOptimizer {
        match self {
            Optimizer::Sgd => SgdConfig::new().init(),
            Optimizer::Momentum => SgdConfig::new()
                .with_momentum(Some(
                    MomentumConfig::new().with_momentum(0.9).with_dampening(0.0),
                ))
                .init(),
            Optimizer::Adam => AdamConfig::new().init(),
            Optimizer::Adamw => AdamWConfig::new().init(),
        }
    }
}

/// A run of `hsr train`, as stored in its `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The data.
    pub source: Source,
    /// The method; anything but plain is compared with plain.
    pub method: Method,
    /// The backend.
    pub backend: Backend,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub learning_rate: f64,
    /// Hidden units.
    pub hidden: usize,
    /// The activation.
    pub activation: Activation,
    /// The factor of λ_sup.
    pub strength: f64,
    /// How ∇λ_sup enters the step.
    pub mode: Mode,
    /// Passes over the training split; none for 100, or as many as make 2000 steps. A run's directory holds what was
    /// chosen.
    pub epochs: Option<usize>,
    /// Samples a step; none for all of them.
    pub batch: Option<usize>,
    /// The share of samples held out for testing, where the data have no split of their own.
    pub test_fraction: f64,
    /// The seed of data, split, start and order.
    pub seed: u64,
}

impl TrainConfig {
    /// Refuses values that cannot work, naming the option.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        let refuse = |message: String| Err(LabError::Option(message));
        if !self.learning_rate.is_finite() || self.learning_rate <= 0.0 {
            return refuse(format!(
                "--lr is {}, expected a positive number",
                self.learning_rate
            ));
        }
        if !self.strength.is_finite() || self.strength < 0.0 {
            return refuse(format!(
                "--strength is {}, expected a number, 0 or more",
                self.strength
            ));
        }
        for (option, value) in [
            ("--hidden", self.hidden),
            ("--epochs", self.epochs.unwrap_or(1)),
            ("--batch", self.batch.unwrap_or(1)),
        ] {
            if value == 0 {
                return refuse(format!("{option} is 0, expected at least 1"));
            }
        }
        Ok(())
    }

    /// Settles the number of epochs for a training split of `samples` samples.
    pub(crate) fn settle_epochs(&mut self, samples: usize) -> usize {
        let steps = samples.div_ceil(self.batch.unwrap_or(samples).clamp(1, samples));
        let epochs = self
            .epochs
            .unwrap_or_else(|| 100.max(2000_usize.div_ceil(steps)));
        self.epochs = Some(epochs);
        epochs
    }

    pub(crate) fn regulariser(&self) -> HsrConfig {
        HsrConfig::new()
            .with_strength(self.strength)
            .with_mode(self.mode)
    }

    /// The methods to train, the baseline first.
    pub(crate) fn methods(&self) -> Vec<Method> {
        match self.method {
            Method::Plain => vec![Method::Plain],
            other => vec![Method::Plain, other],
        }
    }
}
