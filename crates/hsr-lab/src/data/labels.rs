//! What the labels of a table mean: classes, class indices, 0/1 or numbers.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::dataset::Dataset;
use super::error::{DataError, DataFault, Place};
use super::number::finite;
use super::table::Table;
use super::wording::listed;

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
    /// [`DataFault::OneClass`] where all labels are the same, [`DataFault::NoTwoAlike`] where all differ, and
    /// [`DataFault::LooksLikeRegression`] where they look like a quantity, unless
    /// [`numeric_classes`](super::TableOptions::numeric_classes) says that they are none.
    pub fn class_labels(&self) -> Result<(Vec<usize>, Vec<String>), DataError> {
        let numbered = self.numbered();
        let names = self.names(&numbered);
        let (rows, distinct) = (self.samples(), names.len());
        if let [class] = &names[..] {
            return Err(self.label_fault(DataFault::OneClass(class.clone())));
        }
        if !self.numeric_classes && looks_like_regression(&names, rows) {
            let fault = DataFault::LooksLikeRegression {
                column: self.label_column.clone().unwrap_or_default(),
                distinct,
                rows,
            };
            return Err(Place::of(&self.path).fault(fault));
        }
        if distinct == rows && rows > 2 {
            return Err(self.label_fault(DataFault::NoTwoAlike(rows)));
        }
        Ok((numbered.labels, names))
    }

    /// Class indices, as `hsr inspect` understands labels for a network of `classes` outputs that does not name its
    /// classes.
    ///
    /// Where all labels are integers (1.0 is one) from 0 to `classes` − 1 they are class indices as they stand. As many
    /// other labels as there are outputs are numbered in the order of [`Table::class_labels`].
    ///
    /// # Errors
    ///
    /// [`DataFault::UncertainClasses`] where there are fewer labels than outputs, or integers outside of the range: which
    /// outputs they belong to cannot be told. [`DataFault::InvalidField`] of the first label which is one class too many.
    pub fn index_labels(&self, classes: usize) -> Result<Vec<usize>, DataError> {
        let integers: Option<Vec<f64>> = self
            .labels
            .iter()
            .map(|label| finite(label).filter(|value| value.fract() == 0.0))
            .collect();
        let numbered = self.numbered();
        if let Some(integers) = integers {
            let outside = |value: &f64| !(0.0..classes as f64).contains(value);
            return match integers.iter().position(outside) {
                None => Ok(integers.iter().map(|&value| value as usize).collect()),
                Some(_) if numbered.first_rows.len() <= classes && classes > 1 => {
                    Err(self.uncertain(&numbered, classes))
                }
                Some(row) => Err(self.invalid_label(row, expected_index(classes))),
            };
        }
        if numbered.first_rows.len() < classes {
            return Err(self.uncertain(&numbered, classes));
        }
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

    /// Class indices for a network that names its classes, in the order of its outputs. Where all of these are numbers,
    /// equal numbers are one class however they are written.
    ///
    /// # Errors
    ///
    /// [`DataFault::InvalidField`] of the first label that is none of the classes.
    pub fn known_labels(&self, classes: &[String]) -> Result<Vec<usize>, DataError> {
        let numbers: Option<Vec<f64>> = classes.iter().map(|class| finite(class)).collect();
        let mut places: HashMap<&str, usize> =
            classes.iter().map(String::as_str).zip(0..).collect();
        let expected = || format!("one of the classes {}", listed(classes));
        self.each_label(expected, |label| {
            let by_number = || {
                let (numbers, value) = numbers.as_ref().zip(finite(label))?;
                numbers.iter().position(|it| *it == value)
            };
            let place = places.get(label).copied().or_else(by_number)?;
            places.insert(label, place);
            Some(place)
        })
    }

    /// What `read` makes of the labels; the first of which it makes nothing is reported.
    fn each_label<'a, T, E: Into<String>>(
        &'a self,
        expected: impl Fn() -> E,
        mut read: impl FnMut(&'a str) -> Option<T>,
    ) -> Result<Vec<T>, DataError> {
        let rows = self.labels.iter().enumerate();
        rows.map(|(row, label)| read(label).ok_or_else(|| self.invalid_label(row, expected())))
            .collect()
    }

    fn uncertain(&self, numbered: &Numbered, outputs: usize) -> DataError {
        let labels = self.names(numbered);
        self.label_fault(DataFault::UncertainClasses { labels, outputs })
    }

    /// Labels for the sigmoid loss: 0.0 or 1.0 a row.
    ///
    /// # Errors
    ///
    /// [`DataFault::InvalidField`] of the first label other than 0, 1, 0.0 and 1.0.
    pub fn binary_labels(&self) -> Result<Vec<f64>, DataError> {
        self.each_label(
            || "0 or 1",
            |label| match label {
                "0" | "0.0" => Some(0.0),
                "1" | "1.0" => Some(1.0),
                _ => None,
            },
        )
    }

    /// Labels for the squared error: a finite number a row.
    ///
    /// # Errors
    ///
    /// [`DataFault::InvalidField`] of the first label which is not a finite number.
    pub fn numeric_labels(&self) -> Result<Vec<f64>, DataError> {
        self.each_label(|| "a finite number", finite)
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

    /// The names of the classes, each by its first label in the file.
    fn names(&self, numbered: &Numbered) -> Vec<String> {
        let rows = numbered.first_rows.iter();
        rows.map(|&row| self.labels[row].clone()).collect()
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

/// More distinct whole numbers than this are seldom classes, unless they count from 0 or 1.
const MANY: usize = 20;

/// Whether distinct labels, in order, look like a quantity that was measured: fractions, each on few rows or many of them;
/// many whole numbers with gaps between them. Numbers that count classes from 0 or 1 do not, each on two rows at least.
fn looks_like_regression(names: &[String], rows: usize) -> bool {
    let Some(numbers) = names
        .iter()
        .map(|name| finite(name))
        .collect::<Option<Vec<f64>>>()
    else {
        return false;
    };
    let distinct = numbers.len();
    if distinct <= 2 {
        return false;
    }
    if numbers.iter().any(|value| value.fract() != 0.0) {
        return distinct > MANY || rows < 5 * distinct;
    }
    let (first, last) = (numbers[0], numbers[distinct - 1]);
    let counts = (first == 0.0 || first == 1.0) && last - first == (distinct - 1) as f64;
    if counts {
        rows < 2 * distinct
    } else {
        distinct > MANY || 2 * rows < 3 * distinct
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
    use crate::data::{Roles, TableOptions};

    /// A table whose rows, from line 2 on, have these labels.
    fn table(labels: &[&str]) -> Table {
        let rows: String = labels.iter().map(|label| format!("1,{label}\n")).collect();
        Table::from_bytes(
            "t.csv",
            format!("a,class\n{rows}").as_bytes(),
            &Roles::label("class"),
            &TableOptions::default(),
        )
        .unwrap()
    }

    fn message<T: std::fmt::Debug>(result: Result<T, DataError>) -> String {
        result.expect_err("an error").to_string()
    }

    #[test]
    fn labels_are_refused_with_their_place() {
        let known = ["a", "b", "c"].map(str::to_owned);
        let refused = |text: String, expected: &str| assert_eq!(text, format!("t.csv: {expected}"));
        refused(
            message(table(&["x", "x"]).class_labels()),
            "column \"class\": found the one class \"x\", expected at least 2 classes",
        );
        refused(
            message(table(&["x", "y", "z"]).class_labels()),
            "column \"class\": all 3 labels differ, expected classes of at least 2 samples",
        );
        refused(
            message(table(&["0", "1", "3", "2"]).index_labels(3)),
            "line 4, column \"class\": found \"3\", expected a class index from 0 to 2",
        );
        refused(
            message(table(&["b", "b", "c"]).index_labels(3)),
            "column \"class\": found 2 labels (\"b\", \"c\") for a network of 3 outputs, which does not say its \
             classes: name them in the order of the outputs with `classes`",
        );
        refused(
            message(table(&["c", "b", "c", "a", "b"]).index_labels(2)),
            "line 5, column \"class\": found \"a\", expected at most 2 classes, here \"c\", \"b\"",
        );
        refused(
            message(table(&["c", "d"]).known_labels(&known)),
            "line 3, column \"class\": found \"d\", expected one of the classes \"a\", \"b\", \"c\"",
        );
        for label in ["2", "-1", "true", "0.5", "01"] {
            refused(
                message(table(&["0", label]).binary_labels()),
                &format!("line 3, column \"class\": found \"{label}\", expected 0 or 1"),
            );
        }
        for label in ["inf", "1e999", "ten"] {
            refused(
                message(table(&["0", label]).numeric_labels()),
                &format!("line 3, column \"class\": found \"{label}\", expected a finite number"),
            );
        }
        assert!(table(&["1", "1.0"]).into_dataset("t").is_err());
        for label in ["a", "0"] {
            assert!(table(&[label]).index_labels(0).is_err());
        }
    }

    #[test]
    fn numbers_sort_as_numbers_and_names_as_names() {
        let (labels, names) = table(&["10", "9", "-1", "9.0", "10"])
            .class_labels()
            .unwrap();
        assert_eq!(names, ["-1", "9", "10"]);
        assert_eq!(labels, [2, 1, 0, 1, 2]);

        let (labels, names) = table(&["10", "9", "b", "B", "B"]).class_labels().unwrap();
        assert_eq!(names, ["10", "9", "B", "b"]);
        assert_eq!(labels, [0, 1, 3, 2, 2]);

        // Minus zero is no class of its own.
        assert_eq!(
            table(&["-0", "0", "1"]).class_labels().unwrap().0,
            [0, 0, 1]
        );
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
    fn labels_that_do_not_tell_their_outputs_are_refused() {
        for labels in [
            &["1", "2", "3"][..],
            &["0", "-1"],
            &["0", "1e300"],
            &["7"],
            &["0.5", "1"],
        ] {
            let text = message(table(labels).index_labels(3));
            assert!(
                text.contains("`classes`") && text.contains(labels[0]),
                "{text}"
            );
        }
    }

    #[test]
    fn known_classes_are_found_by_name_or_number() {
        let classes = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            table(&["c", "b", "c"]).known_labels(&classes).unwrap(),
            [2, 1, 2]
        );
        let classes = ["1", "2.0", "3"].map(str::to_owned);
        assert_eq!(
            table(&["3.0", "2", "1"]).known_labels(&classes).unwrap(),
            [2, 1, 0]
        );
        // Where one of the classes is no number, 1 and 1.0 are names.
        let classes = ["1", "x"].map(str::to_owned);
        assert!(table(&["1.0"]).known_labels(&classes).is_err());
    }

    #[test]
    fn labels_that_look_like_a_quantity_are_refused_unless_told_otherwise() {
        let refused = |labels: Vec<f64>| {
            let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let mut table = table(&labels);
            let refused = |table: &Table| {
                let fault = table.class_labels().map_err(|error| error.fault);
                matches!(fault, Err(DataFault::LooksLikeRegression { .. }))
            };
            let before = refused(&table);
            table.numeric_classes = true;
            assert!(!refused(&table));
            before
        };
        let twice = |values: Vec<f64>| [values.clone(), values].concat();
        let count = |to: u32| (0..to).map(f64::from);
        // Prices, ages, four measurements.
        assert!(refused(twice(count(60).map(|i| 3.25 * i + 10.0).collect())));
        assert!(refused(twice(count(70).map(|i| 18.0 + i).collect())));
        assert!(refused(vec![0.1, 0.2, 0.3, 0.4]));
        // Identifiers.
        assert!(refused(count(10).collect()));
        // A thousand classes by their numbers, grades, half points on many rows.
        assert!(!refused(twice(count(1000).collect())));
        assert!(!refused(twice(count(7).map(|i| 3.0 + i).collect())));
        assert!(!refused((0..40).map(|i| f64::from(i % 4) / 2.0).collect()));
        assert!(!refused(vec![0.5, 1.5, 0.5]));
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
    }

    #[test]
    fn labels_for_other_losses_are_numbers() {
        let zero_or_one = table(&["0", "1", "0.0", "1.0"]).binary_labels().unwrap();
        assert_eq!(zero_or_one, [0.0, 1.0, 0.0, 1.0]);
        let numbers = table(&["-1e3", "0.5"]).numeric_labels().unwrap();
        assert_eq!(numbers, [-1000.0, 0.5]);
    }

    #[test]
    fn a_table_becomes_a_data_set() {
        let data = table(&["b", "a"]).into_dataset("letters").unwrap();
        assert_eq!((data.name.as_str(), data.inputs), ("letters", 1));
        assert_eq!((data.features, data.labels), (vec![1.0, 1.0], vec![1, 0]));
    }
}
