//! A table read into numbers, its labels still text.

use std::path::PathBuf;

use super::columns::FeatureColumn;
use super::error::{DataError, DataFault, Place};
use super::warning::DataWarning;

/// A table: numeric features, and labels as text and weights where asked for.
///
/// The first row names the columns, unless the options say otherwise; a column without a name goes by its number. Spaces
/// around names, numbers and labels do not count; empty lines are skipped.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The file, as messages name it.
    pub path: PathBuf,
    /// The columns from which the features are made.
    pub columns: Vec<FeatureColumn>,
    /// The names of the features, d of them.
    pub feature_names: Vec<String>,
    /// The features, N × d row-major, all finite.
    pub features: Vec<f64>,
    /// d, the number of features, at least 1.
    pub inputs: usize,
    /// The name of the label column, where there is one.
    pub label_column: Option<String>,
    /// The labels, N of them, trimmed, none missing; none at all without a label column.
    pub labels: Vec<String>,
    /// Whether labels that look like a quantity are classes nevertheless.
    pub numeric_classes: bool,
    /// The weights, N of them, as in the file (not normalised): finite, none negative, their sum positive.
    pub weights: Option<Vec<f64>>,
    /// The line in the file, from 1, on which each row starts, N of them.
    pub lines: Vec<u64>,
    /// The same for the rows of the file that were left out.
    pub dropped: Vec<u64>,
    /// What looks wrong.
    pub warnings: Vec<DataWarning>,
}

impl Table {
    /// N, the number of rows.
    pub fn samples(&self) -> usize {
        self.features.len() / self.inputs.max(1)
    }

    /// What is wrong with the label column.
    pub(super) fn label_fault(&self, fault: DataFault) -> DataError {
        let column = self.label_column.clone().unwrap_or_default();
        Place::of(&self.path).column(column).fault(fault)
    }

    /// The error of a label that is not what was expected.
    pub(super) fn invalid_label(&self, row: usize, expected: impl Into<String>) -> DataError {
        let (found, expected) = (self.labels[row].clone(), expected.into());
        let mut error = self.label_fault(DataFault::InvalidField { found, expected });
        error.place.line = Some(self.lines[row]);
        error
    }

    /// The error of a feature, by its index in the N × d features, that nothing can be computed with.
    pub(crate) fn extreme(&self, index: usize, problem: &'static str) -> DataError {
        let value = self.features[index];
        Place::of(&self.path)
            .line(self.lines[index / self.inputs])
            .column(&self.feature_names[index % self.inputs])
            .fault(DataFault::Extreme { value, problem })
    }
}
