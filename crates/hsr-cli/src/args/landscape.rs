//! `hsr landscape`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hsr_lab::memory::MemoryLimit;
use hsr_lab::train::Split;

use super::named::named;
use crate::style::examples;

/// `hsr landscape`.
#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
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
    ],
))]
pub struct LandscapeOptions {
    /// The directory of a run of hsr train.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// The network, by its method [default: that of the run].
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Two random directions, the eigenvectors of the two largest eigenvalues, or the line from the plain network.
    #[arg(long, value_enum, default_value = "random")]
    pub directions: DirectionsName,
    /// Points a side [default: 41], or on the line [default: 121].
    #[arg(long, value_name = "N", hide_default_value = true)]
    pub size: Option<usize>,
    /// From -X to X along both directions; of the line, its length in distances between the networks [default: 1, of the
    /// line 1.5].
    #[arg(long, value_name = "X")]
    pub range: Option<f64>,
    /// The seed of random directions.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The split on which the loss is evaluated.
    #[arg(long, default_value = "train", value_parser = named::<Split>())]
    pub split: Split,
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

/// `--directions`.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)] // The names say it.
pub enum DirectionsName {
    Random,
    Eigen,
    Line,
}
