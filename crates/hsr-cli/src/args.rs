//! The arguments as a person types them.

use std::ffi::OsStr;
use std::num::NonZero;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{ArgAction, ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use hsr_lab::burn_hsr::{Activation, Backend, DeviceName, ParseStrengthError, Strength, Subsample};
use hsr_lab::compare::Budget;
use hsr_lab::data::{Missing, Separator, TableOptions, name_list, nearest};
use hsr_lab::hsr_core::OutputLoss;
use hsr_lab::memory::MemoryLimit;
use hsr_lab::model::{ModelOptions, ModelSource, TableSource};
use hsr_lab::reproduce::Experiment;
use hsr_lab::tasks;
use hsr_lab::train::{ClassWeights, Method, Optimizer, Split};
use hsr_lab::{LabError, LayerKeys, NetworkKind};

use crate::style::{STYLES, examples};

/// Hessian Spectral Range (HSR) regularisation for Burn: train small networks with a narrow Hessian spectrum, and see
/// the exact curvature of trained ones.
#[derive(Debug, Parser)]
#[command(name = "hsr", version, propagate_version = true)]
#[command(styles = STYLES, max_term_width = 100)]
#[command(after_help = examples(
    "Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 2 bad arguments or \
     input, 1 anything else. Colours and progress show on a terminal only; NO_COLOR=1 turns colours off. \
     With --quiet standard output has the paths of what was written, of hsr tasks the names, of hsr inspect the \
     numbers; with --json one object.",
    &[
        ("digits, a plain network and one with HSR from the same start", "hsr train"),
        ("what else can be learned", "hsr tasks"),
        ("the options of a command, with examples", "hsr help compare"),
    ],
))]
pub struct Arguments {
    /// No progress, no messages: print only the paths of what was written.
    #[arg(long, short, global = true, display_order = 900)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the built-in tasks.
    Tasks(TasksOptions),
    /// List the backends: which are in this build, which device each opens, and with which precision.
    Backends(BackendsOptions),
    /// Train a network with HSR and a plain one from the same start, and compare them.
    Train(Box<TrainOptions>),
    /// Compare methods over seeds: a table with significance tests, figures and a report.
    Compare(Box<CompareOptions>),
    /// Exact curvature of a trained network (of a run, or safetensors as PyTorch saves them).
    Inspect(Box<InspectOptions>),
    /// The classes that a trained network gives to the rows of a CSV, with their probabilities.
    Predict(Box<PredictOptions>),
    /// The loss around a trained network, or between two: a table and a picture.
    Landscape(Box<LandscapeOptions>),
    /// The paper's figures, each with its claims checked, and the answers to its referee.
    Reproduce(ReproduceOptions),
    /// The Hessian's spectrum at a trained network: eigenvalues, density, trace.
    Spectrum(Box<SpectrumOptions>),
    /// A script with which a shell completes commands, options and names.
    Completions(CompletionsOptions),
    /// The manual as man pages.
    Man(ManOptions),
}

/// `hsr tasks`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("a table", "hsr tasks"),
    ("for programs: every task with its source and licence", "hsr tasks --json"),
    ("the names alone", "hsr tasks --quiet"),
]))]
pub struct TasksOptions {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `hsr backends`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("a table", "hsr backends"),
    ("the names of those that work here", "hsr backends --quiet"),
]))]
pub struct BackendsOptions {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `hsr train`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)] // So that they are refused by the option's name, not as an unknown flag.
#[command(after_help = examples("", &[
    ("digits, a plain network and one with HSR from the same start; the run is kept in runs/digits-hsr", "hsr train"),
    ("another task, stronger, from another start", "hsr train --task wine --strength 0.1 --seed 3"),
    (
        "a table of yours, whose column species holds the classes",
        "hsr train --data mine.csv --label species --hidden 8 --epochs 300",
    ),
    (
        "one with text, missing values and a column that is no feature",
        "hsr train --data mine.csv --label species --one-hot sex --missing drop-rows --drop id",
    ),
    ("another method with another optimizer", "hsr train --task iris --method sam --optimizer adam"),
    ("two hidden layers, the second one residual", "hsr train --hidden 32,32 --activation tanh,gelu --residual"),
    ("a small convolutional network, HSR every fourth step", "hsr train --task digits --network conv"),
    ("MNIST from its files, a stratified part of it", "hsr train --task mnist --data-dir ~/mnist --samples 5000"),
    ("classes of your making", "hsr train --task gaussians --overlap 0.7 --covariance 1,0.5,1"),
    (
        "few samples, a fifth of them with a wrong label",
        "hsr train --task digits --train-samples 100 --label-noise 0.2",
    ),
    ("an interrupted run goes on", "hsr train --resume runs/digits-hsr"),
]))]
pub struct TrainOptions {
    /// What is compared with the plain network; `plain` trains that alone.
    #[arg(long, value_enum, default_value = "hsr")]
    pub method: MethodName,
    /// The factor of what is added to the loss, or the rule for it; ρ for sam and its family, the noise's standard
    /// deviation for nso, the factor or ε of weight-decay and label-smoothing. A rule is auto, which needs no number,
    /// relative:X (what is added is always X·‖∇L‖ long) or safe:X (X, but what is added is never longer than half of ‖∇L‖)
    /// [default: auto for hsr; 0.005 for trace, 0.5 for asam, 0.2 for fsam, 0.1 for looksam and eigen-sam, 0.01 for nso,
    /// 0.001 for weight-decay, 0.1 for label-smoothing, 0.05 for the others].
    #[arg(long, value_name = "X|RULE")]
    pub strength: Option<Strength>,
    /// The seed of data, split, start and order.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The run directory, new [default: runs/TASK-METHOD, numbered where that exists].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Continue an interrupted run; its options are those it was begun with.
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Print the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// How it is trained.
    #[command(flatten)]
    pub training: TrainingOptions,
    /// What is learned from.
    #[command(flatten)]
    pub data: DataOptions,
    /// The CSV.
    #[command(flatten)]
    pub table: TableArguments,
    /// Whether numbers are classes.
    #[command(flatten)]
    pub labels: LabelArguments,
    /// Synthetic tasks.
    #[command(flatten)]
    pub synthetic: SyntheticOptions,
}

/// `hsr compare`.
#[derive(Clone, Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = examples(
    "For a seed every method has the same data, split, start and order of samples. Interrupted, the same command goes \
     on with the runs that are missing; the results do not depend on --jobs. Writes runs.csv, statistics.csv, figures \
     and report.html.",
    &[
        ("plain training and HSR on 20 seeds", "hsr compare --task iris --seeds 20"),
        (
            "four methods, two of them with strengths of your own",
            "hsr compare --methods plain,hsr,sam,lambda-max --strength hsr=0.1 --strength sam=0.2",
        ),
        (
            "a table of yours, a tenth of the labels wrong",
            "hsr compare --data mine.csv --label species --hidden 8 --label-noise 0.1 --out noisy",
        ),
    ],
))]
pub struct CompareOptions {
    /// The methods; the others are tested against `plain`, or against the first where `plain` is not among them.
    #[arg(
        long,
        value_enum,
        value_name = "A,B,…",
        value_delimiter = ',',
        default_value = "plain,hsr"
    )]
    pub methods: Vec<MethodName>,
    /// Seeds, each a run of every method.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub seeds: usize,
    /// The first seed; the others follow it.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The strength of a method, as for hsr train; repeated for others [default: as hsr train].
    #[arg(long, value_name = "METHOD=X", value_parser = strength)]
    pub strength: Vec<MethodStrength>,
    /// Choose each method's strength, at each seed, from N on a logarithmic grid, by a validation split: a fifth of the
    /// training split. Grids go from a tenth of the default to ten times as much for sam and its family; they are 0.0001
    /// to 0.1 for trace, 0.00001 to 0.1 for weight-decay, 0.01 to 0.5 for label-smoothing, 0.001 to 1 for the others, and
    /// 0.05 to 5 for a --strength of relative:X.
    #[arg(long, value_name = "N")]
    pub tune: Option<usize>,
    /// What the methods have the same number of: epochs, or forward and backward passes, of which each gets as many as plain
    /// training in --epochs.
    #[arg(long, value_enum, value_name = "NAME", default_value = "epochs")]
    pub budget: BudgetName,
    /// Runs at the same time [default: one a processor, one on a GPU].
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// The directory, new or of the same comparison [default: runs/TASK-compare].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the result as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// How it is trained.
    #[command(flatten)]
    pub training: TrainingOptions,
    /// What is learned from.
    #[command(flatten)]
    pub data: DataOptions,
    /// The CSV.
    #[command(flatten)]
    pub table: TableArguments,
    /// Whether numbers are classes.
    #[command(flatten)]
    pub labels: LabelArguments,
    /// Synthetic tasks.
    #[command(flatten)]
    pub synthetic: SyntheticOptions,
}

/// The network and its training, whatever the method.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Training")]
pub struct TrainingOptions {
    /// What computes; hsr backends lists what works here. Where there are several devices, NAME:1 is the second.
    #[arg(long, value_name = "NAME", default_value = "flex", value_parser = DeviceNames)]
    pub backend: DeviceName,
    /// The optimizer.
    #[arg(long, value_enum, value_name = "NAME", default_value = "sgd")]
    pub optimizer: OptimizerName,
    /// The learning rate [default: 0.1 for sgd, 0.02 for momentum, 0.01 for adam and adamw].
    #[arg(long, value_name = "X")]
    pub lr: Option<f64>,
    /// What is trained; conv needs a task of images, digits or mnist.
    #[arg(long, value_enum, value_name = "KIND", default_value = "mlp")]
    pub network: NetworkName,
    /// Hidden units; of several hidden layers a list, from the inputs on, such as 32,16. Of conv the channels of its
    /// convolutions [default: 16, for conv 8,16].
    #[arg(long, value_name = "N,…", value_delimiter = ',', action = ArgAction::Set)]
    pub hidden: Vec<usize>,
    /// The hidden activation, or one for each hidden layer or convolution.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        action = ArgAction::Set,
        default_value = "tanh",
        value_parser = activations()
    )]
    pub activation: Vec<Activation>,
    /// Each hidden layer that is as wide as its inputs adds them to its activations.
    #[arg(long)]
    pub residual: bool,
    /// How the gradient of what is added enters the step: through the optimizer, beside it, or by its direction alone.
    #[arg(long, value_enum, default_value = "coupled")]
    pub mode: ModeName,
    /// Raise the strength from 0 over so many steps.
    #[arg(long, value_name = "STEPS")]
    pub warmup: Option<u64>,
    /// Lower the strength to 0 along a cosine over so many steps.
    #[arg(long, value_name = "STEPS")]
    pub cosine: Option<u64>,
    /// Add nothing after so many steps.
    #[arg(long, value_name = "STEPS")]
    pub stop_after: Option<u64>,
    /// Add the penalty at every K-th step alone, K times as strong: nearer to the price of plain training [default: 1, for
    /// conv 4].
    #[arg(long, value_name = "K")]
    pub interval: Option<u64>,
    /// Rows of a batch that the penalty is computed from, others at every step; `auto` where all would be dear [default:
    /// all].
    #[arg(long, value_name = "N|all|auto", value_parser = subsample)]
    pub subsample: Option<Subsample>,
    /// Estimate the penalty from N random probes at every step, without bias, in place of its exact gradient: far cheaper in
    /// deep networks. Of conv there is nothing but such estimates [default: 0, the exact gradient; for conv 1].
    #[arg(long, value_name = "N")]
    pub probes: Option<usize>,
    /// The optimizer's weight decay, for every network [default: 0, or 0.0001 for adamw].
    #[arg(long, value_name = "X")]
    pub weight_decay: Option<f64>,
    /// Smooth the labels that are trained on: 1 − X of the label, X spread over all classes.
    #[arg(long, value_name = "X")]
    pub label_smoothing: Option<f64>,
    /// How much the classes count in training: `balanced` for rare ones as much as for frequent ones, or a number for each.
    #[arg(long, value_name = "balanced|A,B,…", value_parser = class_weights)]
    pub class_weights: Option<ClassWeights>,
    /// Keep the weights of the epoch with the least loss on a validation split: a fifth of the training split, which is not
    /// trained on then.
    #[arg(long)]
    pub early_stopping: bool,
    /// Passes over the training split [default: 100, or as many as make 2000 steps; for conv 5, or as many as make 1000].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Samples a step, or `full` for all of them.
    #[arg(long, value_name = "N|full", default_value = "64", value_parser = batch)]
    pub batch: Batch,
    /// The most memory that curvature may take, such as 2GiB, shared by all jobs [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
}

/// What is learned from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Data")]
#[command(group = ArgGroup::new("source").args(["task", "data"]))]
pub struct DataOptions {
    /// A built-in task (`hsr tasks` says more of each); hsr compare takes several, A,B,… [default: digits].
    #[arg(long, value_name = "NAME", value_parser = task_names(), value_delimiter = ',')]
    pub task: Vec<String>,
    /// A CSV with a header row; every column but the label is a feature. Repeated for others in hsr compare.
    #[arg(long, value_name = "FILE.csv")]
    pub data: Vec<PathBuf>,
    /// The label column of the CSV; of several, one for all or one for each.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub label: Vec<String>,
    /// The directory with the IDX files of the task mnist.
    #[arg(long, value_name = "DIR", requires = "task")]
    pub data_dir: Option<PathBuf>,
    /// Of the task mnist, how many samples are used; of a synthetic one, how many are drawn.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// The share of samples held out for testing.
    #[arg(long, value_name = "X", default_value_t = 0.25)]
    pub test_fraction: f64,
    /// Train on so many samples of the training split, every class with its share [default: all].
    #[arg(long, value_name = "N")]
    pub train_samples: Option<usize>,
    /// The share of the labels trained on that are replaced by another class.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub label_noise: f64,
}

impl DataOptions {
    /// The same options for each task or table.
    ///
    /// # Errors
    ///
    /// What is wrong with the number of labels.
    pub fn each(&self) -> Result<Vec<Self>, String> {
        let (tables, labels) = (self.data.len(), self.label.len());
        if labels > 1 && labels != tables {
            return Err(format!(
                "--label is given {labels} times for {tables} of --data, expected one for all or one for each"
            ));
        }
        if self.task.len().max(tables) < 2 {
            return Ok(vec![self.clone()]);
        }
        let tasks = self.task.iter().map(|task| Self {
            task: vec![task.clone()],
            ..self.clone()
        });
        let tables = self.data.iter().enumerate().map(|(number, path)| Self {
            data: vec![path.clone()],
            label: self
                .label
                .get(number)
                .or(self.label.first())
                .cloned()
                .into_iter()
                .collect(),
            ..self.clone()
        });
        Ok(tasks.chain(tables).collect())
    }
}

/// How a CSV is read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "CSV")]
pub struct TableArguments {
    /// What separates the fields: comma, semicolon, tab, pipe, space or a character [default: recognised].
    #[arg(long, value_name = "CHAR", requires = "data")]
    pub separator: Option<Separator>,
    /// The first row is a sample; columns go by their numbers, from 1.
    #[arg(long, requires = "data")]
    pub no_header: bool,
    /// Numbers have a comma before their decimals.
    #[arg(long, requires = "data")]
    pub decimal_comma: bool,
    /// Columns to leave out.
    #[arg(long, value_name = "A,B,…", requires = "data", value_parser = names)]
    pub drop: Option<Names>,
    /// Columns of text that become a feature for each of their values, 1 where the row has it and 0 elsewhere.
    #[arg(long, value_name = "A,B,…", requires = "data", value_parser = names)]
    pub one_hot: Option<Names>,
    /// Rows with missing values: refuse them or leave them out.
    #[arg(long, value_enum, value_name = "HOW", requires = "data")]
    pub missing: Option<MissingName>,
}

impl TableArguments {
    /// As the laboratory takes them.
    pub fn options(self, numeric_classes: bool) -> TableOptions {
        let list = |names: Option<Names>| names.map(|names| names.0).unwrap_or_default();
        TableOptions {
            separator: self.separator,
            no_header: self.no_header,
            decimal_comma: self.decimal_comma,
            drop: list(self.drop),
            one_hot: list(self.one_hot),
            missing: match self.missing {
                None | Some(MissingName::Refuse) => Missing::Refuse,
                Some(MissingName::DropRows) => Missing::DropRows,
            },
            numeric_classes,
        }
    }
}

/// What the labels of a CSV mean in training.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "CSV")]
pub struct LabelArguments {
    /// Labels that look like a quantity are the names of classes.
    #[arg(long, requires = "data")]
    pub numeric_classes: bool,
}

/// `--missing`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // The names say it.
pub enum MissingName {
    Refuse,
    DropRows,
}

/// A list of names, as of `--drop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

fn names(text: &str) -> Result<Names, String> {
    Ok(Names(name_list(text)))
}

/// The network that is looked at.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
#[command(group = ArgGroup::new("model").args(["run", "weights"]).required(true))]
pub struct ModelArguments {
    /// The weights; see below for their names.
    #[arg(long, value_name = "FILE.safetensors")]
    pub weights: Option<PathBuf>,
    /// The directory of a run of hsr train.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// The network of the run, by its method [default: that of the run].
    #[arg(long, value_name = "NAME", requires = "run")]
    pub network: Option<String>,
    /// The hidden activation, or one for each hidden layer; hsr train stores it with the weights.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        action = ArgAction::Set,
        value_parser = activations()
    )]
    pub activation: Vec<Activation>,
    /// Each hidden layer that is as wide as its inputs adds them to its activations; hsr train stores it.
    #[arg(long)]
    pub residual: bool,
    /// The loss: softmax (class labels), sigmoid (labels 0 and 1) or mse (numbers); hsr train stores it.
    #[arg(long, value_enum)]
    pub loss: Option<LossName>,
    /// The names of the classes in the order of the outputs; hsr train stores them.
    #[arg(long, value_name = "A,B,…", value_parser = names)]
    pub classes: Option<Names>,
    /// The layers' names in the weights file, from the inputs on, without .weight and .bias [default: all that there
    /// are, where names and shapes leave one order].
    #[arg(long, value_name = "KEY,…", value_parser = names, conflicts_with = "run")]
    pub layers: Option<Names>,
    /// Of a network with one hidden layer, the name of that layer in the weights file [default: hidden, beside
    /// --output-key].
    #[arg(long, value_name = "KEY", conflicts_with_all = ["run", "layers"])]
    pub hidden_key: Option<String>,
    /// Of a network with one hidden layer, the name of the output layer [default: output, beside --hidden-key].
    #[arg(long, value_name = "KEY", conflicts_with_all = ["run", "layers"])]
    pub output_key: Option<String>,
    /// Do not refuse a weights file that holds more than these layers.
    #[arg(long, conflicts_with = "run")]
    pub ignore_unused: bool,
}

impl ModelArguments {
    /// As the laboratory takes them.
    pub fn options(self) -> Result<ModelOptions, LabError> {
        let source = match (self.run, self.weights) {
            (Some(directory), _) => ModelSource::Run {
                directory,
                network: self.network,
            },
            (None, Some(path)) => ModelSource::Weights {
                path,
                layers: match (self.layers, self.hidden_key, self.output_key) {
                    (Some(names), ..) => LayerKeys::Named(names.0),
                    (None, None, None) => LayerKeys::Found,
                    (None, hidden, output) => LayerKeys::named([
                        hidden.unwrap_or_else(|| "hidden".to_owned()),
                        output.unwrap_or_else(|| "output".to_owned()),
                    ]),
                },
                ignore_unused: self.ignore_unused,
            },
            (None, None) => {
                return Err(LabError::Option("expected --run or --weights".to_owned()));
            }
        };
        Ok(ModelOptions {
            source,
            activation: (!self.activation.is_empty()).then(|| self.activation.into()),
            residual: self.residual,
            loss: self.loss.map(OutputLoss::from),
            classes: self.classes.map(|names| names.0),
        })
    }
}

/// Options of the synthetic tasks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Synthetic tasks")]
pub struct SyntheticOptions {
    /// Standard deviation of the noise (moons, circles, spirals).
    #[arg(long, value_name = "X")]
    pub noise: Option<f64>,
    /// Classes (spirals, gaussians).
    #[arg(long, value_name = "K")]
    pub classes: Option<usize>,
    /// Means of the gaussians: x,y for each class, separated by `;`.
    #[arg(long, value_name = "X,Y;…", value_parser = means, allow_hyphen_values = true)]
    pub means: Option<Means>,
    /// Covariance of the gaussians: xx,xy,yy.
    #[arg(long, value_name = "XX,XY,YY", value_parser = covariance, allow_hyphen_values = true)]
    pub covariance: Option<Covariance>,
    /// Overlap of the gaussians, 0 (separated) to 1 (identical).
    #[arg(long, value_name = "X")]
    pub overlap: Option<f64>,
}

/// The network that is measured, and the samples that it is measured on.
#[derive(Debug, Args)]
pub struct SubjectArguments {
    /// A CSV with a header row [default: the data of the run].
    #[arg(long, value_name = "FILE.csv", required_unless_present = "run")]
    pub data: Option<PathBuf>,
    /// The label column [default: that of the run].
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub label: Option<String>,
    /// The split of the data of the run.
    #[arg(long, value_enum, default_value = "train", conflicts_with = "data")]
    pub split: SplitName,
    /// The column with the samples' weights.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub weight_column: Option<String>,
    /// Bring the features to mean 0 and standard deviation 1 first, for weights that do not say how they were.
    #[arg(long, requires = "data")]
    pub standardize: bool,
    /// The network.
    #[command(flatten)]
    pub model: ModelArguments,
    /// The CSV.
    #[command(flatten)]
    pub table: TableArguments,
}

/// What the laboratory takes for [`SubjectArguments`].
pub type SubjectOptions = (ModelOptions, Option<TableSource>, Split);

impl SubjectArguments {
    /// As the laboratory takes them.
    pub fn options(self) -> Result<SubjectOptions, LabError> {
        let Self {
            label,
            weight_column,
            standardize,
            ..
        } = self;
        let options = self.table.options(false);
        let data = self.data.map(|path| TableSource {
            path,
            label,
            weight_column,
            options,
            standardize,
        });
        Ok((self.model.options()?, data, self.split.into()))
    }
}

/// `hsr inspect`.
#[derive(Debug, Args)]
#[command(
    override_usage = "hsr inspect [OPTIONS] (--run DIR | --weights FILE) [--data FILE --label COLUMN]"
)]
#[command(after_help = examples(
    "The weights file is the state dict of a feed-forward network, NAME.weight [outputs, inputs] and NAME.bias [outputs] \
     of each layer, F64, F32, F16 or BF16, as torch.nn.Linear has them, or NAME.kernel [inputs, outputs] as Flax and Keras \
     have it; a missing bias means none. Layers that nobody names are \
     found where names and shapes leave one order, which is then told. Everything is computed in f64. What hsr train \
     writes says its activation, loss, classes, features and how these are standardised: columns are matched by name. Of weights \
     that say nothing, every column but label and weight is a feature, in order; integer labels from 0 to K - 1 are \
     outputs as they stand, K other labels are sorted, and fewer need --classes.",
    &[
        ("the training split of a run", "hsr inspect --run runs/digits-hsr"),
        ("its plain network on another table", "hsr inspect --run runs/mine-hsr --network plain --data new.csv"),
        (
            "a classifier on the table it was trained on",
            "hsr inspect --weights net.safetensors --data train.csv --label species \\\n      \
             --activation tanh --loss softmax --classes setosa,versicolor,virginica",
        ),
        (
            "an nn.Sequential of three linear layers",
            "hsr inspect --weights net.safetensors --layers 0,2,4 --activation tanh,gelu --loss softmax \\\n      \
             --data train.csv --label species",
        ),
        (
            "layers of other names, a regression, every eigenvalue, for programs",
            "hsr inspect --weights net.safetensors --hidden-key fc1 --output-key fc2 --data train.csv \\\n      \
             --label price --activation gelu --loss mse --eigenvalues --json",
        ),
        (
            "five eigenvalues at each end, and what each layer adds",
            "hsr inspect --run runs/digits-hsr --top 5 --per-layer --out layers",
        ),
    ],
))]
pub struct InspectOptions {
    /// Also the gradient of λ_sup for the parameters and the inputs (with --json).
    #[arg(long)]
    pub gradient: bool,
    /// Also every eigenvalue (with --json).
    #[arg(long)]
    pub eigenvalues: bool,
    /// Also the K largest and the K smallest eigenvalues, with their residuals.
    #[arg(long, value_name = "K")]
    pub top: Option<usize>,
    /// Also a table of the layers, with λ_max of each one's own block of the Hessian.
    #[arg(long)]
    pub per_layer: bool,
    /// Write that table and a picture of it into a directory: layers.csv, layers.svg and layers.png.
    #[arg(long, value_name = "DIR", requires = "per_layer")]
    pub out: Option<PathBuf>,
    /// The most memory that curvature may take, such as 2GiB [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The network and the samples.
    #[command(flatten)]
    pub subject: SubjectArguments,
}

/// `hsr predict`.
#[derive(Debug, Args)]
#[command(
    override_usage = "hsr predict [OPTIONS] (--run DIR | --weights FILE) --data FILE --out FILE"
)]
#[command(after_help = examples(
    "Writes a row for each row of the table, in its order: class, probability_A, probability_B and so on; nothing \
     after a row with missing values, where --missing drop-rows takes it. Columns are matched by name with the \
     features that the network was trained on, and standardised as then. With --label the predictions are scored.",
    &[
        ("rows of unknown class", "hsr predict --run runs/mine-hsr --data new.csv --out classes.csv"),
        (
            "rows of known class, by the plain network of the run",
            "hsr predict --run runs/mine-hsr --network plain --data old.csv --label species --out classes.csv",
        ),
        (
            "weights of another program, which say nothing of themselves",
            "hsr predict --weights net.safetensors --activation tanh --loss softmax --classes no,yes \\\n      \
             --data new.csv --out classes.csv",
        ),
    ],
))]
pub struct PredictOptions {
    /// A CSV with a header row.
    #[arg(long, value_name = "FILE.csv")]
    pub data: PathBuf,
    /// The CSV that is written, whole or not at all.
    #[arg(long, value_name = "FILE.csv")]
    pub out: PathBuf,
    /// The label column, to score the predictions.
    #[arg(long, value_name = "COLUMN")]
    pub label: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The network.
    #[command(flatten)]
    pub model: ModelArguments,
    /// The CSV.
    #[command(flatten)]
    pub table: TableArguments,
}

/// `hsr landscape`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(
    override_usage = "hsr landscape [OPTIONS] (--run DIR | --weights FILE --data FILE --label COLUMN --out DIR)"
)]
#[command(after_help = examples(
    "Writes landscape.csv, landscape.svg and landscape.png. Random directions are normalised filter by filter: a step \
     of 1 moves the weights into each unit by their norm. Eigenvectors have norm 1.",
    &[
        ("a plane through the regularised network", "hsr landscape --run runs/digits-hsr"),
        (
            "the plain network along its two sharpest directions",
            "hsr landscape --run runs/digits-hsr --network plain --directions eigen --out plain-eigen",
        ),
        (
            "the test loss on the line from one network to the other",
            "hsr landscape --run runs/digits-hsr --directions line --split test",
        ),
        (
            "weights of any program, and a curve of low loss from others",
            "hsr landscape --weights net.safetensors --data train.csv --label species --activation tanh \\\n      \
             --loss softmax --directions curve --from other.safetensors --out curve",
        ),
    ],
))]
pub struct LandscapeOptions {
    /// Two random directions, the eigenvectors of the two largest eigenvalues, the line from another network, or a curve
    /// from it that is trained to keep the loss low, with λ_max along it.
    #[arg(long, value_enum, default_value = "random")]
    pub directions: DirectionsName,
    /// The network where the line or the curve begins, of the same sizes [default: the plain one of the run].
    #[arg(long, value_name = "FILE.safetensors")]
    pub from: Option<PathBuf>,
    /// Steps in which the curve is trained [default: 300].
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Points a side [default: 41], on the line [default: 121] or on the curve [default: 31].
    #[arg(long, value_name = "N", hide_default_value = true)]
    pub size: Option<usize>,
    /// From -X to X along both directions; of the line, its length in distances between the networks [default: 1, of the
    /// line 1.5].
    #[arg(long, value_name = "X")]
    pub range: Option<f64>,
    /// The seed of random directions and of the curve.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where the files go [default: the run directory].
    #[arg(long, value_name = "DIR", required_unless_present = "run")]
    pub out: Option<PathBuf>,
    /// The most memory that curvature may take, such as 2GiB [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The network and the samples.
    #[command(flatten)]
    pub subject: SubjectArguments,
}

/// `hsr spectrum`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(
    override_usage = "hsr spectrum [OPTIONS] (--run DIR | --weights FILE --data FILE --label COLUMN --out DIR)"
)]
#[command(after_help = examples(
    "Writes spectrum_eigenvalues.csv, spectrum_density.csv, spectrum_density.svg and spectrum_density.png. Up to 2048 \
     parameters the eigenvalues are all those of the dense Hessian; beyond, and of convolutional networks, those at both \
     ends by Lanczos.",
    &[
        ("the regularised network", "hsr spectrum --run runs/digits-hsr"),
        ("the plain one of the same run", "hsr spectrum --run runs/digits-hsr --network plain --out plain"),
        ("the test loss's Hessian, more eigenvalues", "hsr spectrum --run runs/digits-hsr --split test --top 30"),
        (
            "weights of any program on a table, as for hsr inspect",
            "hsr spectrum --weights net.safetensors --data train.csv --label species --activation tanh \\\n      \
             --loss softmax --out spectrum",
        ),
    ],
))]
pub struct SpectrumOptions {
    /// Eigenvalues at each end.
    #[arg(long, value_name = "K", default_value_t = 10)]
    pub top: usize,
    /// Random probes of the density and the trace.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub probes: usize,
    /// The seed of the probes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where the files go [default: the run directory].
    #[arg(long, value_name = "DIR", required_unless_present = "run")]
    pub out: Option<PathBuf>,
    /// The most memory that curvature may take, such as 2GiB [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// The network and the samples.
    #[command(flatten)]
    pub subject: SubjectArguments,
}

/// `--directions`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // The names say it.
pub enum DirectionsName {
    Random,
    Eigen,
    Line,
    Curve,
}

/// `--split`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // The names say it.
pub enum SplitName {
    Train,
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Split::Train,
            SplitName::Test => Split::Test,
        }
    }
}

/// `hsr reproduce`.
#[derive(Debug, Args)]
#[command(after_help = examples(
    "Leaves NAME.svg, NAME.png, NAME.csv and NAME.json of each experiment and report.html. What is there already is \
     not done again; interrupted, the same command goes on. A claim that fails is a result: the exit code is 0.",
    &[
        ("everything, with fewer seeds and epochs", "hsr reproduce all --quick --out paper"),
        ("two figures as the paper has them", "hsr reproduce fig2 fig9"),
    ],
))]
pub struct ReproduceOptions {
    /// What to do again.
    #[arg(value_name = "EXPERIMENT", required = true, value_parser = experiments())]
    pub experiments: Vec<String>,
    /// The directory.
    #[arg(long, value_name = "DIR", default_value = "runs/reproduce")]
    pub out: PathBuf,
    /// Fewer seeds and epochs: all in less than 20 minutes on two cores.
    #[arg(long)]
    pub quick: bool,
    /// Threads; they change nothing but the time [default: one a core].
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZero<usize>>,
    /// The seed of everything drawn.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `hsr completions`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("bash", "hsr completions bash > ~/.local/share/bash-completion/completions/hsr"),
    ("zsh, with ~/.zfunc in fpath", "hsr completions zsh > ~/.zfunc/_hsr"),
    ("fish", "hsr completions fish > ~/.config/fish/completions/hsr.fish"),
    ("for this session of bash alone", "source <(hsr completions bash)"),
]))]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The commands that have a man page of their own.
pub const COMMANDS: [&str; 11] = [
    "tasks",
    "backends",
    "train",
    "compare",
    "inspect",
    "predict",
    "landscape",
    "reproduce",
    "spectrum",
    "completions",
    "man",
];

/// `hsr man`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("read the page of a command", "hsr man train | man -l -"),
    ("leave all pages where man finds them", "hsr man --out ~/.local/share/man/man1"),
]))]
pub struct ManOptions {
    /// The command whose page is printed [default: that of hsr itself].
    #[arg(value_name = "COMMAND", value_parser = PossibleValuesParser::new(COMMANDS))]
    pub command: Option<String>,
    /// Write every page into this directory instead, hsr.1, hsr-train.1 and so on.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub out: Option<PathBuf>,
}

fn task_names() -> PossibleValuesParser {
    let tasks = tasks::all().into_iter();
    PossibleValuesParser::new(
        tasks.map(|task| PossibleValue::new(task.name).help(task.description)),
    )
}

fn experiments() -> PossibleValuesParser {
    let named = |it: Experiment| PossibleValue::new(it.name()).help(it.title());
    let all = PossibleValue::new("all").help("All of them");
    PossibleValuesParser::new(Experiment::ALL.into_iter().map(named).chain([all]))
}

fn activations() -> impl TypedValueParser<Value = Activation> {
    PossibleValuesParser::new(Activation::ALL.map(Activation::name))
        .try_map(|name| name.parse::<Activation>())
}

/// Reads `--backend`, and tells shells the names.
#[derive(Clone)]
struct DeviceNames;

impl TypedValueParser for DeviceNames {
    type Value = DeviceName;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<DeviceName, clap::Error> {
        let known = PossibleValuesParser::new(Backend::ALL.map(Backend::name));
        let parser = StringValueParser::new().try_map(|name| name.parse::<DeviceName>());
        parser.parse_ref(command, argument, value).map_err(|error| {
            // Of a name that is none, the names that there are.
            let backend = value.to_string_lossy();
            let backend = backend.split(':').next().unwrap_or_default().to_owned();
            let unknown = known.parse_ref(command, argument, OsStr::new(&backend));
            unknown.err().unwrap_or(error)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let named = |backend: Backend| {
            PossibleValue::new(backend.name()).help(crate::backends::description(backend))
        };
        Some(Box::new(Backend::ALL.into_iter().map(named)))
    }
}

/// `--budget`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum BudgetName {
    /// Epochs, whatever a step costs.
    Epochs,
    /// Passes, so that a method whose step takes two has half the epochs.
    Passes,
}

impl From<BudgetName> for Budget {
    fn from(name: BudgetName) -> Self {
        match name {
            BudgetName::Epochs => Budget::Epochs,
            BudgetName::Passes => Budget::Passes,
        }
    }
}

/// `--method`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum MethodName {
    /// The loss alone.
    Plain,
    /// The loss and the bound λ_sup on its Hessian's largest eigenvalue.
    Hsr,
    /// Sharpness-aware minimisation.
    Sam,
    /// Adaptive sharpness-aware minimisation.
    Asam,
    /// SAM that also closes the gap between the loss and the ascended loss.
    Gsam,
    /// Friendly-SAM: ascends along the noise of the batch's gradient.
    Fsam,
    /// LookSAM: SAM every fifth step, its direction kept between.
    Looksam,
    /// WSAM: sharpness with a weight, beside the optimizer's step.
    Wsam,
    /// The mean gradient over Gaussian noise in the weights, in both directions.
    Nso,
    /// SAM, the ascent turned to the Hessian's top eigenvector.
    EigenSam,
    /// The loss and the trace of its Hessian.
    Trace,
    /// The loss and the largest eigenvalue of its Hessian itself.
    LambdaMax,
    /// The loss and the Frobenius norm of its Hessian.
    Frobenius,
    /// The loss and the norm of its gradient.
    GradientNorm,
    /// The loss, and the optimizer's weight decay.
    WeightDecay,
    /// The loss with smoothed labels.
    LabelSmoothing,
    /// The loss, and the epoch kept that was best on a validation split.
    EarlyStopping,
}

impl From<MethodName> for Method {
    fn from(name: MethodName) -> Self {
        match name {
            MethodName::Plain => Method::Plain,
            MethodName::Hsr => Method::Hsr,
            MethodName::Sam => Method::Sam,
            MethodName::Asam => Method::Asam,
            MethodName::Gsam => Method::Gsam,
            MethodName::Fsam => Method::Fsam,
            MethodName::Looksam => Method::Looksam,
            MethodName::Wsam => Method::Wsam,
            MethodName::Nso => Method::Nso,
            MethodName::EigenSam => Method::EigenSam,
            MethodName::Trace => Method::Trace,
            MethodName::LambdaMax => Method::LambdaMax,
            MethodName::Frobenius => Method::Frobenius,
            MethodName::GradientNorm => Method::GradientNorm,
            MethodName::WeightDecay => Method::WeightDecay,
            MethodName::LabelSmoothing => Method::LabelSmoothing,
            MethodName::EarlyStopping => Method::EarlyStopping,
        }
    }
}

/// `--strength` of `hsr compare`.
#[derive(Clone, Copy, Debug)]
pub struct MethodStrength {
    /// The method.
    pub method: MethodName,
    /// Its strength.
    pub strength: Strength,
}

fn subsample(text: &str) -> Result<Subsample, String> {
    match text {
        "all" => Ok(Subsample::All),
        "auto" => Ok(Subsample::Auto),
        _ => match text.parse() {
            Ok(rows) if rows > 0 => Ok(Subsample::Rows(rows)),
            _ => Err("expected a number of rows, at least 1, or all or auto".to_owned()),
        },
    }
}

fn class_weights(text: &str) -> Result<ClassWeights, String> {
    text.parse::<ClassWeights>()
        .map_err(|_| "expected balanced, or a number, 0 or more, for each class".to_owned())
}

fn strength(text: &str) -> Result<MethodStrength, String> {
    let expected = || "expected a method and a strength, such as hsr=0.1 or hsr=auto".to_owned();
    let (method, value) = text.split_once('=').ok_or_else(expected)?;
    Ok(MethodStrength {
        method: MethodName::from_str(method.trim(), false).map_err(|_| {
            let names = MethodName::value_variants();
            let names = names.iter().map(|&name| Method::from(name).name());
            let meant = nearest(method, names)
                .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"));
            format!("{method:?} is no method{meant}, {}", expected())
        })?,
        strength: value
            .trim()
            .parse()
            .map_err(|error: ParseStrengthError| error.to_string())?,
    })
}

/// `--optimizer`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // The names say it.
pub enum OptimizerName {
    Sgd,
    Momentum,
    Adam,
    Adamw,
}

impl From<OptimizerName> for Optimizer {
    fn from(name: OptimizerName) -> Self {
        match name {
            OptimizerName::Sgd => Optimizer::Sgd,
            OptimizerName::Momentum => Optimizer::Momentum,
            OptimizerName::Adam => Optimizer::Adam,
            OptimizerName::Adamw => Optimizer::Adamw,
        }
    }
}

/// `--network` of what is trained.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum NetworkName {
    /// Layers of units, whose curvature is exact.
    Mlp,
    /// Convolutions of 3 × 3 and a linear layer, whose curvature comes from differences of gradients.
    Conv,
}

impl From<NetworkName> for NetworkKind {
    fn from(name: NetworkName) -> Self {
        match name {
            NetworkName::Mlp => NetworkKind::Mlp,
            NetworkName::Conv => NetworkKind::Conv,
        }
    }
}

/// `--mode`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ModeName {
    /// Added to the loss's gradient.
    Coupled,
    /// A step of its own after the optimizer's.
    Decoupled,
    /// Added normalised.
    Direction,
}

/// `--loss`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // The names say it.
pub enum LossName {
    Softmax,
    Sigmoid,
    Mse,
}

impl From<LossName> for OutputLoss {
    fn from(name: LossName) -> Self {
        match name {
            LossName::Softmax => OutputLoss::SoftmaxCrossEntropy,
            LossName::Sigmoid => OutputLoss::SigmoidCrossEntropy,
            LossName::Mse => OutputLoss::MeanSquaredError,
        }
    }
}

/// `--batch`: a number of samples, or none for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch(pub Option<usize>);

fn batch(text: &str) -> Result<Batch, String> {
    if text == "full" {
        return Ok(Batch(None));
    }
    match text.parse() {
        Ok(size) if size > 0 => Ok(Batch(Some(size))),
        _ => Err("expected a number of samples, at least 1, or full".to_owned()),
    }
}

/// `--means`.
#[derive(Clone, Debug, PartialEq)]
pub struct Means(pub Vec<[f64; 2]>);

/// `--covariance`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Covariance(pub [f64; 3]);

fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let values: Vec<f64> = text
        .split(',')
        .map(|value| value.trim().parse().ok())
        .collect::<Option<_>>()?;
    values.try_into().ok()
}

fn means(text: &str) -> Result<Means, String> {
    text.split(';')
        .map(numbers::<2>)
        .collect::<Option<_>>()
        .map(Means)
        .ok_or_else(|| "expected x,y for each class, separated by ;".to_owned())
}

fn covariance(text: &str) -> Result<Covariance, String> {
    numbers(text)
        .map(Covariance)
        .ok_or_else(|| "expected three numbers xx,xy,yy".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn lists_of_numbers_are_read() {
        assert_eq!(
            means("0,1; -2,3.5").unwrap(),
            Means(vec![[0.0, 1.0], [-2.0, 3.5]])
        );
        assert_eq!(
            covariance("1,-0.5,2").unwrap(),
            Covariance([1.0, -0.5, 2.0])
        );
        assert!(
            means("0,1,2").is_err() && covariance("1,2").is_err() && covariance("a,b,c").is_err()
        );
        assert_eq!(batch("full").unwrap(), Batch(None));
        assert!(batch("0").is_err());
    }
}
