//! λ_sup as an expression of differentiable tensor operations: what one writes without the closed form of its gradient,
//! for autodiff to differentiate.
//!
//! The formulas of the value (softmax cross-entropy, tanh, both biases) and nothing else:
//!
//! ```text
//! U = W2 ∘ φ'    Q = S U    M = Uᵀ Q + diag((W2ᵀ r) ∘ φ'')    B[k,i,j] = Q[k,j] ã[i] + r[k] φ'[j] δ(i,j)
//! t = Σ tr S ‖ã‖² + tr M ‖x̃‖²    q = ‖Σ S ⊗ ããᵀ‖² + ‖Σ M ⊗ x̃x̃ᵀ‖² + 2‖Σ B ⊗ x̃ᵀ‖²
//! λ_sup = t/D + √(D − 1) √(q/D − t²/D²)
//! ```

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use hsr_core::Dimensions;

use super::scene::Bed;
use crate::error::LabError;

/// The bound of one batch, as a function of the parameters.
pub(super) struct TensorBound {
    device: Device,
    /// [N, d] and [N, d + 1].
    x: Tensor<2>,
    x_tilde: Tensor<2>,
    /// One-hot labels [N, K].
    y: Tensor<2>,
    /// [1, K, K], [1, h, h], [1, 1, h + 1, h].
    eye_outputs: Tensor<3>,
    eye_hidden: Tensor<3>,
    eye_cross: Tensor<4>,
    dimensions: Dimensions,
}

impl TensorBound {
    /// The batch of a bed, which has at least three classes and both biases, in f64 on the CPU.
    pub fn new(bed: &Bed) -> Self {
        let device = Device::flex().autodiff();
        let samples = bed.train.samples();
        let Dimensions {
            inputs,
            hidden,
            outputs,
            ..
        } = bed.dimensions;
        let x = tensor(bed.train.features.clone(), [samples, inputs], &device);
        let ones = tensor(vec![1.0; samples], [samples, 1], &device);
        let label = |n: usize, k: usize| f64::from(u8::from(bed.train.labels[n] == k));
        let y = (0..samples).flat_map(|n| (0..outputs).map(move |k| label(n, k)));
        let eye = |rows: usize, columns: usize| -> Vec<f64> {
            let entry = move |i: usize| f64::from(u8::from(i / columns == i % columns));
            (0..rows * columns).map(entry).collect()
        };
        Self {
            x_tilde: Tensor::cat(vec![x.clone(), ones], 1),
            y: tensor(y.collect(), [samples, outputs], &device),
            eye_outputs: tensor(eye(outputs, outputs), [1, outputs, outputs], &device),
            eye_hidden: tensor(eye(hidden, hidden), [1, hidden, hidden], &device),
            eye_cross: tensor(eye(hidden + 1, hidden), [1, 1, hidden + 1, hidden], &device),
            x,
            dimensions: bed.dimensions,
            device,
        }
    }

    /// λ_sup of W1 [h, d], b1 [1, h], W2 [K, h], b2 [1, K].
    fn value(&self, [w1, b1, w2, b2]: [Tensor<2>; 4]) -> Tensor<1> {
        let Dimensions {
            hidden, outputs, ..
        } = self.dimensions;
        let [samples, inputs] = self.x.dims();
        let weight = 1.0 / samples as f64;
        let a = (self.x.clone().matmul(w1.transpose()) + b1).tanh();
        let d1 = a.clone().square().neg() + 1.0;
        let d2 = a.clone() * d1.clone() * -2.0;
        let p = activation::softmax(a.clone().matmul(w2.clone().transpose()) + b2, 1);
        let a_tilde = Tensor::cat(vec![a.clone(), a.slice([0..samples, 0..1]) * 0.0 + 1.0], 1);

        let r = (p.clone() - self.y.clone()) * weight;
        let column = p.clone().unsqueeze_dim::<3>(2);
        let outer = column.clone().matmul(column.clone().transpose());
        let s = (column * self.eye_outputs.clone() - outer) * weight;
        let u = w2.clone().unsqueeze_dim::<3>(0) * d1.clone().unsqueeze_dim::<3>(1);
        let q = s.clone().matmul(u.clone());
        let c = (r.clone().matmul(w2) * d2).unsqueeze_dim::<3>(2);
        let m = u.transpose().matmul(q.clone()) + c * self.eye_hidden.clone();
        let b = q.unsqueeze_dim::<4>(2) * a_tilde.clone().reshape([samples, 1, hidden + 1, 1])
            + r.reshape([samples, outputs, 1, 1])
                * d1.reshape([samples, 1, 1, hidden])
                * self.eye_cross.clone();

        // Sums over the samples, each an outer product of what belongs to a sample.
        let flat = |t: Tensor<3>| t.reshape([samples as i32, -1]);
        let square = |t: Tensor<2>| {
            let column = t.unsqueeze_dim::<3>(2);
            flat(column.clone().matmul(column.transpose()))
        };
        let norm =
            |left: Tensor<2>, right: Tensor<2>| left.transpose().matmul(right).square().sum();
        let trace = |t: Tensor<3>, eye: &Tensor<3>| flat(t * eye.clone()).sum_dim(1);
        let length = |t: Tensor<2>| t.square().sum_dim(1);
        let t = (trace(s.clone(), &self.eye_outputs) * length(a_tilde.clone())
            + trace(m.clone(), &self.eye_hidden) * length(self.x_tilde.clone()))
        .sum();
        let cross = b.reshape([samples, outputs * (hidden + 1) * hidden]);
        let frobenius = norm(flat(s), square(a_tilde))
            + norm(flat(m), square(self.x_tilde.clone()))
            + norm(cross, self.x_tilde.clone()) * 2.0;
        debug_assert_eq!(self.x_tilde.dims(), [samples, inputs + 1]);

        let count = self.dimensions.parameters() as f64;
        // Times the reciprocal: Burn's backward pass of a division by a scalar takes that in single precision.
        let mean = t * count.recip();
        let std = (frobenius * count.recip() - mean.clone().square()).sqrt();
        mean + std * (count - 1.0).sqrt()
    }

    /// λ_sup at θ and, by autodiff, ∂λ_sup/∂θ.
    ///
    /// # Errors
    ///
    /// [`LabError::Option`] where a parameter has no gradient.
    pub fn gradient(&self, bed: &Bed, theta: &[f64]) -> Result<(f64, Vec<f64>), LabError> {
        let layout = bed.dimensions.layout();
        let Dimensions {
            inputs,
            hidden,
            outputs,
            ..
        } = self.dimensions;
        let parameters = [
            (layout.hidden_weight(), [hidden, inputs]),
            (layout.hidden_bias(), [1, hidden]),
            (layout.output_weight(), [outputs, hidden]),
            (layout.output_bias(), [1, outputs]),
        ]
        .map(|(range, shape)| tensor(theta[range].to_vec(), shape, &self.device).require_grad());
        let value = self.value(parameters.clone());
        let gradients = value.backward();
        let mut gradient = Vec::with_capacity(theta.len());
        for parameter in &parameters {
            let part = parameter
                .grad(&gradients)
                .ok_or_else(|| LabError::option("a parameter has no gradient"))?;
            gradient.extend(part.into_data().iter::<f64>());
        }
        Ok((value.into_scalar::<f64>(), gradient))
    }
}

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

#[cfg(test)]
mod tests {
    use hsr_core::Workspace;

    use super::super::scene::Scene;
    use super::*;

    #[test]
    fn autodiff_of_the_expression_is_the_closed_form() {
        for (hidden, seed) in [(1, 1), (3, 2), (7, 3)] {
            let scene = Scene::gaussians(0.5)
                .with_samples(20, 3)
                .with_hidden(hidden);
            let bed = scene.load(seed).unwrap();
            let theta = bed.start(1.5, seed);
            let (value, gradient) = TensorBound::new(&bed).gradient(&bed, &theta).unwrap();
            let (bound, expected) = bed.bound_gradient(&mut Workspace::new(), &theta).unwrap();
            assert!((value / bound - 1.0).abs() < 1e-13);
            let largest = expected.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
            for (g, e) in gradient.iter().zip(&expected) {
                assert!((g - e).abs() < 1e-12 * largest, "{g} {e}");
            }
        }
    }
}
