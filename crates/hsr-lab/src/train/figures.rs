//! The pictures of a run.

use std::convert::Infallible;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};

use super::problem::Problem;
use super::trainer::Row;
use crate::error::LabError;
use crate::figures::{
    DecisionPanel, Spectrum, TrainingCurve, decision_boundary, spectrum, training,
};
use crate::pictures;

/// A trained network with what its pictures need.
pub(crate) struct Trained {
    pub label: String,
    pub theta: Vec<f64>,
    /// All eigenvalues, or only the ends.
    pub eigenvalues: Vec<f64>,
    /// None where it is not known exactly.
    pub lambda_sup: Option<f64>,
    pub macro_f1: f64,
    pub lambda_max: f64,
}

/// Cells a side of a decision boundary.
const GRID: usize = 160;

/// Draws the spectrum, the training curves and, where there are two inputs, the decision boundaries; gives what could not be
/// drawn, and why.
pub(crate) fn draw(
    folder: &Path,
    problem: &Problem,
    networks: &[Trained],
    rows: &[Row],
) -> Result<Vec<String>, LabError> {
    let mut notes = Vec::new();
    let mut save = |name, figure| pictures::write(folder, name, figure, &mut notes);
    let spectra: Vec<Spectrum> = networks
        .iter()
        .map(|network| Spectrum {
            label: network.label.clone(),
            eigenvalues: network.eigenvalues.clone(),
            lambda_sup: network.lambda_sup.unwrap_or(f64::NAN),
        })
        .collect();
    save("spectrum", spectrum(&spectra))?;

    let curves: Vec<TrainingCurve> = networks
        .iter()
        .map(|network| {
            let of: Vec<&Row> = rows
                .iter()
                .filter(|row| row.network == network.label)
                .collect();
            let of = thinned(&of);
            TrainingCurve {
                label: network.label.clone(),
                epochs: of.iter().map(|row| row.epoch as f64).collect(),
                loss: of.iter().map(|row| row.train_loss).collect(),
                lambda_sup: of
                    .iter()
                    .map(|row| row.lambda_sup.unwrap_or(f64::NAN))
                    .collect(),
                accuracy: of.iter().map(|row| row.test_accuracy).collect(),
            }
        })
        .collect();
    save("training", training(&curves))?;

    if problem.inputs() == 2 {
        let panels: Vec<DecisionPanel> = networks
            .iter()
            .map(|network| panel(problem, network))
            .collect();
        save("boundary", decision_boundary(&panels))?;
    }
    Ok(notes)
}

/// Epochs of a curve: more than there are pixels, and few enough for any renderer.
const MOST_EPOCHS: usize = 4000;

/// Of many rows those at equal distances, the last, and those at which λ_sup was measured.
fn thinned<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    let step = rows.len().div_ceil(MOST_EPOCHS).max(1);
    let kept = rows.iter().enumerate().filter(|(i, row)| {
        i.is_multiple_of(step) || i + 1 == rows.len() || row.lambda_sup.is_some()
    });
    kept.map(|(_, row)| *row).collect()
}

/// The network's decisions over the plane of the data, in the data's own units.
fn panel(problem: &Problem, trained: &Trained) -> DecisionPanel {
    let standardizer = &problem.standardizer;
    let points: Vec<[f64; 2]> = problem
        .train
        .data
        .features
        .chunks_exact(2)
        .map(|x| [0, 1].map(|e| x[e] * standardizer.std[e] + standardizer.mean[e]))
        .collect();
    let title = format!(
        "{}: macro-F1 {:.3}, λ_max {:.3}",
        trained.label, trained.macro_f1, trained.lambda_max
    );
    let labels = &problem.train.data.labels;
    let panel = pictures::decisions(title, (GRID, 0.08), points, labels, |cells| {
        let scaled = cells.iter().flat_map(|p| {
            [0, 1].map(|e| ((p[e] - standardizer.mean[e]) / standardizer.std[e]) as f32)
        });
        let scaled = TensorData::new(scaled.collect(), [cells.len(), 2]);
        let scaled = Tensor::from_data(scaled, &problem.train.x.device());
        Ok::<_, Infallible>(problem.architecture.predict(&trained.theta, scaled))
    });
    panel.unwrap_or_else(|error| match error {})
}
