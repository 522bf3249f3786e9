//! What can go wrong in the regulariser.

/// Why a regulariser could not be built or applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HsrError {
    /// The network or the batch was refused by the closed form.
    #[error(transparent)]
    Core(#[from] hsr_core::Error),
    /// A tensor does not have the shape it needs.
    #[error("{what} has shape {got:?}, expected {expected}")]
    Shape {
        /// The tensor.
        what: &'static str,
        /// Its shape.
        got: Vec<usize>,
        /// The shape expected, in words.
        expected: String,
    },
    /// A value of the configuration is outside its range.
    #[error("{option} is {value}, expected {expected}")]
    Config {
        /// The option.
        option: &'static str,
        /// Its value.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// The mode has no meaning for this entry point.
    #[error(
        "the decoupled mode acts after the optimizer's step: use Hsr::step or Hsr::loss_step, not {entry}"
    )]
    Decoupled {
        /// The method that was called.
        entry: &'static str,
    },
    /// The strength is relative to the loss's gradient, which this entry point does not have.
    #[error(
        "an adaptive strength needs the gradient of the loss, which {entry} does not have: use Hsr::inject or Hsr::step"
    )]
    Adaptive {
        /// The method that was called.
        entry: &'static str,
    },
    /// The inputs are features of a backbone, which this entry point does not differentiate.
    #[error(
        "{entry} gives the inputs no gradient, but autodiff tracks them: use Hsr::head for the head of a deeper model"
    )]
    TrackedInputs {
        /// The method that was called.
        entry: &'static str,
    },
    /// The measure needs the host.
    #[error("{sharpness} is computed on the host: use Execution::Auto or Execution::Host")]
    HostOnly {
        /// The measure.
        sharpness: &'static str,
    },
    /// The loss has an option under which its Hessian is not the closed form's.
    #[error("{loss} with {option} cannot be regularised: {expected}")]
    Loss {
        /// The loss.
        loss: &'static str,
        /// The option.
        option: &'static str,
        /// What to do instead.
        expected: &'static str,
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
