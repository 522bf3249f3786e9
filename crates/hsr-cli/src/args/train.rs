//! `hsr train`.

use std::path::PathBuf;

use clap::Args;
use hsr_lab::burn_hsr::Strength;
use hsr_lab::train::Method;

use super::data::SourceArguments;
use super::named::method;
use super::training::TrainingOptions;
use crate::style::examples;

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
    #[arg(long, default_value = "hsr", value_parser = method())]
    pub method: Method,
    /// The factor of what is added to the loss, or the rule for it; ρ for sam and its family, the noise's standard
    /// deviation for nso, the factor or ε of weight-decay and label-smoothing. A rule is auto, which needs no number,
    /// relative:X (what is added is always X·‖∇L‖ long), projected:X (the same without what works against the loss) or
    /// safe:X (X, but what is added is never longer than half of ‖∇L‖) [default: auto for hsr; 0.005 for trace, 0.5 for asam, 0.2 for fsam, 0.1 for looksam and eigen-sam, 0.01 for nso,
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
    pub source: SourceArguments,
}
