//! What can go wrong in the laboratory, and whose fault it is.

use std::path::{Path, PathBuf};

use burn_hsr::{BackendError, HsrError};
use burn_sharpness::SharpnessError;

use crate::data::DataError;
use crate::figures::FigureError;
use crate::shell;
use crate::tasks::TaskError;

/// Why a command failed. The message is one line that names what, where and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    Core(#[from] hsr_core::Error),
    /// A figure could not be drawn.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// An option, or a combination of options.
    #[error("{0}")]
    Option(String),
    /// A weights file.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A run directory.
    #[error("{}: {message}", path.display())]
    Run {
        /// The directory or the file in it.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Training left the range of numbers.
    #[error(
        "the loss of the {network} network is no longer finite at epoch {epoch}; try a smaller `learning_rate` or `strength`"
    )]
    Diverged {
        /// Which network.
        network: String,
        /// The epoch, from 1.
        epoch: usize,
    },
    /// The user stopped the run.
    #[error(
        "interrupted at epoch {epoch} of {epochs} of the {network} network; continue with: hsr train {}",
        shell::option("resume", path)
    )]
    Interrupted {
        /// Which network.
        network: String,
        /// Epochs done.
        epoch: usize,
        /// Epochs wanted.
        epochs: usize,
        /// The run directory.
        path: PathBuf,
    },
    /// The user stopped a comparison.
    #[error("interrupted with {done} of {total} runs done in {}; the same command goes on with the rest", path.display())]
    Paused {
        /// Runs done.
        done: usize,
        /// Runs in all.
        total: usize,
        /// The directory.
        path: PathBuf,
    },
    /// The user stopped a computation that leaves nothing behind.
    #[error("interrupted at {done} of {total} {what}; nothing was written")]
    Stopped {
        /// What is counted.
        what: &'static str,
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// The user stopped a reproduction.
    #[error("interrupted in {experiment}; the same command goes on from there")]
    Halted {
        /// The experiment.
        experiment: String,
    },
    /// An eigenvalue computation did not converge.
    #[error("the eigenvalues of the Hessian did not converge")]
    Eigenvalues,
}

impl LabError {
    /// An I/O error with its file.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
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
                | Self::Eigenvalues
                | Self::Core(hsr_core::Error::Stopped)
                | Self::Sharpness(SharpnessError::Core(hsr_core::Error::Stopped))
        )
    }
}
