//! What can go wrong.

/// Why a penalty could not be computed. The message is one line.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum PenaltyError {
    /// The module has no parameter that is trained.
    #[error("the module has no trainable parameters")]
    NoParameters,
    /// The module is where nothing is differentiated, as a trained model of burn-train's learner is.
    #[error(
        "the module is on a device without autodiff, where no parameter is trainable: take module.train()"
    )]
    PlainDevice,
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
        "the mode decoupled needs the optimizer's own step: use StochasticHsr::step, or the modes coupled and direction"
    )]
    DecoupledStep,
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
