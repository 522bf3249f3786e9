//! Between data and weights in memory and Burn on a device.

use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_hsr::{Layers, Mlp};
use hsr_core::depth::LayerShape;

use crate::conv::{ConvNet, ConvNetConfig, ConvWeights};
use crate::data::Dataset;
pub(crate) use crate::device::measuring_device;
use crate::device::tracked;
use crate::weights::Weights;

/// A kind of classifier as a Burn module.
pub(crate) trait Classifier: Clone {
    /// The module.
    type Module: Module;

    /// The module with the parameters θ \[D\], which are in an order of the kind's own. They have fixed identities, so that
    /// an optimizer's record finds them again after a resume.
    fn to_burn(&self, theta: &[f64], device: &Device, dtype: DType) -> Self::Module;

    /// θ.
    fn theta_of(&self, module: &Self::Module) -> Vec<f64>;

    /// Inputs \[N, d\] to logits \[N, K\].
    fn logits(&self, module: &Self::Module, x: Tensor<2>) -> Tensor<2>;

    /// Activations and logits of a sample.
    fn units(&self) -> usize;

    /// The parameters of the output layer, which are the last ones of θ.
    fn output_parameters(&self) -> usize;

    /// The class of the largest logit of each row of `x` \[N, d\], which is on the module's device.
    fn predict(&self, module: &Self::Module, x: Tensor<2>) -> Vec<usize> {
        classes(x, self.units(), |x| self.logits(module, x))
    }

    /// The same of the parameters θ, computed in f32 where `x` is.
    fn predict_at(&self, theta: &[f64], x: Tensor<2>) -> Vec<usize> {
        self.predict(&self.to_burn(theta, &x.device(), DType::F32), x)
    }
}

/// A feed-forward network of these layers. θ is in the order of [`Weights`].
#[derive(Clone, Debug)]
pub(crate) struct FeedForward(pub Vec<LayerShape>);

impl Classifier for FeedForward {
    type Module = Mlp;

    fn to_burn(&self, theta: &[f64], device: &Device, dtype: DType) -> Mlp {
        let weights = Weights {
            layers: self.0.clone(),
            theta: theta.to_vec(),
        };
        in_precision(&weights, device, dtype)
    }

    fn theta_of(&self, module: &Mlp) -> Vec<f64> {
        from_burn(module).theta
    }

    fn logits(&self, module: &Mlp, x: Tensor<2>) -> Tensor<2> {
        module.forward(x)
    }

    fn units(&self) -> usize {
        self.0.iter().map(|layer| layer.outputs).sum()
    }

    fn output_parameters(&self) -> usize {
        self.0.last().map_or(0, LayerShape::parameters)
    }
}

impl Classifier for ConvNetConfig {
    type Module = ConvNet;

    fn to_burn(&self, theta: &[f64], device: &Device, dtype: DType) -> ConvNet {
        let weights = ConvWeights {
            config: self.clone(),
            theta: theta.to_vec(),
        };
        weights.to_burn(device, dtype)
    }

    fn theta_of(&self, module: &ConvNet) -> Vec<f64> {
        ConvWeights::from_burn(self.clone(), module).theta
    }

    fn logits(&self, module: &ConvNet, x: Tensor<2>) -> Tensor<2> {
        module.forward(x)
    }

    fn units(&self) -> usize {
        ConvNetConfig::units(self)
    }

    fn output_parameters(&self) -> usize {
        (self.features() + 1) * self.classes
    }
}

/// The features \[N, d\] in f32 and the labels \[N\].
pub fn tensors(data: &Dataset, device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let shape = [data.samples(), data.inputs];
    let features: Vec<f32> = data.features.iter().map(|&v| v as f32).collect();
    let labels: Vec<i64> = data.labels.iter().map(|&label| label as i64).collect();
    let labels = TensorData::new(labels, [shape[0]]);
    (
        Tensor::from_data(TensorData::new(features, shape), (device, DType::F32)),
        Tensor::from_data(labels, device),
    )
}

/// The network with these weights in f32. Parameters have fixed identities, so that an optimizer's record finds them
/// again after a resume.
pub fn to_burn(weights: &Weights, device: &Device) -> Mlp {
    in_precision(weights, device, DType::F32)
}

fn in_precision(weights: &Weights, device: &Device, dtype: DType) -> Mlp {
    let ids = (1..).step_by(2);
    let layers = weights.layers.iter().zip(weights.ranges()).zip(ids);
    let linear = layers.map(|((layer, [matrix, bias]), id)| {
        let (n, m) = (layer.inputs, layer.outputs);
        // Burn's `Linear` holds the transpose of PyTorch's.
        let values = &weights.theta[matrix];
        let transposed: Vec<f64> = (0..n)
            .flat_map(|i| (0..m).map(move |j| values[j * n + i]))
            .collect();
        let data = TensorData::new(transposed, [n, m]);
        let weight = Tensor::<2>::from_data(data, (device, dtype));
        let bias = weights.theta[bias].to_vec();
        Linear {
            weight: Param::initialized(ParamId::from(id), tracked(weight)),
            bias: (!bias.is_empty()).then(|| {
                let data = TensorData::new(bias, [m]);
                let bias = Tensor::<1>::from_data(data, (device, dtype));
                Param::initialized(ParamId::from(id + 1), tracked(bias))
            }),
        }
    });
    let hidden = &weights.layers[..weights.layers.len().saturating_sub(1)];
    Mlp::new(
        linear.collect(),
        hidden.iter().map(|layer| layer.activation).collect(),
        hidden.iter().map(|layer| layer.residual).collect(),
    )
}

/// The network's weights.
pub fn from_burn(network: &Mlp) -> Weights {
    let mut weights = Weights {
        layers: Vec::new(),
        theta: Vec::new(),
    };
    for own in network.layers() {
        let layer = own.linear();
        let [rows, columns] = layer.weight.shape().dims();
        weights.layers.push(LayerShape {
            bias: layer.bias.is_some(),
            activation: own.activation(),
            residual: own.is_residual(),
            ..LayerShape::new(rows, columns)
        });
        let values = layer
            .weight
            .val()
            .inner()
            .into_data()
            .iter::<f64>()
            .collect::<Vec<f64>>();
        for column in 0..columns {
            let column = values.iter().skip(column).step_by(columns);
            weights.theta.extend(column);
        }
        if let Some(bias) = &layer.bias {
            let bias = bias.val().inner().into_data();
            weights.theta.extend(bias.iter::<f64>());
        }
    }
    weights
}

/// The class of the largest logit of each row of `x` \[N, d\], which is on the network's device.
pub fn predict(network: &Mlp, x: Tensor<2>) -> Vec<usize> {
    let layers = network.layers();
    let units = layers.iter().map(|layer| layer.shape().outputs).sum();
    classes(x, units, |x| network.forward(x))
}

/// The same of any network with so many activations and logits a sample.
fn classes(x: Tensor<2>, units: usize, logits: impl Fn(Tensor<2>) -> Tensor<2>) -> Vec<usize> {
    let [samples, _] = x.dims();
    let most = (AT_ONCE / units).max(1);
    let mut classes = Vec::with_capacity(samples);
    for start in (0..samples).step_by(most) {
        let some = x.clone().narrow(0, start, most.min(samples - start));
        let predicted = logits(some).argmax(1).into_data();
        classes.extend(predicted.iter::<i64>().map(|class| class as usize));
    }
    classes
}

/// Activations and logits that are computed at once.
const AT_ONCE: usize = 1 << 22;
