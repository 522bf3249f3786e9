//! `hsr spectrum`.

use std::path::PathBuf;

use clap::Args;

use super::subject::SubjectArguments;
use crate::style::examples;

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
    /// The network and the samples.
    #[command(flatten)]
    pub subject: SubjectArguments,
}
