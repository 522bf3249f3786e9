//! Between data and weights in memory and Burn on a device.

use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_hsr::{Layers, Mlp};
use hsr_core::depth::LayerShape;

use crate::Weights;
use crate::data::Dataset;

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
    // Without autodiff there is nothing to track.
    fn tracked<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
        if tensor.is_autodiff() {
            tensor.require_grad()
        } else {
            tensor
        }
    }
    let ids = (1..).step_by(2);
    let layers = weights.layers.iter().zip(weights.ranges()).zip(ids);
    let linear = layers.map(|((layer, [matrix, bias]), id)| {
        let (n, m) = (layer.inputs, layer.outputs);
        // Burn's `Linear` holds the transpose of PyTorch's.
        let values = &weights.theta[matrix];
        let transposed: Vec<f32> = (0..n)
            .flat_map(|i| (0..m).map(move |j| values[j * n + i] as f32))
            .collect();
        let data = TensorData::new(transposed, [n, m]);
        let weight = Tensor::<2>::from_data(data, (device, DType::F32));
        let bias: Vec<f32> = weights.theta[bias].iter().map(|&v| v as f32).collect();
        Linear {
            weight: Param::initialized(ParamId::from(id), tracked(weight)),
            bias: (!bias.is_empty()).then(|| {
                let data = TensorData::new(bias, [m]);
                let bias = Tensor::<1>::from_data(data, (device, DType::F32));
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
    let [samples, _] = x.dims();
    let units: usize = network
        .layers()
        .iter()
        .map(|layer| layer.shape().outputs)
        .sum();
    let most = (AT_ONCE / units).max(1);
    let mut classes = Vec::with_capacity(samples);
    for start in (0..samples).step_by(most) {
        let some = x.clone().narrow(0, start, most.min(samples - start));
        let predicted = network.forward(some).argmax(1).into_data();
        classes.extend(predicted.iter::<i64>().map(|class| class as usize));
    }
    classes
}

/// Activations and logits that are computed at once.
const AT_ONCE: usize = 1 << 22;
