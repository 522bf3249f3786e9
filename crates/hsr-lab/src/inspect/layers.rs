//! What the layers are like, as a table and a picture.

use std::path::{Path, PathBuf};

use super::report::LayerInspection;
use crate::error::LabError;
use crate::figures::{Chart, Figure, FigureError, Mark, Plot, Series, chart};
use crate::lock::DirectoryLock;
use crate::{files, pictures};

/// Writes `layers.csv`, `layers.svg` and `layers.png` and gives their paths; what could not be drawn is added to `notes`.
pub(super) fn layer_files(
    layers: &[LayerInspection],
    title: &str,
    out: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<PathBuf>, LabError> {
    let _lock = DirectoryLock::of_kind(out, "inspect")?;
    let path = out.join("layers.csv");
    let table = files::csv(|writer| {
        writer.write_record(COLUMNS)?;
        layers
            .iter()
            .try_for_each(|layer| writer.write_record(row(layer)))
    });
    let table = table.map_err(|error| LabError::io(&path, "be written")(error.into()))?;
    files::write(&path, &table)?;
    let pictures = pictures::write(out, "layers", picture(layers, title), notes)?;
    Ok([vec![path], pictures].concat())
}

const COLUMNS: [&str; 7] = [
    "layer",
    "parameters",
    "trace",
    "frobenius_squared",
    "lambda_max",
    "residual",
    "lambda_sup",
];

fn row(layer: &LayerInspection) -> [String; 7] {
    let number = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
    [
        layer.name.clone(),
        layer.parameters.to_string(),
        layer.trace.to_string(),
        layer.frobenius_squared.to_string(),
        number(layer.lambda_max),
        number(layer.residual),
        layer.lambda_sup.to_string(),
    ]
}

fn picture(layers: &[LayerInspection], title: &str) -> Result<Figure, FigureError> {
    let series = |label: &str, mark: Mark, value: &dyn Fn(&LayerInspection) -> Option<f64>| {
        let points = layers.iter().enumerate();
        let points = points.filter_map(|(l, layer)| Some([(l + 1) as f64, value(layer)?]));
        Series::new(label, mark, points.collect())
    };
    let plot = |y: &str, series: Vec<Series>| Plot {
        x: "layer".to_owned(),
        y: y.to_owned(),
        // So that a single layer is in the middle.
        reach: vec![[0.5, 0.0], [layers.len() as f64 + 0.5, 0.0]],
        series,
        ..Plot::default()
    };
    let names: Vec<String> = layers
        .iter()
        .enumerate()
        .map(|(l, layer)| format!("{} {}", l + 1, layer.name))
        .collect();
    chart(&Chart {
        title: format!("Curvature of the layers of {title}"),
        note: format!(
            "The diagonal block of the Hessian of each layer: {}.",
            names.join(", ")
        ),
        columns: 3,
        plots: vec![
            plot(
                "eigenvalue",
                vec![
                    series("λ_sup", Mark::Marked, &|it| Some(it.lambda_sup)),
                    series("λ_max", Mark::Marked, &|it| it.lambda_max),
                ],
            ),
            plot(
                "trace",
                vec![series("trace", Mark::Marked, &|it| Some(it.trace))],
            ),
            plot(
                "squared norm",
                vec![series("squared norm", Mark::Marked, &|it| {
                    Some(it.frobenius_squared)
                })],
            ),
        ],
    })
}
