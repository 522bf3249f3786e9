//! The golden cases in `golden/`: float64 results of an independent automatic differentiation.

use hsr_core::depth::LayerShape;
use hsr_core::{Activation, Batch, Dimensions, Network, OutputLoss, Targets};
use serde::Deserialize;

use crate::golden_files;

/// One case; every array row-major, shapes in `golden/README.md`.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)] // The fields are the keys of the files, explained there.
pub struct Golden {
    pub name: String,
    pub activation: String,
    pub loss_kind: String,
    pub inputs: usize,
    pub hidden: usize,
    pub outputs: usize,
    pub samples: usize,
    pub parameters: usize,
    #[serde(deserialize_with = "flat")]
    pub hidden_weight: Vec<f64>,
    pub hidden_bias_values: Option<Vec<f64>>,
    #[serde(deserialize_with = "flat")]
    pub output_weight: Vec<f64>,
    pub output_bias_values: Option<Vec<f64>>,
    #[serde(deserialize_with = "flat")]
    pub x: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    pub y: Vec<f64>,
    pub sample_weights: Vec<f64>,
    pub loss: f64,
    pub loss_grad: Vec<f64>,
    pub trace: f64,
    pub frobenius_squared: f64,
    pub mean: f64,
    pub std: f64,
    pub lambda_sup: f64,
    pub lambda_inf: f64,
    pub lambda_max_lower: f64,
    pub lambda_min_upper: f64,
    pub grad: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    pub input_grad: Vec<f64>,
    pub eigenvalues: Vec<f64>,
    pub v: Vec<f64>,
    pub hessian_vector_product: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Array {
    Flat(Vec<f64>),
    Nested(Vec<Vec<f64>>),
}

fn flat<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    Ok(match Array::deserialize(deserializer)? {
        Array::Flat(values) => values,
        Array::Nested(rows) => rows.concat(),
    })
}

/// All cases, sorted by name.
pub fn cases() -> Vec<Golden> {
    golden_files::read("golden", 28)
}

impl Golden {
    /// The sizes.
    pub fn dimensions(&self) -> Dimensions {
        let dimensions = Dimensions {
            inputs: self.inputs,
            hidden: self.hidden,
            outputs: self.outputs,
            hidden_bias: self.hidden_bias_values.is_some(),
            output_bias: self.output_bias_values.is_some(),
        };
        assert_eq!(dimensions.parameters(), self.parameters);
        dimensions
    }

    /// The activation.
    pub fn activation(&self) -> Activation {
        self.activation.parse().expect("a known activation")
    }

    /// The loss.
    pub fn loss_kind(&self) -> OutputLoss {
        golden_files::loss_named(&self.loss_kind)
    }

    /// θ in the order of the layout.
    pub fn theta(&self) -> Vec<f64> {
        [
            &self.hidden_weight[..],
            self.hidden_bias_values.as_deref().unwrap_or_default(),
            &self.output_weight,
            self.output_bias_values.as_deref().unwrap_or_default(),
        ]
        .concat()
    }

    /// The same network as one of any depth: its layers and their flat θ.
    pub fn layers(&self) -> ([LayerShape; 2], Vec<f64>) {
        let shape = |inputs, outputs, bias| LayerShape {
            bias,
            ..LayerShape::new(inputs, outputs)
        };
        let hidden = shape(self.inputs, self.hidden, self.hidden_bias_values.is_some());
        let output = shape(self.hidden, self.outputs, self.output_bias_values.is_some());
        let shapes = [hidden.with_activation(self.activation()), output];
        (shapes, self.theta())
    }

    /// The network as hsr-core sees it.
    pub fn network(&self) -> Network<'_, f64> {
        Network::new(
            self.dimensions(),
            self.activation(),
            &self.hidden_weight,
            self.hidden_bias_values.as_deref(),
            &self.output_weight,
            self.output_bias_values.as_deref(),
        )
        .expect("a valid network")
    }

    /// The batch as hsr-core sees it.
    pub fn batch(&self) -> Batch<'_, f64> {
        Batch::new(self.loss_kind(), &self.x, Targets::Values(&self.y))
            .with_sample_weights(&self.sample_weights)
    }

    /// Whether all samples weigh the same.
    pub fn is_unweighted(&self) -> bool {
        let first = self.sample_weights[0];
        self.sample_weights
            .iter()
            .all(|w| (w - first).abs() < 1e-15)
    }

    /// The class indices, where every label is hard.
    pub fn classes(&self) -> Option<Vec<usize>> {
        if self.loss_kind == "mse" || (self.loss_kind == "sigmoid" && self.outputs > 1) {
            return None;
        }
        if self.y.iter().any(|&y| y != 0.0 && y != 1.0) {
            return None;
        }
        Some(if self.outputs == 1 {
            self.y.iter().map(|&y| y as usize).collect()
        } else {
            self.y
                .chunks(self.outputs)
                .map(|row| row.iter().position(|&y| y == 1.0).expect("one-hot"))
                .collect()
        })
    }
}
