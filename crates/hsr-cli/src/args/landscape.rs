//! `hsr landscape`.

use std::path::PathBuf;

use clap::Args;
use hsr_lab::landscape::Directions;

use super::named::named;
use super::subject::SubjectArguments;
use crate::style::examples;

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
    #[arg(long, default_value = "random", value_parser = named::<Directions>())]
    pub directions: Directions,
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
    /// The network and the samples.
    #[command(flatten)]
    pub subject: SubjectArguments,
}
