//! The layers of a feed-forward model, and the trait by which any model offers its own.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use hsr_core::depth::LayerShape;
use hsr_core::{Activation, Dimensions};

use crate::activation::{self, LayerActivation};
use crate::error::HsrError;
use crate::net::ThreeLayer;

/// One layer of a feed-forward model, a = φ(W x + b), or a = φ(W x + b) + x where it is residual (theory §8).
#[derive(Clone, Debug)]
pub struct Layer<'a> {
    linear: &'a Linear,
    activation: Activation,
    /// Why the activation that it has is none of the closed form's.
    refused: Option<HsrError>,
    residual: bool,
}

impl<'a> Layer<'a> {
    /// A layer without an activation, as the last one is.
    pub fn new(linear: &'a Linear) -> Self {
        Self {
            linear,
            activation: Activation::Identity,
            refused: None,
            residual: false,
        }
    }

    /// The same layer with an activation: φ, or Burn's by reference.
    pub fn with_activation(mut self, activation: impl Into<LayerActivation>) -> Self {
        (self.activation, self.refused) = match activation.into().0 {
            Ok(activation) => (activation, None),
            Err(refused) => (Activation::Identity, Some(refused)),
        };
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

    /// φ; the identity where the layer has one of Burn's that the closed form does not have.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Refuses an activation that the closed form does not have.
    pub(crate) fn check(&self) -> Result<(), HsrError> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// Whether the layer's inputs are added to its activations.
    pub fn is_residual(&self) -> bool {
        self.residual
    }

    /// The sizes as hsr-core names them, and what is frozen.
    pub fn shape(&self) -> LayerShape {
        let [inputs, outputs] = self.linear.weight.shape().dims();
        LayerShape {
            bias: self.linear.bias.is_some(),
            activation: self.activation,
            residual: self.residual,
            weight_frozen: is_frozen(&self.linear.weight),
            bias_frozen: self.linear.bias.as_ref().is_some_and(is_frozen),
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

/// Whether a parameter is held fixed. On a device without autodiff it is the setting that `Module::train` would restore.
fn is_frozen<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    if param.lazy_device().is_autodiff() {
        !param.is_require_grad()
    } else {
        !param.clone().train().is_require_grad()
    }
}

/// The shapes of a model's layers. Where nothing is trainable, as in a model for inference, nothing is held fixed while
/// something else moves, and H is that of all parameters.
pub(crate) fn shapes<M: Layers>(model: &M) -> Vec<LayerShape> {
    let mut shapes: Vec<LayerShape> = model.layers().iter().map(Layer::shape).collect();
    if shapes.iter().all(|shape| shape.parameters() == 0) {
        for shape in &mut shapes {
            (shape.weight_frozen, shape.bias_frozen) = (false, false);
        }
    }
    shapes
}

/// K, the number of logits.
pub(crate) fn outputs<M: Layers>(model: &M) -> usize {
    let layers = model.layers();
    let last = layers.last();
    last.map_or(0, |layer| layer.shape().outputs)
}

/// The sizes of a network that is output(φ(hidden(x))) with nothing frozen, the form that has kernels of its own.
pub(crate) fn three_layers(shapes: &[LayerShape]) -> Option<(Dimensions, Activation)> {
    let [hidden, output] = shapes else {
        return None;
    };
    let plain = |shape: &LayerShape| {
        !(shape.residual || shape.weight_frozen || shape.bias && shape.bias_frozen)
    };
    let fits = plain(hidden)
        && plain(output)
        && output.activation == Activation::Identity
        && output.inputs == hidden.outputs;
    fits.then_some((
        Dimensions {
            inputs: hidden.inputs,
            hidden: hidden.outputs,
            outputs: output.outputs,
            hidden_bias: hidden.bias,
            output_bias: output.bias,
        },
        hidden.activation,
    ))
}

/// A feed-forward model, or the head of a model: what the closed form of HSR is known for, at any depth.
///
/// A [`Linear`] is one by itself, so that every classifier has a head to regularise; [`Mlp`](crate::Mlp) and every
/// [`ThreeLayer`] are too, and an `Option` of any of them. For a module of your own, list its layers, with activations of this
/// crate or Burn's own by reference:
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
/// Dropout between the layers, and norms, are not part of it; [`Hsr::verify`](crate::Hsr::verify) finds out, before
/// training, whether what this says of a model is what it computes.
///
/// Frozen parameters are no part of the Hessian: it has no rows for them, and they do not count in D. A layer that is
/// frozen as a whole only maps its inputs. A model without anything to train, as for inference, is measured whole.
///
/// Anything else is refused by the compiler, which says how to get there:
///
/// ```compile_fail,E0277
/// use burn::nn::conv::Conv2d;
///
/// fn regularised(_: &impl burn_hsr::Layers) {}
///
/// fn of(conv: &Conv2d) {
///     regularised(conv);
/// }
/// ```
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

/// A head that may be missing. Without one there are no layers, which is refused.
impl<M: Layers> Layers for Option<M> {
    fn layers(&self) -> Vec<Layer<'_>> {
        self.as_ref().map_or_else(Vec::new, M::layers)
    }
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
