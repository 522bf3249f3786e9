//! `hsr predict`.

use std::path::PathBuf;

use clap::Args;

use super::data::TableArguments;
use super::model::ModelArguments;
use crate::style::examples;

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
