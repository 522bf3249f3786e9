//! The golden cases at any depth in `golden-depth/`, as Burn modules.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor};
use burn_hsr::{Activation, HsrGradient, Mlp, Targets};
use hsr_core::OutputLoss;
use serde::Deserialize;

use crate::{tensor, values};

/// A layer of a case.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // The fields are the keys of the files, explained in `golden-depth/README.md`.
pub struct GoldenLayer {
    pub inputs: usize,
    pub outputs: usize,
    pub activation: Option<String>,
    pub skip: bool,
    pub weight: Vec<Vec<f64>>,
    pub bias_values: Option<Vec<f64>>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // As above.
pub struct GoldenDepth {
    pub name: String,
    pub loss_kind: String,
    pub samples: usize,
    pub parameters: usize,
    pub layers: Vec<GoldenLayer>,
    pub x: Vec<Vec<f64>>,
    pub y: Vec<Vec<f64>>,
    pub sample_weights: Vec<f64>,
    pub loss: f64,
    pub loss_grad: Vec<f64>,
    pub trace: f64,
    pub frobenius_squared: f64,
    pub lambda_sup: f64,
    pub layer_lambda_sup: Vec<f64>,
    pub block_lambda_sup: f64,
    pub grad: Vec<f64>,
    pub input_grad: Vec<Vec<f64>>,
    pub block_lambda_sup_grad: Vec<f64>,
    pub layer_lambda_sup_sum_grad: Vec<f64>,
    pub eigenvalues: Vec<f64>,
}

/// All cases, sorted by name.
pub fn cases() -> Vec<GoldenDepth> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/golden-depth");
    let mut cases: Vec<GoldenDepth> = std::fs::read_dir(folder)
        .expect("the folder of golden cases")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable case");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(cases.len(), 24, "every golden case is there");
    cases
}

/// A matrix's rows as the rows of its transpose.
fn transposed(rows: &[Vec<f64>]) -> Vec<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns)
        .flat_map(|c| rows.iter().map(move |row| row[c]))
        .collect()
}

impl GoldenDepth {
    /// The loss.
    pub fn loss_kind(&self) -> OutputLoss {
        match self.loss_kind.as_str() {
            "softmax" => OutputLoss::SoftmaxCrossEntropy,
            "sigmoid" => OutputLoss::SigmoidCrossEntropy,
            "mse" => OutputLoss::MeanSquaredError,
            other => panic!("unknown loss {other}"),
        }
    }

    /// The case as a Burn network.
    pub fn model(&self, device: &Device, dtype: DType) -> Mlp {
        let linear = |layer: &GoldenLayer| {
            let weight = transposed(&layer.weight);
            let shape = [layer.inputs, layer.outputs];
            let bias = layer.bias_values.as_ref();
            Linear {
                weight: Param::from_tensor(tensor(&weight, shape, device, dtype)),
                bias: bias
                    .map(|bias| Param::from_tensor(tensor(bias, [layer.outputs], device, dtype))),
            }
        };
        let hidden = &self.layers[..self.layers.len() - 1];
        let activation = |layer: &GoldenLayer| match &layer.activation {
            Some(name) => name.parse().expect("a known activation"),
            None => Activation::Identity,
        };
        Mlp::new(
            self.layers.iter().map(linear).collect(),
            hidden.iter().map(activation).collect(),
            hidden.iter().map(|layer| layer.skip).collect(),
        )
    }

    /// Inputs and weighted targets.
    pub fn batch(&self, device: &Device, dtype: DType) -> (Tensor<2>, Targets) {
        let matrix = |rows: &[Vec<f64>]| {
            let shape = [rows.len(), rows[0].len()];
            tensor(&rows.concat(), shape, device, dtype)
        };
        let weights = tensor(&self.sample_weights, [self.samples], device, dtype);
        let targets = Targets::from(matrix(&self.y));
        (matrix(&self.x), targets.with_sample_weights(weights))
    }

    /// A gradient in the order of θ, weights as \[outputs, inputs\].
    pub fn flat(&self, gradient: HsrGradient) -> Vec<f64> {
        let parts = gradient.layers.into_iter().zip(&self.layers);
        let parts = parts.flat_map(|(part, layer)| {
            let weight = part.weight.map(values).unwrap_or_default();
            let rows: Vec<_> = weight.chunks(layer.outputs).map(<[f64]>::to_vec).collect();
            [transposed(&rows), part.bias.map(values).unwrap_or_default()]
        });
        parts.collect::<Vec<_>>().concat()
    }
}
