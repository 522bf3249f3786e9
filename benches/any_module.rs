//! What a training step of any module costs with stochastic HSR and with SAM, counted in plain steps of the same model
//! and batch: `cargo bench --workspace --bench any_module`.
//!
//! Every turn is 20 steps, in which HSR every fourth and every tenth step acts as often as it should. All candidates take
//! turns in one run; a ratio is the median over rounds of the ratio to the plain turn of the same round, with its
//! quartiles.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_penalty::{Objective, ScheduleConfig, StochasticHsrConfig};
use burn_sharpness::SamConfig;
use hsr_benches::{Candidate, ratios};

/// A network of 64 inputs and ten classes.
trait Network: Module {
    fn forward(&self, x: Tensor<2>) -> Tensor<2>;
}

#[derive(Module, Debug)]
struct ConvNet {
    convs: [Conv2d; 2],
    norm: BatchNorm,
    output: Linear,
}

impl Network for ConvNet {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let samples = x.dims()[0];
        let [first, second] = &self.convs;
        let x = gelu(
            self.norm
                .forward(first.forward(x.reshape([samples, 1, 8, 8]))),
        );
        let x = gelu(second.forward(x)).reshape([samples, 16 * 16]);
        self.output.forward(x)
    }
}

#[derive(Module, Debug)]
struct Perceptron {
    layers: [Linear; 3],
}

impl Network for Perceptron {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [first, second, last] = &self.layers;
        last.forward(gelu(second.forward(gelu(first.forward(x)))))
    }
}

const SAMPLES: usize = 64;
const STEPS: usize = 20;

fn measure<N: Network>(name: &str, model: &N, device: &Device) {
    let x: Vec<f32> = (0..SAMPLES * 64).map(|i| (1.7 * i as f32).sin()).collect();
    let y: Vec<i64> = (0..SAMPLES as i64).map(|i| i % 10).collect();
    let x = Tensor::<2>::from_data(TensorData::new(x, [SAMPLES, 64]), device);
    let y = Tensor::<1, Int>::from_data(TensorData::new(y, [SAMPLES]), device);
    let loss_fn = CrossEntropyLossConfig::new().init(device);
    let pass = |model: &N| {
        let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), model);
        (loss, gradients)
    };
    let hsr = |interval: u64, objective: Objective| {
        let schedule = ScheduleConfig::new().with_interval(interval);
        let config = StochasticHsrConfig::new()
            .with_objective(objective)
            .with_schedule(schedule);
        let mut hsr = config.init(SgdConfig::new().init()).expect("valid options");
        let mut model = Some(model.valid().train());
        move || {
            for _ in 0..STEPS {
                let before = model.take().expect("a model");
                let step = hsr.step(1e-3, before, pass).expect("a step");
                model = Some(step.module);
            }
        }
    };
    let plain = || {
        let mut optimizer = SgdConfig::new().init();
        let mut model = Some(model.valid().train());
        move || {
            for _ in 0..STEPS {
                let before = model.take().expect("a model");
                let (_, gradients) = pass(&before);
                model = Some(optimizer.step(1e-3, before, gradients));
            }
        }
    };
    let sam = || {
        let mut sam = SamConfig::new()
            .init(SgdConfig::new().init())
            .expect("valid options");
        let mut model = Some(model.valid().train());
        move || {
            for _ in 0..STEPS {
                let before = model.take().expect("a model");
                model = Some(sam.step(1e-3, before, pass).expect("a step").module);
            }
        }
    };
    let mut candidates: Vec<Candidate> = vec![
        ("plain", Box::new(plain())),
        ("SAM", Box::new(sam())),
        ("HSR", Box::new(hsr(1, Objective::LambdaSup))),
        (
            "HSR, every 4th step",
            Box::new(hsr(4, Objective::LambdaSup)),
        ),
        (
            "HSR, every 10th step",
            Box::new(hsr(10, Objective::LambdaSup)),
        ),
        (
            "λ_max, every 4th step",
            Box::new(hsr(4, Objective::LambdaMax)),
        ),
    ];
    let found = ratios(&mut candidates, 30, 4e-3);
    println!("{name}: {} parameters, N = {SAMPLES}", model.num_params());
    for ((method, _), ratio) in candidates.iter().zip(found) {
        let [lower, median, upper] = ratio.quartiles;
        println!(
            "  {method:24}{:>10.1} µs{median:>8.2} plain steps ({lower:.2} to {upper:.2})",
            1e6 * ratio.seconds / STEPS as f64
        );
    }
}

fn main() {
    let device = Device::flex().autodiff();
    device.seed(0);
    let conv = |channels| Conv2dConfig::new(channels, [3, 3]).init(&device);
    let convolution = ConvNet {
        convs: [conv([1, 8]), conv([8, 16])],
        norm: BatchNormConfig::new(8).init(&device),
        output: LinearConfig::new(16 * 16, 10).init(&device),
    };
    measure("convolutional network", &convolution, &device);
    let linear = |[inputs, outputs]: [usize; 2]| LinearConfig::new(inputs, outputs).init(&device);
    let perceptron = Perceptron {
        layers: [[64, 128], [128, 128], [128, 10]].map(linear),
    };
    measure("perceptron", &perceptron, &device);
}
