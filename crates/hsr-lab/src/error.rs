//! What can go wrong in the laboratory, and whose fault it is.

use std::path::{Path, PathBuf};

use burn_hsr::{BackendError, HsrError};
use burn_sharpness::SharpnessError;
use hsr_core::Error;

use crate::data::DataError;
use crate::figures::FigureError;
use crate::shell;
use crate::tasks::TaskError;

/// Why a command failed. The message is one line that names what, where and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)] // Of the fields: the messages say what they are.
pub enum LabError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The task.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The backend.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The regulariser.
    #[error(transparent)]
    Hsr(#[from] HsrError),
    /// Sharpness-aware minimisation, a measure of curvature.
    #[error(transparent)]
    Sharpness(#[from] SharpnessError),
    /// The closed form.
    #[error(transparent)]
    Core(#[from] Error),
    /// A figure could not be drawn.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// An option, or a combination of options.
    #[error("{0}")]
    Option(String),
    /// A weights file.
    #[error("{}: {message}", path.display())]
    Weights { path: PathBuf, message: String },
    /// A run directory.
    #[error("{}: {message}", path.display())]
    Run { path: PathBuf, message: String },
    /// A file could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        path: PathBuf,
        action: &'static str,
        source: std::io::Error,
    },
    /// Training left the range of numbers.
    #[error(
        "the loss of the {network} network is no longer finite at epoch {epoch}; try a smaller `learning_rate` or `strength`"
    )]
    Diverged { network: String, epoch: usize },
    /// The user stopped the run.
    #[error(
        "interrupted at epoch {epoch} of {epochs} of the {network} network; continue with: hsr train {}",
        shell::option("resume", path)
    )]
    Interrupted {
        network: String,
        epoch: usize,
        epochs: usize,
        path: PathBuf,
    },
    /// The user stopped a comparison.
    #[error("interrupted with {done} of {total} runs done in {}; the same command goes on with the rest", path.display())]
    Paused {
        done: usize,
        total: usize,
        path: PathBuf,
    },
    /// The user stopped a computation that leaves nothing behind.
    #[error("interrupted at {done} of {total} {what}; nothing was written")]
    Stopped {
        what: &'static str,
        done: usize,
        total: usize,
    },
    /// The user stopped a reproduction.
    #[error("interrupted in {experiment}; the same command goes on from there")]
    Halted { experiment: String },
}

/// Returns the error of an option, with a message as of `format!`.
macro_rules! refuse {
    ($($message:tt)+) => {
        return Err($crate::LabError::Option(format!($($message)+)))
    };
}

pub(crate) use refuse;

impl LabError {
    /// What is wrong with an option.
    pub fn option(message: impl Into<String>) -> Self {
        Self::Option(message.into())
    }

    /// What is wrong with a weights file.
    pub(crate) fn weights(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        let (path, message) = (path.into(), message.into());
        Self::Weights { path, message }
    }

    /// What is wrong with a run directory, or with a file in it.
    pub(crate) fn run(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        let (path, message) = (path.into(), message.into());
        Self::Run { path, message }
    }

    /// An I/O error with its file.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }

    /// Whether the arguments or the input are to blame (exit code 2) and not the machine or the numbers (1).
    pub fn is_input(&self) -> bool {
        !matches!(
            self,
            Self::Figure(_)
                | Self::Task(TaskError::Fetch { .. })
                | Self::Diverged { .. }
                | Self::Interrupted { .. }
                | Self::Paused { .. }
                | Self::Stopped { .. }
                | Self::Halted { .. }
                | Self::Core(Error::Stopped | Error::Eigenvalues)
                | Self::Sharpness(SharpnessError::Core(Error::Stopped | Error::Eigenvalues))
        )
    }
}
