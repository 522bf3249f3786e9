//! Pictures as files. One that cannot be drawn is told and takes nothing with it: the numbers are what was asked for.

use std::path::{Path, PathBuf};

use crate::error::LabError;
use crate::figures::{DecisionPanel, Figure, FigureError};
use crate::files;

/// Writes `NAME.svg` and `NAME.png` and gives their paths; what could not be drawn is added to `notes`.
///
/// # Errors
///
/// [`LabError::Io`] where a file cannot be written.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    figure: Result<Figure, FigureError>,
    notes: &mut Vec<String>,
) -> Result<Vec<PathBuf>, LabError> {
    let mut written = Vec::new();
    let mut keep = |suffix: &str, bytes: Result<Vec<u8>, FigureError>| -> Result<(), LabError> {
        let path = folder.join(format!("{name}.{suffix}"));
        match bytes {
            Ok(bytes) => {
                files::write(&path, &bytes)?;
                written.push(path);
            }
            Err(error) => notes.push(format!("no {name}.{suffix}: {error}")),
        }
        Ok(())
    };
    match figure {
        Ok(figure) => {
            keep("svg", Ok(figure.svg().as_bytes().to_vec()))?;
            keep("png", figure.png(2.0))?;
        }
        Err(error) => notes.push(format!("no picture {name}: {error}")),
    }
    Ok(written)
}

/// What a network decides in `grid` × `grid` cells over the plane of its samples, with a margin of that share around them.
///
/// # Errors
///
/// Those of `predict`, which gives the class of each point.
pub(crate) fn decisions<E>(
    title: String,
    (grid, margin): (usize, f64),
    points: Vec<[f64; 2]>,
    labels: &[usize],
    predict: impl FnOnce(Vec<[f64; 2]>) -> Result<Vec<usize>, E>,
) -> Result<DecisionPanel, E> {
    let [x_range, y_range] = [0, 1].map(|axis| {
        let values = points.iter().map(|point| point[axis]);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let margin = margin * (high - low).max(1e-6);
        (low - margin, high + margin)
    });
    Ok(DecisionPanel {
        title,
        grid,
        x_range,
        y_range,
        classes: predict(DecisionPanel::centres(grid, x_range, y_range).collect())?,
        points,
        labels: labels.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_fails_is_a_note() {
        let folder = tempfile::tempdir().unwrap();
        let mut notes = Vec::new();
        let failed = Err(FigureError::Empty("spectrum"));
        let written = write(folder.path(), "spectrum", failed, &mut notes).unwrap();
        assert!(written.is_empty());
        assert_eq!(
            notes,
            ["no picture spectrum: nothing to draw: no spectrum given"]
        );
        // The text of the figure is kept where it cannot be rendered.
        let broken = Ok(Figure::from_svg("<svg".to_owned()));
        let written = write(folder.path(), "broken", broken, &mut notes).unwrap();
        assert_eq!(written, [folder.path().join("broken.svg")]);
        assert!(notes[1].starts_with("no broken.png: "), "{notes:?}");
    }
}
