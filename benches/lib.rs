//! What the benches share: a network and a batch of the paper's kind, as hsr-core and as Burn see them, and a plain
//! training step.

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_hsr::{Hsr, HsrConfig, ThreeLayerNet, ThreeLayerNetConfig};
use hsr_core::{
    Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Real, Targets, Workspace,
};

/// A pseudo-random number in −1…1 for every index: the same data in every bench and every run.
pub fn noise(index: usize) -> f64 {
    let x = (index as f64 + 1.0) * 12.9898;
    2.0 * (x.sin() * 43_758.545_3).rem_euclid(1.0) - 1.0
}

/// A tanh network with a softmax cross-entropy and a batch, on the host.
pub struct Case<T> {
    /// The sizes.
    pub dimensions: Dimensions,
    theta: Vec<T>,
    inputs: Vec<T>,
    labels: Vec<usize>,
    gradient: Vec<T>,
    workspace: Workspace<T>,
}

impl<T: Real> Case<T> {
    /// A case of d inputs, h hidden units, K classes and N samples.
    pub fn new(inputs: usize, hidden: usize, classes: usize, samples: usize) -> Self {
        let dimensions = Dimensions::new(inputs, hidden, classes);
        let parameters = dimensions.parameters();
        Self {
            dimensions,
            theta: (0..parameters).map(|i| T::of(0.7 * noise(i))).collect(),
            inputs: (0..samples * inputs)
                .map(|i| T::of(noise(7 * i + 3)))
                .collect(),
            labels: (0..samples).map(|i| i % classes).collect(),
            gradient: vec![T::zero(); parameters],
            workspace: Workspace::new(),
        }
    }

    /// λ_sup with its gradient.
    pub fn bounds_gradient(&mut self, evaluation: Evaluation) -> T {
        let network = Network::from_flat(self.dimensions, Activation::Tanh, &self.theta)
            .expect("a valid network");
        let targets = Targets::Classes(&self.labels);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &self.inputs, targets);
        self.workspace
            .bounds_gradient(&network, &batch, evaluation, &mut self.gradient, None)
            .expect("a finite bound")
            .lambda_sup
    }
}

/// The same in Burn, f32, with plain SGD.
pub struct Loop {
    model: ThreeLayerNet,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    hsr: Hsr,
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl Loop {
    /// A training loop on the flex backend.
    pub fn new(inputs: usize, hidden: usize, classes: usize, samples: usize) -> Self {
        let device = Device::flex().autodiff();
        device.seed(0);
        let x: Vec<f32> = (0..samples * inputs)
            .map(|i| noise(7 * i + 3) as f32)
            .collect();
        let y: Vec<i64> = (0..samples).map(|i| (i % classes) as i64).collect();
        Self {
            model: ThreeLayerNetConfig::new(inputs, hidden, classes).init(&device),
            optimizer: SgdConfig::new().init(),
            loss: CrossEntropyLossConfig::new().init(&device),
            hsr: HsrConfig::new().init().expect("valid defaults"),
            x: Tensor::from_data(TensorData::new(x, [samples, inputs]), &device),
            y: Tensor::from_data(TensorData::new(y, [samples]), &device),
        }
    }

    fn gradients(&self) -> GradientsParams {
        let logits = self.model.forward(self.x.clone());
        let loss = self.loss.forward(logits, self.y.clone());
        GradientsParams::from_grads(loss.backward(), &self.model)
    }

    /// Forward, backward, SGD step.
    pub fn plain_step(&mut self) {
        let gradients = self.gradients();
        self.model = self.optimizer.step(1e-3, self.model.clone(), gradients);
    }

    /// The same with HSR injected.
    pub fn hsr_step(&mut self) {
        let gradients = self.gradients();
        let (model, x, y) = (self.model.clone(), self.x.clone(), self.y.clone());
        self.model = self
            .hsr
            .step(&mut self.optimizer, 1e-3, model, x, y, gradients)
            .expect("a finite bound");
    }
}
