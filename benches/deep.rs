//! A tanh network of any depth with a softmax cross-entropy and a batch, on the host and in Burn.

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_hsr::{Mlp, MlpConfig};
use hsr_core::depth::{
    DeepEvaluation, DeepPlan, DeepWorkspace, FeedForward, LayerShape, Objective, Probe, ProbeOut,
};
use hsr_core::{Activation, Batch, Error, OutputLoss, Real, Targets};

use crate::noise;

/// A network and a batch, on the host.
pub struct DeepCase<T> {
    shapes: Vec<LayerShape>,
    theta: Vec<T>,
    inputs: Vec<T>,
    labels: Vec<usize>,
    gradients: [Vec<T>; 2],
    direction: Vec<T>,
    product: Vec<T>,
    workspace: DeepWorkspace<T>,
}

impl<T: Real> DeepCase<T> {
    /// Layers of these widths, inputs first, and N samples.
    pub fn new(widths: &[usize], samples: usize) -> Self {
        let last = widths.len() - 2;
        let shapes: Vec<LayerShape> = widths
            .windows(2)
            .enumerate()
            .map(|(l, pair)| {
                let shape = LayerShape::new(pair[0], pair[1]);
                let activation = if l < last {
                    Activation::Tanh
                } else {
                    Activation::Identity
                };
                shape.with_activation(activation)
            })
            .collect();
        let mut theta: Vec<T> = Vec::new();
        for shape in &shapes {
            let size = 1.0 / (shape.inputs as f64).sqrt();
            let from = theta.len();
            theta.extend((0..shape.parameters()).map(|i| T::of(size * noise(from + i))));
        }
        let parameters = theta.len();
        let sign = |i: usize| T::of(noise(3 * i + 1).signum());
        Self {
            inputs: (0..samples * widths[0])
                .map(|i| T::of(noise(7 * i + 3)))
                .collect(),
            labels: (0..samples).map(|n| n % widths[last + 1]).collect(),
            gradients: [vec![T::zero(); parameters], vec![T::zero(); parameters]],
            direction: (0..parameters).map(sign).collect(),
            product: vec![T::zero(); parameters],
            workspace: DeepWorkspace::new(),
            shapes,
            theta,
        }
    }

    /// θ, the inputs row by row, and the labels.
    pub fn problem(&self) -> (&[T], &[T], &[usize]) {
        (&self.theta, &self.inputs, &self.labels)
    }

    /// L, the number of layers.
    pub fn depth(&self) -> usize {
        self.shapes.len()
    }

    /// The objective and its gradient for the parameters.
    ///
    /// # Errors
    ///
    /// That of hsr-core.
    pub fn objective_gradient(
        &mut self,
        objective: Objective,
        evaluation: &DeepEvaluation,
    ) -> Result<(T, &[T]), Error> {
        let network = FeedForward::from_flat(&self.shapes, &self.theta)?;
        let targets = Targets::Classes(&self.labels);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &self.inputs, targets);
        let [gradient, _] = &mut self.gradients;
        let value = self
            .workspace
            .objective_gradient(&network, &batch, objective, evaluation, gradient, None)?;
        Ok((value, gradient))
    }

    /// The loss, its gradient, and the gradient that a random probe gives.
    ///
    /// # Errors
    ///
    /// That of hsr-core.
    pub fn probe_gradient(&mut self) -> Result<Probe<T>, Error> {
        let network = FeedForward::from_flat(&self.shapes, &self.theta)?;
        let targets = Targets::Classes(&self.labels);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &self.inputs, targets);
        let [of_loss, gradient] = &mut self.gradients;
        self.workspace.probe_gradient(
            &network,
            &batch,
            &self.direction,
            |_| [T::of(-0.01), T::of(0.1)],
            ProbeOut {
                loss_gradient: of_loss,
                hv: &mut self.product,
                gradient,
                input_gradient: None,
            },
        )
    }

    /// How the last evaluation was done.
    pub fn last_plan(&self) -> DeepPlan {
        self.workspace.last_plan()
    }
}

/// A plain training loop in Burn on the flex backend, f32, with SGD.
pub struct DeepLoop {
    model: Mlp,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl DeepLoop {
    /// Layers of these widths, inputs first, and N samples a step.
    pub fn new(widths: &[usize], samples: usize) -> Self {
        let device = Device::flex().autodiff();
        device.seed(0);
        let (inputs, outputs) = (widths[0], widths[widths.len() - 1]);
        let hidden = widths[1..widths.len() - 1].to_vec();
        let x: Vec<f32> = (0..samples * inputs)
            .map(|i| noise(7 * i + 3) as f32)
            .collect();
        let y: Vec<i64> = (0..samples).map(|n| (n % outputs) as i64).collect();
        Self {
            model: MlpConfig::new(inputs, hidden, outputs).init(&device),
            optimizer: SgdConfig::new().init(),
            loss: CrossEntropyLossConfig::new().init(&device),
            x: Tensor::from_data(TensorData::new(x, [samples, inputs]), &device),
            y: Tensor::from_data(TensorData::new(y, [samples]), &device),
        }
    }

    /// Forward, backward, SGD step.
    pub fn step(&mut self) {
        let logits = self.model.forward(self.x.clone());
        let gradients = self.loss.forward(logits, self.y.clone()).backward();
        let gradients = GradientsParams::from_grads(gradients, &self.model);
        self.model = self.optimizer.step(1e-3, self.model.clone(), gradients);
    }
}
