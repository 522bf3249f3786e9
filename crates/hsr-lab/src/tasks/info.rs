//! What is known of a task before its data are.

use serde::Serialize;

use super::error::TaskError;

/// A built-in task as `hsr tasks` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskInfo {
    /// The name by which [`load`](super::load) knows it.
    pub name: &'static str,
    /// d, the number of features.
    pub inputs: usize,
    /// K, the number of classes; of a synthetic task by default.
    pub classes: usize,
    /// N, the number of samples; of a synthetic task by default.
    pub samples: usize,
    /// What is to be told from what, in a line.
    pub description: &'static str,
    /// Where the data are from.
    pub source: &'static str,
    /// The licence of the data.
    pub licence: &'static str,
    /// Whether train and test split are as distributed; otherwise they are drawn.
    pub fixed_split: bool,
    /// The pixels a side, where a sample is a square image of one channel, row by row.
    #[serde(skip)]
    pub image: Option<usize>,
    /// The names of the options that it takes.
    #[serde(skip)]
    pub(super) takes: &'static [&'static str],
}

impl TaskInfo {
    /// The error of an option that is set to what the task cannot use.
    pub(super) fn invalid(
        &self,
        option: &'static str,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> TaskError {
        TaskError::InvalidOption {
            task: self.name,
            option,
            found: found.to_string(),
            expected: expected.into(),
        }
    }
}
