//! A convolutional network whose last `Linear` is regularised by HSR; the features get their part of the gradient,
//! so that the backbone is regularised too: `cargo build --release --workspace --examples`, then
//! `target/release/examples/deep_head`.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_hsr::{Backend, HsrConfig};
use hsr_examples::{picture, spectrum_of};
use hsr_lab::figures;
use hsr_lab::tasks::{self, TaskOptions};

#[derive(Module, Debug)]
struct Model {
    conv: Conv2d,
    linear: Linear,
}

impl Model {
    fn new(classes: usize, device: &Device) -> Self {
        // 8 × 8 pixels to 4 channels of 3 × 3.
        let conv = Conv2dConfig::new([1, 4], [3, 3]).with_stride([2, 2]);
        Self {
            conv: conv.init(device),
            linear: LinearConfig::new(4 * 3 * 3, classes).init(device),
        }
    }

    /// `[N, 1, 8, 8]` to `[N, 36]`.
    fn features(&self, images: Tensor<4>) -> Tensor<2> {
        tanh(self.conv.forward(images)).flatten(1, 3)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();

    let data = tasks::load("digits", &TaskOptions::default(), 0)?;
    let samples = 256;
    let pixels: Vec<f32> = data.features[..samples * 64]
        .iter()
        .map(|&v| v as f32 / 16.0)
        .collect();
    let labels: Vec<i64> = data.labels[..samples].iter().map(|&y| y as i64).collect();
    let x = Tensor::<4>::from_data(TensorData::new(pixels, [samples, 1, 8, 8]), &device);
    let y = Tensor::<1, Int>::from_data(TensorData::new(labels, [samples]), &device);

    let (mut spectra, mut pictured) = (Vec::new(), Vec::new());
    for strength in [0.0, 0.2] {
        device.seed(0);
        let mut model = Model::new(data.classes(), &device);
        let mut optimizer = AdamConfig::new().init();
        let loss_fn = CrossEntropyLossConfig::new().init(&device);
        let mut hsr = HsrConfig::new().with_strength(strength).init()?;
        for _ in 0..60 {
            let features = model.features(x.clone());
            let loss = loss_fn.forward(model.linear.forward(features.clone()), y.clone());
            // `features` are tracked: their term's backward pass goes on into the convolution.
            let term = hsr.head(&model.linear, features, y.clone())?;
            let gradients = (loss + term.features_term()).backward();
            let gradients = GradientsParams::from_grads(gradients, &model);
            let gradients = term.inject(&model.linear, gradients);
            model = optimizer.step(0.01, model, gradients);
        }
        let features = model.features(x.clone());
        let logits = model.linear.forward(features.clone());
        let right = logits.argmax(1).squeeze_dim::<1>(1).equal(y.clone());
        let accuracy = right.float().mean().into_scalar::<f32>();
        let bounds = hsr.bounds(&model.linear, features.clone(), y.clone())?;
        println!(
            "strength {strength}: training accuracy {accuracy:.3}, λ_max of the head {:.4}",
            bounds.lambda_max()
        );
        spectra.push(bounds.lambda_sup);
        let name = if strength == 0.0 { "plain" } else { "HSR" };
        pictured.push(spectrum_of(name, &hsr, &model.linear, features, y.clone())?);
    }
    if spectra[1] >= spectra[0] {
        return Err("HSR did not narrow the head's spectrum".into());
    }
    picture(|| figures::spectrum(&pictured))
}
