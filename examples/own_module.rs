//! A module of your own with four layers under HSR, with the gradient injected between `backward` and `step`, on real data:
//! `cargo build --release --workspace --examples`, then `target/release/examples/own_module`.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::{silu, tanh};
use burn::tensor::{Device, Tensor};
use burn_hsr::{Activation, Backend, HsrConfig, Layer, Layers};
use hsr_examples::{picture, spectrum_of};
use hsr_lab::data::Standardizer;
use hsr_lab::tasks::{self, TaskOptions};
use hsr_lab::{figures, network};

/// Three hidden layers, one of them residual; logits without a bias.
#[derive(Module, Debug)]
struct Classifier {
    embed: Linear,
    mix: Linear,
    refine: Linear,
    score: Linear,
}

impl Classifier {
    fn new(inputs: usize, hidden: usize, classes: usize, device: &Device) -> Self {
        let score = LinearConfig::new(hidden, classes).with_bias(false);
        Self {
            embed: LinearConfig::new(inputs, hidden).init(device),
            mix: LinearConfig::new(hidden, hidden).init(device),
            refine: LinearConfig::new(hidden, hidden).init(device),
            score: score.init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = silu(self.embed.forward(x));
        let x = silu(self.mix.forward(x.clone())) + x;
        let x = tanh(self.refine.forward(x));
        self.score.forward(x)
    }
}

/// What HSR has to know of it.
impl Layers for Classifier {
    fn layers(&self) -> Vec<Layer<'_>> {
        let silu = |linear| Layer::new(linear).with_activation(Activation::Silu);
        vec![
            silu(&self.embed),
            silu(&self.mix).with_residual(),
            Layer::new(&self.refine).with_activation(Activation::Tanh),
            Layer::new(&self.score),
        ]
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();

    let mut data = tasks::load("breast-cancer", &TaskOptions::default(), 0)?;
    Standardizer::fit(&data).apply(&mut data)?;
    let (inputs, classes) = (data.inputs, data.classes());
    let (x, y) = network::tensors(&data, &device);

    let (mut spectra, mut pictured) = (Vec::new(), Vec::new());
    for strength in [0.0, 0.05] {
        device.seed(0);
        let mut model = Classifier::new(inputs, 8, classes, &device);
        let mut optimizer = AdamConfig::new().init();
        let loss_fn = CrossEntropyLossConfig::new().init(&device);
        let mut hsr = HsrConfig::new().with_strength(strength).init()?;
        hsr.verify(&model, x.clone(), model.forward(x.clone()))?;
        let before = hsr.bounds(&model, x.clone(), y.clone())?.lambda_sup;
        for _ in 0..200 {
            let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let gradients = hsr.inject(&model, x.clone(), y.clone(), gradients)?;
            model = optimizer.step(0.01, model, gradients);
        }
        let after = hsr.bounds(&model, x.clone(), y.clone())?.lambda_sup;
        let right = model.forward(x.clone()).argmax(1).squeeze_dim::<1>(1);
        let right: i64 = right.equal(y.clone()).int().sum().into_scalar();
        let accuracy = right as f64 / data.samples() as f64;
        println!(
            "strength {strength}: λ_sup {before:.4} → {after:.4}, training accuracy {accuracy:.3}"
        );
        if accuracy < 0.95 {
            return Err("the network has not learned the task".into());
        }
        spectra.push(after);
        let name = if strength == 0.0 { "plain" } else { "HSR" };
        pictured.push(spectrum_of(name, &hsr, &model, x.clone(), y.clone())?);
    }
    if spectra[1] >= spectra[0] {
        return Err("HSR did not narrow the spectrum".into());
    }
    picture(|| figures::spectrum(&pictured))
}
