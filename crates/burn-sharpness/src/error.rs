//! What can go wrong.

use burn_hsr::HsrError;

/// Why a curvature could not be computed. The message is one line.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharpnessError {
    /// The closed form of a three-layer model.
    #[error(transparent)]
    Hsr(#[from] HsrError),
    /// The closed form itself.
    #[error(transparent)]
    Core(#[from] hsr_core::Error),
    /// A vector does not fit the parameters.
    #[error("{what} has {got} values, expected {expected}")]
    Length {
        /// The vector.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that fits.
        expected: usize,
    },
    /// The module has no parameter that is trained.
    #[error("the module has no trainable parameters")]
    NoParameters,
    /// A value that must be finite is not.
    #[error("{what} is not finite")]
    NotFinite {
        /// The value.
        what: &'static str,
    },
    /// An option is outside its range.
    #[error("{option} is {value}, expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// Two modules that should have the same parameters do not.
    #[error("the second module's parameters are {got}, expected those of the first: {expected}")]
    Parameters {
        /// Places and shapes in the second.
        got: String,
        /// Places and shapes in the first.
        expected: String,
    },
    /// The observer stopped a computation.
    #[error("stopped at {done} of {total}")]
    Stopped {
        /// Steps done.
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// A tensor that must be differentiated has no graph.
    #[error("{what} is not tracked by autodiff: was it computed on an autodiff device?")]
    Untracked {
        /// The tensor.
        what: &'static str,
    },
    /// A batch could not be had.
    #[error("cannot get a batch: {message}")]
    Batch {
        /// The message of what should have given it.
        message: String,
    },
    /// A tensor could not be read from its device.
    #[error("cannot read {what} from its device: {message}")]
    Read {
        /// The tensor.
        what: &'static str,
        /// The device's message.
        message: String,
    },
}

impl SharpnessError {
    /// The error of a data loader.
    pub(crate) fn batch(error: impl core::fmt::Display) -> Self {
        Self::Batch {
            message: error.to_string(),
        }
    }
}
