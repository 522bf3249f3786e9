//! Everything that decides the course of a run.

use std::path::PathBuf;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use burn_hsr::{DeviceName, Mode, Sharpness, Strength, Subsample};
use burn_sharpness::SamConfig;
use burn_sharpness::sam::{
    EigenSamConfig, FriendlySamConfig, GsamConfig, LookSamConfig, NsoConfig, SamRule, WsamConfig,
};
use serde::{Deserialize, Serialize};

use super::Refinements;
use crate::data::{DataWarning, Dataset, FeatureColumn, Roles, Split, Table, TableOptions};
use crate::memory::MemoryLimit;
use crate::tasks::{self, TaskOptions};
use crate::{Activations, LabError, NetworkKind, Widths, shell};

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
        /// How it is read.
        #[serde(default)]
        table: TableOptions,
    },
}

/// The data of a source and where they come from.
pub(crate) struct Loaded {
    pub data: Dataset,
    /// Their own split, where they have one.
    pub split: Option<Split>,
    pub origin: Origin,
}

/// Where data come from, for messages and for tables of the same kind.
#[derive(Clone)]
pub(crate) struct Origin {
    /// The file, or the name of the task.
    pub path: PathBuf,
    /// The line of each sample, where they are from a file with lines.
    pub lines: Option<Vec<u64>>,
    /// The lines that were left out.
    pub dropped: Vec<u64>,
    /// The label column.
    pub label: String,
    /// The columns from which the features are made.
    pub columns: Vec<FeatureColumn>,
    /// How the table was read, where it was one.
    pub table: Option<TableOptions>,
    /// What looks wrong.
    pub warnings: Vec<DataWarning>,
}

/// The label column of tables that belong to a built-in task, as that of the bundled ones.
const LABEL_OF_TASKS: &str = "class";

impl Origin {
    /// That of a built-in task.
    pub fn of_task(name: &str, data: &Dataset) -> Self {
        let columns = data.feature_names.iter().cloned();
        Self {
            path: PathBuf::from(name),
            lines: None,
            dropped: Vec::new(),
            label: LABEL_OF_TASKS.to_owned(),
            columns: columns.map(FeatureColumn::Number).collect(),
            table: None,
            warnings: Vec::new(),
        }
    }
}

impl Source {
    /// The name of the task or of the file.
    pub fn name(&self) -> String {
        match self {
            Source::Task { name, .. } => name.clone(),
            Source::Csv { path, .. } => path.file_stem().map_or_else(
                || "data".to_owned(),
                // It is shown on terminals, which obey control characters.
                |stem| stem.to_string_lossy().replace(char::is_control, "\u{fffd}"),
            ),
        }
    }

    /// The pixels a side of the images that the data are, where they are square images row by row.
    pub(crate) fn image_side(&self) -> Option<usize> {
        match self {
            Source::Task { name, .. } => {
                let mut tasks = tasks::all().into_iter();
                tasks.find(|task| task.name == name)?.image
            }
            Source::Csv { .. } => None,
        }
    }

    /// Whether the data keep the split they are distributed with.
    pub fn has_fixed_split(&self) -> bool {
        match self {
            Source::Task { name, .. } => tasks::all()
                .iter()
                .any(|task| task.name == name && task.fixed_split),
            Source::Csv { .. } => false,
        }
    }

    /// The data.
    pub(crate) fn load(&self, seed: u64) -> Result<Loaded, LabError> {
        match self {
            Source::Task { name, options } => {
                let (data, split) = tasks::load_with_split(name, options, seed)?;
                Ok(Loaded {
                    origin: Origin::of_task(name, &data),
                    data,
                    split,
                })
            }
            Source::Csv {
                path,
                label,
                table: options,
            } => {
                let mut table = Table::read(path, &Roles::label(label), options)?;
                let origin = Origin {
                    path: path.clone(),
                    lines: Some(std::mem::take(&mut table.lines)),
                    dropped: std::mem::take(&mut table.dropped),
                    label: label.trim().to_owned(),
                    columns: std::mem::take(&mut table.columns),
                    table: Some(options.clone()),
                    warnings: std::mem::take(&mut table.warnings),
                };
                Ok(Loaded {
                    data: table.into_dataset(self.name())?,
                    split: None,
                    origin,
                })
            }
        }
    }

    /// Refuses a path that `config.json` cannot hold, and with which the run could not be repeated.
    fn check(&self) -> Result<(), LabError> {
        let (option, path) = match self {
            Source::Csv { path, .. } => ("--data", Some(path)),
            Source::Task { options, .. } => ("--data-dir", options.data_dir.as_ref()),
        };
        match path {
            Some(path) if path.to_str().is_none() => Err(LabError::Option(format!(
                "{option} is {}, which is not UTF-8 and cannot be kept in config.json; expected another name, or a \
                 link of another name",
                shell::word(path)
            ))),
            _ => Ok(()),
        }
    }
}

/// How a network is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The loss alone.
    Plain,
    /// The loss and Hessian Spectral Range regularisation: strength·λ_sup.
    Hsr,
    /// Sharpness-aware minimisation, the strength being ρ.
    Sam,
    /// Adaptive sharpness-aware minimisation, the strength being ρ.
    Asam,
    /// GSAM, the strength being ρ.
    Gsam,
    /// Friendly-SAM, the strength being ρ.
    Fsam,
    /// LookSAM, the strength being ρ.
    Looksam,
    /// Decoupled WSAM, the strength being ρ.
    Wsam,
    /// Noise stability optimization, the strength being the noise's standard deviation.
    Nso,
    /// Eigen-SAM, the strength being ρ.
    EigenSam,
    /// The loss and strength·tr H.
    Trace,
    /// The loss and strength·λ_max.
    LambdaMax,
    /// The loss and strength·‖H‖_F.
    Frobenius,
    /// The loss and strength·‖∇L‖.
    GradientNorm,
    /// The loss, the optimizer's weight decay being the strength.
    WeightDecay,
    /// The loss with smoothed labels, ε being the strength.
    LabelSmoothing,
    /// The loss alone, the weights kept of the epoch that was best on a validation split.
    EarlyStopping,
}

impl Method {
    /// Every method.
    pub const ALL: [Method; 17] = [
        Method::Plain,
        Method::Hsr,
        Method::Sam,
        Method::Asam,
        Method::Trace,
        Method::LambdaMax,
        Method::Frobenius,
        Method::GradientNorm,
        Method::WeightDecay,
        Method::LabelSmoothing,
        Method::EarlyStopping,
        Method::Gsam,
        Method::Fsam,
        Method::Looksam,
        Method::Wsam,
        Method::Nso,
        Method::EigenSam,
    ];

    /// Plain training and the methods that lower curvature, one of each kind.
    pub(crate) const OF_CURVATURE: [Method; 8] = [
        Method::Plain,
        Method::Hsr,
        Method::Sam,
        Method::Asam,
        Method::Trace,
        Method::LambdaMax,
        Method::Frobenius,
        Method::GradientNorm,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Method::Plain => "plain",
            Method::Hsr => "hsr",
            Method::Sam => "sam",
            Method::Asam => "asam",
            Method::Gsam => "gsam",
            Method::Fsam => "fsam",
            Method::Looksam => "looksam",
            Method::Wsam => "wsam",
            Method::Nso => "nso",
            Method::EigenSam => "eigen-sam",
            Method::Trace => "trace",
            Method::LambdaMax => "lambda-max",
            Method::Frobenius => "frobenius",
            Method::GradientNorm => "gradient-norm",
            Method::WeightDecay => "weight-decay",
            Method::LabelSmoothing => "label-smoothing",
            Method::EarlyStopping => "early-stopping",
        }
    }

    /// What is added to the loss, for the methods that add something.
    pub fn sharpness(self) -> Option<Sharpness> {
        match self {
            Method::Plain
            | Method::Sam
            | Method::Asam
            | Method::Gsam
            | Method::Fsam
            | Method::Looksam
            | Method::Wsam
            | Method::Nso
            | Method::EigenSam
            | Method::WeightDecay
            | Method::LabelSmoothing
            | Method::EarlyStopping => None,
            Method::Hsr => Some(Sharpness::LambdaSup),
            Method::Trace => Some(Sharpness::Trace),
            Method::LambdaMax => Some(Sharpness::LambdaMax),
            Method::Frobenius => Some(Sharpness::Frobenius),
            Method::GradientNorm => Some(Sharpness::GradientNorm),
        }
    }

    /// The method among SAM and its family, for those that are: with the options of its paper.
    pub(crate) fn sam(self) -> Option<SamConfig> {
        let rule = match self {
            Method::Asam => return Some(SamConfig::asam()),
            Method::Sam => SamRule::Sam,
            Method::Gsam => GsamConfig::new().into(),
            Method::Fsam => FriendlySamConfig::new().into(),
            Method::Looksam => LookSamConfig::new().into(),
            Method::Wsam => WsamConfig::new().into(),
            Method::Nso => NsoConfig::new().into(),
            Method::EigenSam => EigenSamConfig::new().into(),
            _ => return None,
        };
        Some(SamConfig::of(rule))
    }

    /// Whether it can be stronger and weaker.
    pub fn has_strength(self) -> bool {
        !matches!(self, Method::Plain | Method::EarlyStopping)
    }

    /// The strength where none is given: for HSR the rule that needs no number.
    pub fn default_strength(self) -> Strength {
        match self {
            Method::Hsr => Strength::Auto,
            other => Strength::Fixed(other.fixed_strength()),
        }
    }

    /// A number for the strength: ρ as in the papers of SAM and its family, for the trace a tenth of the other penalties, for it
    /// sums what they take the largest or the root mean square of.
    pub(crate) fn fixed_strength(self) -> f64 {
        if let Some(sam) = self.sam() {
            return sam.rho;
        }
        match self {
            Method::Plain | Method::EarlyStopping => 0.0,
            Method::Trace => 0.005,
            Method::WeightDecay => 0.001,
            Method::LabelSmoothing => 0.1,
            _ => 0.05,
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
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Optimizer::Sgd => "sgd",
            Optimizer::Momentum => "momentum",
            Optimizer::Adam => "adam",
            Optimizer::Adamw => "adamw",
        }
    }

    /// The learning rate where none is given.
    pub fn default_learning_rate(self) -> f64 {
        match self {
            Optimizer::Sgd => 0.1,
            Optimizer::Momentum => 0.02,
            Optimizer::Adam | Optimizer::Adamw => 0.01,
        }
    }

    /// With weight decay, or without one with what it does unless told.
    pub(crate) fn init(self, decay: Option<f64>) -> ModuleOptimizer {
        let added = decay.filter(|&decay| decay > 0.0);
        let added = added.map(|decay| WeightDecayConfig::new(decay as f32));
        match self {
            Optimizer::Sgd => SgdConfig::new().with_weight_decay(added).init(),
            Optimizer::Momentum => SgdConfig::new()
                .with_momentum(Some(
                    MomentumConfig::new().with_momentum(0.9).with_dampening(0.0),
                ))
                .with_weight_decay(added)
                .init(),
            Optimizer::Adam => AdamConfig::new().with_weight_decay(added).init(),
            Optimizer::Adamw => {
                let config = AdamWConfig::new();
                match decay {
                    Some(decay) => config.with_weight_decay(decay as f32).init(),
                    None => config.init(),
                }
            }
        }
    }
}

/// Beyond these a number is a slip of the finger, and its products may leave the range of numbers.
const MOST_HIDDEN: usize = 1_000_000;
const MOST_LAYERS: usize = 100;
const MOST_EPOCHS: usize = 10_000_000;
const MOST_PARAMETERS: usize = 100_000_000;

/// A run of `hsr train`, as stored in its `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The data.
    pub source: Source,
    /// The method; anything but plain is compared with plain.
    pub method: Method,
    /// The device.
    pub backend: DeviceName,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub learning_rate: f64,
    /// The kind of network.
    #[serde(default, skip_serializing_if = "NetworkKind::is_mlp")]
    pub network: NetworkKind,
    /// The hidden layers' widths; of a convolutional network the channels of its convolutions.
    pub hidden: Widths,
    /// Their activations.
    pub activation: Activations,
    /// Whether each hidden layer that is as wide as its inputs adds them to its activations.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub residual: bool,
    /// The factor of what is added to the loss, or the rule for it; ρ for SAM and its family. A file holds a fixed one as a
    /// number.
    pub strength: Strength,
    /// How the gradient of what is added enters the step.
    pub mode: Mode,
    /// Passes over the training split; none for 100, or as many as make 2000 steps, and for a convolutional network 5, or as
    /// many as make 1000 steps. A run's directory holds what was chosen.
    pub epochs: Option<usize>,
    /// Samples a step; none for all of them.
    pub batch: Option<usize>,
    /// The share of samples held out for testing, where the data have no split of their own.
    pub test_fraction: f64,
    /// The seed of data, split, start and order.
    pub seed: u64,
    /// How many samples of the training split are used, every class with its share; none for all of them.
    #[serde(default)]
    pub train_samples: Option<usize>,
    /// The share of the labels trained on that are replaced by another class; test labels stay.
    #[serde(default)]
    pub label_noise: f64,
    /// What else is done.
    #[serde(default)]
    pub refinements: Refinements,
    /// The most memory that the closed form may take. Not a part of the run: no file holds it.
    #[serde(skip)]
    pub memory: MemoryLimit,
}

impl TrainConfig {
    /// Refuses values that cannot work, naming the option.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        let refuse = |message: String| Err(LabError::Option(message));
        self.source.check()?;
        if !self.learning_rate.is_finite() || self.learning_rate <= 0.0 {
            return refuse(format!(
                "--lr is {}, expected a positive number",
                self.learning_rate
            ));
        }
        let penalised = self.method.sharpness().is_some();
        if self.strength.check().is_err() {
            return refuse(format!(
                "--strength is {}, expected a number, 0 or more",
                self.strength
            ));
        }
        match self.strength {
            Strength::Fixed(strength)
                if self.method == Method::LabelSmoothing && strength > 1.0 =>
            {
                return refuse(format!(
                    "--strength is {strength}, expected a number from 0 to 1 for --method label-smoothing"
                ));
            }
            Strength::Fixed(_) => {}
            rule if !penalised => {
                return refuse(format!(
                    "--strength is {rule}, expected a number for --method {}, which adds no penalty",
                    self.method.name()
                ));
            }
            _ => {}
        }
        self.refinements.check(penalised)?;
        for (option, method, given) in [
            (
                "--weight-decay",
                Method::WeightDecay,
                self.refinements.weight_decay.is_some(),
            ),
            (
                "--label-smoothing",
                Method::LabelSmoothing,
                self.refinements.label_smoothing > 0.0,
            ),
        ] {
            if given && self.method == method {
                return refuse(format!(
                    "{option} and --method {} are one: give its factor as --strength",
                    method.name()
                ));
            }
        }
        if self.mode != Mode::Coupled && !penalised {
            return refuse(format!(
                "--mode belongs to the methods that add a penalty, not to --method {}",
                self.method.name()
            ));
        }
        if !(0.0..=1.0).contains(&self.label_noise) {
            return refuse(format!(
                "--label-noise is {}, expected a number from 0 to 1",
                self.label_noise
            ));
        }
        if self.network == NetworkKind::Conv {
            if self.residual {
                return refuse("a convolutional network has no residual layers".to_owned());
            }
            if self.refinements.subsample != Subsample::All {
                return refuse(
                    "the penalty of a convolutional network is that of whole batches, not of some of their rows"
                        .to_owned(),
                );
            }
        }
        let hidden = self.hidden.as_slice();
        if !(1..=MOST_LAYERS).contains(&hidden.len()) {
            return refuse(format!(
                "--hidden names {} layers, expected 1 to {MOST_LAYERS}",
                hidden.len()
            ));
        }
        self.activation
            .of_hidden(hidden.len())
            .map_err(|message| LabError::Option(format!("--activation {message}")))?;
        let widths = hidden.iter().map(|&width| ("--hidden", width, MOST_HIDDEN));
        let epochs = ("--epochs", self.epochs.unwrap_or(1), MOST_EPOCHS);
        for (option, value, most) in widths.chain([epochs]) {
            if !(1..=most).contains(&value) {
                return refuse(format!("{option} is {value}, expected 1 to {most}"));
            }
        }
        if self.batch == Some(0) {
            return refuse("--batch is 0, expected at least 1".to_owned());
        }
        Ok(())
    }

    /// Refuses a network of more parameters than can be meant, before any memory is taken for it.
    pub(crate) fn check_size(&self, inputs: usize, classes: usize) -> Result<(), LabError> {
        let mut widths = vec![inputs];
        widths.extend(self.hidden.as_slice());
        widths.push(classes);
        let parameters = widths.windows(2).try_fold(0_usize, |sum, of| {
            sum.checked_add(of[0].checked_add(1)?.checked_mul(of[1])?)
        });
        if parameters.is_some_and(|it| it <= MOST_PARAMETERS) {
            return Ok(());
        }
        Err(LabError::Option(format!(
            "--hidden is {}, which between {inputs} inputs and {classes} classes makes more than {MOST_PARAMETERS} \
             parameters",
            self.hidden
        )))
    }

    /// Settles the number of epochs for a training split of `samples` samples.
    pub(crate) fn settle_epochs(&mut self, samples: usize) -> usize {
        let steps = samples.div_ceil(self.batch.unwrap_or(samples).clamp(1, samples));
        let (least, wanted) = match self.network {
            NetworkKind::Mlp => (100, 2000_usize),
            NetworkKind::Conv => (5, 1000),
        };
        let epochs = self
            .epochs
            .unwrap_or_else(|| least.max(wanted.div_ceil(steps)));
        self.epochs = Some(epochs);
        epochs
    }

    /// The strength where it is a number.
    pub(super) fn number(&self) -> f64 {
        self.strength.most().unwrap_or(0.0)
    }

    /// The loss that a method trains on a training split.
    pub(crate) fn loss(&self, method: Method, train: &Dataset) -> CrossEntropyLossConfig {
        let refinements = &self.refinements;
        let smoothing = match method {
            Method::LabelSmoothing => self.number(),
            _ => refinements.label_smoothing,
        };
        let weights = refinements.class_weights.as_ref();
        let weights = weights.map(|it| it.of(train).into_iter().map(|w| w as f32).collect());
        CrossEntropyLossConfig::new()
            .with_smoothing((smoothing > 0.0).then_some(smoothing as f32))
            .with_weights(weights)
    }

    /// The optimizer of a method.
    pub(crate) fn optimizer(&self, method: Method) -> ModuleOptimizer {
        self.optimizer.init(match method {
            Method::WeightDecay => Some(self.number()),
            _ => self.refinements.weight_decay,
        })
    }

    /// Whether a method keeps the weights that were best on a validation split.
    pub(crate) fn stops_early(&self, method: Method) -> bool {
        method == Method::EarlyStopping || self.refinements.early_stopping
    }

    /// The methods to train, the baseline first.
    pub(crate) fn methods(&self) -> Vec<Method> {
        match self.method {
            Method::Plain => vec![Method::Plain],
            other => vec![Method::Plain, other],
        }
    }
}
