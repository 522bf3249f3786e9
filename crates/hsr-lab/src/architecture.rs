//! What a network is before it has parameters: the widths of its hidden layers, their activations, and whether they are
//! residual.

use std::fmt;
use std::str::FromStr;

use hsr_core::Activation;
use hsr_core::depth::LayerShape;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::LabError;
use crate::named::named;

named! {
/// A kind of network.
#[derive(Default)]
pub enum NetworkKind {
    /// Layers of units, whose curvature has a closed form.
    #[default]
    Mlp = "mlp",
    /// A [`ConvNet`](crate::conv::ConvNet) for square images, which is measured through its gradients.
    Conv = "conv",
}
}

impl NetworkKind {
    /// Hidden units, or channels, where none are named.
    pub fn default_hidden(self) -> Widths {
        match self {
            Self::Mlp => Widths::from(16),
            Self::Conv => Widths::from(vec![8, 16]),
        }
    }

    /// Every how many steps a penalty acts where nothing is said: the curvature of a network without a closed form costs
    /// further passes.
    pub fn default_interval(self) -> u64 {
        match self {
            Self::Mlp => 1,
            Self::Conv => 4,
        }
    }

    /// Whether it is the first kind, of which files say nothing.
    pub(crate) fn is_mlp(&self) -> bool {
        *self == Self::Mlp
    }
}

/// Something of each hidden layer, from the inputs on. In JSON one value where there is one, else a list; in text the values
/// with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerLayer<T>(Vec<T>);

/// The widths of the hidden layers, or the channels of convolutions.
///
/// ```
/// use hsr_lab::Widths;
///
/// let widths: Widths = "32,16".parse()?;
/// assert_eq!(widths, Widths::from(vec![32, 16]));
/// assert_eq!(serde_json::to_string(&Widths::from(8))?, "8");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Widths = PerLayer<usize>;

/// The activations of the hidden layers: one for all, or one for each.
///
/// ```
/// use hsr_lab::Activations;
/// use hsr_lab::hsr_core::Activation;
///
/// let activations: Activations = "tanh,gelu".parse()?;
/// assert_eq!(activations.of_hidden(2)?, [Activation::Tanh, Activation::Gelu]);
/// assert!(activations.of_hidden(3).is_err());
/// assert_eq!(Activations::from(Activation::Silu).of_hidden(2)?, [Activation::Silu; 2]);
/// # Ok::<(), String>(())
/// ```
pub type Activations = PerLayer<Activation>;

impl<T> PerLayer<T> {
    /// As they were given.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<T> for PerLayer<T> {
    fn from(only: T) -> Self {
        Self(vec![only])
    }
}

impl<T> From<Vec<T>> for PerLayer<T> {
    fn from(list: Vec<T>) -> Self {
        Self(list)
    }
}

impl<T: Serialize> Serialize for PerLayer<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [only] => only.serialize(to),
            list => list.serialize(to),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for PerLayer<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written<T> {
            One(T),
            Several(Vec<T>),
        }
        Ok(match Written::deserialize(from)? {
            Written::One(only) => Self(vec![only]),
            Written::Several(list) => Self(list),
        })
    }
}

impl<T: fmt::Display> fmt::Display for PerLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let list: Vec<String> = self.0.iter().map(T::to_string).collect();
        f.write_str(&list.join(","))
    }
}

impl<T: FromStr<Err: fmt::Display>> FromStr for PerLayer<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let each = text.split(',').map(|part| {
            let value = part.trim().parse::<T>();
            value.map_err(|error| format!("{part:?} of {text:?}: {error}"))
        });
        each.collect::<Result<_, _>>().map(Self)
    }
}

impl Activations {
    /// Of each of `hidden` hidden layers.
    ///
    /// # Errors
    ///
    /// What is wrong with their number, in words that follow what holds them.
    pub fn of_hidden(&self, hidden: usize) -> Result<Vec<Activation>, String> {
        match self.0[..] {
            [only] if hidden > 0 => Ok(vec![only; hidden]),
            _ if self.0.len() == hidden => Ok(self.0.clone()),
            _ => Err(format!(
                "names {} activation{} ({self}), expected {}",
                self.0.len(),
                if self.0.len() == 1 { "" } else { "s" },
                match hidden {
                    0 => "none: the network has no hidden layer".to_owned(),
                    1 => "1 for the hidden layer".to_owned(),
                    _ => format!("1 for all, or {hidden}, one for each hidden layer"),
                }
            )),
        }
    }
}

/// The layers of a feed-forward network, every one with a bias. Where `residual` is set, each hidden layer that is as wide
/// as its inputs adds them to its activations.
///
/// # Errors
///
/// [`LabError::Option`] where `activations` are not as many as hidden layers, or no hidden layer can be residual.
///
/// ```
/// use hsr_lab::hsr_core::Activation;
/// use hsr_lab::{Activations, Widths, layers};
///
/// let layers = layers(4, &Widths::from(vec![8, 8]), 3, &Activations::from(Activation::Tanh), true)?;
/// assert_eq!(layers.iter().map(|layer| layer.residual).collect::<Vec<_>>(), [false, true, false]);
/// # Ok::<(), hsr_lab::LabError>(())
/// ```
pub fn layers(
    inputs: usize,
    hidden: &Widths,
    outputs: usize,
    activations: &Activations,
    residual: bool,
) -> Result<Vec<LayerShape>, LabError> {
    let mut widths = vec![inputs];
    widths.extend(&hidden.0);
    widths.push(outputs);
    let mut layers: Vec<LayerShape> = widths
        .windows(2)
        .map(|of| LayerShape::new(of[0], of[1]))
        .collect();
    activate(&mut layers, Some(activations), residual).map_err(LabError::Option)?;
    Ok(layers)
}

/// Gives the hidden layers their activations, and makes those residual that can be. The messages begin with the option.
pub(crate) fn activate(
    layers: &mut [LayerShape],
    activations: Option<&Activations>,
    residual: bool,
) -> Result<(), String> {
    let hidden = layers.len().saturating_sub(1);
    let activations = match activations {
        Some(activations) => activations
            .of_hidden(hidden)
            .map_err(|message| format!("`activation` {message}"))?,
        None => vec![Activation::Identity; hidden],
    };
    let mut any = false;
    for (layer, activation) in layers.iter_mut().zip(activations) {
        layer.activation = activation;
        layer.residual = residual && layer.inputs == layer.outputs;
        any |= layer.residual;
    }
    if residual && !any {
        let widths: Vec<String> = layers.iter().map(|it| it.inputs.to_string()).collect();
        return Err(format!(
            "`residual` needs a hidden layer that is as wide as its inputs, and none of {} → {} is",
            widths.join(" → "),
            layers.last().map_or(0, |it| it.outputs)
        ));
    }
    Ok(())
}

/// D.
pub(crate) fn parameters(layers: &[LayerShape]) -> usize {
    layers.iter().map(LayerShape::parameters).sum()
}

/// n_0 and n_L; none of either without a layer.
pub(crate) fn ends(layers: &[LayerShape]) -> [usize; 2] {
    [
        layers.first().map_or(0, |layer| layer.inputs),
        layers.last().map_or(0, |layer| layer.outputs),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_written_as_it_always_was_and_several_as_a_list() {
        for (widths, text) in [
            (Widths::from(16), "16"),
            (Widths::from(vec![32, 16]), "[32,16]"),
        ] {
            assert_eq!(serde_json::to_string(&widths).unwrap(), text);
            assert_eq!(serde_json::from_str::<Widths>(text).unwrap(), widths);
        }
        for (activations, text) in [
            (Activations::from(Activation::GeluTanh), "\"gelu_tanh\""),
            ("tanh,silu".parse().unwrap(), "[\"tanh\",\"silu\"]"),
            (
                Activations::from(Activation::LeakyRelu {
                    negative_slope: 0.25,
                }),
                "{\"leaky_relu\":{\"negative_slope\":0.25}}",
            ),
        ] {
            assert_eq!(serde_json::to_string(&activations).unwrap(), text);
            let read: Activations = serde_json::from_str(text).unwrap();
            assert_eq!(read, activations);
        }
    }

    #[test]
    fn what_cannot_be_a_network_is_refused_with_the_numbers() {
        let refused = |hidden: &str, activations: &str, residual| {
            let (hidden, activations) = (hidden.parse().unwrap(), activations.parse().unwrap());
            layers(4, &hidden, 3, &activations, residual)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refused("8,8,8", "tanh,gelu", false),
            "`activation` names 2 activations (tanh,gelu), expected 1 for all, or 3, one for each hidden layer"
        );
        assert_eq!(
            refused("8,6", "tanh", true),
            "`residual` needs a hidden layer that is as wide as its inputs, and none of 4 → 8 → 6 → 3 is"
        );
        assert!("8,,8".parse::<Widths>().is_err() && "".parse::<Widths>().is_err());
        let unknown = "tanh,tahn".parse::<Activations>().unwrap_err();
        assert!(unknown.contains("\"tahn\""), "{unknown}");
    }
}
