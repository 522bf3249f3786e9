//! What the tests at any depth share: the golden cases in `tests/golden-depth` of the workspace, networks and batches
//! that own their data, a tolerance that states its scale, derivatives by differences.

#![allow(dead_code)] // Each test file uses a part.

#[path = "../../../../tests/golden_files.rs"]
mod golden_files;

use hsr_core::depth::{FeedForward, LayerShape};
use hsr_core::{Activation, Batch, OutputLoss, Real, Targets};
use serde::Deserialize;

/// A layer of a golden case.
#[derive(Clone, Debug, Deserialize)]
pub struct GoldenLayer {
    pub inputs: usize,
    pub outputs: usize,
    pub activation: Option<String>,
    pub skip: bool,
    pub bias: bool,
    pub weight: Vec<Vec<f64>>,
    pub bias_values: Option<Vec<f64>>,
}

/// One case; shapes in `tests/golden-depth/README.md`.
#[derive(Clone, Debug, Deserialize)]
pub struct Golden {
    pub name: String,
    pub loss_kind: String,
    pub samples: usize,
    pub parameters: usize,
    pub layer_parameters: Vec<usize>,
    pub layers: Vec<GoldenLayer>,
    pub x: Vec<Vec<f64>>,
    pub y: Vec<Vec<f64>>,
    pub sample_weights: Vec<f64>,
    pub loss: f64,
    pub loss_grad: Vec<f64>,
    pub trace: f64,
    pub frobenius_squared: f64,
    pub layer_traces: Vec<f64>,
    pub block_frobenius_squared: Vec<Vec<f64>>,
    pub lambda_sup: f64,
    pub lambda_inf: f64,
    pub lambda_max_lower: f64,
    pub lambda_min_upper: f64,
    pub spread_upper: f64,
    pub layer_lambda_sup: Vec<f64>,
    pub block_lambda_sup: f64,
    pub gauss_newton_trace: f64,
    pub gauss_newton_frobenius_squared: f64,
    pub gauss_newton_inner: f64,
    pub grad: Vec<f64>,
    pub input_grad: Vec<Vec<f64>>,
    pub block_lambda_sup_grad: Vec<f64>,
    pub layer_lambda_sup_sum_grad: Vec<f64>,
    pub eigenvalues: Vec<f64>,
    pub v: Vec<f64>,
    pub hessian_vector_product: Vec<f64>,
}

/// All cases, sorted by name.
pub fn golden() -> Vec<Golden> {
    golden_files::read("golden-depth", 24)
}

/// A network and a batch that own their data, in any scalar type.
#[derive(Clone, Debug)]
pub struct Case<T> {
    pub shapes: Vec<LayerShape>,
    pub theta: Vec<T>,
    pub loss: OutputLoss,
    pub x: Vec<T>,
    pub y: Vec<T>,
    pub weights: Vec<T>,
}

impl<T: Real> Case<T> {
    pub fn network(&self) -> FeedForward<'_, T> {
        FeedForward::from_flat(&self.shapes, &self.theta).expect("a valid network")
    }

    pub fn batch(&self) -> Batch<'_, T> {
        Batch::new(self.loss, &self.x, Targets::Values(&self.y)).with_sample_weights(&self.weights)
    }

    pub fn parameters(&self) -> usize {
        self.shapes.iter().map(LayerShape::parameters).sum()
    }

    pub fn samples(&self) -> usize {
        self.weights.len()
    }

    /// The same loss of so many copies of the batch.
    pub fn copies(&self, count: usize) -> Self {
        Self {
            x: self.x.repeat(count),
            y: self.y.repeat(count),
            weights: self.weights.repeat(count),
            ..self.clone()
        }
    }
}

impl Case<f64> {
    /// The same in single precision.
    pub fn narrowed(&self) -> Case<f32> {
        let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        Case {
            shapes: self.shapes.clone(),
            theta: narrow(&self.theta),
            loss: self.loss,
            x: narrow(&self.x),
            y: narrow(&self.y),
            weights: narrow(&self.weights),
        }
    }
}

impl Golden {
    pub fn case(&self) -> Case<f64> {
        let shapes: Vec<LayerShape> = self
            .layers
            .iter()
            .map(|layer| LayerShape {
                bias: layer.bias,
                activation: match &layer.activation {
                    Some(name) => name.parse().expect("a known activation"),
                    None => Activation::Identity,
                },
                residual: layer.skip,
                ..LayerShape::new(layer.inputs, layer.outputs)
            })
            .collect();
        let theta: Vec<f64> = self
            .layers
            .iter()
            .flat_map(|layer| {
                let bias = layer.bias_values.clone().unwrap_or_default();
                [layer.weight.concat(), bias].concat()
            })
            .collect();
        assert_eq!(theta.len(), self.parameters);
        Case {
            shapes,
            theta,
            loss: golden_files::loss_named(&self.loss_kind),
            x: self.x.concat(),
            y: self.y.concat(),
            weights: self.sample_weights.clone(),
        }
    }
}

/// Numbers in −1…1 that look random and are the same everywhere.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF0)
    }

    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub fn vector(&mut self, size: usize) -> Vec<f64> {
        (0..size).map(|_| self.next()).collect()
    }
}

/// A case of these layers with parameters of order `scale`/√inputs, soft labels where the loss takes them.
pub fn random_case(
    shapes: &[LayerShape],
    loss: OutputLoss,
    samples: usize,
    scale: f64,
    seed: u64,
) -> Case<f64> {
    let mut numbers = Numbers::new(seed);
    let mut theta = Vec::new();
    for shape in shapes {
        let size = scale * (3.0 / shape.inputs as f64).sqrt();
        theta.extend((0..shape.outputs * shape.inputs).map(|_| size * numbers.next()));
        theta.extend(
            (0..shape.parameters() - shape.outputs * shape.inputs).map(|_| 0.3 * numbers.next()),
        );
    }
    let (inputs, outputs) = (shapes[0].inputs, shapes[shapes.len() - 1].outputs);
    let x = (0..samples * inputs)
        .map(|_| 1.5 * numbers.next())
        .collect();
    let y = (0..samples)
        .flat_map(|_| {
            let mut label: Vec<f64> = (0..outputs).map(|_| numbers.next().abs() + 0.01).collect();
            if loss == OutputLoss::SoftmaxCrossEntropy {
                let sum: f64 = label.iter().sum();
                label.iter_mut().for_each(|y| *y /= sum);
            }
            label.iter_mut().for_each(|y| *y = y.min(1.0));
            label
        })
        .collect();
    let weights = (0..samples).map(|_| 1.0 + 0.5 * numbers.next()).collect();
    Case {
        shapes: shapes.to_vec(),
        theta,
        loss,
        x,
        y,
        weights,
    }
}

/// Networks of depth 1…5 with every kind of layer: residual, without bias, of all smooth activations.
pub fn varied_cases() -> Vec<Case<f64>> {
    use Activation::{Erf, Gelu, GeluTanh, Mish, Sigmoid, Silu, Sin, Softplus, Tanh};
    let dense =
        |inputs, outputs, activation| LayerShape::new(inputs, outputs).with_activation(activation);
    let last = LayerShape::new;
    use OutputLoss::{MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy};
    [
        (vec![last(3, 4)], SoftmaxCrossEntropy, 7),
        (vec![last(2, 2).without_bias()], SigmoidCrossEntropy, 5),
        (vec![dense(3, 4, Gelu), last(4, 2)], MeanSquaredError, 9),
        (
            vec![dense(3, 3, Tanh).with_residual(), last(3, 3)],
            SoftmaxCrossEntropy,
            11,
        ),
        (
            vec![
                dense(2, 4, Silu),
                dense(4, 4, Erf).with_residual(),
                last(4, 3),
            ],
            SoftmaxCrossEntropy,
            13,
        ),
        (
            vec![
                dense(3, 5, Sin).without_bias(),
                dense(5, 2, GeluTanh),
                last(2, 1),
            ],
            SigmoidCrossEntropy,
            10,
        ),
        (
            vec![
                dense(2, 3, Softplus),
                dense(3, 3, Mish).with_residual(),
                dense(3, 3, Tanh).with_residual().without_bias(),
                last(3, 4),
            ],
            SoftmaxCrossEntropy,
            12,
        ),
        (
            vec![
                dense(3, 3, Sigmoid).with_residual(),
                dense(3, 3, Tanh).with_residual(),
                dense(3, 3, Sin).with_residual(),
                dense(3, 3, Silu).with_residual(),
                last(3, 2),
            ],
            MeanSquaredError,
            8,
        ),
    ]
    .into_iter()
    .zip(1..)
    .map(|((shapes, loss, samples), seed)| random_case(&shapes, loss, samples, 0.9, seed))
    .collect()
}

/// The largest |a − b|, relative to the largest |b| (or to `floor`, where that is larger).
pub fn relative_error<A: Real, B: Real>(a: &[A], b: &[B], floor: f64) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(floor, |max, v| max.max(v.as_f64().abs()));
    let error = a.iter().zip(b).fold(0.0, |max: f64, (a, b)| {
        let error = (a.as_f64() - b.as_f64()).abs();
        // NaN must not be lost in a maximum.
        if error.is_nan() {
            f64::INFINITY
        } else {
            max.max(error)
        }
    });
    if scale == 0.0 { error } else { error / scale }
}

/// The gradient of `f` by central differences of fourth order: error about step⁴.
pub fn gradient_by_differences(x: &[f64], step: f64, mut f: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    let mut point = x.to_vec();
    (0..x.len())
        .map(|i| {
            let mut at = |offset: f64| {
                point[i] = x[i] + offset;
                let value = f(&point);
                point[i] = x[i];
                value
            };
            (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step)
        })
        .collect()
}
