//! What can be wrong in asking for a task.

use crate::data::wording::{did_you_mean, listed};
use crate::data::{DataError, nearest};

/// An error in loading a built-in task. The message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // Of the fields: the messages say what they are.
pub enum TaskError {
    /// No task has this name.
    #[error(
        "no task named {name:?}{}; the tasks are {}",
        did_you_mean(nearest(name, names.iter().copied())), listed(names)
    )]
    UnknownTask {
        name: String,
        names: Vec<&'static str>,
    },
    /// The task does not take an option which is set.
    #[error(
        "task {task:?} does not take the option {option}; it takes {}",
        if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") }
    )]
    ForeignOption {
        task: &'static str,
        option: &'static str,
        allowed: &'static [&'static str],
    },
    /// An option is set to what the task cannot use.
    #[error("task {task:?}, option {option}: found {found}, expected {expected}")]
    InvalidOption {
        task: &'static str,
        option: &'static str,
        found: String,
        expected: String,
    },
    /// Two options contradict each other.
    #[error("task {task:?}: the options {first} and {second} exclude each other: {reason}")]
    ConflictingOptions {
        task: &'static str,
        first: &'static str,
        second: &'static str,
        reason: String,
    },
    /// The task's files are the user's, and none are given.
    #[error(
        "task {task:?} is not bundled: give the directory of its files with `data_dir`, or build with --features \
         download to have them fetched"
    )]
    FilesNeeded { task: &'static str },
    /// The task's files are to be fetched, and cannot be.
    #[error(
        "the files of task {task:?} cannot be fetched: {reason}; give their directory with `data_dir`, or delete \
         burn-dataset/mnist in the cache directory if a file there is damaged"
    )]
    Fetch { task: &'static str, reason: String },
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}
