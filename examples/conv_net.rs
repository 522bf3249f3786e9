//! A convolutional network on real images, trained plainly, with SAM and with stochastic HSR every fourth step, each until
//! it has the same training loss: the gradients that took, accuracy on held-out images and the largest curvature:
//! `cargo build --release --workspace --examples`, then `target/release/examples/conv_net`.

use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Int, Tensor};
use burn_hsr::Backend;
use burn_penalty::{Schedule, StochasticHsrConfig};
use burn_sharpness::spectrum::{LanczosOptions, lanczos};
use burn_sharpness::{FiniteDifferenceHessian, SamConfig};
use hsr_lab::network;
use hsr_lab::tasks::{self, TaskOptions};

#[derive(Module, Debug)]
struct ConvNet {
    conv: Conv2d,
    norm: BatchNorm,
    pool: AvgPool2d,
    dropout: Dropout,
    output: Linear,
}

impl ConvNet {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            norm: BatchNormConfig::new(8).init(device),
            pool: AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(0.1).init(),
            output: LinearConfig::new(72, 10).init(device),
        }
    }

    /// Images \[N, 64\] of 8×8 pixels to logits \[N, 10\].
    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let samples = images.dims()[0];
        let x = images.reshape([samples, 1, 8, 8]);
        let x = self
            .pool
            .forward(gelu(self.norm.forward(self.conv.forward(x))));
        self.output
            .forward(self.dropout.forward(x.reshape([samples, 72])))
    }
}

/// The training loss at which all are compared: certain predictions have no curvature, whatever the method.
const LOSS: f32 = 0.2;
/// Steps that nobody needs.
const MOST: usize = 400;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();

    let (x, y) = network::tensors(&tasks::load("digits", &TaskOptions::default(), 0)?, &device);
    let x = x / 16.0;
    let (train, held_out) = (0..400, 400..800);
    let [x_held_out, x] = [held_out.clone(), train.clone()].map(|rows| x.clone().slice([rows]));
    let [y_held_out, y]: [Tensor<1, Int>; 2] =
        [held_out, train].map(|rows| y.clone().slice([rows]));
    let loss_fn = CrossEntropyLossConfig::new().init(&device);
    let loss = |model: &ConvNet| loss_fn.forward(model.forward(x.clone()), y.clone());
    let pass = |model: ConvNet| {
        let loss = loss(&model);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        (loss, gradients)
    };
    // One start for all.
    device.seed(0);
    let start = ConvNet::new(&device);
    let fresh = || start.valid().train();

    // The same closure for both; the number of gradients a step.
    let mut sam = SamConfig::new()
        .with_rho(0.3)
        .init(AdamConfig::new().init())?;
    let mut hsr = StochasticHsrConfig::new()
        .with_strength(0.1)
        .with_schedule(Schedule::new().with_interval(4))
        .init(AdamConfig::new().init())?;
    let mut adam = AdamConfig::new().init();
    type Step<'a> = Box<dyn FnMut(ConvNet) -> Result<ConvNet, Box<dyn std::error::Error>> + 'a>;
    let methods: [(&str, f64, Step); 3] = [
        (
            "Adam",
            1.0,
            Box::new(|model: ConvNet| {
                let (_, gradients) = pass(model.clone());
                Ok(adam.step(0.01, model, gradients))
            }),
        ),
        (
            "SAM",
            2.0,
            Box::new(|model| Ok(sam.step(0.01, model, pass)?.module)),
        ),
        (
            "HSR every 4th step",
            1.75,
            Box::new(|model| Ok(hsr.step(0.01, model, pass)?.module)),
        ),
    ];
    let mut largest = Vec::new();
    for (name, gradients, mut step) in methods {
        let mut model = fresh();
        let begin = Instant::now();
        let mut steps = 0;
        while steps < MOST && loss(&model).into_scalar::<f32>() > LOSS {
            model = step(model)?;
            steps += 1;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let taken = gradients * steps as f64;
        // In validation: no dropout, running statistics.
        let valid = model.valid();
        let right = valid
            .forward(x_held_out.clone().inner())
            .argmax(1)
            .reshape([-1]);
        let right = right
            .equal(y_held_out.clone().inner())
            .int()
            .sum()
            .into_scalar::<i64>();
        // Dropout off, batch statistics: the loss that was trained.
        let mut measured = model;
        measured.dropout = measured.dropout.freeze();
        let mut hessian = FiniteDifferenceHessian::new(&measured, loss)?;
        let ends = lanczos(&mut hessian, 1, None, &LanczosOptions::default())?;
        let lambda_max = ends.largest[0].value;
        println!(
            "{name}: {taken:.0} gradients, {right} of 400 held-out images, λ_max {lambda_max:.2}, {seconds:.1} s"
        );
        largest.push(lambda_max);
    }
    if largest[2] >= largest[0] {
        return Err("HSR did not lower the largest curvature".into());
    }
    Ok(())
}
