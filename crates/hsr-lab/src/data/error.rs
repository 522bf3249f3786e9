//! What can be wrong with data, said in one line that names the place.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::fault::{ColumnFault, remedies};
use super::nearest::nearest;
use super::wording::{
    did_you_mean, header_hint, listed, listed_with, missing_from, no_header_hint, shown, times,
};

/// An error in reading, interpreting, splitting or standardising data. The message is one line.
#[derive(Debug, thiserror::Error)]
#[error("{place}{fault}")]
pub struct DataError {
    /// Where.
    pub place: Box<Place>,
    /// What.
    pub fault: DataFault,
}

/// A place in data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, or the name of a task.
    pub path: Option<PathBuf>,
    /// The line of the file, from 1, the header included.
    pub line: Option<u64>,
    /// The sample, from 0, where the data have no lines.
    pub sample: Option<usize>,
    /// The column's name, or its number where the name is what is wrong.
    pub column: Option<String>,
}

impl Place {
    pub(crate) fn of(path: &Path) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    /// What is wrong there.
    pub(crate) fn fault(self, fault: DataFault) -> DataError {
        let place = Box::new(self);
        DataError { place, fault }
    }
}

impl From<DataFault> for DataError {
    fn from(fault: DataFault) -> Self {
        Place::default().fault(fault)
    }
}

/// As a message begins.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        let line = self.line.map(|line| format!("line {line}"));
        let sample = self.sample.map(|sample| format!("sample {sample}"));
        let column = self.column.as_ref();
        let column = column.map(|name| format!("column {}", shown(name)));
        let parts: Vec<String> = [line, sample, column].into_iter().flatten().collect();
        match parts[..] {
            [] => Ok(()),
            _ => write!(f, "{}: ", parts.join(", ")),
        }
    }
}

/// What is wrong, with the numbers and texts of its message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // Of the fields: the messages say what they are.
pub enum DataFault {
    /// The file cannot be opened or read, or its compression is damaged.
    #[error("cannot be {action}: {source}")]
    Unreadable {
        action: &'static str,
        source: io::Error,
    },
    /// The file has nothing in it.
    #[error("is empty, expected a header row of column names and at least one row")]
    Empty,
    /// A field is not UTF-8 text; what is not is replaced by U+FFFD.
    #[error("found {}, which is not UTF-8, expected a CSV file in UTF-8", shown(.0))]
    NotUtf8(String),
    /// The file is UTF-16.
    #[error("is UTF-16, expected a CSV file in UTF-8")]
    Utf16,
    /// The file is no text.
    #[error(
        "found a zero byte, expected a CSV file in UTF-8 (is it UTF-16, compressed or a spreadsheet?)"
    )]
    NotText,
    /// A quote is never closed.
    #[error("a quote that begins a field here is never closed")]
    UnclosedQuote,
    /// A quoted field goes on after its closing quote.
    #[error(
        "a quote that begins a field here is closed in line {closed} before {}, expected a separator or the end of the \
         line (quotes inside a quoted field are doubled)",
        shown(found)
    )]
    StrayQuote { closed: u64, found: String },
    /// The first row is a sample, so that it is no header: why, and the row.
    #[error(
        "the first row {why} ({}), expected the names of the columns; where it is a sample, say `no_header`",
        listed(row)
    )]
    NoHeader { why: &'static str, row: Vec<String> },
    /// Two columns, by their numbers from 1, have the same name.
    #[error(
        "columns {first} and {second} are both named {}, expected distinct names{}",
        shown(name),
        no_header_hint(std::slice::from_ref(name))
    )]
    DuplicateColumn {
        name: String,
        first: usize,
        second: usize,
    },
    /// A column that an option names is not in the file.
    #[error(
        "no {role} named {}{}; the columns are {}{}",
        shown(name), did_you_mean(nearest(name, columns.iter().map(String::as_str))), listed(columns), header_hint(columns)
    )]
    MissingColumn {
        role: &'static str,
        name: String,
        columns: Vec<String>,
    },
    /// One column is asked to be two things.
    #[error("column {} is named as {} and as {}, expected two columns", shown(column), roles[0], roles[1])]
    SharedColumn {
        column: String,
        roles: [&'static str; 2],
    },
    /// Columns from which a network's features are made are not in the file; the one nearest to the first of them is.
    #[error(
        "lacks {} of the network's features{}; the columns are {}{}",
        listed(lacking), did_you_mean(nearest.as_deref()), listed(columns), header_hint(columns)
    )]
    MissingFeatures {
        lacking: Vec<String>,
        nearest: Option<String>,
        columns: Vec<String>,
    },
    /// Besides label and weight there is no column.
    #[error("no feature columns, expected at least one besides {}{}", listed(.0), header_hint(.0))]
    NoFeatures(Vec<String>),
    /// There is a header and nothing below it.
    #[error("no rows below the header, expected at least one")]
    NoRows,
    /// A row has more or fewer fields than the header: too few from the column `missing` on.
    #[error(
        "found {found} fields, expected {expected} as in the header{}",
        missing_from(missing)
    )]
    RaggedRow {
        found: usize,
        expected: usize,
        missing: Option<String>,
    },
    /// A field is not what its column holds.
    #[error("found {}, expected {expected}", shown(found))]
    InvalidField { found: String, expected: String },
    /// Several values of the features are missing or no numbers.
    #[error(
        "expected a finite number in every row of a feature: {}{}",
        listed_with(.0, ToString::to_string), remedies(.0)
    )]
    Unusable(Vec<ColumnFault>),
    /// Labels are missing.
    #[error(
        "{missing} of {rows} labels are missing, the first in line {line}; `missing` drop-rows leaves their rows out"
    )]
    MissingLabels {
        missing: usize,
        rows: usize,
        line: u64,
    },
    /// Leaving out rows with missing values leaves none.
    #[error(
        "each of the {rows} rows has a missing value; most are in column {}: leave it out with `drop`",
        shown(column)
    )]
    NoCompleteRow { rows: usize, column: String },
    /// A value is out of proportion to its column, or of a size with which nothing can be computed.
    #[error("found {value:e}, {problem}")]
    Extreme { value: f64, problem: &'static str },
    /// The sample weights cannot be normalised.
    #[error("the weights sum to {0}, expected a positive finite sum")]
    WeightSum(f64),
    /// All labels are the same where classes are to be told apart.
    #[error("found the one class {}, expected at least 2 classes", shown(.0))]
    OneClass(String),
    /// The labels look like a quantity.
    #[error(
        "column {} has {distinct} distinct numbers in {rows} rows: this looks like regression, and networks are trained to \
         classify; `numeric_classes` takes each number for a class",
        shown(column)
    )]
    LooksLikeRegression {
        column: String,
        distinct: usize,
        rows: usize,
    },
    /// No two labels are the same.
    #[error("all {0} labels differ, expected classes of at least 2 samples")]
    NoTwoAlike(usize),
    /// Labels do not say which outputs of a network they belong to.
    #[error(
        "found {} label{} ({}) for a network of {outputs} outputs, which does not say its classes: name them in the order of \
         the outputs with `classes`",
        labels.len(), if labels.len() == 1 { "" } else { "s" }, listed(labels)
    )]
    UncertainClasses { labels: Vec<String>, outputs: usize },
    /// The part to hold back is not a proper fraction.
    #[error("test fraction: found {0}, expected a number above 0 and below 1")]
    InvalidFraction(f64),
    /// The label of a sample, from 0, is not a class index.
    #[error("label of sample {sample}: found {label}, expected a class index below {classes}")]
    LabelOutOfRange {
        sample: usize,
        label: usize,
        classes: usize,
    },
    /// A split would leave one side without samples.
    #[error(
        "the {side} side of the split of {samples} samples with test fraction {fraction} is empty, \
         expected at least one sample on either side"
    )]
    EmptySide {
        side: &'static str,
        samples: usize,
        fraction: f64,
    },
    /// A standardizer meets data of another width.
    #[error(
        "standardizing {}: found {found} features, expected {expected} as fitted",
        shown(dataset)
    )]
    FeatureCount {
        dataset: String,
        found: usize,
        expected: usize,
    },
    /// The directory of the IDX files is not one.
    #[error("is not a directory, expected that of the IDX files")]
    NoDirectory,
    /// An IDX file is not in its directory under any of its names.
    #[error("has no file {name}, expected it under this name or as {}", others.join(", "))]
    NoIdx {
        name: &'static str,
        others: [String; 3],
    },
    /// A file is no IDX file of this kind, by its first four bytes.
    #[error(
        "begins with 0x{found:08x}, expected 0x{expected:08x} (IDX, unsigned bytes, dimensions: {})",
        expected & 0xff
    )]
    IdxMagic { found: u32, expected: u32 },
    /// An IDX file ends before its header does.
    #[error("is cut off: found {found} bytes, expected a header of {expected}")]
    IdxHeader { found: usize, expected: usize },
    /// The dimensions of an IDX file are not those expected, or there are no items.
    #[error(
        "found dimensions {}, expected {}, N at least 1",
        times(found),
        once_n(item)
    )]
    IdxShape { found: Vec<usize>, item: Vec<usize> },
    /// An IDX file holds fewer bytes than its header says.
    #[error(
        "is cut off: found {found} bytes after the header, expected {expected} for dimensions {}",
        times(dimensions)
    )]
    IdxTruncated {
        found: usize,
        expected: usize,
        dimensions: Vec<usize>,
    },
    /// An IDX file holds more bytes than its header says.
    #[error(
        "is too long: found more than {expected} bytes after the header, expected as many for dimensions {}",
        times(dimensions)
    )]
    IdxSurplus {
        expected: usize,
        dimensions: Vec<usize>,
    },
    /// There are more labels than images, or fewer.
    #[error("found {found} labels, expected {expected}, one for each image in {}", images.display())]
    IdxCount {
        found: usize,
        expected: usize,
        images: PathBuf,
    },
    /// A label is not a class.
    #[error("label {index} (counted from 0) is {found}, expected 0 to {}", classes - 1)]
    IdxLabel {
        index: usize,
        found: u8,
        classes: usize,
    },
}

/// N items of these dimensions.
fn once_n(item: &[usize]) -> String {
    match item {
        [] => "N".to_owned(),
        _ => format!("N × {}", times(item)),
    }
}
