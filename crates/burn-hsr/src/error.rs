//! What can go wrong in the regulariser.

/// Why a regulariser could not be built or applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HsrError {
    /// A strength that depends on the loss's gradient could not be applied.
    #[error(transparent)]
    Penalty(#[from] burn_penalty::PenaltyError),
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
    /// The inputs are features of a backbone, which this entry point does not differentiate.
    #[error(
        "{entry} gives the inputs no gradient, but autodiff tracks them: use Hsr::head or Hsr::penalty for the head \
         of a deeper model, or detach the inputs to leave the backbone alone"
    )]
    TrackedInputs {
        /// The method that was called.
        entry: &'static str,
    },
    /// An activation of Burn that the closed form does not have.
    #[error("{activation} cannot be regularised: {reason}")]
    Activation {
        /// The activation, as Burn names it.
        activation: String,
        /// Why not, or what to take instead.
        reason: &'static str,
    },
    /// The model is not output(φ(hidden(x))) with nothing frozen.
    #[error(
        "{layers} layers are no three-layer network (two layers with one activation between them, nothing frozen): take \
         ClosedForm::feed_forward and DeepWorkspace"
    )]
    NotThreeLayers {
        /// The layers of the model.
        layers: usize,
    },
    /// The model's logits are not those of its layers.
    #[error(
        "the model's logits are not {claim}: at sample {sample}, output {output} the model gives {model} and the formula \
         {formula}, which differ by {difference:.3e} where rounding explains {tolerance:.3e}; {hint}"
    )]
    Logits {
        /// What the model says of itself, with the φ that it names.
        claim: String,
        /// The sample at which they differ most, measured against what rounding explains.
        sample: usize,
        /// The output.
        output: usize,
        /// The model's logit.
        model: f64,
        /// The formula's.
        formula: f64,
        /// The absolute difference of the two.
        difference: f64,
        /// What rounding can explain of it.
        tolerance: f64,
        /// What to look for.
        hint: String,
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
