//! `hsr spectrum`.

use std::path::PathBuf;

use clap::Args;
use hsr_lab::memory::MemoryLimit;
use hsr_lab::train::Split;

use super::named::named;
use crate::style::examples;

/// `hsr spectrum`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = examples(
    "Writes spectrum_eigenvalues.csv, spectrum_density.csv, spectrum_density.svg and spectrum_density.png. Up to 2048 \
     parameters the eigenvalues are all those of the dense Hessian; beyond, and of convolutional networks, those at both \
     ends by Lanczos.",
    &[
        ("the regularised network", "hsr spectrum --run runs/digits-hsr"),
        ("the plain one of the same run", "hsr spectrum --run runs/digits-hsr --network plain --out plain"),
        ("the test loss's Hessian, more eigenvalues", "hsr spectrum --run runs/digits-hsr --split test --top 30"),
    ],
))]
pub struct SpectrumOptions {
    /// The directory of a run of hsr train.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// The network, by its method [default: that of the run].
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Eigenvalues at each end.
    #[arg(long, value_name = "K", default_value_t = 10)]
    pub top: usize,
    /// Random probes of the density and the trace.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub probes: usize,
    /// The split whose loss it is the Hessian of.
    #[arg(long, default_value = "train", value_parser = named::<Split>())]
    pub split: Split,
    /// The seed of the probes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where the files go [default: the run directory].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The most memory that curvature may take, such as 2GiB [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}
