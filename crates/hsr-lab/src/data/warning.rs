//! What looks wrong with data and is used all the same.

use std::path::PathBuf;

use super::wording::{listed, shown};

/// What looks wrong with a table. The message is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {doubt}", path.display())]
pub struct DataWarning {
    /// The file.
    pub path: PathBuf,
    /// What.
    pub doubt: Doubt,
}

/// What looks wrong, with the columns and numbers of its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // Of the fields: the messages say what they are.
pub enum Doubt {
    /// A feature, perhaps without a name, counts the rows, as an index that was saved with the table does.
    #[error(
        "column {}{} numbers the rows and is used as a feature; leave it out with `drop` {column}",
        shown(column), if *named { "" } else { ", which has no name," }
    )]
    Counter { column: String, named: bool },
    /// A feature, given by its number, has no name.
    #[error("column {0} has no name and is used as a feature; leave it out with `drop` {0}")]
    Unnamed(String),
    /// Rows were left out.
    #[error("{dropped} of {rows} rows have missing values and are left out")]
    DroppedRows { dropped: usize, rows: usize },
    /// Columns are neither features of the network nor named by an option.
    #[error("the network has no features {}, which are ignored", listed(.0))]
    IgnoredColumns(Vec<String>),
    /// Classes have one sample, so that they cannot be tested.
    #[error(
        "column {}: one sample only of class {}, which is trained on and not tested",
        shown(column),
        listed(classes)
    )]
    SingleSample {
        column: String,
        classes: Vec<String>,
    },
}
