//! What can go wrong.

use burn_hsr::HsrError;
use burn_penalty::PenaltyError;

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
    /// A penalty of any module.
    #[error(transparent)]
    Penalty(PenaltyError),
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
    /// The module is where nothing is differentiated, as a trained model of burn-train's learner is.
    #[error(
        "the module is on a device without autodiff, where no parameter is trainable: take module.train()"
    )]
    PlainDevice,
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
    /// A module has not the parameters of the space that it is read with.
    #[error(
        "the module has no parameter {path} of the identity that the space was made with: a space is of one module, its clones and its copies"
    )]
    ForeignModule {
        /// Where the first parameter that is missing stood in the module of the space.
        path: String,
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
    #[error(
        "{what} is not tracked by autodiff: was it computed on an autodiff device, from a parameter that is trained?"
    )]
    Untracked {
        /// The tensor.
        what: &'static str,
    },
    /// The loss is not a function of the parameters.
    #[error(
        "two passes at the same parameters give gradients that differ by {difference:.1e} of {largest:.1e}: the closure must compute the same \
         loss at every call of a step, on the same data and with no random numbers but the device's"
    )]
    NotRepeatable {
        /// The largest difference of two components.
        difference: f64,
        /// The largest component.
        largest: f64,
    },
    /// What is decoupled from the gradient cannot enter through it.
    #[error(
        "decoupled WSAM needs the optimizer's own step: use Sam::step, or WsamConfig::with_decoupled(false)"
    )]
    DecoupledStep,
    /// An iteration was not done when its steps were.
    #[error(
        "{what} did not converge in {steps} steps: the residual is {residual:.1e}, expected {tolerance:.1e}"
    )]
    NotConverged {
        /// The iteration.
        what: &'static str,
        /// Its steps.
        steps: usize,
        /// The residual, relative to the vector.
        residual: f64,
        /// What it was to be.
        tolerance: f64,
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

impl From<PenaltyError> for SharpnessError {
    fn from(error: PenaltyError) -> Self {
        match error {
            PenaltyError::NoParameters => Self::NoParameters,
            PenaltyError::PlainDevice => Self::PlainDevice,
            PenaltyError::Untracked { what } => Self::Untracked { what },
            PenaltyError::NotRepeatable {
                difference,
                largest,
            } => Self::NotRepeatable {
                difference,
                largest,
            },
            PenaltyError::NotFinite { what } => Self::NotFinite { what },
            PenaltyError::Option {
                option,
                value,
                expected,
            } => Self::Option {
                option,
                value,
                expected,
            },
            PenaltyError::Batch { message } => Self::Batch { message },
            PenaltyError::Read { what, message } => Self::Read { what, message },
            other => Self::Penalty(other),
        }
    }
}
