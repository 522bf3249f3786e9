//! Parameters as the closed form sees them.

use hsr_core::depth::{FeedForward, LayerShape};
use hsr_core::{Dimensions, Error, Network};

/// A network as the closed form sees it.
#[derive(Clone, Debug)]
pub enum View<'a> {
    /// One hidden layer.
    ThreeLayers(Network<'a, f64>),
    /// Any number of layers.
    Layers(FeedForward<'a, f64>),
}

impl<'a> View<'a> {
    /// Of layers and θ, in the order of [`Weights`](super::Weights).
    ///
    /// # Errors
    ///
    /// As [`FeedForward::from_flat`].
    pub fn new(layers: &[LayerShape], theta: &'a [f64]) -> Result<Self, Error> {
        match three_layers(layers) {
            Some(dimensions) => Ok(Self::ThreeLayers(Network::from_flat(
                dimensions,
                layers[0].activation,
                theta,
            )?)),
            None => Ok(Self::Layers(FeedForward::from_flat(layers, theta)?)),
        }
    }

    /// D.
    pub fn parameters(&self) -> usize {
        match self {
            Self::ThreeLayers(network) => network.dimensions().parameters(),
            Self::Layers(network) => network.parameters(),
        }
    }

    /// n_L = K.
    pub fn outputs(&self) -> usize {
        match self {
            Self::ThreeLayers(network) => network.dimensions().outputs,
            Self::Layers(network) => network.outputs(),
        }
    }
}

/// The sizes of a network with one hidden layer that is not residual.
pub(crate) fn three_layers(layers: &[LayerShape]) -> Option<Dimensions> {
    match layers {
        [hidden, output] if !hidden.residual => Some(Dimensions {
            inputs: hidden.inputs,
            hidden: hidden.outputs,
            outputs: output.outputs,
            hidden_bias: hidden.bias,
            output_bias: output.bias,
        }),
        _ => None,
    }
}
