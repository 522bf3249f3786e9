//! A table read into numbers, its labels still text.

use std::path::{Path, PathBuf};
use std::str;

use super::columns::{Columns, Kind};
use super::options::is_missing;
use super::records::{Records, Row};
use super::{ColumnFault, DataError, DataWarning, FeatureColumn, Missing, Roles, TableOptions};

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
        let bytes = crate::files::read(path).map_err(|source| DataError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
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
            return Err(DataError::Empty {
                path: path.to_path_buf(),
            });
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

    /// N, the number of rows.
    pub fn samples(&self) -> usize {
        self.features.len() / self.inputs.max(1)
    }

    /// The name of the label column, for messages about labels.
    pub(super) fn label_name(&self) -> String {
        self.label_column.clone().unwrap_or_default()
    }

    /// The error of a label that is not what was expected.
    pub(super) fn invalid_label(&self, row: usize, expected: String) -> DataError {
        DataError::InvalidField {
            path: self.path.clone(),
            line: self.lines[row],
            column: self.label_name(),
            found: self.labels[row].clone(),
            expected,
        }
    }

    /// The error of a feature, by its index in the N × d features, that nothing can be computed with.
    pub(crate) fn extreme(&self, index: usize, value: f64, problem: &'static str) -> DataError {
        DataError::Extreme {
            path: self.path.clone(),
            place: format!("line {}", self.lines[index / self.inputs]),
            column: self.feature_names[index % self.inputs].clone(),
            value,
            problem,
        }
    }
}

/// The finite number a text spells, in the notation of Rust's `f64`.
pub(super) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A number with a comma before its decimals.
fn with_comma(text: &str) -> Option<f64> {
    if text.contains('.') {
        return None;
    }
    finite(&text.replacen(',', ".", 1))
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
            return Err(DataError::RaggedRow {
                path: self.path.to_path_buf(),
                line: row.line,
                found: row.fields.len(),
                expected,
                missing: self.columns.names.get(row.fields.len()).cloned(),
            });
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
                let expected = "a label (--missing drop-rows leaves out rows with missing values)";
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
                "a finite number (--missing drop-rows leaves out rows with missing values)";
            self.note(row, column, expected);
            return Ok(None);
        }
        let (path, number) = (self.path, self.number(text));
        let invalid = |expected: String| DataError::InvalidField {
            path: path.to_path_buf(),
            line: row.line,
            column: self.columns.names[column].clone(),
            found: text.to_owned(),
            expected,
        };
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
                    let known = super::error::listed(&known);
                    return Err(invalid(format!("a category of the network's: {known}")));
                }
                if text.contains(['\n', '\r']) {
                    return Err(invalid("a category on one line".to_owned()));
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
        str::from_utf8(field)
            .map(str::trim)
            .map_err(|_| DataError::NotUtf8 {
                path: self.path.to_path_buf(),
                line: row.line,
                column: self.columns.names[column].clone(),
                found: String::from_utf8_lossy(field).into_owned(),
            })
    }

    fn invalid(&self, row: &Row, column: usize, expected: &str) -> DataError {
        DataError::InvalidField {
            path: self.path.to_path_buf(),
            line: row.line,
            column: self.columns.names[column].clone(),
            found: String::from_utf8_lossy(&row.fields[column])
                .trim()
                .to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// The table, where nothing is wrong with it.
    fn finish(mut self) -> Result<Table, DataError> {
        let rows = self.lines.len();
        if rows == 0 {
            return Err(DataError::NoRows {
                path: self.path.to_path_buf(),
            });
        }
        if !self.options.no_header && self.columns.header_is_a_row(&self.labels) {
            return Err(DataError::HeaderLikeRow {
                path: self.path.to_path_buf(),
                line: self.columns.line,
                found: self.columns.names,
            });
        }
        self.check_faults()?;
        let mut warnings = self.warnings();
        let mut dropped = Vec::new();
        if self.incomplete.contains(&true) {
            dropped = self.drop_rows()?;
            warnings.push(DataWarning::DroppedRows {
                path: self.path.to_path_buf(),
                dropped: dropped.len(),
                rows,
            });
        }
        let weights = self.columns.weight.map(|column| {
            let sum: f64 = self.weights.iter().sum();
            if sum > 0.0 && sum.is_finite() {
                return Ok(std::mem::take(&mut self.weights));
            }
            Err(DataError::WeightSum {
                path: self.path.to_path_buf(),
                column: self.columns.names[column].clone(),
                sum,
            })
        });
        let weights = weights.transpose()?;
        let columns = self.settle_categories();
        let feature_names: Vec<String> = columns.iter().flat_map(FeatureColumn::features).collect();
        Ok(Table {
            path: self.path.to_path_buf(),
            features: encode(&columns, self.values, feature_names.len()),
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
        let mut faults: Vec<ColumnFault> = std::mem::take(&mut self.faults);
        for fault in &mut faults {
            fault.rows = rows;
        }
        self.faults = faults.clone();
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
        faults.retain(|fault| fault.text > 0 || (fault.missing > 0 && !drop_rows));
        if faults.is_empty() {
            let first = self.labels.iter().position(|label| is_missing(label));
            return Err(DataError::MissingLabels {
                path: self.path.to_path_buf(),
                column: self
                    .columns
                    .label
                    .map_or_else(String::new, |it| self.columns.names[it].clone()),
                missing: self.missing_labels,
                rows,
                line: first.map_or(0, |row| self.lines[row]),
            });
        }
        Err(DataError::Unusable {
            path: self.path.to_path_buf(),
            faults,
        })
    }

    /// Leaves out the rows with missing values, and gives their lines.
    fn drop_rows(&mut self) -> Result<Vec<u64>, DataError> {
        let width = self.columns.features.len();
        let keep: Vec<usize> = (0..self.lines.len())
            .filter(|&row| !self.incomplete[row])
            .collect();
        if keep.is_empty() {
            let most = self.faults.iter().max_by_key(|fault| fault.missing);
            return Err(DataError::NoCompleteRow {
                path: self.path.to_path_buf(),
                rows: self.lines.len(),
                column: most.map_or_else(String::new, |fault| fault.column.clone()),
            });
        }
        let lines = self.lines.iter().zip(&self.incomplete);
        let dropped = lines
            .filter(|(_, incomplete)| **incomplete)
            .map(|(&line, _)| line)
            .collect();
        self.values = keep
            .iter()
            .flat_map(|row| &self.values[row * width..(row + 1) * width])
            .copied()
            .collect();
        fn kept<T: Clone>(all: &[T], keep: &[usize]) -> Vec<T> {
            keep.iter()
                .filter_map(|&row| all.get(row))
                .cloned()
                .collect()
        }
        self.labels = kept(&self.labels, &keep);
        self.weights = kept(&self.weights, &keep);
        self.lines = kept(&self.lines, &keep);
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
        let path = || self.path.to_path_buf();
        let width = self.columns.features.len();
        let mut warnings = Vec::new();
        for (index, (column, kind)) in self.columns.features.iter().enumerate() {
            let (name, named) = (&self.columns.names[*column], self.columns.named[*column]);
            let values = self.values.iter().skip(index).step_by(width);
            if matches!(kind, Kind::Number)
                && self.faults[index].missing == 0
                && numbers_rows(values)
            {
                warnings.push(DataWarning::Counter {
                    path: path(),
                    column: name.clone(),
                    named,
                });
            } else if !named {
                warnings.push(DataWarning::Unnamed {
                    path: path(),
                    column: name.clone(),
                });
            }
        }
        if !self.columns.ignored.is_empty() {
            let ignored = self.columns.ignored.iter();
            warnings.push(DataWarning::IgnoredColumns {
                path: path(),
                columns: ignored
                    .map(|&column| self.columns.names[column].clone())
                    .collect(),
            });
        }
        warnings
    }
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
fn encode(columns: &[FeatureColumn], values: Vec<f64>, inputs: usize) -> Vec<f64> {
    if columns
        .iter()
        .all(|column| matches!(column, FeatureColumn::Number(_)))
    {
        return values;
    }
    let rows = values.len() / columns.len();
    let mut features = Vec::with_capacity(rows * inputs);
    for row in values.chunks_exact(columns.len()) {
        for (column, &value) in columns.iter().zip(row) {
            match column {
                FeatureColumn::Number(_) => features.push(value),
                FeatureColumn::OneHot { categories, .. } => {
                    features.extend(
                        (0..categories.len()).map(|k| f64::from(u8::from(k as f64 == value))),
                    );
                }
            }
        }
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, DataError> {
        read_with(text, TableOptions::default())
    }

    fn read_with(text: &str, options: TableOptions) -> Result<Table, DataError> {
        read_bytes(text.as_bytes(), &options)
    }

    fn read_bytes(bytes: &[u8], options: &TableOptions) -> Result<Table, DataError> {
        Table::from_bytes("t.csv", bytes, &Roles::label("class"), options)
    }

    fn read_weighted(text: &str) -> Result<Table, DataError> {
        let roles = Roles {
            weight: Some("w"),
            ..Roles::label("class")
        };
        Table::from_bytes("t.csv", text.as_bytes(), &roles, &TableOptions::default())
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    /// The message of the error, which has to be one line.
    fn message(result: Result<Table, DataError>) -> String {
        let message = result.expect_err("an error").to_string();
        assert!(!message.contains(['\n', '\r']), "{message:?}");
        message
    }

    #[test]
    fn every_column_but_label_and_weight_is_a_feature_in_order() {
        let table = read_weighted("b, class ,w,a\n1, x ,0.5,2\n-3e1,y,2,+.5\n").unwrap();
        assert_eq!(table.feature_names, ["b", "a"]);
        assert_eq!(table.features, [1.0, 2.0, -30.0, 0.5]);
        assert_eq!(table.inputs, 2);
        assert_eq!(table.labels, ["x", "y"]);
        assert_eq!(table.weights, Some(vec![0.5, 2.0]));
        assert_eq!(table.lines, [2, 3]);
        assert_eq!(table.samples(), 2);
    }

    #[test]
    fn a_byte_order_mark_quotes_and_a_missing_last_line_end_are_tolerated() {
        let table = read("\u{feff}\"class\",\"a,b\"\n\"x\",\"1\"").unwrap();
        assert_eq!(table.feature_names, ["a,b"]);
        assert_eq!(table.labels, ["x"]);
        // The weights are absent, not ones, where none are asked for.
        assert_eq!(table.weights, None);
    }

    #[test]
    fn lines_are_those_of_the_file_with_any_line_end_and_empty_lines() {
        for end in ["\n", "\r\n", "\r"] {
            let text = "a,class\n1,x\n\n\n2,\"y\n\"\n3,z\n".replace('\n', end);
            assert_eq!(read(&text).unwrap().lines, [2, 5, 7], "{end:?}");
            assert_eq!(read(&format!("{end}{text}")).unwrap().lines, [3, 6, 8]);
        }
    }

    #[test]
    fn a_missing_label_column_lists_the_columns_and_suggests_the_nearest() {
        let text = message(read("a,Classes,b\n1,x,2\n"));
        assert_eq!(
            text,
            "t.csv: line 1: no label column named \"class\" (did you mean \"Classes\"?); \
             the columns are \"a\", \"Classes\", \"b\""
        );
        let text = message(read_weighted("a,class\n1,x\n"));
        assert!(
            text.contains("no weight column named \"w\"; the columns are"),
            "{text}"
        );
    }

    #[test]
    fn many_columns_are_not_all_listed() {
        let names: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
        let text = message(read(&names.join(",")));
        assert!(text.contains("\"c11\", … (100 in all)"), "{text}");
        assert!(!text.contains("\"c12\""), "{text}");
    }

    #[test]
    fn duplicate_columns_are_refused() {
        assert_eq!(
            message(read("a,class, a\n1,x,2\n")),
            "t.csv: line 1: columns 1 and 3 are both named \"a\", expected distinct names"
        );
        // A column without a name goes by its number, which may be the name of another.
        assert!(message(read(",1,class\n0,1,x\n")).contains("both named \"1\""));
    }

    #[test]
    fn columns_that_number_the_rows_and_columns_without_a_name_are_told() {
        let warnings = |text: &str| -> Vec<String> {
            let table = read(text).unwrap();
            table.warnings.iter().map(ToString::to_string).collect()
        };
        let found = warnings(",a,class\n0,5,x\n1,5,x\n2,7,y\n3,1,y\n");
        assert_eq!(
            found,
            [
                "t.csv: column \"1\", which has no name, numbers the rows and is used as a feature; leave it out with --drop 1"
            ]
        );
        // Shuffled, and from any number.
        let found = warnings("id,a,class\n12,5,x\n10,5,x\n13,7,y\n11,1,y\n");
        assert!(
            found[0].contains("column \"id\" numbers the rows"),
            "{found:?}"
        );
        assert_eq!(
            warnings(",a,class\n0.5,5,x\n1,5,x\n2,7,y\n3,1,y\n"),
            ["t.csv: column 1 has no name and is used as a feature; leave it out with --drop 1"]
        );
        // Three rows, a gap, a number twice: no counter.
        for rows in [
            "0,x\n1,x\n2,y\n",
            "0,x\n1,x\n2,y\n4,y\n",
            "0,x\n1,x\n2,y\n2,y\n",
        ] {
            assert!(warnings(&format!("a,class\n{rows}")).is_empty(), "{rows:?}");
        }
        let options = TableOptions {
            drop: names(&["1"]),
            ..TableOptions::default()
        };
        let table = read_with(",a,class\n0,5,x\n1,5,x\n2,7,y\n3,1,y\n", options).unwrap();
        assert_eq!(
            (table.feature_names, table.warnings),
            (names(&["a"]), vec![])
        );
    }

    #[test]
    fn a_feature_that_is_not_a_finite_number_is_placed() {
        for text in ["abc", "inf", "-Infinity", "1e999", "1,5", "1_0", "0x1"] {
            assert_eq!(
                message(read(&format!("a,b,class\n1,2,x\n1,\"{text}\",y\n"))),
                format!("t.csv: line 3, column \"b\": found {text:?}, expected a finite number")
            );
        }
        for text in ["", "  ", "NaN", "NA", "n/a", "null", "?"] {
            let found = format!("{:?}", text.trim());
            assert_eq!(
                message(read(&format!("a,b,class\n1,2,x\n1,\"{text}\",y\n"))),
                format!(
                    "t.csv: line 3, column \"b\": found {found}, expected a finite number (--missing drop-rows leaves out \
                     rows with missing values)"
                )
            );
        }
    }

    const MIXED: &str = "age,sex,fare,deck,class\n\
        20,m,7.5,A,0\n\
        ,f,8,NA,1\n\
        22,f,9,B,0\n\
        23,m,10,,1\n";

    #[test]
    fn text_and_missing_values_are_told_all_at_once() {
        assert_eq!(
            message(read(MIXED)),
            "t.csv: expected a finite number in every row of a feature: \"age\" lacks 1 of 4 values, \"sex\" is text (\"m\" in \
             line 2), \"deck\" is text (\"A\" in line 2) and lacks 2 of 4 values; see --drop sex,deck or --one-hot sex,deck, \
             --missing drop-rows"
        );
        assert_eq!(
            message(read("a,b,class\n1,x,p\n2,3,q\ny,4,p\nz,5,q\n")),
            "t.csv: expected a finite number in every row of a feature: \"a\" has text in 2 of 4 rows (\"y\" in line 4), \"b\" \
             has text in 1 of 4 rows (\"x\" in line 2); see --drop a,b or --one-hot a,b"
        );
        let commas = message(read("a;b;class\n1,5;2;x\n2,5;3;y\n"));
        assert!(commas.ends_with("--one-hot a, --decimal-comma"), "{commas}");
    }

    #[test]
    fn text_is_dropped_or_encoded_and_rows_with_missing_values_are_left_out() {
        let options = TableOptions {
            drop: names(&["deck"]),
            one_hot: names(&["sex"]),
            missing: Missing::DropRows,
            ..TableOptions::default()
        };
        let table = read_with(MIXED, options).unwrap();
        assert_eq!(table.feature_names, ["age", "sex=f", "sex=m", "fare"]);
        assert_eq!(
            table.features,
            [
                20.0, 0.0, 1.0, 7.5, 22.0, 1.0, 0.0, 9.0, 23.0, 0.0, 1.0, 10.0
            ]
        );
        assert_eq!(table.labels, ["0", "0", "1"]);
        assert_eq!((table.lines, table.dropped), (vec![2, 4, 5], vec![3]));
        assert_eq!(
            table
                .warnings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["t.csv: 1 of 4 rows have missing values and are left out"]
        );
        // The same columns again, as a network knows them, in a table of another order and with another category.
        let roles = Roles {
            features: Some(&table.columns),
            ..Roles::default()
        };
        let read = |text: &str| {
            Table::from_bytes("p.csv", text.as_bytes(), &roles, &TableOptions::default())
        };
        let again = read("fare,sex,deck,age\n1,m,A,2\n").unwrap();
        assert_eq!(again.features, [2.0, 0.0, 1.0, 1.0]);
        assert_eq!(again.labels, Vec::<String>::new());
        assert_eq!(
            again
                .warnings
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["p.csv: the network has no features \"deck\", which are ignored"]
        );
        assert_eq!(
            message(read("fare,sex,age\n1,x,2\n")),
            "p.csv: line 2, column \"sex\": found \"x\", expected a category of the network's: \"f\", \"m\""
        );
        assert_eq!(
            message(read("fares,sex\n1,m\n")),
            "p.csv: line 1: lacks \"age\", \"fare\" of the network's features; the columns are \"fares\", \"sex\""
        );
        let nothing_left = TableOptions {
            missing: Missing::DropRows,
            ..TableOptions::default()
        };
        assert_eq!(
            message(read_with("a,b,class\n,1,x\n,2,y\n", nothing_left)),
            "t.csv: each of the 2 rows has a missing value; most are in column \"a\": leave it out with --drop"
        );
    }

    #[test]
    fn a_column_is_one_thing_only() {
        for (options, fragments) in [
            (
                TableOptions {
                    drop: names(&["class"]),
                    ..TableOptions::default()
                },
                "\"class\" is named as label column and as column to drop",
            ),
            (
                TableOptions {
                    drop: names(&["a"]),
                    one_hot: names(&["a"]),
                    ..TableOptions::default()
                },
                "\"a\" is named as column to drop and as column to encode one-hot",
            ),
            (
                TableOptions {
                    one_hot: names(&["b"]),
                    ..TableOptions::default()
                },
                "no column to encode one-hot named \"b\"",
            ),
            (
                TableOptions {
                    drop: names(&["a"]),
                    ..TableOptions::default()
                },
                "no feature columns",
            ),
        ] {
            let found = message(read_with("a,class\n1,x\n", options));
            assert!(found.contains(fragments), "{found}");
        }
    }

    #[test]
    fn a_row_of_numbers_is_no_header() {
        assert!(
            message(read("1.5,2.5,0\n1,2,1\n")).contains("line 1: the first row has numbers alone")
        );
        // Even where two of its values are the same.
        assert!(message(read("1,1,0\n1,2,1\n")).contains("--no-header"));
        let iris = "5.1,3.5,setosa\n4.9,3,setosa\n7,3.2,versicolor\n";
        let roles = Roles::label("setosa");
        let options = TableOptions::default();
        let found = message(Table::from_bytes(
            "t.csv",
            iris.as_bytes(),
            &roles,
            &options,
        ));
        assert!(found.contains("looks like those below it") && found.contains("--no-header"));
        assert!(
            message(read(iris)).ends_with("(where the first row is a sample, say --no-header)")
        );
        // Names that are numbers, as wavelengths are.
        assert!(read("400,402.5,class\n1,2,x\n3,4,y\n").is_ok());

        let options = TableOptions {
            no_header: true,
            ..TableOptions::default()
        };
        let table =
            Table::from_bytes("t.csv", iris.as_bytes(), &Roles::label("3"), &options).unwrap();
        assert_eq!(table.feature_names, ["1", "2"]);
        assert_eq!((table.samples(), &table.lines[..]), (3, &[1, 2, 3][..]));
        let found = message(Table::from_bytes(
            "t.csv",
            iris.as_bytes(),
            &Roles::label("0"),
            &options,
        ));
        assert!(
            found.ends_with("no label column named \"0\"; the columns are \"1\", \"2\", \"3\""),
            "{found}"
        );
    }

    #[test]
    fn numbers_have_a_decimal_comma_where_asked_for() {
        let options = TableOptions {
            decimal_comma: true,
            ..TableOptions::default()
        };
        let table = read_with("a;b;class\n1,5;-2;x\n,25;1e3;y\n", options).unwrap();
        assert_eq!(table.features, [1.5, -2.0, 0.25, 1000.0]);
    }

    #[test]
    fn a_long_or_broken_text_is_shown_on_one_short_line() {
        let text = message(read(&format!("a,class\n\"{}\n\",x\n", "é\n".repeat(1000))));
        assert!(text.len() < 300 && text.contains('…'), "{text}");
        assert!(message(read("a,class\n1,\"x\ny\"\n")).ends_with("expected a label on one line"));
        // A quote that is never closed would swallow the rest of the file.
        assert_eq!(
            message(read("a,class\n\"1,x\n2,y\n")),
            "t.csv: line 2: a quote that begins a field here is never closed"
        );
    }

    #[test]
    fn a_ragged_row_is_placed() {
        assert_eq!(
            message(read("a,b,class\n1,2,x\n1,x\n")),
            "t.csv: line 3: found 2 fields, expected 3 as in the header (nothing from column \"class\" on)"
        );
        assert_eq!(
            message(read("a,b,class\n1,2,x,\n")),
            "t.csv: line 2: found 4 fields, expected 3 as in the header"
        );
    }

    #[test]
    fn an_empty_label_is_placed() {
        assert_eq!(
            message(read("a,class\n1, \n")),
            "t.csv: line 2, column \"class\": found \"\", expected a label (--missing drop-rows leaves out rows with \
             missing values)"
        );
        assert_eq!(
            message(read("a,class\n1,x\n2,\n3,NA\n")),
            "t.csv: column \"class\": 2 of 3 labels are missing, the first in line 3; --missing drop-rows leaves their \
             rows out"
        );
    }

    #[test]
    fn nothing_no_rows_and_no_features_are_told_apart() {
        for text in ["", "\n\n", "\u{feff}"] {
            assert!(
                matches!(read(text), Err(DataError::Empty { .. })),
                "{text:?}"
            );
        }
        assert!(matches!(read("a,class\n"), Err(DataError::NoRows { .. })));
        assert!(matches!(
            read("class\nx\n"),
            Err(DataError::NoFeatures { .. })
        ));
        assert_eq!(
            message(read_weighted("class,w\nx,1\n")),
            "t.csv: line 1: no feature columns, expected at least one besides \"class\", \"w\""
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_placed() {
        let read = |bytes: &[u8]| read_bytes(bytes, &TableOptions::default());
        let field = read(b"a,class\n1,x\n2,caf\xE9\n");
        assert_eq!(
            message(field),
            "t.csv: line 3, column \"class\": found \"caf\u{fffd}\", which is not UTF-8, \
             expected a CSV file in UTF-8"
        );
        let header = read(b"a,\xFF\n");
        assert!(message(header).contains("line 1, column \"2\": found"));
        assert_eq!(
            message(read(b"\xFF\xFEa\0,\0c\0")),
            "t.csv: is UTF-16, expected a CSV file in UTF-8"
        );
        assert!(message(read(b"a,class\n1,\0\n")).contains("line 2: found a zero byte"));
    }

    #[test]
    fn weights_are_finite_not_negative_and_not_all_zero() {
        for weight in ["-1", "NaN", "inf", "", "heavy"] {
            assert_eq!(
                message(read_weighted(&format!("a,class,w\n1,x,0\n1,x,{weight}\n"))),
                format!(
                    "t.csv: line 3, column \"w\": found \"{weight}\", expected a weight: a finite number ≥ 0"
                )
            );
        }
        assert!(message(read_weighted("a,class,w\n1,x,0\n")).contains("the weights sum to 0"));
        assert!(matches!(
            read_weighted("a,class,w\n1,x,1e308\n1,x,1e308\n"),
            Err(DataError::WeightSum { .. })
        ));
        assert!(read_weighted("a,class,w\n1,x,0\n1,x,1\n").is_ok());
    }

    #[test]
    fn one_column_cannot_be_label_and_weight() {
        let roles = Roles {
            weight: Some("b"),
            ..Roles::label("b")
        };
        let table = Table::from_bytes("t.csv", b"a,b\n1,2\n", &roles, &TableOptions::default());
        assert!(matches!(table, Err(DataError::SharedColumn { .. })));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let text = message(Table::read(
            "/no/such/file.csv",
            &Roles::label("class"),
            &TableOptions::default(),
        ));
        assert!(
            text.starts_with("/no/such/file.csv: cannot be read: "),
            "{text}"
        );
    }

    #[test]
    fn a_file_is_read_from_disk() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/iris.csv");
        let table = Table::read(path, &Roles::label("class"), &TableOptions::default()).unwrap();
        assert_eq!((table.samples(), table.inputs), (150, 4));
    }
}
