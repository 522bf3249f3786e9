//! A feed-forward network as a slice of layers: shapes, the flat order of the parameters, a borrowed and checked view.

use core::ops::Range;

use crate::error::{Error, check_length};
use crate::numeric::matrix::Mat;
use crate::numeric::number::Number;
use crate::problem::activation::Activation;
use crate::problem::network::Dimensions;

/// The shape of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerShape {
    /// Inputs n_{l−1}.
    pub inputs: usize,
    /// Outputs n_l.
    pub outputs: usize,
    /// Whether it has a bias, β_l.
    pub bias: bool,
    /// φ_l, [`Identity`](Activation::Identity) in the last layer.
    pub activation: Activation,
    /// ρ_l: whether the layer's inputs are added to its activations.
    pub residual: bool,
    /// Whether the weight is held fixed, so that it is no part of the Hessian.
    pub weight_frozen: bool,
    /// Whether the bias is held fixed, where there is one.
    pub bias_frozen: bool,
}

impl LayerShape {
    /// A linear layer with a bias.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            outputs,
            bias: true,
            activation: Activation::Identity,
            residual: false,
            weight_frozen: false,
            bias_frozen: false,
        }
    }

    /// The same layer without its bias.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// The same layer with an activation.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// The same layer with its inputs added to its activations.
    pub fn with_residual(mut self) -> Self {
        self.residual = true;
        self
    }

    /// The same layer with its weight held fixed.
    pub fn with_frozen_weight(mut self) -> Self {
        self.weight_frozen = true;
        self
    }

    /// The same layer with its bias held fixed.
    pub fn with_frozen_bias(mut self) -> Self {
        self.bias_frozen = true;
        self
    }

    /// The same layer with both held fixed: it stays a map on the way, and has no parameters.
    pub fn frozen(self) -> Self {
        self.with_frozen_weight().with_frozen_bias()
    }

    /// m_l, the length of x̃_l: the inputs where the weight is a parameter, and 1 where the bias is.
    pub fn inputs_extended(&self) -> usize {
        self.trained_inputs() + usize::from(self.trains_bias())
    }

    /// P_l = n_l·m_l, the parameters of the layer: what it has and is not frozen.
    pub fn parameters(&self) -> usize {
        self.outputs * self.inputs_extended()
    }

    /// The numbers that the layer holds, frozen or not.
    pub fn values(&self) -> usize {
        self.outputs * (self.inputs + usize::from(self.bias))
    }

    /// The inputs that are part of x̃_l: all, or none where the weight is frozen.
    pub(in crate::depth) fn trained_inputs(&self) -> usize {
        if self.weight_frozen { 0 } else { self.inputs }
    }

    pub(in crate::depth) fn trains_bias(&self) -> bool {
        self.bias && !self.bias_frozen
    }

    /// Whether the layer has parameters, so that blocks of the Hessian belong to it.
    pub(in crate::depth) fn is_trained(&self) -> bool {
        self.inputs_extended() > 0
    }
}

/// A borrowed layer a_l = φ_l(W a_{l−1} + b) + ρ a_{l−1}.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, T> {
    shape: LayerShape,
    weight: &'a [T],
    bias: &'a [T],
}

impl<'a, T: Number> Layer<'a, T> {
    /// A linear layer: weight \[outputs, inputs\] row-major, as in PyTorch, and bias \[outputs\]. It is checked where
    /// it becomes part of a [`FeedForward`].
    pub fn new(inputs: usize, outputs: usize, weight: &'a [T], bias: Option<&'a [T]>) -> Self {
        Self {
            shape: LayerShape {
                bias: bias.is_some(),
                ..LayerShape::new(inputs, outputs)
            },
            weight,
            bias: bias.unwrap_or_default(),
        }
    }

    /// The same layer with an activation.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.shape.activation = activation;
        self
    }

    /// The same layer with its inputs added to its activations.
    pub fn with_residual(mut self) -> Self {
        self.shape.residual = true;
        self
    }

    /// The same layer with its weight held fixed.
    pub fn with_frozen_weight(mut self) -> Self {
        self.shape.weight_frozen = true;
        self
    }

    /// The same layer with its bias held fixed.
    pub fn with_frozen_bias(mut self) -> Self {
        self.shape.bias_frozen = true;
        self
    }

    /// The same layer with both held fixed.
    pub fn frozen(self) -> Self {
        self.with_frozen_weight().with_frozen_bias()
    }

    /// The shape.
    pub fn shape(&self) -> LayerShape {
        self.shape
    }

    /// W, \[outputs, inputs\] row-major.
    pub fn weight(&self) -> &'a [T] {
        self.weight
    }

    /// b, empty where there is none.
    pub fn bias(&self) -> &'a [T] {
        self.bias
    }

    fn check(&self, layer: usize) -> Result<(), Error> {
        let LayerShape {
            inputs,
            outputs,
            bias,
            ..
        } = self.shape;
        let of_bias = if bias { outputs } else { 0 };
        for (what, shape, values, expected) in [
            ("weight", "outputs × inputs", self.weight, outputs * inputs),
            ("bias", "outputs, or none", self.bias, of_bias),
        ] {
            if values.len() != expected {
                return Err(Error::LayerLength {
                    layer,
                    what,
                    shape,
                    got: values.len(),
                    expected,
                });
            }
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(Error::LayerNotFinite {
                    layer,
                    what,
                    index,
                    value: values[index].as_f64(),
                });
            }
        }
        Ok(())
    }
}

/// Checks that the layers fit onto each other.
fn check_shapes(shapes: impl ExactSizeIterator<Item = LayerShape>) -> Result<(), Error> {
    let count = shapes.len();
    if count == 0 {
        return Err(Error::Empty {
            what: "the number of layers",
        });
    }
    let mut below = None;
    for (layer, shape) in shapes.enumerate() {
        let LayerShape {
            inputs, outputs, ..
        } = shape;
        if inputs == 0 || outputs == 0 {
            return Err(Error::LayerEmpty {
                layer,
                inputs,
                outputs,
            });
        }
        if let Some(expected) = below.filter(|&below| below != inputs) {
            return Err(Error::LayerInputs {
                layer,
                got: inputs,
                expected,
            });
        }
        below = Some(outputs);
        if layer + 1 == count {
            let got = if shape.activation != Activation::Identity {
                shape.activation.name()
            } else if shape.residual {
                "a residual connection"
            } else {
                continue;
            };
            return Err(Error::LastLayer { layer, got });
        }
        if shape.residual && inputs != outputs {
            return Err(Error::ResidualShape {
                layer,
                inputs,
                outputs,
            });
        }
    }
    Ok(())
}

/// A borrowed feed-forward network of any depth L ≥ 1.
///
/// Weights and biases may be frozen. Such values are passed through like all others, but they are no parameters: the
/// Hessian has no rows for them and they do not count in D, so that every vector \[D\] (a gradient, a direction v, a
/// product H v) leaves them out. [`layout`](Self::layout) says where the parameters of a layer stand in such a vector,
/// [`value_layout`](Self::value_layout) where all its values stand in the flat θ of [`from_flat`](Self::from_flat).
/// Where nothing is frozen both are the same.
///
/// ```
/// use hsr_core::Activation;
/// use hsr_core::depth::{FeedForward, LayerShape};
///
/// // 2 → 4 → 4 → 3, the middle layer residual.
/// let shapes = [
///     LayerShape::new(2, 4).with_activation(Activation::Tanh),
///     LayerShape::new(4, 4).with_activation(Activation::Gelu).with_residual(),
///     LayerShape::new(4, 3),
/// ];
/// let theta = vec![0.1; 12 + 20 + 15];
/// let network = FeedForward::from_flat(&shapes, &theta)?;
/// assert_eq!(network.parameters(), 47);
/// assert_eq!(network.layout(1).weight, 12..28);
/// # Ok::<(), hsr_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FeedForward<'a, T> {
    layers: Vec<Layer<'a, T>>,
}

/// Where weight and bias of a layer stand in a flat vector (W_1, b_1, …, W_L, b_L).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerLayout {
    /// W, \[outputs, inputs\] row-major; empty where the vector leaves it out.
    pub weight: Range<usize>,
    /// b, empty where there is none or the vector leaves it out.
    pub bias: Range<usize>,
}

impl LayerLayout {
    /// Weight and bias.
    pub fn all(&self) -> Range<usize> {
        self.weight.start..self.bias.end
    }
}

impl<'a, T: Number> FeedForward<'a, T> {
    /// A network of these layers, the first one nearest to the inputs.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without layers; [`Error::LayerEmpty`], [`Error::LayerInputs`], [`Error::ResidualShape`] and
    /// [`Error::LastLayer`] where layers do not fit; [`Error::LayerLength`] and [`Error::LayerNotFinite`] where an
    /// array does not; [`Error::Empty`] where everything is frozen.
    pub fn new(layers: impl Into<Vec<Layer<'a, T>>>) -> Result<Self, Error> {
        let layers = layers.into();
        check_shapes(layers.iter().map(Layer::shape))?;
        for (index, layer) in layers.iter().enumerate() {
            layer.check(index)?;
        }
        if !layers.iter().any(|layer| layer.shape.is_trained()) {
            return Err(Error::Empty {
                what: "the number of parameters that are not frozen",
            });
        }
        Ok(Self { layers })
    }

    /// A view of a flat parameter vector (W_1, b_1, …, W_L, b_L), every weight row-major as in PyTorch; a missing bias
    /// takes no room, a frozen value does.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`Error::Length`] where `theta` has not as many values as the shapes.
    pub fn from_flat(shapes: &[LayerShape], theta: &'a [T]) -> Result<Self, Error> {
        check_shapes(shapes.iter().copied())?;
        let expected = shapes.iter().map(LayerShape::values).sum();
        check_length("theta", "values of all layers", theta.len(), expected)?;
        let mut rest = theta;
        let layers: Vec<_> = shapes
            .iter()
            .map(|&shape| {
                let (weight, after) = rest.split_at(shape.outputs * shape.inputs);
                let (bias, after) = after.split_at(if shape.bias { shape.outputs } else { 0 });
                rest = after;
                Layer {
                    shape,
                    weight,
                    bias,
                }
            })
            .collect();
        Self::new(layers)
    }

    /// The layers.
    pub fn layers(&self) -> &[Layer<'a, T>] {
        &self.layers
    }

    /// L, the number of layers.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// n_0, the number of inputs.
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.shape.inputs)
    }

    /// n_L = K, the number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.shape.outputs)
    }

    /// D, the number of parameters: of the values that are not frozen.
    pub fn parameters(&self) -> usize {
        let of_layer = |layer: &Layer<T>| layer.shape.parameters();
        self.layers.iter().map(of_layer).sum()
    }

    /// Where the parameters of layer `index`, counted from 0, stand in a vector \[D\].
    ///
    /// # Panics
    ///
    /// Where there is no such layer.
    pub fn layout(&self, index: usize) -> LayerLayout {
        let of_weight = |shape: &LayerShape| shape.outputs * shape.trained_inputs();
        self.layout_of(index, LayerShape::parameters, of_weight)
    }

    /// Where the values of layer `index`, counted from 0, stand in θ, frozen ones included.
    ///
    /// # Panics
    ///
    /// Where there is no such layer.
    pub fn value_layout(&self, index: usize) -> LayerLayout {
        let of_weight = |shape: &LayerShape| shape.outputs * shape.inputs;
        self.layout_of(index, LayerShape::values, of_weight)
    }

    /// Where layer `index` stands in a vector to which a layer contributes so many numbers in all, so many of its weight.
    fn layout_of(
        &self,
        index: usize,
        in_all: impl Fn(&LayerShape) -> usize,
        of_weight: impl Fn(&LayerShape) -> usize,
    ) -> LayerLayout {
        let below = self.layers[..index].iter();
        let start: usize = below.map(|layer| in_all(&layer.shape)).sum();
        let shape = &self.layers[index].shape;
        let bias = start + of_weight(shape);
        LayerLayout {
            weight: start..bias,
            bias: bias..start + in_all(shape),
        }
    }

    /// The part of a vector \[D\] that belongs to the weight of layer `index`, unless it is frozen.
    pub(in crate::depth) fn weight_of<'v>(&self, vector: &'v [T], index: usize) -> Option<&'v [T]> {
        let range = self.layout(index).weight;
        (!range.is_empty()).then(|| &vector[range])
    }

    /// The same to be written.
    pub(in crate::depth) fn weight_of_mut<'v>(
        &self,
        vector: &'v mut [T],
        index: usize,
    ) -> Option<&'v mut [T]> {
        let range = self.layout(index).weight;
        (!range.is_empty()).then(|| &mut vector[range])
    }

    /// Both ends, in the form in which a batch is checked.
    pub(in crate::depth) fn ends(&self) -> Dimensions {
        Dimensions::new(self.inputs(), 1, self.outputs())
    }
}

/// The network's own weight of layer `l`.
pub(in crate::depth) fn own_weight<'a, T: Number>(
    network: &FeedForward<'a, T>,
    l: usize,
) -> Mat<'a, T> {
    let layer = &network.layers()[l];
    let shape = layer.shape();
    Mat::new(layer.weight(), shape.outputs, shape.inputs, shape.inputs)
}
