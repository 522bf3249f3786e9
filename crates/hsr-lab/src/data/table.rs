//! A CSV file read into numbers, its labels still text.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str;

use super::nearest::nearest;
use super::{ColumnRole, DataError};

/// A CSV file: numeric features, labels as text, and weights where asked for.
///
/// The first row names the columns. Every column but the label and the weight column is a feature, in the order of the
/// file. Spaces around names, numbers and labels do not count; empty lines are skipped.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The file, as messages name it.
    pub path: PathBuf,
    /// The names of the features, d of them.
    pub feature_names: Vec<String>,
    /// The features, N × d row-major, all finite.
    pub features: Vec<f64>,
    /// d, the number of features, at least 1.
    pub inputs: usize,
    /// The name of the label column.
    pub label_column: String,
    /// The labels, N of them, trimmed, none empty.
    pub labels: Vec<String>,
    /// The weights, N of them, as in the file (not normalised): finite, none negative, their sum positive.
    pub weights: Option<Vec<f64>>,
    /// The line in the file, from 1, on which each row starts, N of them.
    pub lines: Vec<u64>,
}

impl Table {
    /// Reads a file.
    ///
    /// # Arguments
    ///
    /// * `path`: a comma-separated file in UTF-8, with or without a byte order mark.
    /// * `label_column`: the name of the column of labels.
    /// * `weight_column`: the name of the column of sample weights, numbers ≥ 0.
    ///
    /// # Errors
    ///
    /// A [`DataError`] that names the file and, where it is about a field, its line, column and text: the file is
    /// unreadable, empty, or not UTF-8; a column is missing, unnamed or named twice; there are no rows or no features;
    /// a row has more or fewer fields than the header; a feature is not a finite number; a label is empty; a weight is
    /// not a finite number ≥ 0, or all of them are 0.
    pub fn read(
        path: impl AsRef<Path>,
        label_column: &str,
        weight_column: Option<&str>,
    ) -> Result<Table, DataError> {
        let path = path.as_ref();
        let bytes = crate::files::read(path).map_err(|source| DataError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        Table::from_bytes(path, &bytes, label_column, weight_column)
    }

    /// Reads the bytes of a file; `path` only names it in messages. Otherwise as [`Table::read`].
    ///
    /// # Errors
    ///
    /// As [`Table::read`].
    pub fn from_bytes(
        path: impl AsRef<Path>,
        bytes: &[u8],
        label_column: &str,
        weight_column: Option<&str>,
    ) -> Result<Table, DataError> {
        let path = path.as_ref();
        let mut rows = Rows::new(path, bytes);
        let Some(header) = rows.next()? else {
            return Err(DataError::Empty {
                path: path.to_path_buf(),
            });
        };
        let columns = Columns::of(path, header, label_column, weight_column)?;
        let mut table = Table {
            path: path.to_path_buf(),
            feature_names: columns
                .features
                .iter()
                .map(|&i| columns.names[i].clone())
                .collect(),
            features: Vec::new(),
            inputs: columns.features.len(),
            label_column: columns.names[columns.label].clone(),
            labels: Vec::new(),
            weights: columns.weight.map(|_| Vec::new()),
            lines: Vec::new(),
        };
        while let Some(row) = rows.next()? {
            table.push(&columns, row)?;
        }
        if table.labels.is_empty() {
            return Err(DataError::NoRows { path: table.path });
        }
        if let (Some(column), Some(weights)) = (columns.weight, &table.weights) {
            let sum: f64 = weights.iter().sum();
            if !(sum > 0.0 && sum.is_finite()) {
                return Err(DataError::WeightSum {
                    path: table.path,
                    column: columns.names[column].clone(),
                    sum,
                });
            }
        }
        Ok(table)
    }

    /// N, the number of rows.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// The error of a label that is not what was expected.
    pub(super) fn invalid_label(&self, row: usize, expected: String) -> DataError {
        DataError::InvalidField {
            path: self.path.clone(),
            line: self.lines[row],
            column: self.label_column.clone(),
            found: self.labels[row].clone(),
            expected,
        }
    }

    fn push(&mut self, columns: &Columns, row: &Row) -> Result<(), DataError> {
        let expected = columns.names.len();
        if row.fields.len() != expected {
            return Err(DataError::RaggedRow {
                path: self.path.clone(),
                line: row.line,
                found: row.fields.len(),
                expected,
                missing: columns.names.get(row.fields.len()).cloned(),
            });
        }
        for &column in &columns.features {
            let value = finite(self.text(columns, row, column)?)
                .ok_or_else(|| self.invalid(columns, row, column, "a finite number"))?;
            self.features.push(value);
        }
        let label = self.text(columns, row, columns.label)?;
        if label.is_empty() {
            return Err(self.invalid(columns, row, columns.label, "a label"));
        }
        self.labels.push(label.to_owned());
        if let Some(column) = columns.weight {
            let weight = finite(self.text(columns, row, column)?)
                .filter(|&weight| weight >= 0.0)
                .ok_or_else(|| {
                    self.invalid(columns, row, column, "a weight: a finite number ≥ 0")
                })?;
            self.weights.get_or_insert_default().push(weight);
        }
        self.lines.push(row.line);
        Ok(())
    }

    /// A field as trimmed text.
    fn text<'r>(
        &self,
        columns: &Columns,
        row: &'r Row,
        column: usize,
    ) -> Result<&'r str, DataError> {
        let field = &row.fields[column];
        str::from_utf8(field)
            .map(str::trim)
            .map_err(|_| DataError::NotUtf8 {
                path: self.path.clone(),
                line: row.line,
                column: columns.names[column].clone(),
                found: String::from_utf8_lossy(field).into_owned(),
            })
    }

    fn invalid(&self, columns: &Columns, row: &Row, column: usize, expected: &str) -> DataError {
        DataError::InvalidField {
            path: self.path.clone(),
            line: row.line,
            column: columns.names[column].clone(),
            found: String::from_utf8_lossy(&row.fields[column])
                .trim()
                .to_owned(),
            expected: expected.to_owned(),
        }
    }
}

/// The finite number a text spells, in the notation of Rust's `f64`.
pub(super) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A row of the file and the line it starts on.
struct Row {
    fields: csv::ByteRecord,
    line: u64,
}

/// The rows of a file, as bytes so that what is not UTF-8 can be placed.
struct Rows<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    row: Row,
    /// `row.line` is the line of this byte.
    counted: usize,
}

impl<'a> Rows<'a> {
    fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        Rows {
            path,
            bytes,
            // Rows of another length and the header are checked here, with better messages.
            reader: csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(bytes),
            row: Row {
                fields: csv::ByteRecord::new(),
                line: 1,
            },
            counted: 0,
        }
    }

    fn next(&mut self) -> Result<Option<&Row>, DataError> {
        let fields = &mut self.row.fields;
        let more = self
            .reader
            .read_byte_record(fields)
            .map_err(|error| DataError::Unreadable {
                path: self.path.to_path_buf(),
                source: error.into(),
            })?;
        if !more {
            return Ok(None);
        }
        // The reader's own position is where it stopped before, which is ahead of the row by the empty lines between
        // and by half of a CRLF.
        let start = fields.position().map_or(self.counted, |position| {
            usize::try_from(position.byte())
                .map_or(self.bytes.len(), |byte| byte.min(self.bytes.len()))
        });
        let skipped = self.bytes[start..]
            .iter()
            .take_while(|&&byte| byte == b'\r' || byte == b'\n')
            .count();
        let start = start + skipped;
        self.row.line += line_ends(&self.bytes[self.counted.min(start)..start]);
        self.counted = start;
        Ok(Some(&self.row))
    }
}

/// The line ends LF, CRLF and CR in a text that does not end between CR and LF.
fn line_ends(bytes: &[u8]) -> u64 {
    let line_feeds = bytes.iter().filter(|&&byte| byte == b'\n').count();
    let returns = bytes.iter().filter(|&&byte| byte == b'\r').count();
    let both = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
    (line_feeds + returns - both) as u64
}

/// Which column holds what.
struct Columns {
    names: Vec<String>,
    label: usize,
    weight: Option<usize>,
    features: Vec<usize>,
}

impl Columns {
    fn of(
        path: &Path,
        header: &Row,
        label_column: &str,
        weight_column: Option<&str>,
    ) -> Result<Columns, DataError> {
        let line = header.line;
        let names = names(path, header)?;
        let find = |role: ColumnRole, name: &str| {
            let trimmed = name.trim();
            names
                .iter()
                .position(|column| column == trimmed)
                .ok_or_else(|| DataError::MissingColumn {
                    path: path.to_path_buf(),
                    line,
                    role,
                    name: name.to_owned(),
                    columns: names.clone(),
                    nearest: nearest(trimmed, names.iter().map(String::as_str)).map(str::to_owned),
                })
        };
        let label = find(ColumnRole::Label, label_column)?;
        let weight = weight_column
            .map(|name| find(ColumnRole::Weight, name))
            .transpose()?;
        if weight == Some(label) {
            return Err(DataError::SharedColumn {
                path: path.to_path_buf(),
                column: names[label].clone(),
            });
        }
        let features: Vec<usize> = (0..names.len())
            .filter(|&column| column != label && Some(column) != weight)
            .collect();
        if features.is_empty() {
            return Err(DataError::NoFeatures {
                path: path.to_path_buf(),
                line,
                columns: names,
            });
        }
        Ok(Columns {
            names,
            label,
            weight,
            features,
        })
    }
}

/// The trimmed, distinct, non-empty names of a header.
fn names(path: &Path, header: &Row) -> Result<Vec<String>, DataError> {
    let line = header.line;
    let mut names = Vec::with_capacity(header.fields.len());
    let mut columns = HashMap::new();
    for (index, field) in header.fields.iter().enumerate() {
        let name = str::from_utf8(field)
            .map_err(|_| DataError::NotUtf8 {
                path: path.to_path_buf(),
                line,
                column: (index + 1).to_string(),
                found: String::from_utf8_lossy(field).into_owned(),
            })?
            .trim();
        if name.is_empty() {
            return Err(DataError::UnnamedColumn {
                path: path.to_path_buf(),
                line,
                column: index + 1,
            });
        }
        if let Some(first) = columns.insert(name, index) {
            return Err(DataError::DuplicateColumn {
                path: path.to_path_buf(),
                line,
                name: name.to_owned(),
                first: first + 1,
                second: index + 1,
            });
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, DataError> {
        Table::from_bytes("t.csv", text.as_bytes(), "class", None)
    }

    fn read_weighted(text: &str) -> Result<Table, DataError> {
        Table::from_bytes("t.csv", text.as_bytes(), "class", Some("w"))
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
    fn duplicate_and_unnamed_columns_are_refused() {
        assert_eq!(
            message(read("a,class, a\n1,x,2\n")),
            "t.csv: line 1: columns 1 and 3 are both named \"a\", expected distinct names"
        );
        assert!(message(read(",a,class\n0,1,x\n")).contains("line 1: column 1 has no name"));
    }

    #[test]
    fn a_feature_that_is_not_a_finite_number_is_placed() {
        for text in [
            "abc",
            "",
            "  ",
            "NaN",
            "inf",
            "-Infinity",
            "1e999",
            "1,5",
            "1_0",
            "0x1",
        ] {
            let found = format!("{:?}", text.trim());
            assert_eq!(
                message(read(&format!("a,b,class\n1,2,x\n1,\"{text}\",y\n"))),
                format!("t.csv: line 3, column \"b\": found {found}, expected a finite number")
            );
        }
    }

    #[test]
    fn a_long_or_broken_text_is_shown_on_one_short_line() {
        let text = message(read(&format!("a,class\n\"{}\n\",x\n", "é\n".repeat(1000))));
        assert!(text.len() < 300 && text.contains('…'), "{text}");
        // A quote that is never closed swallows the rest of the file.
        assert!(
            message(read("a,class\n\"1,x\n2,y\n")).starts_with("t.csv: line 2: found 1 fields")
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
            "t.csv: line 2, column \"class\": found \"\", expected a label"
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
        let field = Table::from_bytes("t.csv", b"a,class\n1,x\n2,caf\xE9\n", "class", None);
        assert_eq!(
            message(field),
            "t.csv: line 3, column \"class\": found \"caf\u{fffd}\", which is not UTF-8, \
             expected a CSV file in UTF-8"
        );
        let header = Table::from_bytes("t.csv", b"a,\xFF\n", "class", None);
        assert!(message(header).contains("line 1, column \"2\": found"));
        let utf16 = Table::from_bytes("t.csv", b"\xFF\xFEa\0,\0c\0", "class", None);
        assert!(message(utf16).contains("not UTF-8"));
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
        let table = Table::from_bytes("t.csv", b"a,b\n1,2\n", "b", Some("b"));
        assert!(matches!(table, Err(DataError::SharedColumn { .. })));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let text = message(Table::read("/no/such/file.csv", "class", None));
        assert!(
            text.starts_with("/no/such/file.csv: cannot be read: "),
            "{text}"
        );
    }

    #[test]
    fn a_file_is_read_from_disk() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/iris.csv");
        let table = Table::read(path, "class", None).unwrap();
        assert_eq!((table.samples(), table.inputs), (150, 4));
    }
}
