//! The loss around a network and between two: numbers, table and picture.

mod curve;
mod line;
mod plane;
mod report;

use core::ops::ControlFlow;
use std::path::Path;

use burn_sharpness::SharpnessError;
use burn_sharpness::landscape::Progress;

pub use report::{CurveReport, Directions, LandscapeOptions, LandscapeReport};

use crate::curvature::Curvature;
use crate::error::{LabError, refuse};
use crate::lock::DirectoryLock;
use crate::subject::Subject;

/// Points a side: a million of them are more than a picture can show.
const LARGEST_SIDE: usize = 1001;

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
        refuse!("`from` is the beginning of a line or a curve: add `directions` line or curve");
    }
    if options.steps.is_some() && options.directions != Directions::Curve {
        refuse!("`steps` are those of a curve: add `directions` curve");
    }
    if let Some(size) = options.size
        && !(2..=LARGEST_SIDE).contains(&size)
    {
        refuse!("`size` is {size}, expected 2 to {LARGEST_SIDE}");
    }
    if let Some(range) = options.range
        && !(range.is_finite() && range > 0.0)
    {
        refuse!("`range` is {range}, expected a positive number");
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
