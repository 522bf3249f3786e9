//! What can be wrong with data, said in one line that names the place.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::IdxError;

/// The column a name was meant to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnRole {
    /// The column of labels.
    Label,
    /// The column of sample weights.
    Weight,
}

impl fmt::Display for ColumnRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColumnRole::Label => "label",
            ColumnRole::Weight => "weight",
        })
    }
}

/// One side of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The samples to train on.
    Train,
    /// The samples held back.
    Test,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Train => "train",
            Side::Test => "test",
        })
    }
}

/// An error in reading, interpreting, splitting or standardising data. The message is one line; `line` counts the lines
/// of the file from 1, the header included.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file has nothing in it.
    #[error("{}: is empty, expected a header row of column names and at least one row", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A field is not UTF-8 text.
    #[error(
        "{}: line {line}, column {}: found {}, which is not UTF-8, expected a CSV file in UTF-8",
        path.display(), shown(column), shown(found)
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line in the file.
        line: u64,
        /// The column's name, or its number where the name itself is not UTF-8.
        column: String,
        /// The text found, what is not UTF-8 replaced by U+FFFD.
        found: String,
    },
    /// A column has no name.
    #[error(
        "{}: line {line}: column {column} has no name, expected a name for every column \
         (a table saved with its row index has such a column; save it without)",
        path.display()
    )]
    UnnamedColumn {
        /// The file.
        path: PathBuf,
        /// The line of the header.
        line: u64,
        /// The column's number, from 1.
        column: usize,
    },
    /// Two columns have the same name.
    #[error(
        "{}: line {line}: columns {first} and {second} are both named {}, expected distinct names",
        path.display(), shown(name)
    )]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The line of the header.
        line: u64,
        /// The name.
        name: String,
        /// The number of the first column of that name, from 1.
        first: usize,
        /// The number of the second.
        second: usize,
    },
    /// The label or weight column is not in the file.
    #[error(
        "{}: line {line}: no {role} column named {}{}; the columns are {}",
        path.display(), shown(name), did_you_mean(nearest), listed(columns)
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The line of the header.
        line: u64,
        /// What the column is for.
        role: ColumnRole,
        /// The name that was asked for.
        name: String,
        /// The names of the columns there are.
        columns: Vec<String>,
        /// The nearest of these, if any resembles the name.
        nearest: Option<String>,
    },
    /// One column is asked to hold both the labels and the weights.
    #[error(
        "{}: column {} is named as both the label and the weight column, expected two columns",
        path.display(), shown(column)
    )]
    SharedColumn {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: String,
    },
    /// Besides label and weight there is no column.
    #[error(
        "{}: line {line}: no feature columns, expected at least one besides {}",
        path.display(), listed(columns)
    )]
    NoFeatures {
        /// The file.
        path: PathBuf,
        /// The line of the header.
        line: u64,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// There is a header and nothing below it.
    #[error("{}: no rows below the header, expected at least one", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A row has more or fewer fields than the header.
    #[error(
        "{}: line {line}: found {found} fields, expected {expected} as in the header{}",
        path.display(), missing_from(missing)
    )]
    RaggedRow {
        /// The file.
        path: PathBuf,
        /// The line in the file.
        line: u64,
        /// The fields of the row.
        found: usize,
        /// The fields of the header.
        expected: usize,
        /// The name of the first column without a field, where there are too few.
        missing: Option<String>,
    },
    /// A field is not what its column holds.
    #[error(
        "{}: line {line}, column {}: found {}, expected {expected}",
        path.display(), shown(column), shown(found)
    )]
    InvalidField {
        /// The file.
        path: PathBuf,
        /// The line in the file.
        line: u64,
        /// The column's name.
        column: String,
        /// The text found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The sample weights cannot be normalised.
    #[error(
        "{}: column {}: the weights sum to {sum}, expected a positive finite sum",
        path.display(), shown(column)
    )]
    WeightSum {
        /// The file.
        path: PathBuf,
        /// The weight column's name.
        column: String,
        /// The sum.
        sum: f64,
    },
    /// All labels are the same where classes are to be told apart.
    #[error(
        "{}: column {}: found the one class {}, expected at least 2 classes",
        path.display(), shown(column), shown(class)
    )]
    OneClass {
        /// The file.
        path: PathBuf,
        /// The label column's name.
        column: String,
        /// The class.
        class: String,
    },
    /// The part to hold back is not a proper fraction.
    #[error("test fraction: found {fraction}, expected a number above 0 and below 1")]
    InvalidFraction {
        /// The fraction given.
        fraction: f64,
    },
    /// A label is not a class index.
    #[error("label of sample {sample}: found {label}, expected a class index below {classes}")]
    LabelOutOfRange {
        /// The sample, from 0.
        sample: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A split would leave one side without samples.
    #[error(
        "the {side} side of the split of {samples} samples with test fraction {fraction} is empty, \
         expected at least one sample on either side"
    )]
    EmptySide {
        /// The empty side.
        side: Side,
        /// The samples to split.
        samples: usize,
        /// The fraction asked for.
        fraction: f64,
    },
    /// The file is not the IDX file that it should be.
    #[error(transparent)]
    Idx(#[from] IdxError),
    /// A standardizer meets data of another width.
    #[error(
        "standardizing {}: found {found} features, expected {expected} as fitted",
        shown(dataset)
    )]
    FeatureCount {
        /// The data set's name.
        dataset: String,
        /// Its features.
        found: usize,
        /// The features of the set the standardizer was fitted to.
        expected: usize,
    },
}

/// Characters of foreign text that a message may show.
const SHOWN: usize = 48;
/// Names that a message may list.
const LISTED: usize = 12;

/// Text from outside, quoted, on one line and of bounded length.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// Names in a row; of many, the first and how many there are.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<String> = names
        .iter()
        .take(LISTED)
        .map(|name| shown(name.as_ref()))
        .collect();
    let rest = if names.len() > LISTED {
        format!(", … ({} in all)", names.len())
    } else {
        String::new()
    };
    first.join(", ") + &rest
}

/// The suggestion, where there is one.
pub(crate) fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| {
        format!(" (did you mean {}?)", shown(name))
    })
}

fn missing_from(column: &Option<String>) -> String {
    column.as_ref().map_or_else(String::new, |name| {
        format!(" (nothing from column {} on)", shown(name))
    })
}
