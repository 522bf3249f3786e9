//! `hsr compare`.

use std::path::PathBuf;

use clap::Args;
use hsr_lab::Named;
use hsr_lab::burn_hsr::{ParseStrengthError, Strength};
use hsr_lab::compare::Budget;
use hsr_lab::data::nearest;
use hsr_lab::train::Method;

use super::data::SourceArguments;
use super::named::{budget, method};
use super::training::TrainingOptions;
use crate::style::examples;

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
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', default_value = "plain,hsr", value_parser = method())]
    pub methods: Vec<Method>,
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
    /// 0.05 to 5 for a --strength of relative:X or projected:X.
    #[arg(long, value_name = "N")]
    pub tune: Option<usize>,
    /// What the methods have the same number of: epochs, or forward and backward passes, of which each gets as many as plain
    /// training in --epochs.
    #[arg(long, value_name = "NAME", default_value = "epochs", value_parser = budget())]
    pub budget: Budget,
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
    pub source: SourceArguments,
}

/// `--strength` of `hsr compare`.
#[derive(Clone, Copy, Debug)]
pub struct MethodStrength {
    /// The method.
    pub method: Method,
    /// Its strength.
    pub strength: Strength,
}

fn strength(text: &str) -> Result<MethodStrength, String> {
    let expected = || "expected a method and a strength, such as hsr=0.1 or hsr=auto".to_owned();
    let (method, value) = text.split_once('=').ok_or_else(expected)?;
    Ok(MethodStrength {
        method: Method::of(method.trim()).ok_or_else(|| {
            let meant = nearest(method, Method::ALL.map(Method::name))
                .map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"));
            format!("{method:?} is no method{meant}, {}", expected())
        })?,
        strength: value
            .trim()
            .parse()
            .map_err(|error: ParseStrengthError| error.to_string())?,
    })
}
