//! What the benches share: a network and a batch of the paper's kind, as hsr-core and as Burn see them, a training step
//! with what can be added to it, and timing in rounds.

use std::time::Instant;

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_hsr::{Hsr, HsrConfig, ThreeLayerNet, ThreeLayerNetConfig};
use burn_sharpness::penalty::{
    GradientNorm, GradientNormConfig, HutchinsonTrace, HutchinsonTraceConfig,
};
use burn_sharpness::{SamConfig, SamGradient};
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

/// What is added to a plain training step.
pub enum Extra {
    /// Nothing.
    Nothing,
    /// λ_sup or one of its peers, injected.
    Penalty(HsrConfig),
    /// SAM or ASAM.
    Sam(SamConfig),
    /// ‖∇L‖ of any module, by differences of gradients.
    GradientNorm(GradientNormConfig),
    /// tr H of any module, by random probes.
    HutchinsonTrace(HutchinsonTraceConfig),
}

enum Ready {
    Nothing,
    Penalty(Box<Hsr>),
    Sam(SamGradient),
    GradientNorm(GradientNorm),
    HutchinsonTrace(HutchinsonTrace),
}

/// A training loop in Burn on the flex backend, f32, with plain SGD.
pub struct Loop {
    model: ThreeLayerNet,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    extra: Ready,
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

impl Loop {
    /// A loop for d inputs, h hidden units, K classes and N samples a step.
    pub fn new([inputs, hidden, classes, samples]: [usize; 4], extra: Extra) -> Self {
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
            extra: match extra {
                Extra::Nothing => Ready::Nothing,
                Extra::Penalty(config) => {
                    Ready::Penalty(Box::new(config.init().expect("a valid configuration")))
                }
                Extra::Sam(config) => {
                    Ready::Sam(config.init_gradient().expect("a valid configuration"))
                }
                Extra::GradientNorm(config) => {
                    Ready::GradientNorm(config.init().expect("a valid configuration"))
                }
                Extra::HutchinsonTrace(config) => {
                    Ready::HutchinsonTrace(config.init().expect("a valid configuration"))
                }
            },
            x: Tensor::from_data(TensorData::new(x, [samples, inputs]), &device),
            y: Tensor::from_data(TensorData::new(y, [samples]), &device),
        }
    }

    /// Forward, backward, what is added, SGD step.
    pub fn step(&mut self) {
        let lr = 1e-3;
        let loss = |model: &ThreeLayerNet| {
            let logits = model.forward(self.x.clone());
            self.loss.forward(logits, self.y.clone())
        };
        let gradients =
            |model: &ThreeLayerNet| GradientsParams::from_grads(loss(model).backward(), model);
        let model = self.model.clone();
        self.model = match &self.extra {
            Ready::Nothing => {
                let gradients = gradients(&model);
                self.optimizer.step(lr, model, gradients)
            }
            Ready::Penalty(hsr) => {
                let gradients = gradients(&model);
                let (x, y) = (self.x.clone(), self.y.clone());
                hsr.step(&mut self.optimizer, lr, model, x, y, gradients)
                    .expect("a finite penalty")
            }
            Ready::Sam(sam) => {
                let passes = sam
                    .of(&model, |model| ((), gradients(&model)))
                    .expect("readable gradients");
                self.optimizer.step(lr, model, passes.gradients)
            }
            Ready::GradientNorm(penalty) => {
                let gradients = penalty
                    .inject(&model, loss, gradients(&model))
                    .expect("a tracked loss");
                self.optimizer.step(lr, model, gradients)
            }
            Ready::HutchinsonTrace(penalty) => {
                let gradients = penalty
                    .inject(&model, loss, gradients(&model))
                    .expect("a tracked loss");
                self.optimizer.step(lr, model, gradients)
            }
        };
    }
}

/// Something to be timed, with its name.
pub type Candidate<'a> = (&'a str, Box<dyn FnMut() + 'a>);

/// Seconds of each candidate, the median over rounds; each is repeated within a round so that a round lasts.
pub fn medians(candidates: &mut [Candidate], rounds: usize, repeats: usize) -> Vec<f64> {
    let mut seconds = vec![Vec::with_capacity(rounds); candidates.len()];
    for round in 0..rounds + 3 {
        for (index, (_, run)) in candidates.iter_mut().enumerate() {
            let started = Instant::now();
            for _ in 0..repeats {
                run();
            }
            // The first rounds fill caches and buffers.
            if round >= 3 {
                seconds[index].push(started.elapsed().as_secs_f64() / repeats as f64);
            }
        }
    }
    seconds
        .into_iter()
        .map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        })
        .collect()
}
