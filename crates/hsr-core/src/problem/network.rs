//! The network's shape and a borrowed, validated view of its parameters.

use crate::error::{Error, check_finite, check_length};
use crate::numeric::number::Number;
use crate::problem::activation::Activation;

/// Sizes of a three-layer network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Inputs d.
    pub inputs: usize,
    /// Hidden units h.
    pub hidden: usize,
    /// Outputs K.
    pub outputs: usize,
    /// Whether the hidden layer has a bias.
    pub hidden_bias: bool,
    /// Whether the output layer has a bias.
    pub output_bias: bool,
}

impl Dimensions {
    /// A network with both biases.
    pub fn new(inputs: usize, hidden: usize, outputs: usize) -> Self {
        Self {
            inputs,
            hidden,
            outputs,
            hidden_bias: true,
            output_bias: true,
        }
    }

    /// The number of parameters D = h(d + \[bias1\]) + K(h + \[bias2\]).
    pub fn parameters(&self) -> usize {
        self.hidden * self.inputs_extended() + self.outputs * self.hidden_extended()
    }

    /// The length of x̃: the inputs, and 1 where the hidden layer has a bias.
    pub fn inputs_extended(&self) -> usize {
        self.inputs + usize::from(self.hidden_bias)
    }

    /// The length of ã: the hidden units, and 1 where the output layer has a bias.
    pub fn hidden_extended(&self) -> usize {
        self.hidden + usize::from(self.output_bias)
    }

    /// Where each parameter stands in a flat vector θ = (W1, b1, W2, b2).
    pub fn layout(&self) -> Layout {
        let hidden_bias = self.hidden * self.inputs;
        let output_weight = hidden_bias + usize::from(self.hidden_bias) * self.hidden;
        let output_bias = output_weight + self.outputs * self.hidden;
        Layout {
            hidden_bias,
            output_weight,
            output_bias,
            end: self.parameters(),
        }
    }
}

/// Offsets in the flat parameter vector θ = (W1 \[h, d\], b1 \[h\], W2 \[K, h\], b2 \[K\]), every matrix row-major as in
/// PyTorch; a missing bias takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    hidden_bias: usize,
    output_weight: usize,
    output_bias: usize,
    end: usize,
}

impl Layout {
    /// The range of W1.
    pub fn hidden_weight(&self) -> core::ops::Range<usize> {
        0..self.hidden_bias
    }

    /// The range of b1, empty where the hidden layer has none.
    pub fn hidden_bias(&self) -> core::ops::Range<usize> {
        self.hidden_bias..self.output_weight
    }

    /// The range of W2.
    pub fn output_weight(&self) -> core::ops::Range<usize> {
        self.output_weight..self.output_bias
    }

    /// The range of b2, empty where the output layer has none.
    pub fn output_bias(&self) -> core::ops::Range<usize> {
        self.output_bias..self.end
    }
}

/// A borrowed three-layer network o = W2 φ(W1 x + b1) + b2.
///
/// ```
/// use hsr_core::{Activation, Dimensions, Network};
///
/// let dimensions = Dimensions::new(2, 3, 1);
/// let theta = vec![0.1; dimensions.parameters()];
/// let network = Network::from_flat(dimensions, Activation::Tanh, &theta)?;
/// assert_eq!(network.dimensions().parameters(), 13);
/// # Ok::<(), hsr_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Network<'a, T> {
    dimensions: Dimensions,
    activation: Activation,
    hidden_weight: &'a [T],
    hidden_bias: &'a [T],
    output_weight: &'a [T],
    output_bias: &'a [T],
}

impl<'a, T: Number> Network<'a, T> {
    /// A view of separate layers: W1 \[h, d\], b1 \[h\], W2 \[K, h\], b2 \[K\], matrices row-major. The presence of a
    /// bias must match `dimensions`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] where a size is 0, [`Error::Length`] where an array does not have its shape,
    /// [`Error::NotFinite`] where a parameter is NaN or infinite.
    pub fn new(
        dimensions: Dimensions,
        activation: Activation,
        hidden_weight: &'a [T],
        hidden_bias: Option<&'a [T]>,
        output_weight: &'a [T],
        output_bias: Option<&'a [T]>,
    ) -> Result<Self, Error> {
        let Dimensions {
            inputs,
            hidden,
            outputs,
            ..
        } = dimensions;
        for (what, size) in [
            ("the number of inputs", inputs),
            ("the number of hidden units", hidden),
            ("the number of outputs", outputs),
        ] {
            if size == 0 {
                return Err(Error::Empty { what });
            }
        }
        let network = Self {
            dimensions,
            activation,
            hidden_weight,
            hidden_bias: hidden_bias.unwrap_or_default(),
            output_weight,
            output_bias: output_bias.unwrap_or_default(),
        };
        let count = |present: bool, size: usize| if present { size } else { 0 };
        for (what, shape, values, expected) in [
            (
                "hidden.weight",
                "hidden × inputs",
                hidden_weight,
                hidden * inputs,
            ),
            (
                "hidden.bias",
                "hidden, or none",
                network.hidden_bias,
                count(dimensions.hidden_bias, hidden),
            ),
            (
                "output.weight",
                "outputs × hidden",
                output_weight,
                outputs * hidden,
            ),
            (
                "output.bias",
                "outputs, or none",
                network.output_bias,
                count(dimensions.output_bias, outputs),
            ),
        ] {
            check_length(what, shape, values.len(), expected)?;
            check_finite(what, values)?;
        }
        Ok(network)
    }

    /// A view of a flat parameter vector in the order of [`Layout`].
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn from_flat(
        dimensions: Dimensions,
        activation: Activation,
        theta: &'a [T],
    ) -> Result<Self, Error> {
        check_length("theta", "parameters", theta.len(), dimensions.parameters())?;
        let layout = dimensions.layout();
        Self::new(
            dimensions,
            activation,
            &theta[layout.hidden_weight()],
            dimensions.hidden_bias.then(|| &theta[layout.hidden_bias()]),
            &theta[layout.output_weight()],
            dimensions.output_bias.then(|| &theta[layout.output_bias()]),
        )
    }

    /// The sizes.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The activation φ.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// W1, \[h, d\] row-major.
    pub fn hidden_weight(&self) -> &'a [T] {
        self.hidden_weight
    }

    /// b1, empty where there is none.
    pub fn hidden_bias(&self) -> &'a [T] {
        self.hidden_bias
    }

    /// W2, \[K, h\] row-major.
    pub fn output_weight(&self) -> &'a [T] {
        self.output_weight
    }

    /// b2, empty where there is none.
    pub fn output_bias(&self) -> &'a [T] {
        self.output_bias
    }
}
