//! `hsr inspect`.

use std::path::PathBuf;

use clap::Args;
use hsr_lab::memory::MemoryLimit;
use hsr_lab::train::Split;

use super::data::TableArguments;
use super::model::ModelArguments;
use super::named::named;
use crate::style::examples;

/// `hsr inspect`.
#[derive(Debug, Args)]
#[command(
    override_usage = "hsr inspect [OPTIONS] (--run DIR | --weights FILE) [--data FILE --label COLUMN]"
)]
#[command(after_help = examples(
    "The weights file is the state dict of a feed-forward network, NAME.weight [outputs, inputs] and NAME.bias [outputs] \
     of each layer, F32 or F64, as torch.nn.Linear has them; a missing bias means none. Layers that nobody names are \
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
    ],
))]
pub struct InspectOptions {
    /// A CSV with a header row [default: the data of the run].
    #[arg(long, value_name = "FILE.csv", required_unless_present = "run")]
    pub data: Option<PathBuf>,
    /// The label column [default: that of the run].
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub label: Option<String>,
    /// The split of the data of the run.
    #[arg(long, default_value = "train", conflicts_with = "data", value_parser = named::<Split>())]
    pub split: Split,
    /// The column with the samples' weights.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub weight_column: Option<String>,
    /// Bring the features to mean 0 and standard deviation 1 first, for weights that do not say how they were.
    #[arg(long, requires = "data")]
    pub standardize: bool,
    /// Also the gradient of λ_sup for the parameters and the inputs (with --json).
    #[arg(long)]
    pub gradient: bool,
    /// Also every eigenvalue (with --json).
    #[arg(long)]
    pub eigenvalues: bool,
    /// The most memory that curvature may take, such as 2GiB [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
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
