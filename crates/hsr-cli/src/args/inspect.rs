//! `hsr inspect`.

use std::path::PathBuf;

use clap::Args;

use super::subject::SubjectArguments;
use crate::style::examples;

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
    /// The network and the samples.
    #[command(flatten)]
    pub subject: SubjectArguments,
}
