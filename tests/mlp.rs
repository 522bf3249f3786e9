//! A multilayer perceptron of any depth, as a Burn module and as a plain function of its parameters.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, tanh};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::hyper_dual::HyperDual;
use crate::tensor;

/// Linear layers with tanh between them.
#[derive(Module, Debug)]
pub struct Mlp {
    /// The layers.
    pub layers: Vec<Linear>,
}

/// A perceptron's sizes and its data.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Units of every layer, inputs first, outputs last.
    pub sizes: Vec<usize>,
    /// θ: weights \[inputs, outputs\] and biases of each layer in turn, as Burn has them.
    pub theta: Vec<f64>,
    /// \[samples, inputs\].
    pub x: Vec<f64>,
    /// Class indices.
    pub y: Vec<usize>,
}

/// Reproducible numbers in −1…1.
pub fn noise(count: usize, seed: usize) -> Vec<f64> {
    (0..count)
        .map(|i| (1.7 * (i + 31 * seed) as f64 + 0.3).sin() * (0.9 * i as f64).cos())
        .collect()
}

impl Problem {
    /// A problem with parameters of that size.
    pub fn new(sizes: &[usize], samples: usize, scale: f64) -> Self {
        let parameters = sizes.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum();
        let (inputs, outputs) = (sizes[0], sizes[sizes.len() - 1]);
        Self {
            sizes: sizes.to_vec(),
            theta: noise(parameters, 1).iter().map(|v| v * scale).collect(),
            x: noise(samples * inputs, 2).iter().map(|v| 2.0 * v).collect(),
            y: (0..samples).map(|i| (i * i + 1) % outputs).collect(),
        }
    }

    /// The module.
    pub fn model(&self, device: &Device, dtype: DType) -> Mlp {
        let mut rest = &self.theta[..];
        let mut take = |count: usize| {
            let (first, after) = rest.split_at(count);
            rest = after;
            first
        };
        let layer = |pair: &[usize]| {
            let (inputs, outputs) = (pair[0], pair[1]);
            let weight = tensor(take(inputs * outputs), [inputs, outputs], device, dtype);
            let bias = tensor(take(outputs), [outputs], device, dtype);
            Linear {
                weight: Param::from_tensor(weight),
                bias: Some(Param::from_tensor(bias)),
            }
        };
        Mlp {
            layers: self.sizes.windows(2).map(layer).collect(),
        }
    }

    /// The data as one batch.
    pub fn batch(&self, device: &Device, dtype: DType) -> Batch {
        self.rows(0..self.y.len(), device, dtype)
    }

    /// The data in batches, of which the last may be shorter.
    pub fn batches(&self, size: usize, device: &Device, dtype: DType) -> Vec<Batch> {
        let samples = self.y.len();
        (0..samples)
            .step_by(size)
            .map(|start| self.rows(start..samples.min(start + size), device, dtype))
            .collect()
    }

    fn rows(&self, rows: core::ops::Range<usize>, device: &Device, dtype: DType) -> Batch {
        let (count, inputs) = (rows.len(), self.sizes[0]);
        let x = &self.x[rows.start * inputs..rows.end * inputs];
        let y: Vec<i64> = self.y[rows].iter().map(|&y| y as i64).collect();
        Batch {
            x: tensor(x, [count, inputs], device, dtype),
            y: Tensor::from_data(TensorData::new(y, [count]), device),
        }
    }

    /// The logits of a sample at any θ, computed without Burn.
    pub fn logits(&self, theta: &[HyperDual], sample: usize) -> Vec<HyperDual> {
        let inputs = self.sizes[0];
        let x = &self.x[sample * inputs..(sample + 1) * inputs];
        let mut a: Vec<HyperDual> = x.iter().map(|&v| HyperDual::constant(v)).collect();
        let mut rest = theta;
        for (layer, pair) in self.sizes.windows(2).enumerate() {
            let (inputs, outputs) = (pair[0], pair[1]);
            let (weight, after) = rest.split_at(inputs * outputs);
            let (bias, after) = after.split_at(outputs);
            rest = after;
            let z = (0..outputs).map(|j| {
                let terms = (0..inputs).map(|i| a[i] * weight[i * outputs + j]);
                bias[j] + terms.sum()
            });
            let last = layer + 2 == self.sizes.len();
            a = z.map(|z| if last { z } else { z.tanh() }).collect();
        }
        a
    }

    /// The softmax cross-entropy of a sample at any θ, computed without Burn.
    pub fn sample_loss(&self, theta: &[HyperDual], sample: usize) -> HyperDual {
        let logits = self.logits(theta, sample);
        let total: HyperDual = logits.iter().map(|o| o.exp()).sum();
        total.ln() - logits[self.y[sample]]
    }

    /// The mean softmax cross-entropy at any θ, computed without Burn.
    pub fn loss(&self, theta: &[HyperDual]) -> HyperDual {
        let samples = 0..self.y.len();
        let sum: HyperDual = samples.map(|sample| self.sample_loss(theta, sample)).sum();
        sum * HyperDual::constant(1.0 / self.y.len() as f64)
    }

    /// The Hessian of the loss, row-major.
    pub fn hessian(&self) -> Vec<f64> {
        crate::hyper_dual::hessian(&self.theta, |theta| self.loss(theta))
    }

    /// The gradient of the loss.
    pub fn gradient(&self) -> Vec<f64> {
        crate::hyper_dual::gradient(&self.theta, |theta| self.loss(theta))
    }

    /// The same problem at other parameters.
    pub fn at(&self, theta: &[f64]) -> Self {
        Self {
            theta: theta.to_vec(),
            ..self.clone()
        }
    }
}

/// Inputs and classes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// \[N, d\].
    pub x: Tensor<2>,
    /// \[N\].
    pub y: Tensor<1, Int>,
}

impl Batch {
    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.y.dims()[0]
    }
}

impl Mlp {
    /// The logits.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (i, layer)| {
            let z = layer.forward(x);
            if i == last { z } else { tanh(z) }
        })
    }

    /// The mean softmax cross-entropy, \[1\].
    pub fn loss(&self, batch: &Batch) -> Tensor<1> {
        let log_p = log_softmax(self.forward(batch.x.clone()), 1);
        let of_class = log_p.gather(1, batch.y.clone().unsqueeze_dim(1));
        of_class.mean().neg()
    }
}
