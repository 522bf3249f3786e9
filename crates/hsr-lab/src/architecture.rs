//! What a network is before it has parameters: the widths of its hidden layers, their activations, and whether they are
//! residual.

use std::fmt;
use std::str::FromStr;

use hsr_core::Activation;
use hsr_core::depth::LayerShape;
use serde::{Deserialize, Serialize};

use crate::error::LabError;

/// A kind of network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Layers of units, whose curvature has a closed form.
    #[default]
    Mlp,
    /// A [`ConvNet`](crate::conv::ConvNet) for square images, which is measured through its gradients.
    Conv,
}

impl NetworkKind {
    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mlp => "mlp",
            Self::Conv => "conv",
        }
    }

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

/// The widths of the hidden layers, or the channels of convolutions, from the inputs on. In JSON a number for one hidden layer, a list for several.
///
/// ```
/// use hsr_lab::Widths;
///
/// let widths: Widths = "32,16".parse()?;
/// assert_eq!(widths, Widths::from(vec![32, 16]));
/// assert_eq!(serde_json::to_string(&Widths::from(8))?, "8");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written<usize>", into = "Written<usize>")]
pub struct Widths(Vec<usize>);

/// The activations of the hidden layers: one for all, or one for each. In JSON one, or a list.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written<Activation>", into = "Written<Activation>")]
pub struct Activations(Vec<Activation>);

/// How a list is written whose usual length is 1.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Written<T> {
    One(T),
    Several(Vec<T>),
}

impl<T> Written<T> {
    pub fn of(mut list: Vec<T>) -> Self {
        match (list.len(), list.pop()) {
            (1, Some(only)) => Self::One(only),
            (_, last) => {
                list.extend(last);
                Self::Several(list)
            }
        }
    }

    pub fn list(self) -> Vec<T> {
        match self {
            Self::One(only) => vec![only],
            Self::Several(list) => list,
        }
    }
}

impl From<Written<usize>> for Widths {
    fn from(written: Written<usize>) -> Self {
        Self(written.list())
    }
}

impl From<Widths> for Written<usize> {
    fn from(widths: Widths) -> Self {
        Self::of(widths.0)
    }
}

impl From<usize> for Widths {
    fn from(width: usize) -> Self {
        Self(vec![width])
    }
}

impl From<Vec<usize>> for Widths {
    fn from(widths: Vec<usize>) -> Self {
        Self(widths)
    }
}

impl Widths {
    /// The widths.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }
}

/// As on the command line: `32,16`.
impl fmt::Display for Widths {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let widths: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&widths.join(","))
    }
}

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected a whole number for each hidden layer, such as 32 or 32,16";
        let widths: Option<Vec<usize>> = text
            .split(',')
            .map(|width| width.trim().parse().ok())
            .collect();
        widths.map(Self).ok_or_else(|| expected.to_owned())
    }
}

impl From<Written<Activation>> for Activations {
    fn from(written: Written<Activation>) -> Self {
        Self(written.list())
    }
}

impl From<Activations> for Written<Activation> {
    fn from(activations: Activations) -> Self {
        Self::of(activations.0)
    }
}

impl From<Activation> for Activations {
    fn from(activation: Activation) -> Self {
        Self(vec![activation])
    }
}

impl From<Vec<Activation>> for Activations {
    fn from(activations: Vec<Activation>) -> Self {
        Self(activations)
    }
}

impl Activations {
    /// As they were given: one, or one for each hidden layer.
    pub fn as_slice(&self) -> &[Activation] {
        &self.0
    }

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

/// As on the command line: `tanh,gelu`.
impl fmt::Display for Activations {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|it| it.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Activations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = text.split(',').map(|name| name.trim().parse());
        let activations: Result<Vec<Activation>, hsr_core::Error> = named.collect();
        activations.map(Self).map_err(|error| error.to_string())
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
