//! What can be wrong with an input.

use crate::numeric::bytes::Bytes;

/// Why a network, a batch or an evaluation was refused. Every variant carries what a caller needs to name the
/// culprit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice has not the length its shape asks for.
    #[error("{what} has {got} values, expected {expected} ({shape})")]
    Length {
        /// The array.
        what: &'static str,
        /// The shape in words, such as `hidden × inputs`.
        shape: &'static str,
        /// Its length.
        got: usize,
        /// The length expected.
        expected: usize,
    },
    /// A dimension is zero.
    #[error("{what} is 0, expected at least 1")]
    Empty {
        /// The dimension.
        what: &'static str,
    },
    /// An array of a layer has not the length its shape asks for.
    #[error("layers[{layer}]: the {what} has {got} values, expected {expected} ({shape})")]
    LayerLength {
        /// The layer, counted from 0.
        layer: usize,
        /// The array.
        what: &'static str,
        /// The shape in words.
        shape: &'static str,
        /// Its length.
        got: usize,
        /// The length expected.
        expected: usize,
    },
    /// A layer has no inputs or no outputs.
    #[error(
        "layers[{layer}] has {inputs} inputs and {outputs} outputs, expected at least 1 of both"
    )]
    LayerEmpty {
        /// The layer, counted from 0.
        layer: usize,
        /// Its inputs.
        inputs: usize,
        /// Its outputs.
        outputs: usize,
    },
    /// A layer does not take what the layer below it gives.
    #[error(
        "layers[{layer}] takes {got} inputs, expected {expected}, the outputs of the layer below"
    )]
    LayerInputs {
        /// The layer, counted from 0.
        layer: usize,
        /// Its inputs.
        got: usize,
        /// The outputs of the layer below.
        expected: usize,
    },
    /// A residual layer adds its inputs to outputs of another number.
    #[error(
        "layers[{layer}] is residual with {inputs} inputs and {outputs} outputs, expected as many of both"
    )]
    ResidualShape {
        /// The layer, counted from 0.
        layer: usize,
        /// Its inputs.
        inputs: usize,
        /// Its outputs.
        outputs: usize,
    },
    /// The last layer gives the logits as they are.
    #[error(
        "layers[{layer}], the last, has {got}, expected neither an activation nor a residual connection"
    )]
    LastLayer {
        /// The layer, counted from 0.
        layer: usize,
        /// What it has, in words.
        got: &'static str,
    },
    /// A parameter of a layer is NaN or infinite.
    #[error("layers[{layer}]: {what}[{index}] is {value}, expected a finite number")]
    LayerNotFinite {
        /// The layer, counted from 0.
        layer: usize,
        /// The array.
        what: &'static str,
        /// The index of the value in the flat array.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A plan was made for another network.
    #[error("the plan has {got} blocks, expected {expected}, one for each pair of layers")]
    PlanShape {
        /// The blocks of the plan.
        got: usize,
        /// The blocks of the network's Hessian on and below the diagonal.
        expected: usize,
    },
    /// A value is NaN or infinite.
    #[error("{what}[{index}] is {value}, expected a finite number")]
    NotFinite {
        /// The array.
        what: &'static str,
        /// The index of the value in the flat array.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A class index is not one of the network's outputs.
    #[error("the label of sample {sample} is {label}, expected a class index below {classes}")]
    Label {
        /// The sample.
        sample: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A soft label is not a probability distribution.
    #[error(
        "the soft label of sample {sample} sums to {sum}, expected non-negative values that sum to 1"
    )]
    SoftLabel {
        /// The sample.
        sample: usize,
        /// The sum of its label.
        sum: f64,
    },
    /// A value is outside its range.
    #[error("{what} is {value}, expected {expected}")]
    Range {
        /// The value's name.
        what: &'static str,
        /// The value.
        value: f64,
        /// The range in words.
        expected: &'static str,
    },
    /// An option does not belong to the chosen loss.
    #[error("{option} needs the softmax cross-entropy, the loss is {loss}")]
    Unsupported {
        /// The option.
        option: &'static str,
        /// The loss.
        loss: &'static str,
    },
    /// Weights of the outputs belong to the squared error.
    #[error("weights of the outputs need the mean squared error, the loss is {loss}")]
    OutputWeights {
        /// The loss.
        loss: &'static str,
    },
    /// All samples have weight zero, so there is no mean.
    #[error("the weights of the samples sum to {sum}, expected a positive sum")]
    NoWeight {
        /// The sum.
        sum: f64,
    },
    /// A quantity is not representable in the scalar type.
    #[error(
        "{what} overflows the floating-point type; scale the weights or inputs down or use f64"
    )]
    Overflow {
        /// The quantity.
        what: &'static str,
    },
    /// An eigenvalue iteration met values that are not finite, or did not converge.
    #[error("the eigenvalues of the Hessian did not converge")]
    Eigenvalues,
    /// A matrix of this size was refused.
    #[error("{what} of {elements} values was asked for, the limit is {limit}")]
    TooLarge {
        /// The matrix.
        what: &'static str,
        /// The values it would hold.
        elements: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The buffers would take more memory than the workspace may.
    #[error(
        "{what} for {samples} samples, {hidden} hidden units and {outputs} outputs needs {} of memory, the limit is {}",
        Bytes(*.needed),
        Bytes(*.limit)
    )]
    Memory {
        /// What was asked for.
        what: &'static str,
        /// Samples.
        samples: usize,
        /// Hidden units.
        hidden: usize,
        /// Outputs.
        outputs: usize,
        /// The bytes needed by the evaluation that takes least.
        needed: u64,
        /// The most allowed, in bytes.
        limit: u64,
    },
    /// The caller that watched an evaluation stopped it.
    #[error("the evaluation was stopped")]
    Stopped,
    /// A name is not one of a list.
    #[error("unknown {what} {name:?}, expected one of {expected}")]
    UnknownName {
        /// What the name should denote.
        what: &'static str,
        /// The name.
        name: String,
        /// The names known.
        expected: String,
    },
}

/// Refuses a slice of the wrong length.
pub(crate) fn check_length(
    what: &'static str,
    shape: &'static str,
    got: usize,
    expected: usize,
) -> Result<(), Error> {
    if got == expected {
        Ok(())
    } else {
        Err(Error::Length {
            what,
            shape,
            got,
            expected,
        })
    }
}

/// Refuses NaN and infinity.
pub(crate) fn check_finite<T: crate::numeric::scalar::Scalar>(
    what: &'static str,
    values: &[T],
) -> Result<(), Error> {
    if crate::numeric::lanes::finite(values) {
        return Ok(());
    }
    let index = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
    Err(Error::NotFinite {
        what,
        index,
        value: values[index].as_f64(),
    })
}
