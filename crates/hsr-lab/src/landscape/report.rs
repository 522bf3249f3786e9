//! What is asked of a landscape, and the answer.

use std::path::{Path, PathBuf};

use burn_sharpness::landscape::Profile;
use serde::Serialize;

use crate::error::LabError;
use crate::figures::{Figure, FigureError};
use crate::named::named;
use crate::subject::{Subject, SubjectReport};
use crate::{files, pictures};

named! {
/// Along what the loss is evaluated.
pub enum Directions {
    /// Two random directions, normalised filter by filter.
    Random = "random",
    /// The eigenvectors of the two largest eigenvalues of the Hessian, of norm 1.
    Eigen = "eigen",
    /// The line from another network to this one: of a run, from the plain one.
    Line = "line",
    /// A curve between the same two that was trained to keep the loss low, and λ_max along it.
    Curve = "curve",
}
}

/// What `hsr landscape` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct LandscapeOptions {
    /// Along what.
    pub directions: Directions,
    /// The file of the network where a line or a curve begins; `None` for the plain one of the run.
    pub from: Option<PathBuf>,
    /// Points a side, by default 41, on the line, by default 121, or on the curve, by default 31.
    pub size: Option<usize>,
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

impl LandscapeReport {
    /// What every kind of landscape says: `loss` is that of the network, `met` are those that were met.
    pub(super) fn of(
        subject: &Subject,
        options: &LandscapeOptions,
        (points, range): (usize, f64),
        loss: f64,
        met: &[f64],
    ) -> Self {
        let from = options.from.as_ref();
        let has_seed = matches!(options.directions, Directions::Random | Directions::Curve);
        Self {
            subject: subject.report(),
            directions: options.directions,
            from: from.map(|path| path.display().to_string()),
            points,
            range,
            curvature_samples: subject.curved_samples(),
            seed: has_seed.then_some(options.seed),
            eigenvalues: None,
            loss,
            lowest: extreme(met, f64::min),
            highest: extreme(met, f64::max),
            plain_loss: None,
            barrier: None,
            barrier_at: None,
            curve: None,
            files: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same of a way between two networks.
    pub(super) fn with_profile(mut self, profile: &Profile) -> Self {
        let barrier = profile.barrier();
        self.plain_loss = Some(profile.ends[0]);
        self.barrier = Some(barrier.height);
        self.barrier_at = (barrier.height > 0.0).then_some(barrier.t);
        self
    }

    /// Writes the table, then the picture.
    pub(super) fn save(
        mut self,
        out: &Path,
        csv: &[u8],
        figure: Result<Figure, FigureError>,
    ) -> Result<Self, LabError> {
        let table = out.join("landscape.csv");
        files::write(&table, csv)?;
        self.files.push(table);
        let pictures = pictures::write(out, "landscape", figure, &mut self.notes)?;
        self.files.extend(pictures);
        Ok(self)
    }
}

/// The smallest or the largest finite loss.
pub(super) fn extreme(loss: &[f64], choose: fn(f64, f64) -> f64) -> Option<f64> {
    loss.iter()
        .copied()
        .filter(|v| v.is_finite())
        .reduce(choose)
}

/// A text at the beginning of a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
