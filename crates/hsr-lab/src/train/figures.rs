//! The pictures of a run.

use std::convert::Infallible;
use std::path::Path;

use burn::tensor::{Tensor, TensorData};

use super::problem::Problem;
use super::trainer::Row;
use crate::error::LabError;
use crate::figures::{
    Chart, DecisionPanel, Figure, FigureError, Mark, Plot, Series, Spectrum, chart,
    decision_boundary, drawable, extent, spectrum,
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

    save("training", training(networks, rows))?;

    if problem.inputs() == 2 {
        let panels: Vec<DecisionPanel> = networks
            .iter()
            .map(|network| panel(problem, network))
            .collect();
        save("boundary", decision_boundary(&panels))?;
    }
    Ok(notes)
}

/// Up to so many points, each is marked.
const MARKED: usize = 25;

/// Loss, λ_sup and accuracy, epoch by epoch, in three panels above each other.
fn training(networks: &[Trained], rows: &[Row]) -> Result<Figure, FigureError> {
    type Value = fn(&Row) -> f64;
    let measures: [(&str, bool, Value); 3] = [
        ("loss", true, |row| row.train_loss),
        ("bound λ_sup", true, |row| {
            row.lambda_sup.unwrap_or(f64::NAN)
        }),
        ("accuracy", false, |row| row.test_accuracy),
    ];
    let epochs = extent(rows.iter().map(|row| row.epoch as f64));
    let plots = measures.map(|(name, may_be_log, value)| {
        let series = networks.iter().map(|network| {
            let of = rows.iter().filter(|row| row.network == network.label);
            let points = of.map(|row| [row.epoch as f64, value(row)]);
            let points: Vec<_> = points.filter(|p| drawable(p[1])).collect();
            let mark = if points.len() > MARKED {
                Mark::Line
            } else {
                Mark::Marked
            };
            Series::new(&network.label, mark, points)
        });
        let series: Vec<Series> = series.collect();
        let range = extent(series.iter().flat_map(|it| &it.points).map(|p| p[1]));
        let y_log = may_be_log && range.is_some_and(|(low, _)| low > 0.0);
        let suffix = match range {
            None => ": not measured",
            Some(_) if y_log => " (log)",
            Some(_) => "",
        };
        Plot {
            x: "epoch".to_owned(),
            y: format!("{name}{suffix}"),
            y_log,
            // All three reach the same epochs.
            reach: match (epochs, range) {
                (Some((first, last)), Some((low, _))) => vec![[first, low], [last, low]],
                _ => Vec::new(),
            },
            series,
            ..Plot::default()
        }
    });
    chart(&Chart {
        title: "Loss, curvature bound and accuracy during training".to_owned(),
        plots: plots.into(),
        ..Chart::default()
    })
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
