//! The loss around a network and between two: numbers, table and picture.

mod curve;
mod line;
mod plane;

use core::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn_sharpness::SharpnessError;
use burn_sharpness::landscape::Progress;
use serde::Serialize;

use crate::curvature::Curvature;
use crate::error::LabError;
use crate::figures::{Figure, FigureError};
use crate::lock::DirectoryLock;
use crate::subject::{Subject, SubjectReport};
use crate::{files, pictures};

/// Along what the loss is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Directions {
    /// Two random directions, normalised filter by filter.
    Random,
    /// The eigenvectors of the two largest eigenvalues of the Hessian, of norm 1.
    Eigen,
    /// The line from another network to this one: of a run, from the plain one.
    Line,
    /// A curve between the same two that was trained to keep the loss low, and λ_max along it.
    Curve,
}

/// What `hsr landscape` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct LandscapeOptions {
    /// Along what.
    pub directions: Directions,
    /// The file of the network where a line or a curve begins; `None` for the plain one of the run.
    pub from: Option<PathBuf>,
    /// Points a side, by default 41, on the line, by default 121, or on the curve, by default 31.
    pub points: Option<usize>,
    /// Of a plane: from −range to range. Of the line: its length, 1 from network to network. By default 1, of the line
    /// 1.5.
    pub range: Option<f64>,
    /// Steps in which the curve is trained, by default 300.
    pub steps: Option<usize>,
    /// The seed of random directions and of the curve.
    pub seed: u64,
}

/// The answer; its JSON is what `hsr landscape --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LandscapeReport {
    /// The network in the middle, or at the end of the line, and the data.
    #[serde(flatten)]
    pub subject: SubjectReport,
    /// Along what.
    pub directions: Directions,
    /// The file of the network where the line begins, where it is not the plain one of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Points a side, or on the line.
    pub points: usize,
    /// The range.
    pub range: f64,
    /// The samples of the split that the loss is the mean over, where that is only a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curvature_samples: Option<usize>,
    /// The seed of random directions, or of the curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The eigenvalues of the directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eigenvalues: Option<[f64; 2]>,
    /// The loss of the network.
    pub loss: f64,
    /// The smallest finite loss that was met.
    pub lowest: Option<f64>,
    /// The largest.
    pub highest: Option<f64>,
    /// The loss of the network where the line begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plain_loss: Option<f64>,
    /// The rise of the loss over the straight line between the networks' losses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barrier: Option<f64>,
    /// Where it is: 0 at the plain network, 1 at the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barrier_at: Option<f64>,
    /// What the curve has in place of the straight line.
    #[serde(flatten)]
    pub curve: Option<CurveReport>,
    /// The files that were written.
    #[serde(serialize_with = "files::all_shown")]
    pub files: Vec<PathBuf>,
    /// What could not be drawn, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A trained curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveReport {
    /// The steps of its training.
    pub steps: usize,
    /// The rise of the loss over the straight line between the networks' losses, along the line between the networks.
    pub line_barrier: f64,
    /// The largest λ_max along the curve.
    pub curve_lambda_max: f64,
    /// The largest λ_max along the line.
    pub line_lambda_max: f64,
}

/// Evaluates a landscape and writes `landscape.csv`, `.svg` and `.png` into `out`; nothing where it is stopped or fails.
///
/// # Errors
///
/// A one-line [`LabError`] for what can be wrong with options, run and directory; [`LabError::Stopped`] where the
/// observer stopped it.
pub fn landscape(
    subject: &Subject,
    curvature: &mut Curvature,
    options: &LandscapeOptions,
    out: &Path,
    observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<LandscapeReport, LabError> {
    let of_two = matches!(options.directions, Directions::Line | Directions::Curve);
    if options.from.is_some() && !of_two {
        return Err(LabError::Option(
            "--from is the beginning of a line or a curve: add --directions line or curve"
                .to_owned(),
        ));
    }
    if options.steps.is_some() && options.directions != Directions::Curve {
        return Err(LabError::Option(
            "--steps are those of a curve: add --directions curve".to_owned(),
        ));
    }
    if let Some(points) = options.points
        && !(2..=LARGEST_SIDE).contains(&points)
    {
        return Err(LabError::Option(format!(
            "--size is {points}, expected 2 to {LARGEST_SIDE}"
        )));
    }
    if let Some(range) = options.range
        && !(range.is_finite() && range > 0.0)
    {
        return Err(LabError::Option(format!(
            "--range is {range}, expected a positive number"
        )));
    }
    let _lock = DirectoryLock::of_kind(out, "landscape")?;
    let stopped = |error| match error {
        LabError::Sharpness(SharpnessError::Stopped { done, total }) => LabError::Stopped {
            what: "points",
            done,
            total,
        },
        error => error,
    };
    match options.directions {
        Directions::Line => line::line(subject, curvature, options, out, observe),
        Directions::Curve => curve::curve(subject, curvature, options, out, observe),
        Directions::Random | Directions::Eigen => {
            plane::plane(subject, curvature, options, out, observe)
        }
    }
    .map_err(stopped)
}

/// Points a side: a million of them are more than a picture can show.
const LARGEST_SIDE: usize = 1001;

/// Writing into memory cannot fail.
fn write_csv(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>, csv: &mut Vec<u8>) {
    write(csv).expect("memory takes whatever is written");
}

fn extreme(loss: &[f64], choose: fn(f64, f64) -> f64) -> Option<f64> {
    loss.iter()
        .copied()
        .filter(|v| v.is_finite())
        .reduce(choose)
}

/// A text at the beginning of a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Writes the table, then the picture; gives the files and what could not be drawn.
fn save(
    out: &Path,
    csv: &[u8],
    figure: Result<Figure, FigureError>,
) -> Result<(Vec<PathBuf>, Vec<String>), LabError> {
    let table = out.join("landscape.csv");
    files::write(&table, csv)?;
    let (mut written, mut notes) = (vec![table], Vec::new());
    written.extend(pictures::write(out, "landscape", figure, &mut notes)?);
    Ok((written, notes))
}
