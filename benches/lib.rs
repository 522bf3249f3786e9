//! What the benches share: a network and a batch of the paper's kind, as hsr-core and as Burn see them, a training step
//! with what can be added to it, and timing in rounds.

pub mod deep;

use std::hint::black_box;
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
    Activation, Batch, Dimensions, Error, Evaluation, Network, OutputLoss, Plan, PlannedWork, Real,
    SpectralBounds, Targets, Workspace,
};

/// Whether a bench was asked for in a mode of its own, as in `HSR_BENCH=quick`.
pub fn asked_for(mode: &str) -> bool {
    std::env::var("HSR_BENCH").is_ok_and(|asked| asked == mode)
}

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
    pub fn new([inputs, hidden, classes, samples]: [usize; 4]) -> Self {
        let dimensions = Dimensions::new(inputs, hidden, classes);
        let parameters = dimensions.parameters();
        // As large as Burn initialises a layer, so that units are not saturated however many inputs there are.
        let of_output = dimensions.layout().output_weight().start;
        let theta = |i| {
            let fan_in = if i < of_output { inputs } else { hidden };
            T::of(noise(i) / (fan_in as f64).sqrt())
        };
        Self {
            dimensions,
            theta: (0..parameters).map(theta).collect(),
            inputs: (0..samples * inputs)
                .map(|i| T::of(noise(7 * i + 3)))
                .collect(),
            labels: (0..samples).map(|i| i % classes).collect(),
            gradient: vec![T::zero(); parameters],
            workspace: Workspace::new(),
        }
    }

    /// θ, the inputs row by row, and the labels.
    pub fn problem(&self) -> (&[T], &[T], &[usize]) {
        (&self.theta, &self.inputs, &self.labels)
    }

    /// The bounds and the gradient of λ_sup.
    ///
    /// # Errors
    ///
    /// That of hsr-core, where a block is too large to be assembled.
    pub fn bounds_gradient(
        &mut self,
        evaluation: Evaluation,
    ) -> Result<(SpectralBounds<T>, &[T]), Error> {
        let network = Network::from_flat(self.dimensions, Activation::Tanh, &self.theta)?;
        let targets = Targets::Classes(&self.labels);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &self.inputs, targets);
        let bounds = self.workspace.bounds_gradient(
            &network,
            &batch,
            evaluation,
            &mut self.gradient,
            None,
        )?;
        Ok((bounds, &self.gradient))
    }

    /// λ_sup with its gradient, for nothing but its time.
    pub fn run(&mut self, evaluation: Evaluation) {
        let (bounds, gradient) = self.bounds_gradient(evaluation).expect("a finite bound");
        black_box((bounds.lambda_sup, gradient));
    }

    /// The plan of the last evaluation.
    pub fn last_plan(&self) -> Plan {
        self.workspace.last_plan().expect("an evaluation was run")
    }

    /// What an evaluation has to do under a plan.
    pub fn work(&self, plan: Plan) -> PlannedWork {
        let samples = self.labels.len();
        plan.work(&self.dimensions, OutputLoss::SoftmaxCrossEntropy, samples)
    }
}

/// What is added to a plain training step.
pub enum Extra {
    /// Nothing.
    Nothing,
    /// λ_sup or one of its peers, injected.
    Penalty(HsrConfig),
    /// The same with the loss's gradient from the closed form too, in place of forward pass and `backward`.
    LossStep(HsrConfig),
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
    LossStep(Box<Hsr>),
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
        let hsr = |config: HsrConfig| Box::new(config.init().expect("a valid configuration"));
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
                Extra::Penalty(config) => Ready::Penalty(hsr(config)),
                Extra::LossStep(config) => Ready::LossStep(hsr(config)),
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
        self.model = match &mut self.extra {
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
            Ready::LossStep(hsr) => {
                let (x, y) = (self.x.clone(), self.y.clone());
                let (model, _) = hsr
                    .loss_step(&mut self.optimizer, lr, model, x, y)
                    .expect("a finite objective");
                model
            }
            Ready::Sam(sam) => {
                let passes = sam
                    .loss_gradients(&model, |model| ((), gradients(model)))
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

/// Seconds of each candidate in each round. In a round every candidate has its turn, repeated until the turn lasts
/// `turn` seconds, and before it a quarter of that untimed, for it finds the caches and the free memory of the one before.
/// Timings on shared machines drift; ratios taken in this way do not.
fn in_turns(candidates: &mut [Candidate], rounds: usize, turn: f64) -> Vec<Vec<f64>> {
    let quick = asked_for("quick");
    let rounds = if quick { 3 } else { rounds };
    let turn = if quick { turn / 10.0 } else { turn };
    let repeats: Vec<usize> = candidates
        .iter_mut()
        .map(|(_, run)| repeats(run.as_mut(), turn))
        .collect();
    let mut seconds = vec![Vec::with_capacity(rounds); candidates.len()];
    for _ in 0..rounds {
        for (((_, run), &repeats), seconds) in candidates.iter_mut().zip(&repeats).zip(&mut seconds)
        {
            for _ in 0..repeats.div_ceil(4) {
                run();
            }
            let started = Instant::now();
            for _ in 0..repeats {
                run();
            }
            seconds.push(started.elapsed().as_secs_f64() / repeats as f64);
        }
    }
    seconds
}

/// Seconds of each candidate, the median over rounds in which all take turns.
pub fn medians(candidates: &mut [Candidate], rounds: usize, turn: f64) -> Vec<f64> {
    let seconds = in_turns(candidates, rounds, turn);
    seconds
        .into_iter()
        .map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        })
        .collect()
}

/// What a candidate takes beside the first one.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// Seconds, the median over rounds.
    pub seconds: f64,
    /// The ratio to the first candidate's turn in the same round: quartile, median, quartile over rounds.
    pub quartiles: [f64; 3],
}

/// Ratios to the first candidate, taken turn by turn: what slows the machine down for longer than a round cancels.
pub fn ratios(candidates: &mut [Candidate], rounds: usize, turn: f64) -> Vec<Ratio> {
    let seconds = in_turns(candidates, rounds, turn);
    let quartiles = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
    };
    let of = |all: &Vec<f64>| Ratio {
        seconds: quartiles(all.clone())[1],
        quartiles: quartiles(all.iter().zip(&seconds[0]).map(|(a, b)| a / b).collect()),
    };
    seconds.iter().map(of).collect()
}

/// Seconds of each candidate, the least over rounds in which all take turns: what it takes when nothing disturbs it.
pub fn minima(candidates: &mut [Candidate], rounds: usize, turn: f64) -> Vec<f64> {
    let seconds = in_turns(candidates, rounds, turn);
    seconds
        .into_iter()
        .map(|all| all.into_iter().fold(f64::INFINITY, f64::min))
        .collect()
}

/// How often something is to be run so that it lasts `turn` seconds. Caches and buffers are filled on the way.
pub fn repeats(run: &mut dyn FnMut(), turn: f64) -> usize {
    run();
    let mut repeats = 1;
    loop {
        let started = Instant::now();
        for _ in 0..repeats {
            run();
        }
        let elapsed = started.elapsed().as_secs_f64();
        if elapsed >= turn / 4.0 || repeats >= 1 << 20 {
            let wanted = turn / elapsed * repeats as f64;
            return (wanted.round() as usize).max(1);
        }
        repeats *= 4;
    }
}

/// The exponent b of y ≈ a x^b, by least squares in the logarithms.
pub fn exponent(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (x.ln(), y.ln())).collect();
    let mean = logs
        .iter()
        .fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (mut xx, mut xy) = (0.0, 0.0);
    for (x, y) in logs {
        xx += (x - mean.0).powi(2);
        xy += (x - mean.0) * (y - mean.1);
    }
    xy / xx
}
