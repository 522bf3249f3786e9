//! `hsr reproduce`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use hsr_lab::reproduce::Experiment;

use crate::style::examples;

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

fn experiments() -> PossibleValuesParser {
    let named = |it: Experiment| PossibleValue::new(it.name()).help(it.title());
    let all = PossibleValue::new("all").help("All of them");
    PossibleValuesParser::new(Experiment::ALL.into_iter().map(named).chain([all]))
}
