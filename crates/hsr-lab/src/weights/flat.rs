//! The parameters of a network in memory.

use core::ops::Range;

use hsr_core::depth::LayerShape;

use super::view::View;
use super::written::tensors_file;
use crate::about::About;
use crate::architecture::{Activations, activate, ends};
use crate::data::random;
use crate::error::LabError;

/// Parameters of a feed-forward network in f64, flat in the order W1 \[n_1, n_0\], b1, W2, b2 and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The layers, from the inputs on.
    pub layers: Vec<LayerShape>,
    /// θ.
    pub theta: Vec<f64>,
}

impl Weights {
    /// Fresh parameters, U(−1/√n, 1/√n) with n the inputs of the layer, as Burn's `Linear` has by default. Drawn on
    /// the host, so that every backend starts from the same network; representable in f32.
    pub fn random(layers: Vec<LayerShape>, seed: u64) -> Self {
        let sizes = layers
            .iter()
            .map(|layer| (layer.inputs, layer.parameters()));
        let theta = random::parameters(seed, sizes);
        Self { layers, theta }
    }

    /// The network as the closed form sees it.
    ///
    /// # Errors
    ///
    /// [`LabError::Core`] where layers and θ do not fit each other, or a value is not finite.
    pub fn view(&self) -> Result<View<'_>, LabError> {
        Ok(View::new(&self.layers, &self.theta)?)
    }

    /// The same with the activations of the hidden layers; where `residual` is set, those that are as wide as their
    /// inputs add them.
    ///
    /// # Errors
    ///
    /// [`LabError::Option`] where that is not possible for these layers.
    pub fn with_activations(
        mut self,
        activations: &Activations,
        residual: bool,
    ) -> Result<Self, LabError> {
        activate(&mut self.layers, Some(activations), residual).map_err(LabError::Option)?;
        Ok(self)
    }

    /// Whether the layers have these sizes, whatever their activations.
    pub(crate) fn has_sizes_of(&self, layers: &[LayerShape]) -> bool {
        let sizes = |it: &LayerShape| (it.inputs, it.outputs, it.bias);
        let own = self.layers.iter().map(sizes);
        own.eq(layers.iter().map(sizes))
    }

    /// D.
    pub fn parameters(&self) -> usize {
        self.theta.len()
    }

    /// n_0, the number of inputs.
    pub fn inputs(&self) -> usize {
        ends(&self.layers)[0]
    }

    /// n_L = K, the number of outputs.
    pub fn outputs(&self) -> usize {
        ends(&self.layers)[1]
    }

    /// Where weight and bias of each layer stand in θ; the bias is empty where there is none.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = [Range<usize>; 2]> {
        ranges(&self.layers)
    }

    /// Names, places and shapes of the tensors that exist, the layers having these names.
    pub(crate) fn tensors(&self, names: &[String]) -> Vec<(String, Range<usize>, Vec<usize>)> {
        let of_layer = |((layer, [weight, bias]), name): ((&LayerShape, [Range<usize>; 2]), _)| {
            let weight = (
                format!("{name}.weight"),
                weight,
                vec![layer.outputs, layer.inputs],
            );
            let bias = (format!("{name}.bias"), bias, vec![layer.outputs]);
            std::iter::once(weight).chain(layer.bias.then_some(bias))
        };
        let layers = self.layers.iter().zip(self.ranges());
        layers.zip(names).flat_map(of_layer).collect()
    }

    /// The parameters as a safetensors file of F32 tensors named as [`names`] says, with `about` under the metadata key
    /// `hsr`. (One key only: several are written in no particular order, and equal networks should give equal files.)
    pub fn to_safetensors(&self, about: Option<&About>) -> Vec<u8> {
        let tensors = self.tensors(&names(self.layers.len())).into_iter();
        let tensors = tensors.map(|(name, range, shape)| (name, &self.theta[range], shape));
        tensors_file(tensors, about)
    }
}

/// Where weight and bias of each layer stand in θ; the bias is empty where there is none.
pub(crate) fn ranges(layers: &[LayerShape]) -> impl Iterator<Item = [Range<usize>; 2]> {
    layers.iter().scan(0, |start, layer| {
        let bias = *start + layer.outputs * layer.inputs;
        let end = *start + layer.parameters();
        let ranges = [*start..bias, bias..end];
        *start = end;
        Some(ranges)
    })
}

/// The names of the layers in the files of `hsr train`: `hidden` and `output` where there is one hidden layer, else
/// `layers.0`, `layers.1` and so on, as an `nn.ModuleList` of PyTorch has them.
pub fn names(layers: usize) -> Vec<String> {
    match layers {
        2 => vec!["hidden".to_owned(), "output".to_owned()],
        _ => (0..layers).map(|l| format!("layers.{l}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::{Stream, generator};
    use rand::RngExt;

    /// As at the time when there was one hidden layer: the same stream, a bound for each layer.
    #[test]
    fn the_start_of_a_three_layer_network_is_what_it_always_was() {
        let layers = vec![LayerShape::new(4, 3), LayerShape::new(3, 2)];
        let start = Weights::random(layers, 7);
        let mut random = generator(7, Stream::Parameters);
        for (i, &value) in start.theta.iter().enumerate() {
            let bound = 1.0 / if i < 15 { 4_f64 } else { 3.0 }.sqrt();
            let drawn: f64 = random.random_range(-bound..bound);
            assert_eq!(value, f64::from(drawn as f32), "{i}");
        }
        assert_eq!(start.theta.len(), 23);
    }
}
