//! The classes that a trained network gives to the rows of a table.

use std::path::{Path, PathBuf};

use hsr_core::{Batch, OutputLoss, Targets};
use serde::Serialize;

use crate::curvature::Curvature;
use crate::data::{DataWarning, Table};
use crate::error::{LabError, refuse};
use crate::model::{Labels, Model, ModelNetwork, ModelOptions, TableSource};
use crate::{files, scores};

/// What `hsr predict` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictOptions {
    /// The network.
    pub model: ModelOptions,
    /// The table. With a label column the predictions are scored.
    pub data: TableSource,
    /// The CSV that is written.
    pub out: PathBuf,
}

/// The answer; its JSON is what `hsr predict --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// The network's file.
    pub weights: String,
    /// The table.
    pub data: String,
    /// The file that was written.
    pub out: String,
    /// Rows that were predicted.
    pub samples: usize,
    /// Rows with missing values, of which nothing can be said.
    pub unpredicted: usize,
    /// How many rows were given each class, in the order of the outputs.
    pub classes: Vec<ClassCount>,
    /// How good that is, where the labels are known.
    #[serde(flatten)]
    pub scores: Option<Scores>,
    /// What looks wrong with the table.
    #[serde(skip)]
    pub warnings: Vec<DataWarning>,
    /// Which layers were found, where nobody named them.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// A class and the rows that were given it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The name.
    pub name: String,
    /// How many rows.
    pub predicted: usize,
}

/// Scores of predictions, as `hsr train` reports them of the test split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// The share of rows whose class is right.
    pub accuracy: f64,
    /// Macro-averaged F1.
    pub macro_f1: f64,
    /// Mean cross-entropy.
    pub loss: f64,
    /// Expected calibration error.
    pub calibration_error: f64,
}

/// Predicts every row of a table and writes the CSV: a row a row of the table, in its order, with the class and the
/// probability of each class; a row with missing values has neither. Everything is computed in f64.
///
/// # Errors
///
/// A one-line [`LabError`] for everything that can be wrong with the files or the options; the CSV is then not written.
pub fn predict(options: &PredictOptions) -> Result<Prediction, LabError> {
    let model = Model::open(&options.model)?;
    if model.loss == OutputLoss::MeanSquaredError
        || (model.loss == OutputLoss::SigmoidCrossEntropy && model.network.outputs() != 1)
    {
        refuse!(
            "{}: {} outputs under the {} tell no classes apart",
            model.path.display(),
            model.network.outputs(),
            model.loss.name()
        );
    }
    if same_file(&options.data.path, &options.out) || same_file(&model.path, &options.out) {
        refuse!(
            "`out` {} is one of the files that are read, expected another",
            options.out.display()
        );
    }
    let table = model.table(&options.data, false)?;
    let logits = logits(&model, &table)?;
    let classes = classes(&model);
    let labels = table.label_column.as_ref().map(|_| model.labels(&table));
    let labels = labels.transpose()?.map(Labels::into_classes);
    let probabilities = probabilities(&logits, classes.len());
    let predicted: Vec<usize> = logits.chunks_exact(classes.len()).map(largest).collect();
    let bytes = files::csv(|writer| rows(writer, &table, &classes, &predicted, &probabilities))
        .map_err(|error| LabError::run(&options.out, error.to_string()))?;
    files::write(&options.out, &bytes)?;
    let count = |(class, name): (usize, &String)| ClassCount {
        name: name.clone(),
        predicted: predicted.iter().filter(|&&it| it == class).count(),
    };
    Ok(Prediction {
        weights: model.path.display().to_string(),
        data: options.data.path.display().to_string(),
        out: options.out.display().to_string(),
        samples: table.samples(),
        unpredicted: table.dropped.len(),
        classes: classes.iter().enumerate().map(count).collect(),
        scores: labels.map(|labels| Scores {
            accuracy: scores::accuracy(&predicted, &labels),
            macro_f1: scores::macro_f1(&predicted, &labels, classes.len()),
            loss: scores::cross_entropy(&logits, &labels),
            calibration_error: scores::calibration_error(&logits, &labels),
        }),
        warnings: table.warnings,
        notes: model.note().into_iter().collect(),
    })
}

/// Whether both paths lead to one file that exists.
fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// The names of the classes; without any, the numbers of the outputs.
fn classes(model: &Model) -> Vec<String> {
    let count = model.network.outputs().max(2);
    let numbers = || (0..count).map(|class| class.to_string()).collect();
    model.classes.clone().unwrap_or_else(numbers)
}

/// The logits, N × K. A single output o is the difference of two: 0 and o, whose softmax is the sigmoid's probabilities.
fn logits(model: &Model, table: &Table) -> Result<Vec<f64>, LabError> {
    let logits = match &model.network {
        ModelNetwork::FeedForward { weights, .. } => {
            // Logits do not depend on targets, and need none but their number.
            let unknown = vec![0; table.samples()];
            let batch = Batch::new(model.loss, &table.features, Targets::Classes(&unknown));
            Curvature::new().logits(&weights.view()?, &batch)?
        }
        ModelNetwork::Conv(weights) => weights.logits(&table.features)?,
    };
    Ok(match model.network.outputs() {
        1 => logits.iter().flat_map(|&o| [0.0, o]).collect(),
        _ => logits,
    })
}

/// The first of the largest.
fn largest(logits: &[f64]) -> usize {
    let all = logits.iter().enumerate().rev();
    all.max_by(|a, b| a.1.total_cmp(b.1))
        .map_or(0, |(class, _)| class)
}

/// The softmax of each row.
fn probabilities(logits: &[f64], classes: usize) -> Vec<f64> {
    let softmax = |row: &[f64]| {
        let most = row[largest(row)];
        let powers: Vec<f64> = row.iter().map(|o| (o - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    logits.chunks_exact(classes).flat_map(softmax).collect()
}

fn rows(
    writer: &mut csv::Writer<Vec<u8>>,
    table: &Table,
    classes: &[String],
    predicted: &[usize],
    probabilities: &[f64],
) -> csv::Result<()> {
    let header = classes.iter().map(|class| format!("probability_{class}"));
    writer.write_record(std::iter::once("class".to_owned()).chain(header))?;
    let unknown = vec![""; 1 + classes.len()];
    let mut dropped = table.dropped.iter().peekable();
    let rows = predicted
        .iter()
        .zip(probabilities.chunks_exact(classes.len()));
    for ((&class, row), &line) in rows.zip(&table.lines) {
        while dropped.next_if(|&&before| before < line).is_some() {
            writer.write_record(&unknown)?;
        }
        let row = row.iter().map(f64::to_string);
        writer.write_record(std::iter::once(classes[class].clone()).chain(row))?;
    }
    for _ in dropped {
        writer.write_record(&unknown)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_softmax_however_large_the_logits() {
        let found = probabilities(&[1e300, 0.0, 0.0, f64::ln(3.0)], 2);
        assert_eq!(found[..2], [1.0, 0.0]);
        assert!((found[2] - 0.25).abs() < 1e-15 && (found[3] - 0.75).abs() < 1e-15);
        assert_eq!(largest(&[1.0, 2.0, 2.0]), 1);
    }
}
