//! What looks wrong with data and is used all the same.

use std::path::PathBuf;

use super::wording::{listed, shown};

/// What looks wrong with a table. The message is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataWarning {
    /// A feature counts the rows, as an index that was saved with the table does.
    #[error(
        "{}: column {}{} numbers the rows and is used as a feature; leave it out with `drop` {}",
        path.display(), shown(column), if *named { "" } else { ", which has no name," }, column
    )]
    Counter {
        /// The file.
        path: PathBuf,
        /// The column's name, or its number.
        column: String,
        /// Whether it has a name.
        named: bool,
    },
    /// A feature has no name.
    #[error(
        "{}: column {column} has no name and is used as a feature; leave it out with `drop` {column}",
        path.display()
    )]
    Unnamed {
        /// The file.
        path: PathBuf,
        /// The column's number, from 1.
        column: String,
    },
    /// Rows were left out.
    #[error("{}: {dropped} of {rows} rows have missing values and are left out", path.display())]
    DroppedRows {
        /// The file.
        path: PathBuf,
        /// Rows left out.
        dropped: usize,
        /// Rows in all.
        rows: usize,
    },
    /// Columns are neither features of the network nor named by an option.
    #[error("{}: the network has no features {}, which are ignored", path.display(), listed(columns))]
    IgnoredColumns {
        /// The file.
        path: PathBuf,
        /// The columns.
        columns: Vec<String>,
    },
    /// A class has one sample, so that it cannot be tested.
    #[error(
        "{}: column {}: one sample only of class {}, which is trained on and not tested",
        path.display(), shown(column), listed(classes)
    )]
    SingleSample {
        /// The file.
        path: PathBuf,
        /// The label column.
        column: String,
        /// The classes.
        classes: Vec<String>,
    },
}
