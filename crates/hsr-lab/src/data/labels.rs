//! What the labels of a table mean: classes, class indices, 0/1 or numbers.

use std::cmp::Ordering;

use super::error::listed;
use super::table::finite;
use super::{DataError, Dataset, Table};

/// The distinct labels in order, and the class index of every row.
struct Numbered {
    labels: Vec<usize>,
    /// The row in which each class first appears, K of them.
    first_rows: Vec<usize>,
}

impl Table {
    /// Class indices and class names, as `hsr train` understands labels.
    ///
    /// Classes sort numerically where all labels are finite numbers, and equal numbers are one class however they are
    /// written (1, 1.0); otherwise they sort by name. A class is named by its first label in the file.
    ///
    /// # Errors
    ///
    /// [`DataError::OneClass`] where all labels are the same.
    pub fn class_labels(&self) -> Result<(Vec<usize>, Vec<String>), DataError> {
        let numbered = self.numbered();
        let names: Vec<String> = numbered
            .first_rows
            .iter()
            .map(|&row| self.labels[row].clone())
            .collect();
        match names.as_slice() {
            [class] => Err(DataError::OneClass {
                path: self.path.clone(),
                column: self.label_column.clone(),
                class: class.clone(),
            }),
            _ => Ok((numbered.labels, names)),
        }
    }

    /// Class indices below `classes`, as `hsr inspect` understands labels for a network of `classes` outputs.
    ///
    /// Where all labels are integers (1.0 is one) they are class indices as they stand. Otherwise the distinct labels
    /// are numbered in the order of [`Table::class_labels`]; there may be fewer than `classes` of them.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidField`] of the first label outside 0..`classes` where all are integers, otherwise of the
    /// first label which is one class too many.
    pub fn index_labels(&self, classes: usize) -> Result<Vec<usize>, DataError> {
        let integers: Option<Vec<f64>> = self
            .labels
            .iter()
            .map(|label| finite(label).filter(|value| value.fract() == 0.0))
            .collect();
        if let Some(integers) = integers {
            return integers
                .iter()
                .enumerate()
                .map(|(row, &value)| {
                    if value >= 0.0 && value < classes as f64 {
                        Ok(value as usize)
                    } else {
                        Err(self.invalid_label(row, expected_index(classes)))
                    }
                })
                .collect();
        }
        let numbered = self.numbered();
        if numbered.first_rows.len() > classes {
            // In the order of the file, so that the line named is where the surplus begins.
            let mut rows = numbered.first_rows;
            rows.sort_unstable();
            let known: Vec<&str> = rows[..classes]
                .iter()
                .map(|&row| self.labels[row].as_str())
                .collect();
            let expected = if known.is_empty() {
                "no class at all".to_owned()
            } else {
                format!("at most {classes} classes, here {}", listed(&known))
            };
            return Err(self.invalid_label(rows[classes], expected));
        }
        Ok(numbered.labels)
    }

    /// Labels for the sigmoid loss: 0.0 or 1.0 a row.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidField`] of the first label other than 0, 1, 0.0 and 1.0.
    pub fn binary_labels(&self) -> Result<Vec<f64>, DataError> {
        self.labels
            .iter()
            .enumerate()
            .map(|(row, label)| match label.as_str() {
                "0" | "0.0" => Ok(0.0),
                "1" | "1.0" => Ok(1.0),
                _ => Err(self.invalid_label(row, "0 or 1".to_owned())),
            })
            .collect()
    }

    /// Labels for the squared error: a finite number a row.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidField`] of the first label which is not a finite number.
    pub fn numeric_labels(&self) -> Result<Vec<f64>, DataError> {
        self.labels
            .iter()
            .enumerate()
            .map(|(row, label)| {
                finite(label).ok_or_else(|| self.invalid_label(row, "a finite number".to_owned()))
            })
            .collect()
    }

    /// A classification data set of this name, its classes those of [`Table::class_labels`]. A data set has no
    /// weights: those of the table are dropped.
    ///
    /// # Errors
    ///
    /// As [`Table::class_labels`].
    pub fn into_dataset(self, name: impl Into<String>) -> Result<Dataset, DataError> {
        let (labels, class_names) = self.class_labels()?;
        Ok(Dataset {
            name: name.into(),
            features: self.features,
            inputs: self.inputs,
            feature_names: self.feature_names,
            labels,
            class_names,
        })
    }

    fn numbered(&self) -> Numbered {
        let numbers: Option<Vec<f64>> = self.labels.iter().map(|label| finite(label)).collect();
        let order = |a: usize, b: usize| match &numbers {
            // −0 equals 0 here, unlike under `total_cmp`; there is no NaN among them.
            Some(numbers) => numbers[a]
                .partial_cmp(&numbers[b])
                .unwrap_or(Ordering::Equal),
            None => self.labels[a].cmp(&self.labels[b]),
        };
        let mut rows: Vec<usize> = (0..self.labels.len()).collect();
        // Stable: the first row of a run of equals is the first in the file.
        rows.sort_by(|&a, &b| order(a, b));
        let mut numbered = Numbered {
            labels: vec![0; rows.len()],
            first_rows: Vec::new(),
        };
        for row in rows {
            match numbered.first_rows.last() {
                Some(&first) if order(first, row) == Ordering::Equal => {}
                _ => numbered.first_rows.push(row),
            }
            numbered.labels[row] = numbered.first_rows.len() - 1;
        }
        numbered
    }
}

fn expected_index(classes: usize) -> String {
    match classes {
        0 => "no class at all".to_owned(),
        _ => format!("a class index from 0 to {}", classes - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table whose rows, from line 2 on, have these labels.
    fn table(labels: &[&str]) -> Table {
        let rows: String = labels.iter().map(|label| format!("1,{label}\n")).collect();
        Table::from_bytes(
            "t.csv",
            format!("a,class\n{rows}").as_bytes(),
            "class",
            None,
        )
        .unwrap()
    }

    fn message<T: std::fmt::Debug>(result: Result<T, DataError>) -> String {
        result.expect_err("an error").to_string()
    }

    #[test]
    fn numbers_sort_as_numbers_and_names_as_names() {
        let (labels, names) = table(&["10", "9", "-1", "9.0", "10"])
            .class_labels()
            .unwrap();
        assert_eq!(names, ["-1", "9", "10"]);
        assert_eq!(labels, [2, 1, 0, 1, 2]);

        let (labels, names) = table(&["10", "9", "b", "B"]).class_labels().unwrap();
        assert_eq!(names, ["10", "9", "B", "b"]);
        assert_eq!(labels, [0, 1, 3, 2]);

        // Minus zero is no class of its own.
        assert_eq!(
            table(&["-0", "0", "1"]).class_labels().unwrap().0,
            [0, 0, 1]
        );
    }

    #[test]
    fn one_class_is_not_enough() {
        assert_eq!(
            message(table(&["x", "x"]).class_labels()),
            "t.csv: column \"class\": found the one class \"x\", expected at least 2 classes"
        );
        assert!(table(&["1", "1.0"]).into_dataset("t").is_err());
    }

    #[test]
    fn integers_are_class_indices_as_they_stand() {
        // Numbering the distinct ones would give 0 and 1.
        assert_eq!(
            table(&["2", "1", "2.0"]).index_labels(3).unwrap(),
            [2, 1, 2]
        );
    }

    #[test]
    fn an_integer_out_of_range_is_placed() {
        assert_eq!(
            message(table(&["0", "1", "3"]).index_labels(3)),
            "t.csv: line 4, column \"class\": found \"3\", expected a class index from 0 to 2"
        );
        for label in ["-1", "1e300", "99999999999999999999"] {
            let text = message(table(&["0", label]).index_labels(3));
            assert!(text.contains("line 3") && text.contains(label), "{text}");
        }
    }

    #[test]
    fn other_labels_are_numbered_in_order() {
        assert_eq!(table(&["b", "a", "b"]).index_labels(2).unwrap(), [1, 0, 1]);
        assert_eq!(
            table(&["1.5", "-2", "0"]).index_labels(3).unwrap(),
            [2, 0, 1]
        );
        // Integers among names are names.
        assert_eq!(table(&["7", "a"]).index_labels(2).unwrap(), [0, 1]);
        // A batch may miss a class.
        assert_eq!(table(&["b", "b"]).index_labels(3).unwrap(), [0, 0]);
    }

    #[test]
    fn one_class_too_many_is_placed() {
        assert_eq!(
            message(table(&["c", "b", "c", "a", "b"]).index_labels(2)),
            "t.csv: line 5, column \"class\": found \"a\", expected at most 2 classes, here \"c\", \"b\""
        );
        assert!(table(&["a"]).index_labels(0).is_err());
        assert!(table(&["0"]).index_labels(0).is_err());
    }

    #[test]
    fn binary_labels_are_zero_or_one_only() {
        let table_of = |labels: &[&str]| table(labels).binary_labels();
        assert_eq!(
            table_of(&["0", "1", "0.0", "1.0"]).unwrap(),
            [0.0, 1.0, 0.0, 1.0]
        );
        for label in ["2", "-1", "true", "0.5", "01"] {
            assert_eq!(
                message(table_of(&["0", label])),
                format!("t.csv: line 3, column \"class\": found \"{label}\", expected 0 or 1")
            );
        }
    }

    #[test]
    fn numeric_labels_are_finite() {
        assert_eq!(
            table(&["-1e3", "0.5"]).numeric_labels().unwrap(),
            [-1000.0, 0.5]
        );
        for label in ["nan", "inf", "1e999", "ten"] {
            let text = message(table(&["0", label]).numeric_labels());
            assert!(text.ends_with("expected a finite number"), "{text}");
        }
    }

    #[test]
    fn a_table_becomes_a_data_set() {
        let data = table(&["b", "a"]).into_dataset("letters").unwrap();
        assert_eq!((data.name.as_str(), data.inputs), ("letters", 1));
        assert_eq!((data.features, data.labels), (vec![1.0, 1.0], vec![1, 0]));
    }
}
