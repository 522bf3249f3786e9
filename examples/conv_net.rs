//! A convolutional network on real images, trained plainly, with SAM and with stochastic HSR every fourth step:
//! `cargo build --release --workspace --examples`, then `target/release/examples/conv_net`.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use burn_hsr::Backend;
use burn_penalty::{ScheduleConfig, StochasticHsrConfig, Strength};
use burn_sharpness::SamConfig;
use hsr_examples::digits::{Classifier, Digits, Way};

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
}

impl Classifier for ConvNet {
    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let [samples, _] = images.dims();
        let x = self.conv.forward(images.reshape([samples, 1, 8, 8]));
        let x = self.pool.forward(gelu(self.norm.forward(x)));
        let x = self.dropout.forward(x.reshape([samples, 72]));
        self.output.forward(x)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();
    let digits = Digits::new(200, &device)?;
    device.seed(0);
    let start = ConvNet::new(&device);

    // The same closure for both.
    let loss = |model: &ConvNet| digits.loss(model);
    let mut adam = AdamConfig::new().init();
    let mut sam = SamConfig::new()
        .with_rho(RHO)
        .init(AdamConfig::new().init())?;
    let mut hsr = StochasticHsrConfig::new()
        .with_strength(STRENGTH)
        .with_schedule(ScheduleConfig::new().with_interval(4))
        .init(AdamConfig::new().init())?;
    let ways = vec![
        Way {
            name: "Adam",
            gradients: 1.0,
            step: Box::new(|model: ConvNet| {
                let gradients = GradientsParams::from_grads(loss(&model).backward(), &model);
                Ok(adam.step(0.01, model, gradients))
            }),
        },
        Way {
            name: "SAM",
            gradients: 2.0,
            step: Box::new(|model| Ok(sam.step(0.01, model, loss)?.module)),
        },
        Way {
            name: "HSR every 4th step",
            gradients: 1.75,
            step: Box::new(|model| Ok(hsr.step(0.01, model, loss)?.module)),
        },
    ];
    let lambda_max = digits.compare(&start, 0.2, 250.0, ways)?;
    if lambda_max[2] >= lambda_max[0] {
        return Err("HSR did not lower the largest curvature".into());
    }
    Ok(())
}

/// Of the sizes that the study tuned, but not tuned for this network: `docs/reproduction/any-module.md`.
const RHO: f64 = 0.4;
/// The same.
const STRENGTH: Strength = Strength::Safe {
    strength: 0.1,
    share: 1.0,
};
