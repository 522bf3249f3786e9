//! The parameters of a trained network of any kind.

use crate::architecture::Activations;
use crate::conv::ConvWeights;
use crate::data::wording::shown;
use crate::weights::Weights;

/// A network in a file.
#[derive(Clone, Debug)]
pub enum ModelNetwork {
    /// A feed-forward network.
    FeedForward {
        /// The parameters.
        weights: Weights,
        /// The layers' names in the file, from the inputs on.
        names: Vec<String>,
        /// Whether nobody named the layers, so that their order was found from names and shapes.
        found: bool,
    },
    /// A convolutional network of `hsr train`.
    Conv(ConvWeights),
}

impl ModelNetwork {
    /// d.
    pub fn inputs(&self) -> usize {
        match self {
            Self::FeedForward { weights, .. } => weights.inputs(),
            Self::Conv(weights) => weights.config.inputs(),
        }
    }

    /// K.
    pub fn outputs(&self) -> usize {
        match self {
            Self::FeedForward { weights, .. } => weights.outputs(),
            Self::Conv(weights) => weights.config.classes,
        }
    }

    /// θ.
    pub fn theta(&self) -> &[f64] {
        match self {
            Self::FeedForward { weights, .. } => &weights.theta,
            Self::Conv(weights) => &weights.theta,
        }
    }

    /// The hidden activations; `None` where there is no hidden layer.
    pub(crate) fn activations(&self) -> Option<Activations> {
        let Self::FeedForward { weights, .. } = self else {
            return None;
        };
        let (_, hidden) = weights.layers.split_last()?;
        let activations: Vec<_> = hidden.iter().map(|layer| layer.activation).collect();
        (!activations.is_empty()).then(|| activations.into())
    }

    /// Whether a hidden layer adds its inputs.
    pub(crate) fn is_residual(&self) -> bool {
        match self {
            Self::FeedForward { weights, .. } => weights.layers.iter().any(|it| it.residual),
            Self::Conv(_) => false,
        }
    }

    /// Whether another network differs in nothing but the values of its parameters.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::FeedForward { weights: own, .. }, Self::FeedForward { weights, .. }) => {
                own.layers == weights.layers
            }
            (Self::Conv(own), Self::Conv(weights)) => own.config == weights.config,
            _ => false,
        }
    }

    /// The tensor that takes the inputs, for messages.
    pub(super) fn first(&self) -> String {
        match self {
            Self::FeedForward { weights, names, .. } => {
                let first = weights.layers[0];
                let name = shown(&format!("{}.weight", names[0]));
                format!("{name} [{}, {}]", first.outputs, first.inputs)
            }
            Self::Conv(weights) => {
                let side = weights.config.side;
                format!("images of {side} × {side} pixels")
            }
        }
    }
}
