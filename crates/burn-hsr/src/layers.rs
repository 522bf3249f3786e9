//! The layers of a feed-forward model, and the trait by which any model offers its own.

use burn::nn::Linear;
use burn::tensor::Tensor;
use hsr_core::Activation;
use hsr_core::depth::LayerShape;

use crate::{ThreeLayer, activation};

/// One layer of a feed-forward model, a = φ(W x + b), or a = φ(W x + b) + x where it is residual (theory §8).
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    linear: &'a Linear,
    activation: Activation,
    residual: bool,
}

impl<'a> Layer<'a> {
    /// A layer without an activation, as the last one is.
    pub fn new(linear: &'a Linear) -> Self {
        Self {
            linear,
            activation: Activation::Identity,
            residual: false,
        }
    }

    /// The same layer with an activation; [`activation_of`](crate::activation_of) says which one Burn's is.
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// The same layer with its inputs added to its activations.
    pub fn with_residual(mut self) -> Self {
        self.residual = true;
        self
    }

    /// Burn's layer.
    pub fn linear(&self) -> &'a Linear {
        self.linear
    }

    /// φ.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Whether the layer's inputs are added to its activations.
    pub fn is_residual(&self) -> bool {
        self.residual
    }

    /// The sizes, as hsr-core names them.
    pub fn shape(&self) -> LayerShape {
        let [inputs, outputs] = self.linear.weight.shape().dims();
        LayerShape {
            bias: self.linear.bias.is_some(),
            activation: self.activation,
            residual: self.residual,
            ..LayerShape::new(inputs, outputs)
        }
    }

    /// The layer's activations.
    ///
    /// # Shapes
    ///
    /// - input: `[N, inputs]`
    /// - output: `[N, outputs]`
    pub fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let z = self.linear.forward(inputs.clone());
        let activations = activation::forward(self.activation, z);
        if self.residual {
            activations + inputs
        } else {
            activations
        }
    }
}

/// A feed-forward model, or the head of a model: what the closed form of HSR is known for, at any depth.
///
/// A [`Linear`] is one by itself, so that every classifier has a head to regularise; [`Mlp`](crate::Mlp) and every
/// [`ThreeLayer`] are too. For a module of your own, list its layers:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn_hsr::{Activation, Layer, Layers};
///
/// #[derive(Module, Debug)]
/// struct Net { first: Linear, second: Linear, third: Linear }
///
/// impl Layers for Net {
///     fn layers(&self) -> Vec<Layer<'_>> {
///         vec![
///             Layer::new(&self.first).with_activation(Activation::Gelu),
///             Layer::new(&self.second).with_activation(Activation::Gelu).with_residual(),
///             Layer::new(&self.third),
///         ]
///     }
/// }
/// ```
///
/// Dropout between the layers, and norms, are not part of it.
#[diagnostic::on_unimplemented(
    message = "HSR does not know the layers of `{Self}`",
    label = "not a feed-forward network, nor the head of one",
    note = "where `{Self}` is a chain of `Linear` layers and activations, implement `Layers` for it: one line per layer",
    note = "where it ends in a `Linear`, give that layer with the features it sees as inputs: \
            `hsr.penalty(&model.linear, features, targets)?`",
    note = "for any other module there is `StochasticHsr` of burn-penalty"
)]
pub trait Layers {
    /// The layers, from the inputs to the logits.
    fn layers(&self) -> Vec<Layer<'_>>;
}

impl Layers for Linear {
    fn layers(&self) -> Vec<Layer<'_>> {
        vec![Layer::new(self)]
    }
}

impl<M: ThreeLayer> Layers for M {
    fn layers(&self) -> Vec<Layer<'_>> {
        vec![
            Layer::new(self.hidden()).with_activation(self.activation()),
            Layer::new(self.output()),
        ]
    }
}
