//! What can be wrong in asking for a task.

use crate::data::DataError;
use crate::data::nearest;

/// An error in loading a built-in task. The message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// No task has this name.
    #[error(
        "no task named {name:?}{}; the tasks are {}",
        nearest.map_or_else(String::new, |name| format!(" (did you mean {name:?}?)")),
        names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
    )]
    UnknownTask {
        /// The name asked for.
        name: String,
        /// The task of the nearest name, if any resembles it.
        nearest: Option<&'static str>,
        /// The names of all tasks.
        names: Vec<&'static str>,
    },
    /// The task does not take an option which is set.
    #[error(
        "task {task:?} does not take the option {option}; it takes {}",
        if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") }
    )]
    ForeignOption {
        /// The task.
        task: &'static str,
        /// The option.
        option: &'static str,
        /// The options that the task takes.
        allowed: &'static [&'static str],
    },
    /// An option is set to what the task cannot use.
    #[error("task {task:?}, option {option}: found {found}, expected {expected}")]
    InvalidOption {
        /// The task.
        task: &'static str,
        /// The option.
        option: &'static str,
        /// What it is set to.
        found: String,
        /// What the task can use.
        expected: String,
    },
    /// Two options contradict each other.
    #[error("task {task:?}: the options {first} and {second} exclude each other: {reason}")]
    ConflictingOptions {
        /// The task.
        task: &'static str,
        /// The one option.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why not both.
        reason: String,
    },
    /// The task's files are the user's, and none are given.
    #[error(
        "task {task:?} is not bundled: give the directory of its files with `data_dir`, or build with --features \
         download to have them fetched"
    )]
    FilesNeeded {
        /// The task.
        task: &'static str,
    },
    /// The task's files are to be fetched, and cannot be.
    #[error(
        "the files of task {task:?} cannot be fetched: {reason}; give their directory with `data_dir`, or delete \
         burn-dataset/mnist in the cache directory if a file there is damaged"
    )]
    Fetch {
        /// The task.
        task: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl TaskError {
    /// The error of a name that is none of the tasks'.
    pub(super) fn unknown(name: &str, tasks: impl Iterator<Item = &'static str>) -> TaskError {
        let names: Vec<&'static str> = tasks.collect();
        TaskError::UnknownTask {
            name: name.to_owned(),
            nearest: nearest(name, names.iter().copied()),
            names,
        }
    }

    pub(super) fn invalid(
        task: &'static str,
        option: &'static str,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> TaskError {
        TaskError::InvalidOption {
            task,
            option,
            found: found.to_string(),
            expected: expected.into(),
        }
    }
}
