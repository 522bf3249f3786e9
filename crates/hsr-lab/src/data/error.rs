//! What can be wrong with data, said in one line that names the place.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::fault::{ColumnFault, ColumnRole, remedies};
use super::idx::IdxError;
use super::wording::{did_you_mean, header_hint, listed_with, missing_from, no_header_hint};
pub(crate) use super::wording::{listed, shown};

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
    /// The file is UTF-16.
    #[error("{}: is UTF-16, expected a CSV file in UTF-8", path.display())]
    Utf16 {
        /// The file.
        path: PathBuf,
    },
    /// The file is no text.
    #[error("{}: line {line}: found a zero byte, expected a CSV file in UTF-8 (is it UTF-16, compressed or a spreadsheet?)", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first zero byte.
        line: u64,
    },
    /// A quote is never closed.
    #[error("{}: line {line}: a quote that begins a field here is never closed", path.display())]
    UnclosedQuote {
        /// The file.
        path: PathBuf,
        /// The line on which it opens.
        line: u64,
    },
    /// A quoted field goes on after its closing quote.
    #[error(
        "{}: line {line}: a quote that begins a field here is closed in line {closed} before {}, \
         expected a separator or the end of the line (quotes inside a quoted field are doubled)",
        path.display(), shown(found)
    )]
    StrayQuote {
        /// The file.
        path: PathBuf,
        /// The line on which it opens.
        line: u64,
        /// The line on which it closes.
        closed: u64,
        /// What follows.
        found: String,
    },
    /// The first row holds numbers alone, so that it is no header.
    #[error(
        "{}: line {line}: the first row has numbers alone ({}), expected the names of the columns; \
         where it is a sample, say `no_header`",
        path.display(), listed(found)
    )]
    HeaderOfNumbers {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The row.
        found: Vec<String>,
    },
    /// The first row is like those below it.
    #[error(
        "{}: line {line}: the first row looks like those below it ({}), expected the names of the columns; \
         where it is a sample, say `no_header`",
        path.display(), listed(found)
    )]
    HeaderLikeRow {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// The row.
        found: Vec<String>,
    },
    /// Two columns have the same name.
    #[error(
        "{}: line {line}: columns {first} and {second} are both named {}, expected distinct names{}",
        path.display(), shown(name), no_header_hint(std::slice::from_ref(name))
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
        "{}: line {line}: no {role} named {}{}; the columns are {}{}",
        path.display(), shown(name), did_you_mean(nearest), listed(columns), header_hint(columns)
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
    /// One column is asked to be two things.
    #[error(
        "{}: column {} is named as {} and as {}, expected two columns",
        path.display(), shown(column), roles[0], roles[1]
    )]
    SharedColumn {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: String,
        /// What it is asked to be.
        roles: [ColumnRole; 2],
    },
    /// Columns from which a network's features are made are not in the file.
    #[error(
        "{}: line {line}: lacks {} of the network's features{}; the columns are {}{}",
        path.display(), listed(lacking), did_you_mean(nearest), listed(columns), header_hint(columns)
    )]
    MissingFeatures {
        /// The file.
        path: PathBuf,
        /// The line of the header.
        line: u64,
        /// The columns that are not there.
        lacking: Vec<String>,
        /// The column nearest to the first of them, if any resembles it.
        nearest: Option<String>,
        /// The columns there are.
        columns: Vec<String>,
    },
    /// Besides label and weight there is no column.
    #[error(
        "{}: line {line}: no feature columns, expected at least one besides {}{}",
        path.display(), listed(columns), header_hint(columns)
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
    /// Several values of the features are missing or no numbers.
    #[error(
        "{}: expected a finite number in every row of a feature: {}{}",
        path.display(), listed_with(faults, ToString::to_string), remedies(faults)
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The columns at fault.
        faults: Vec<ColumnFault>,
    },
    /// Labels are missing.
    #[error(
        "{}: column {}: {missing} of {rows} labels are missing, the first in line {line}; `missing` drop-rows leaves \
         their rows out",
        path.display(), shown(column)
    )]
    MissingLabels {
        /// The file.
        path: PathBuf,
        /// The label column's name.
        column: String,
        /// How many are missing.
        missing: usize,
        /// Rows in all.
        rows: usize,
        /// The line of the first.
        line: u64,
    },
    /// Leaving out rows with missing values leaves none.
    #[error(
        "{}: each of the {rows} rows has a missing value; most are in column {}: leave it out with `drop`",
        path.display(), shown(column)
    )]
    NoCompleteRow {
        /// The file.
        path: PathBuf,
        /// Rows in all.
        rows: usize,
        /// The column that lacks most values.
        column: String,
    },
    /// A value is out of proportion to its column, or of a size with which nothing can be computed.
    #[error(
        "{}: {place}, column {}: found {value:e}, {problem}",
        path.display(), shown(column)
    )]
    Extreme {
        /// The file or task.
        path: PathBuf,
        /// The line or the sample.
        place: String,
        /// The feature.
        column: String,
        /// The value.
        value: f64,
        /// What is wrong with it.
        problem: &'static str,
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
    /// The labels look like a quantity.
    #[error(
        "{}: column {} has {distinct} distinct numbers in {rows} rows: this looks like regression, and networks are \
         trained to classify; `numeric_classes` takes each number for a class",
        path.display(), shown(column)
    )]
    LooksLikeRegression {
        /// The file.
        path: PathBuf,
        /// The label column's name.
        column: String,
        /// Distinct labels.
        distinct: usize,
        /// Rows.
        rows: usize,
    },
    /// No two labels are the same.
    #[error(
        "{}: column {}: all {rows} labels differ, expected classes of at least 2 samples",
        path.display(), shown(column)
    )]
    NoTwoAlike {
        /// The file.
        path: PathBuf,
        /// The label column's name.
        column: String,
        /// Rows.
        rows: usize,
    },
    /// Labels do not say which outputs of a network they belong to.
    #[error(
        "{}: column {}: found {} ({}) for a network of {outputs} outputs, which does not say its classes: name them in \
         the order of the outputs with `classes`",
        path.display(), shown(column),
        if labels.len() == 1 { "1 label".to_owned() } else { format!("{} labels", labels.len()) },
        listed(labels)
    )]
    UncertainClasses {
        /// The file.
        path: PathBuf,
        /// The label column's name.
        column: String,
        /// The distinct labels.
        labels: Vec<String>,
        /// K.
        outputs: usize,
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
