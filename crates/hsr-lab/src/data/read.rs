//! Reading a table: row by row into numbers, what is wrong with it told all at once.

use std::path::Path;
use std::str;

use super::columns::{Columns, FeatureColumn, Kind, Roles};
use super::error::{DataError, DataFault, Place};
use super::fault::ColumnFault;
use super::number::{finite, with_comma};
use super::options::{Missing, TableOptions, is_missing};
use super::records::{Records, Row, unreadable};
use super::table::Table;
use super::warning::{DataWarning, Doubt};
use super::wording::listed;

impl Table {
    /// Reads a file.
    ///
    /// # Arguments
    ///
    /// * `path`: a table in UTF-8, with or without a byte order mark.
    /// * `roles`: which column is what.
    /// * `options`: how it is written, and what to do about text and missing values.
    ///
    /// # Errors
    ///
    /// A [`DataError`] that names the file and, where it is about a field, its line, column and text: the file is
    /// unreadable, empty, or not UTF-8; a quote is left open; the first row is no header; a column is missing or named
    /// twice; there are no rows or no features; a row has more or fewer fields than the header; features are no finite
    /// numbers; labels or features are missing; a weight is not a finite number ≥ 0, or all of them are 0.
    pub fn read(
        path: impl AsRef<Path>,
        roles: &Roles,
        options: &TableOptions,
    ) -> Result<Table, DataError> {
        let path = path.as_ref();
        let bytes = crate::input::read(path).map_err(|source| unreadable(path, source))?;
        Table::from_bytes(path, &bytes, roles, options)
    }

    /// Reads the bytes of a file; `path` only names it in messages. Otherwise as [`Table::read`].
    ///
    /// # Errors
    ///
    /// As [`Table::read`].
    pub fn from_bytes(
        path: impl AsRef<Path>,
        bytes: &[u8],
        roles: &Roles,
        options: &TableOptions,
    ) -> Result<Table, DataError> {
        let path = path.as_ref();
        let mut records = Records::new(path, bytes, options)?;
        let Some(first) = records.next()? else {
            return Err(Place::of(path).fault(DataFault::Empty));
        };
        let columns = Columns::of(path, first, roles, options)?;
        let mut scan = Scan::new(path, columns, options);
        if options.no_header {
            scan.push(first)?;
        }
        while let Some(row) = records.next()? {
            scan.push(row)?;
        }
        scan.finish()
    }
}

/// What is expected of a feature.
const FINITE: &str = "a finite number";

/// The rows read so far. Faults of features and missing values are gathered, so that they can be told all at once.
struct Scan<'a> {
    path: &'a Path,
    options: &'a TableOptions,
    columns: Columns,
    /// A value a row and feature column: the number, or the place of its category.
    values: Vec<f64>,
    /// A row each feature column: what is wrong with it.
    faults: Vec<ColumnFault>,
    labels: Vec<String>,
    missing_labels: usize,
    weights: Vec<f64>,
    lines: Vec<u64>,
    /// Whether a value of the row is missing.
    incomplete: Vec<bool>,
    /// The first fault, for the message where it is the only one.
    only: Option<DataError>,
}

impl<'a> Scan<'a> {
    fn new(path: &'a Path, columns: Columns, options: &'a TableOptions) -> Self {
        let fault = |&(column, _): &(usize, Kind)| ColumnFault {
            column: columns.names[column].clone(),
            missing: 0,
            text: 0,
            first: None,
            decimal_commas: true,
            rows: 0,
        };
        Self {
            path,
            options,
            faults: columns.features.iter().map(fault).collect(),
            columns,
            values: Vec::new(),
            labels: Vec::new(),
            missing_labels: 0,
            weights: Vec::new(),
            lines: Vec::new(),
            incomplete: Vec::new(),
            only: None,
        }
    }

    fn push(&mut self, row: &Row) -> Result<(), DataError> {
        let expected = self.columns.names.len();
        if row.fields.len() != expected {
            let found = row.fields.len();
            let place = Place::of(self.path).line(row.line);
            return Err(place.fault(DataFault::RaggedRow {
                found,
                expected,
                missing: self.columns.names.get(found).cloned(),
            }));
        }
        let mut incomplete = false;
        for index in 0..self.columns.features.len() {
            let value = self.feature(index, row)?;
            incomplete |= value.is_none();
            self.values.push(value.unwrap_or(0.0));
        }
        if let Some(column) = self.columns.label {
            let label = self.text(row, column)?;
            if is_missing(label) {
                incomplete = true;
                self.missing_labels += 1;
                let expected = "a label (`missing` drop-rows leaves out rows with missing values)";
                self.note(row, column, expected);
            } else if label.contains(['\n', '\r']) {
                return Err(self.invalid(row, column, "a label on one line"));
            }
            self.labels.push(label.to_owned());
        }
        if let Some(column) = self.columns.weight {
            let weight = self
                .number(self.text(row, column)?)
                .filter(|&weight| weight >= 0.0);
            let weight =
                weight.ok_or_else(|| self.invalid(row, column, "a weight: a finite number ≥ 0"))?;
            self.weights.push(weight);
        }
        self.lines.push(row.line);
        self.incomplete.push(incomplete);
        Ok(())
    }

    /// The value of a feature column; `None` where it is missing or, which is noted, no number.
    fn feature(&mut self, index: usize, row: &Row) -> Result<Option<f64>, DataError> {
        let column = self.columns.features[index].0;
        let text = self.text(row, column)?;
        if is_missing(text) {
            self.faults[index].missing += 1;
            let expected =
                "a finite number (`missing` drop-rows leaves out rows with missing values)";
            self.note(row, column, expected);
            return Ok(None);
        }
        let number = self.number(text);
        match &self.columns.features[index].1 {
            Kind::Number => {
                if number.is_none() {
                    let fault = &mut self.faults[index];
                    fault.text += 1;
                    fault.decimal_commas &= with_comma(text).is_some();
                    fault
                        .first
                        .get_or_insert_with(|| (text.to_owned(), row.line));
                    self.note(row, column, FINITE);
                }
                Ok(number)
            }
            Kind::OneHot { categories, fixed } => {
                if let Some(&place) = categories.get(text) {
                    return Ok(Some(place as f64));
                }
                if *fixed {
                    let mut known: Vec<&String> = categories.keys().collect();
                    known.sort_unstable();
                    let expected = format!("a category of the network's: {}", listed(&known));
                    return Err(self.invalid(row, column, &expected));
                }
                if text.contains(['\n', '\r']) {
                    return Err(self.invalid(row, column, "a category on one line"));
                }
                let text = text.to_owned();
                let Kind::OneHot { categories, .. } = &mut self.columns.features[index].1 else {
                    return Ok(None);
                };
                let place = categories.len();
                categories.insert(text, place);
                Ok(Some(place as f64))
            }
        }
    }

    fn number(&self, text: &str) -> Option<f64> {
        if self.options.decimal_comma {
            with_comma(text).or_else(|| finite(text))
        } else {
            finite(text)
        }
    }

    /// Keeps the first fault.
    fn note(&mut self, row: &Row, column: usize, expected: &str) {
        if self.only.is_none() {
            self.only = Some(self.invalid(row, column, expected));
        }
    }

    /// A field as trimmed text.
    fn text<'r>(&self, row: &'r Row, column: usize) -> Result<&'r str, DataError> {
        let field = &row.fields[column];
        str::from_utf8(field).map(str::trim).map_err(|_| {
            let found = String::from_utf8_lossy(field).into_owned();
            self.at(row, column).fault(DataFault::NotUtf8(found))
        })
    }

    fn at(&self, row: &Row, column: usize) -> Place {
        let name = &self.columns.names[column];
        Place::of(self.path).line(row.line).column(name)
    }

    fn invalid(&self, row: &Row, column: usize, expected: &str) -> DataError {
        let found = String::from_utf8_lossy(&row.fields[column]);
        self.at(row, column).fault(DataFault::InvalidField {
            found: found.trim().to_owned(),
            expected: expected.to_owned(),
        })
    }

    /// The table, where nothing is wrong with it.
    fn finish(mut self) -> Result<Table, DataError> {
        let rows = self.lines.len();
        if rows == 0 {
            return Err(Place::of(self.path).fault(DataFault::NoRows));
        }
        if !self.options.no_header && self.columns.header_is_a_row(&self.labels) {
            let (why, row) = ("looks like those below it", self.columns.names);
            let place = Place::of(self.path).line(self.columns.line);
            return Err(place.fault(DataFault::NoHeader { why, row }));
        }
        self.check_faults()?;
        let mut warnings = self.warnings();
        let mut dropped = Vec::new();
        if self.incomplete.contains(&true) {
            dropped = self.drop_rows()?;
            let dropped = dropped.len();
            warnings.push(self.doubt(Doubt::DroppedRows { dropped, rows }));
        }
        let weights = self.columns.weight.map(|column| {
            let sum: f64 = self.weights.iter().sum();
            if sum > 0.0 && sum.is_finite() {
                return Ok(std::mem::take(&mut self.weights));
            }
            let place = Place::of(self.path).column(&self.columns.names[column]);
            Err(place.fault(DataFault::WeightSum(sum)))
        });
        let weights = weights.transpose()?;
        let columns = self.settle_categories();
        let feature_names: Vec<String> = columns.iter().flat_map(FeatureColumn::features).collect();
        Ok(Table {
            path: self.path.to_path_buf(),
            features: encode(&columns, &self.values),
            inputs: feature_names.len(),
            columns,
            feature_names,
            label_column: self
                .columns
                .label
                .map(|column| self.columns.names[column].clone()),
            labels: self.labels,
            numeric_classes: self.options.numeric_classes,
            weights,
            lines: self.lines,
            dropped,
            warnings,
        })
    }

    /// Refuses text, and missing values where rows are not to be left out: the one place, or every column with what is
    /// wrong with it.
    fn check_faults(&mut self) -> Result<(), DataError> {
        let rows = self.lines.len();
        let drop_rows = self.options.missing == Missing::DropRows;
        for fault in &mut self.faults {
            fault.rows = rows;
        }
        let faults = &self.faults;
        let text: usize = faults.iter().map(|fault| fault.text).sum();
        let missing: usize = faults.iter().map(|fault| fault.missing).sum();
        if text == 0 && (drop_rows || missing + self.missing_labels == 0) {
            return Ok(());
        }
        if text + missing + self.missing_labels == 1
            && let Some(only) = self.only.take()
        {
            return Err(only);
        }
        let mut faults = faults.clone();
        faults.retain(|fault| fault.text > 0 || (fault.missing > 0 && !drop_rows));
        if faults.is_empty() {
            let first = self.labels.iter().position(|label| is_missing(label));
            let label = self.columns.label.map(|it| self.columns.names[it].as_str());
            let place = Place::of(self.path).column(label.unwrap_or_default());
            return Err(place.fault(DataFault::MissingLabels {
                missing: self.missing_labels,
                rows,
                line: first.map_or(0, |row| self.lines[row]),
            }));
        }
        Err(Place::of(self.path).fault(DataFault::Unusable(faults)))
    }

    /// Leaves out the rows with missing values, and gives their lines.
    fn drop_rows(&mut self) -> Result<Vec<u64>, DataError> {
        if !self.incomplete.contains(&false) {
            let most = self.faults.iter().max_by_key(|fault| fault.missing);
            let column = most.map_or_else(String::new, |fault| fault.column.clone());
            let rows = self.lines.len();
            return Err(Place::of(self.path).fault(DataFault::NoCompleteRow { rows, column }));
        }
        let rows = self.lines.iter().zip(&self.incomplete);
        let dropped = rows.filter(|(_, incomplete)| **incomplete);
        let dropped = dropped.map(|(&line, _)| line).collect();
        keep(
            &mut self.values,
            self.columns.features.len(),
            &self.incomplete,
        );
        keep(&mut self.labels, 1, &self.incomplete);
        keep(&mut self.weights, 1, &self.incomplete);
        keep(&mut self.lines, 1, &self.incomplete);
        Ok(dropped)
    }

    /// Brings new categories into the order of their names and gives the feature columns.
    fn settle_categories(&mut self) -> Vec<FeatureColumn> {
        let width = self.columns.features.len();
        let mut columns = Vec::with_capacity(width);
        for (index, (column, kind)) in self.columns.features.iter().enumerate() {
            let name = self.columns.names[*column].clone();
            let Kind::OneHot { categories, fixed } = kind else {
                columns.push(FeatureColumn::Number(name));
                continue;
            };
            let mut in_order: Vec<(&String, usize)> = categories
                .iter()
                .map(|(category, &place)| (category, place))
                .collect();
            if *fixed {
                in_order.sort_unstable_by_key(|&(_, place)| place);
            } else {
                in_order.sort_unstable();
            }
            let mut place_of = vec![0.0; in_order.len()];
            for (new, &(_, old)) in in_order.iter().enumerate() {
                place_of[old] = new as f64;
            }
            for value in self.values.iter_mut().skip(index).step_by(width) {
                *value = place_of[*value as usize];
            }
            columns.push(FeatureColumn::OneHot {
                name,
                categories: in_order
                    .into_iter()
                    .map(|(category, _)| category.clone())
                    .collect(),
            });
        }
        columns
    }

    /// What looks wrong with the columns.
    fn warnings(&self) -> Vec<DataWarning> {
        let width = self.columns.features.len();
        let mut warnings = Vec::new();
        for (index, (column, kind)) in self.columns.features.iter().enumerate() {
            let (name, named) = (&self.columns.names[*column], self.columns.named[*column]);
            let (column, values) = (name.clone(), self.values.iter().skip(index).step_by(width));
            let is_whole = matches!(kind, Kind::Number) && self.faults[index].missing == 0;
            if is_whole && numbers_rows(values) {
                warnings.push(self.doubt(Doubt::Counter { column, named }));
            } else if !named {
                warnings.push(self.doubt(Doubt::Unnamed(column)));
            }
        }
        let ignored = self.columns.ignored.iter();
        let ignored: Vec<String> = ignored.map(|&it| self.columns.names[it].clone()).collect();
        if !ignored.is_empty() {
            warnings.push(self.doubt(Doubt::IgnoredColumns(ignored)));
        }
        warnings
    }

    fn doubt(&self, doubt: Doubt) -> DataWarning {
        let path = self.path.to_path_buf();
        DataWarning { path, doubt }
    }
}

/// Leaves the values of complete rows, each row having so many of them.
fn keep<T>(values: &mut Vec<T>, width: usize, incomplete: &[bool]) {
    let mut place = 0;
    values.retain(|_| {
        place += 1;
        !incomplete[(place - 1) / width]
    });
}

/// The fewest rows of which one can say that they are counted.
const COUNTED: usize = 4;

/// Whether the values are consecutive whole numbers, each once, in any order: an index, perhaps shuffled.
fn numbers_rows<'v>(values: impl ExactSizeIterator<Item = &'v f64> + Clone) -> bool {
    let count = values.len();
    if count < COUNTED || values.clone().any(|value| value.fract() != 0.0) {
        return false;
    }
    let least = values.clone().copied().fold(f64::INFINITY, f64::min);
    let mut seen = vec![false; count];
    values.into_iter().all(|value| {
        let place = value - least;
        place < count as f64 && !std::mem::replace(&mut seen[place as usize], true)
    })
}

/// The features, N × d: numbers as they are, categories as indicators.
fn encode(columns: &[FeatureColumn], values: &[f64]) -> Vec<f64> {
    let rows = values.chunks_exact(columns.len());
    let fields = rows.flat_map(|row| columns.iter().zip(row));
    let mut features = Vec::with_capacity(values.len());
    for (column, &value) in fields {
        match column {
            FeatureColumn::Number(_) => features.push(value),
            FeatureColumn::OneHot { categories, .. } => {
                let indicator = |k: usize| f64::from(u8::from(k as f64 == value));
                features.extend((0..categories.len()).map(indicator));
            }
        }
    }
    features
}

#[cfg(test)]
mod tests;
